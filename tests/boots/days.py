"""What happens between two boots of one machine: one evening, and several mornings after it.

Each function runs inside, in a boot of its own; the mornings begin with copies
of the disk that the evening left. ``tests.boots.test_mornings`` boots them.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.boots.site import DISK, Site, same
from tests.kernel.steps import create, networks, notes
from tests.lab import Machine, Named, Result, executable
from tests.lab.events import changes, quiet

LAN = ("--subnet=172.16.86.0/24", "--gateway=172.16.86.1", "-o", "parent=eth0")
LAN6 = ("--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1", "--ipv6")
TARGETS = ("web", "db", "guest")
PENDING, PARTLY = 12, 13
MISSING_70 = "network own70: the parent eth0.70 is missing"
KEPT = DISK / "facts.json"


def on_vlan(vid: int) -> tuple[str, ...]:
    subnet = (f"--subnet=192.168.{vid}.0/24", f"--gateway=192.168.{vid}.1")
    return (*subnet, "-o", f"parent=eth0.{vid}")


def evening(site: Site) -> None:
    """Networks on the NIC, on VLANs that macvnet makes, on one that it does not, on a dummy."""
    _equip(site)
    host = site.host
    host.add_vlan(70)
    create(host, "lan", *LAN, *LAN6)
    create(host, "v50", *on_vlan(50))
    create(host, "v60", "-d", "ipvlan", *on_vlan(60))
    create(host, "own70", *on_vlan(70))
    create(host, "alone", "--subnet=10.6.0.0/24")
    web, db, guest, gone = (site.named(name) for name in (*TARGETS, "gone"))
    process = site.container()
    host.macvnet("connect", "--ip=172.16.86.10", "lan", web.target).checked()
    host.macvnet("connect", "--ifname=trunk0", "v50", web.target).checked()
    host.macvnet("connect", "alone", web.target).checked()
    host.macvnet("connect", "v60", db.target).checked()
    host.macvnet("connect", "alone", db.target).checked()
    host.macvnet("connect", "own70", guest.target).checked()
    host.macvnet("connect", "lan", gone.target).checked()
    host.macvnet("connect", "lan", process.target).checked()
    _reach_all(web, db)
    _keep(
        {
            "boot": _boot_id(),
            "links": host.links(),
            "targets": {target.name: _facts(target) for target in (web, db, guest)},
        }
    )


def everything_comes_back(site: Site) -> None:
    """By ``restore`` alone, but for what waits for a link that macvnet never made."""
    before = _begin(site)
    host = site.host
    web, db, guest = (site.named(name) for name in TARGETS)
    same(set(before["links"]) - set(host.links()), _made(before) | {"eth0.70"})
    with changes(host.fd) as outside, changes(web.fd) as inside:
        done = host.run(executable(), "restore")
    assert {"link", "nsid"} <= set(outside) and {"link", "address", "route"} <= set(inside)
    same((done.status, _complaints(done)), (PENDING, [MISSING_70]))
    same(
        done.lines,
        [
            "link eth0.50 for network v50",
            "link eth0.60 for network v60",
            f"link {_dummy(before)} for network alone",
            f"netns:web in network lan {_address(before, 'web', 'eth0')} 2001:db8:86::2/64",
            f"netns:web in network v50 {_address(before, 'web', 'trunk0')}",
            f"netns:web in network alone {_address(before, 'web', 'eth1')}",
            f"netns:db in network v60 {_address(before, 'db', 'eth0')}",
            f"netns:db in network alone {_address(before, 'db', 'eth1')}",
        ],
    )
    same({name: _facts(target) for name, target in (("web", web), ("db", db))}, _of(before))
    assert "eth0.70" not in host.links() and guest.links() == ["lo"]
    same(host.sysctl("net/ipv6/conf/eth0.50/disable_ipv6"), "1")
    _reach_all(web, db)
    # The process is gone for good, the name may still come back.
    held = _held(site, "lan")
    same(set(held), {"netns:web", "netns:gone"})

    _changes_nothing(site, [host, web, db, guest], PENDING)
    done = host.macvnet("check")
    waits = "netns:guest in network own70: it is there again, but not attached"
    same((done.status, done.lines), (11, [MISSING_70, waits]))

    later = threading.Timer(1.5, host.add_vlan, (70,))
    later.start()
    done = host.macvnet("restore", "--wait=60").checked()
    later.join()
    same(done.lines, [f"netns:guest in network own70 {_address(before, 'guest', 'eth0')}"])
    same(_facts(guest), before["targets"]["guest"])
    assert guest.ping("192.168.70.1")
    _changes_nothing(site, [host, web, db, guest], 0)
    same(host.macvnet("check").checked().lines, [])

    for target in (web, db, guest):
        host.macvnet("detach", target.target).checked()
        same(target.links(), ["lo"])
    host.macvnet("rm", "lan", "v50", "v60", "own70", "alone").checked()
    same(host.links(), ["lo", "eth0", "eth0.70"])


def somebody_was_quicker(site: Site) -> None:
    """eth0.50 is there already, and VLAN 60 under another name, which stops network v60 alone."""
    before = _begin(site)
    host = site.host
    host.add_vlan(50, "192.168.50.250/24")
    host.ip("link", "add", "link", "eth0", "name", "trunk60", "type", "vlan", "id", "60")
    link = host.link("eth0.50")
    web, db = site.named("web"), site.named("db")
    done = host.macvnet("restore")
    same(done.status, PARTLY)
    (vlan, pending) = _complaints(done)
    assert vlan.startswith("network v60: ") and "trunk60" in vlan, vlan
    same(pending, MISSING_70)
    (note,) = (note for note in notes(done) if "eth0.50" in note)
    assert "made by somebody else since boot" in note and "will not remove it" in note, note
    same(_facts(web), before["targets"]["web"])
    same(_facts(db), _only(before["targets"]["db"], "eth1"))
    assert web.ping("192.168.50.1") and web.ping(_ip(before, "db", "eth1"))

    host.batch("link set trunk60 down", "link set trunk60 name eth0.60", "link set eth0.60 up")
    done = host.macvnet("restore")
    same((done.status, _complaints(done)), (PENDING, [MISSING_70]))
    same(_facts(db)["eth0"]["addresses"], before["targets"]["db"]["eth0"]["addresses"])
    assert db.ping("192.168.60.1")

    for target in (web, db):
        host.macvnet("detach", target.target).checked()
    host.ip("addr", "flush", "dev", "eth0.50")
    host.macvnet("rm", "v50", "v60", "alone").checked()
    same(host.links(), ["lo", "eth0", "eth0.50", "eth0.60"])
    same(host.link("eth0.50")["ifindex"], link["ifindex"])


def nic_has_another_name(site: Site) -> None:
    """It is found by its permanent MAC, although an ipvlan on it shows that too."""
    before = _begin(site)
    host = site.host
    host.batch("link set eth0 down", "link set eth0 name lan0", "link set lan0 up")
    host.batch("link add link lan0 name shadow type ipvlan")
    web = site.named("web")
    foreseen = host.macvnet("restore", "--dry-run")
    same(foreseen.status, PENDING)
    assert not [line for line in foreseen.lines if "eth0." in line], foreseen
    done = host.macvnet("restore")
    same(done.status, PARTLY)
    (refused,) = (line for line in _complaints(done) if line not in _complaints(foreseen))
    assert refused.startswith("netns:web in network lan: ") and "ipvlan" in refused, refused
    (note,) = (note for note in notes(done) if "network lan" in note)
    assert "the parent eth0 of network lan is called lan0 now" in note, note
    pending = {line.partition(":")[0]: line for line in _complaints(foreseen)}
    same(set(pending), {"network v50", "network v60", "network own70"})
    # What is to be made on it is not made under a name that says otherwise.
    assert "eth0.50 is missing, and so is eth0" in pending["network v50"], pending
    same(pending["network own70"], MISSING_70)
    host.ip("link", "del", "shadow")
    done = host.macvnet("restore")
    same((done.status, _complaints(done)), (PENDING, _complaints(foreseen)))
    same(_facts(web), _only(before["targets"]["web"], "eth0", "eth1"))
    assert web.ping("172.16.86.1")
    parent = host.macvnet("inspect", "lan").checked().json()[0]["Macvnet"]["Parent"]
    same(parent, {"Requested": "eth0", "Effective": "lan0"})
    same([note for note in notes(host.macvnet("restore")) if "lan0" in note], [])


def connect_without_restore(site: Site) -> None:
    """A target that is connected anew gets its links made again all the same."""
    before = _begin(site)
    host = site.host
    web, other = site.named("web"), site.named("other")
    done = host.macvnet("connect", "v50", web.target).checked()
    assert "the link eth0.50 was missing and has been made again" in " ".join(notes(done))
    same(web.addresses("eth0"), [_address(before, "web", "trunk0")])
    assert web.ping("192.168.50.1")
    done = host.macvnet("connect", "alone", web.target).checked()
    assert f"the link {_dummy(before)} was missing and has been made" in " ".join(notes(done))
    host.macvnet("connect", "alone", other.target).checked()
    assert other.ping(_ip(before, "web", "eth1"))
    same(host.sysctl("net/ipv6/conf/eth0.50/disable_ipv6"), "1")
    for target in (web, other):
        host.macvnet("detach", target.target).checked()
    host.macvnet("rm", *networks(host)).checked()
    same(host.links(), ["lo", "eth0"])


# -- steps --------------------------------------------------------------------


def _equip(site: Site) -> None:
    site.add_router()
    for vid in (50, 60, 70):
        site.router.add_vlan(vid, f"192.168.{vid}.1/24")


def _begin(site: Site) -> dict[str, Any]:
    """What the evening has written down, in another boot for certain."""
    _equip(site)
    before: dict[str, Any] = json.loads(KEPT.read_text())
    assert before["boot"] != _boot_id()
    return before


def _keep(facts: dict[str, Any]) -> None:
    KEPT.write_text(json.dumps(facts))


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _facts(machine: Machine) -> dict[str, Any]:
    """Interface by name: kind, MAC, addresses and routes, without what a boot changes."""
    found: dict[str, Any] = {}
    for name in machine.links()[1:]:
        link = machine.link(name)
        found[name] = {
            "kind": [link["linkinfo"]["info_kind"], link["linkinfo"]["info_data"]["mode"]],
            "mac": link["address"],
            "mtu": link["mtu"],
            "addresses": machine.addresses(name),
            "routes": sorted(
                [route["dst"], route.get("gateway", ""), route["protocol"]]
                for family in (4, 6)
                for route in machine.routes(family)
                if route["dev"] == name and not route["dst"].startswith("fe80:")
            ),
        }
        if found[name]["kind"][0] == "ipvlan":
            # Its parent's: eth0's own here.
            same(found[name]["mac"], "02:00:5e:00:53:01")
    return found


def _only(facts: dict[str, Any], *ifnames: str) -> dict[str, Any]:
    return {name: facts[name] for name in ifnames}


def _of(before: dict[str, Any]) -> dict[str, Any]:
    return _only(before["targets"], "web", "db")


def _address(before: dict[str, Any], target: str, ifname: str) -> str:
    return str(before["targets"][target][ifname]["addresses"][0])


def _ip(before: dict[str, Any], target: str, ifname: str) -> str:
    return _address(before, target, ifname).partition("/")[0]


def _dummy(before: dict[str, Any]) -> str:
    (name,) = (name for name in before["links"] if name.startswith("dm-"))
    return str(name)


def _made(before: dict[str, Any]) -> set[str]:
    return {"eth0.50", "eth0.60", _dummy(before)}


def _reach_all(web: Named, db: Named) -> None:
    for address in ("172.16.86.1", "2001:db8:86::1", "192.168.50.1"):
        assert web.ping(address), address
    assert db.ping("192.168.60.1")
    assert web.ping(db.addresses("eth1")[0].partition("/")[0])


def _complaints(done: Result) -> list[str]:
    """The errors on stderr, without prefix, notes and hints."""
    lines = [line.removeprefix("macvnet: ") for line in done.stderr.splitlines()]
    return [line for line in lines if not line.startswith(("note: ", "hint: "))]


def _held(site: Site, network: str) -> dict[str, list[str]]:
    """Target to addresses, as recorded."""
    (shown,) = site.host.macvnet("inspect", network).checked().json()
    return {
        str(one["Target"]): [str(each["Address"]) for each in one["Addresses"]]
        for one in shown["Macvnet"]["Endpoints"]
    }


def _changes_nothing(site: Site, machines: list[Machine], status: int) -> None:
    """One more ``restore``: not one netlink event anywhere, and not one commit."""
    log = site.state_dir / "state.db-wal"
    namespaces = [machine.fd for machine in machines]
    size, exported = log.stat().st_size, _exported(site)
    assert quiet(*namespaces)
    with changes(*namespaces) as seen:
        done = site.host.macvnet("restore")
    same((done.status, done.stdout, seen), (status, "", []))
    same((log.stat().st_size, _exported(site)), (size, exported))


def _exported(site: Site) -> Any:
    document = site.host.macvnet("state", "export").checked().json()
    del document["exported"]
    return document
