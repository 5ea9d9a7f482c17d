"""Networks, reservations and endpoints as a file: export, diff, apply."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kernel.steps import CONFLICT, LAN, REQUEST, create, join, networks, refused
from tests.lab import Host, Lab, Result

DIFFERS, PARTLY = 11, 13
GIVEN, CHANGED, PLACED, MOVED = (f"172.16.86.{last}" for last in (200, 201, 150, 151))

FILE = """
id = "office"

[networks.lan]
subnet = "172.16.86.0/24"
gateway = "172.16.86.1"
ip_range = "172.16.86.128/25"
aux_address = { printer = "172.16.86.140" }
opt = { parent = "eth0", "com.docker.network.advertise_addr_nmsgs" = 0 }
label = { env = "test" }

[[reservations]]
network = "lan"
container = "netns:later"
ip = "172.16.86.200"

[[endpoints]]
network = "lan"
container = "netns:web"
gw_priority = 3

[[endpoints]]
network = "lan"
container = "netns:db"
ip = "172.16.86.150"
ifname = "lan0"
"""


def apply(host: Host, text: str, *words: str, fork: bool = False) -> Result:
    return host.macvnet("apply", *words, "-", stdin=text, fork=fork)


def unchanged(host: Host, text: str, *words: str) -> bool:
    """That the state has it all, and nothing is done."""
    assert host.macvnet("diff", *words, "-", stdin=text, fork=True).checked().lines == []
    done = apply(host, text, *words, fork=True).checked()
    return done.lines == [] and "nothing to do" in done.stderr


def exported(host: Host) -> str:
    return host.macvnet("export", fork=True).checked().stdout


def test_file_is_made_once_and_exported_as_it_is(lab: Lab) -> None:
    """And what was exported makes the same where nothing is."""
    web, db = lab.named("web"), lab.named("db")
    steps = [
        "create network lan driver macvlan",
        "create reservation 172.16.86.200 for netns:later in network lan",
        "create endpoint of netns:web in network lan",
        "create endpoint of netns:db in network lan: 172.16.86.150",
    ]
    different = lab.host.macvnet("diff", "-", stdin=FILE)
    assert (different.status, different.lines) == (DIFFERS, steps)
    assert apply(lab.host, FILE, "--dry-run").checked().lines == steps
    assert networks(lab.host) == []
    assert apply(lab.host, FILE).checked().lines == steps
    assert web.addresses() == ["172.16.86.128/24"]
    assert "172.16.86.150/24" in db.addresses("lan0")
    assert lab.router.ping("172.16.86.128")
    assert unchanged(lab.host, FILE)
    first = exported(lab.host)
    assert unchanged(lab.host, first)
    file = lab.folder / "exported.toml"
    file.write_text(first)
    # Somebody disconnects one and ends a reservation: the rest stays as it is.
    lab.host.macvnet("disconnect", "lan", "netns:db").checked()
    lab.host.macvnet("unreserve", "lan", "netns:later").checked()
    assert apply(lab.host, FILE).checked().lines == [steps[1], steps[3]]
    assert sorted(exported(lab.host).split("\n\n")) == sorted(first.split("\n\n"))
    # On an empty host.
    lab.host.macvnet("disconnect", "--all", "lan").checked()
    lab.host.macvnet("rm", "lan").checked()
    shutil.rmtree(lab.state_dir)
    assert len(lab.host.macvnet("apply", str(file)).checked().lines) == 4
    assert exported(lab.host) == first
    assert lab.host.macvnet("check").checked().lines == []
    assert lab.host.macvnet("export", "lan").checked().stdout == first


def test_host_access_is_in_the_file_as_it_is_now(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    plain = exported(lab.host)
    lab.host.macvnet("host-access", "enable", "lan").checked()
    file = exported(lab.host)
    assert "host_access = true\n" in file and "host_access" not in plain
    assert unchanged(lab.host, file)
    refused = apply(lab.host, plain)
    assert refused.status == CONFLICT and "macvnet host-access disable lan" in refused.stderr
    lab.host.macvnet("host-access", "disable", "lan").checked()
    assert unchanged(lab.host, plain)
    lab.host.macvnet("rm", "lan").checked()
    assert apply(lab.host, file).checked().lines[0] == "create network lan driver macvlan"
    assert unchanged(lab.host, file)


def test_varied_networks_are_exported_and_made_again(lab: Lab) -> None:
    shared = ("-o", "parent=eth0", "-o", "share_parent=true")
    create(lab.host, "odd.name", *LAN, "--ip-range=172.16.86.64-172.16.86.95", "--label=a=b",
           "--exclude=172.16.86.80-172.16.86.85", "--aux-address=172.16.86.70",
           "--subnet=2001:db8:86::/64", "--ipv6", "-o", "macvlan_mode=private")  # fmt: skip
    create(lab.host, "plan", "--config-only", "--subnet=10.2.0.0/24", "--label=x=quo\"te", *shared,
           "-o", "macvlan_mode=private")  # fmt: skip
    create(lab.host, "made", "--config-from=plan", "--internal")
    create(lab.host, "bare", "--ipam-driver=null", "-o", "macvlan_mode=private", *shared)
    create(
        lab.host,
        "inner",
        "--internal",
        "--subnet=10.3.0.0/31",
        "-o",
        "macvlan_mode=private",
        *shared,
    )
    lab.host.macvnet("reserve", "odd.name", "docker:web").checked()
    web, process = lab.named("web"), lab.container()
    join(lab.host, web, "made", "--gw-priority=-4")
    join(lab.host, web, "odd.name", "--mac-address=02:00:5e:00:53:01", "--ip=172.16.86.66")
    join(lab.host, process, "inner")
    lab.host.macvnet("connect", "bare", "--alias=b", "--alias=a", "netns:web").checked()
    done = lab.host.macvnet("export", fork=True).checked()
    assert "1 endpoints of bare PIDs are left out" in done.stderr
    before, text = web.addresses("eth1"), done.stdout
    assert unchanged(lab.host, text)
    lab.host.macvnet("detach", process.target).checked()
    lab.host.macvnet("detach", "netns:web").checked()
    lab.host.macvnet("rm", "odd.name", "made", "bare", "inner", "plan").checked()
    apply(lab.host, text).checked()
    assert exported(lab.host) == text
    assert web.addresses("eth1") == before and web.mac("eth1") == "02:00:5e:00:53:01"


@pytest.mark.needs("vlan", "dummy", "ipvlan")
def test_networks_whose_links_macvnet_makes(lab: Lab) -> None:
    """A subnet that macvnet chose is exported, so that it is the same again."""
    create(lab.host, "v50", "--subnet=192.168.50.0/24", "-d", "ipvlan", "-o", "parent=eth0.50")
    create(lab.host, "alone", "--ipv6")
    web = lab.named("web")
    join(lab.host, web, "alone")
    text = exported(lab.host)
    assert text.count("subnet =") == 2 and "id =" not in text
    chosen = text.replace(
        text.partition("[networks.alone]")[2].partition("\n\n")[0], "\nipv6 = true"
    )
    assert chosen.count("subnet =") == 1 and unchanged(lab.host, chosen)
    before = web.addresses()
    lab.host.macvnet("disconnect", "alone", "netns:web").checked()
    lab.host.macvnet("rm", "v50", "alone").checked()
    assert "eth0.50" not in lab.host.links()
    apply(lab.host, text).checked()
    assert exported(lab.host) == text and web.addresses() == before
    assert "eth0.50" in lab.host.links()
    lab.host.macvnet("check").checked()


def test_only_what_the_same_file_has_made_is_pruned(lab: Lab) -> None:
    create(lab.host, "mine", "--subnet=10.1.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1")
    web, db, other = lab.named("web"), lab.named("db"), lab.named("other")
    text = FILE.replace('parent = "eth0"', 'parent = "eth0", share_parent = true')
    apply(lab.host, text).checked()
    join(lab.host, other, "lan")
    lab.host.macvnet("reserve", "lan", "netns:kept").checked()
    head, _, _ = text.partition("[[reservations]]")
    assert unchanged(lab.host, head)
    assert lab.host.macvnet("diff", "--prune", "-", stdin=text).checked().lines == []
    dry = apply(lab.host, head, "--prune", "--dry-run").checked().lines
    assert dry == [
        "remove endpoint of netns:db from network lan",
        "remove endpoint of netns:web from network lan",
        "remove reservation 172.16.86.200 for netns:later in network lan",
    ] or dry == [
        "remove endpoint of netns:web from network lan",
        "remove endpoint of netns:db from network lan",
        "remove reservation 172.16.86.200 for netns:later in network lan",
    ]
    # A backup knows it too.
    backup = lab.host.macvnet("state", "export").checked().stdout
    shutil.rmtree(lab.state_dir)
    lab.host.macvnet("state", "import", "-", stdin=backup).checked()
    # Another file's are none of its affair.
    assert unchanged(lab.host, 'id = "elsewhere"', "--prune")
    assert apply(lab.host, head, "--prune").checked().lines == dry
    assert (web.links(), db.links(), len(other.links())) == (["lo"], ["lo"], 2)
    shown = exported(lab.host)
    assert "netns:kept" in shown and "netns:other" in shown and "netns:later" not in shown
    # A network with somebody else's endpoint stays, and the rest is done.
    failed = apply(lab.host, 'id = "office"', "--prune")
    assert failed.status == CONFLICT and "network lan: network 'lan' has active" in failed.stderr
    lab.host.macvnet("disconnect", "lan", "netns:other").checked()
    apply(lab.host, 'id = "office"', "--prune").checked()
    assert networks(lab.host) == ["mine"]
    assert unchanged(lab.host, 'id = "office"', "--prune")
    # Made by hand under the same name: not the file's.
    create(lab.host, "lan", *LAN, "-o", "share_parent=1")
    assert unchanged(lab.host, 'id = "office"', "--prune")
    refused(apply(lab.host, head.replace('id = "office"', ""), "--prune"), REQUEST, "no id")


def test_changes(lab: Lab) -> None:
    """Of endpoints and reservations they are made; of networks they are refused."""
    web, db = lab.named("web"), lab.named("db")
    apply(lab.host, FILE).checked()
    changed = FILE.replace(".150", ".151").replace(".200", ".201").replace("= 3", "= 4")
    later = "for netns:later in network lan"
    assert apply(lab.host, changed).checked().lines == [
        f"change reservation {CHANGED} {later}: ip is {GIVEN}, not {CHANGED}",
        "change endpoint of netns:web in network lan: gw_priority is 3, not 4",
        f"change endpoint of netns:db in network lan: {MOVED}: ip is {PLACED}, not {MOVED}",
    ]
    assert "172.16.86.151/24" in db.addresses("lan0") and web.addresses() == ["172.16.86.128/24"]
    assert unchanged(lab.host, changed)
    other = changed.replace('172.16.86.1"', '172.16.86.2"').replace("netns:later", "netns:last")
    differs = lab.host.macvnet("diff", "-", stdin=other)
    assert differs.status == DIFFERS
    assert differs.lines[0] == ("change network lan: gateway is 172.16.86.1, not 172.16.86.2")
    hint = refused(apply(lab.host, other), CONFLICT, "gateway is 172.16.86.1, not 172.16.86.2")
    assert hint.startswith("macvnet rm lan, then apply again")
    assert unchanged(lab.host, changed)


def test_what_fails_leaves_the_others(lab: Lab) -> None:
    db = lab.named("db")
    done = apply(lab.host, FILE)
    assert done.status == PARTLY
    assert "netns:web in lan: " in done.stderr and "1 of 4 steps failed" in done.stderr
    assert "172.16.86.150/24" in db.addresses("lan0")
    again = apply(lab.host, FILE)
    assert again.lines == ["create endpoint of netns:web in network lan"]
    assert again.status == 4
    lab.named("web")
    apply(lab.host, FILE).checked()
    assert unchanged(lab.host, FILE)


def test_file_is_judged_before_anything_is_done(lab: Lab) -> None:
    def refuse(old: str, new: str, status: int, *words: str) -> str:
        assert old in FILE
        return refused(apply(lab.host, FILE.replace(old, new), fork=True), status, *words)

    hint = refuse("gateway =", "gatevay =", REQUEST, "line 6: unknown key 'gatevay'")
    assert hint == "did you mean gateway?"
    assert refuse('container = "netns:db', 'contaner = "netns:db', REQUEST, "line 24") == (
        "did you mean container?"
    )
    refuse("172.16.86.150", "10.0.0.1", REQUEST, "line 22", "no subnet of network 'lan' contains")
    refuse("netns:db", "netns:web", REQUEST, "'netns:web' is in network 'lan' twice")
    refuse('"netns:db"', '"pid:1"', REQUEST, "line 24: 'pid:1' has no name that lasts")
    refuse('"netns:db"', '"db"', REQUEST, "does not say of which runtime")
    refuse("172.16.86.150", "172.16.86.200", REQUEST, "is for 'netns:later' already")
    refuse('parent = "eth0"', 'parent = "eth9"', 4, "line 4: ", "eth9")
    refuse("= 3", "= true", REQUEST, "line 20: gw_priority is no such number")
    assert refuse("[[endpoints]]\nnetwork = \"lan\"\ncontainer = \"netns:w",
                  "[[endpoints]]\nnetwork = \"lam\"\ncontainer = \"netns:w",
                  REQUEST, "there is no network 'lam'") == "did you mean lan?"  # fmt: skip
    hint = refuse("parent =", "parnet =", REQUEST, "line 9: unknown key 'parnet'")
    assert hint == "did you mean parent?"
    hint = refuse('"netns:db"', '"netsn:db"', REQUEST, "line 24", "does not say of which runtime")
    assert hint == '"netns:db"'
    assert networks(lab.host) == []
    missing = str(Path(lab.folder) / "missing.toml")
    refused(lab.host.macvnet("apply", missing), 4, "there is no file")


CONFIG = """
[networks.inner]
config_from = "settings"

[networks.settings]
config_only = true
subnet = "172.16.86.0/24"
gateway = "172.16.86.1"
opt = { parent = "eth0" }
"""
SECOND = """
[networks.second]
subnet = "172.16.87.0/24"
opt = { parent = "eth0" }
"""
SHARED = """
[networks.one]
subnet = "172.16.86.0/24"
opt = { parent = "eth0", share_parent = true }

[networks.two]
subnet = "172.16.86.0/25"
opt = { parent = "eth0", share_parent = true }
"""


def test_what_a_file_makes_is_judged_together(lab: Lab) -> None:
    """What only the second step would refuse is refused before the first, in a dry run too."""
    refused(apply(lab.host, FILE + SECOND, "--dry-run", fork=True), CONFLICT, "line 28: ")

    def refuse(text: str, status: int, *words: str) -> None:
        refused(apply(lab.host, text, fork=True), status, *words)
        assert networks(lab.host) == []

    refuse(FILE + SECOND, CONFLICT, "line 28: network 'lan' is on the parent eth0 already")
    refuse(SHARED, CONFLICT, "line 6: subnet '172.16.86.0/25' overlaps 172.16.86.0/24 of network")
    refuse(FILE.replace(PLACED, "172.16.86.1"), CONFLICT, "line 22: address '172.16.86.1' is in "
           "use, it is held by the gateway of network 'lan'")  # fmt: skip
    refuse(FILE.replace(GIVEN, "172.16.86.140"), CONFLICT, "line 12: address '172.16.86.140'",
           "the auxiliary address 'printer' of network 'lan'")  # fmt: skip
    refuse(FILE.replace("gw_priority = 3", "metric = -1"), REQUEST, "line 17: --metric -1 is not")
    refuse(
        CONFIG.replace("config_only = true\n", ""), 4, "line 2: configuration network 'settings'"
    )
    refuse(CONFIG.replace('config_from = "settings"', 'config_from = "inner"'), 4, "line 2: ")
    refuse(CONFIG.replace('"settings"', '"settings"\nsubnet = "172.16.86.0/24"'), REQUEST,
           "line 2: --subnet '172.16.86.0/24' cannot be given")  # fmt: skip
    refuse(CONFIG + '[[reservations]]\nnetwork = "inner"\ncontainer = "netns:x"\nip = "10.0.0.1"',
           REQUEST, "line 10: no subnet of network 'inner'")  # fmt: skip


def test_configurations_are_made_before_the_networks_that_have_them(lab: Lab) -> None:
    made = apply(lab.host, CONFIG).checked()
    assert [line.split()[2] for line in made.lines] == ["settings", "inner"]
    assert unchanged(lab.host, CONFIG)


def test_networks_of_one_file_share_a_parent_each_with_its_range(lab: Lab) -> None:
    ranged = SHARED.replace('0/24"', '0/24"\nip_range = "172.16.86.128/25"')
    ranged = ranged.replace('86.0/25"', '86.0/24"\nip_range = "172.16.86.0/25"')
    apply(lab.host, ranged).checked()
    assert unchanged(lab.host, ranged)
