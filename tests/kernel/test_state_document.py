"""The state as a document: a backup that makes the same state, and a host that moves."""

from __future__ import annotations

import itertools
import json
import shutil
from typing import Any

import pytest

from tests.kernel.steps import CONFLICT, LAN, REQUEST, create, join, networks, refused, struck
from tests.kernel.trunk import after_reboot, on_vlan, route_vlans, vlan_of
from tests.lab import Host, Lab
from tests.lab.faults import BEYOND, KILL

VARIED = (
    "--ip-range=172.16.86.64-172.16.86.95",
    "--ip-range=172.16.86.160/27",
    "--aux-address=printer=172.16.86.70",
    "--exclude=172.16.86.80-172.16.86.85",
    "--subnet=2001:db8:86::/64",
    "--gateway=2001:db8:86::1",
    "--label=env=test",
    "-o=macvlan_mode=private",
    "-o=mtu=1400",
    "-o=com.docker.network.advertise_addr_ms=150",
)


def exported(host: Host) -> dict[str, Any]:
    document: dict[str, Any] = host.macvnet("state", "export").checked().json()
    del document["exported"]
    return document


def shown(host: Host, *names: str) -> Any:
    return host.macvnet("inspect", *names).checked().json()


def lose_state(lab: Lab) -> None:
    shutil.rmtree(lab.state_dir)


def test_backup_makes_the_same_state_again(lab: Lab) -> None:
    """On the host and in the boot that it is of: endpoints that live are known again."""
    create(lab.host, "net", *LAN, *VARIED)
    create(lab.host, "alone", "--internal", "-o", "parent=eth0", "-o", "share_parent=true",
           "--subnet=10.1.0.0/24")  # fmt: skip
    create(lab.host, "config", "--config-only", "--subnet=10.2.0.0/24")
    web, process = lab.named("web"), lab.container()
    join(lab.host, web, "net", "--ip=172.16.86.66", "--gw-priority=3")
    join(lab.host, process, "net")
    join(lab.host, process, "alone")
    file = lab.folder / "backup.json"
    file.write_text(lab.host.macvnet("state", "export").checked().stdout)
    before, document = shown(lab.host, "net", "alone", "config"), exported(lab.host)
    lose_state(lab)
    imported = lab.host.macvnet("state", "import", str(file)).checked()
    assert imported.lines == ["net", "alone", "config"]
    assert shown(lab.host, "net", "alone", "config") == before
    assert exported(lab.host) == document
    assert lab.host.macvnet("check").checked().lines == []
    # The books are right: the next free ones, and none twice.
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.65"
    lab.host.macvnet("disconnect", "net", "netns:web").checked()
    assert web.links() == ["lo"]
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.66"


def test_endpoint_that_was_coming_back_is_in_the_document(lab: Lab) -> None:
    """Wherever restore is killed: its lease is kept, so a backup has it."""
    create(lab.host, "net", *LAN, "-o", "com.docker.network.advertise_addr_nmsgs=0")
    web = lab.named("web")
    joined = join(lab.host, web, "net")
    for point in itertools.count(1):
        web.ip("link", "del", joined.interface)
        done = struck(lab.host, KILL, point, "restore")
        (endpoint,) = exported(lab.host)["endpoints"]
        assert (endpoint["state"], endpoint["mac"]) == ("joined", joined.mac)
        if done.status == BEYOND:
            break
        lab.host.macvnet("restore").checked()
        assert web.addresses() == joined.addresses
    assert point > 5


def test_document_moves_to_another_host(lab: Lab) -> None:
    """What has a name there gets its address, MAC and interface name; a bare PID does not."""
    create(lab.host, "net", *LAN)
    web, process = lab.named("web"), lab.container()
    before = join(lab.host, web, "net", "--ifname=lan0")
    join(lab.host, process, "net")
    text = lab.host.macvnet("state", "export").checked().stdout
    web.close()
    process.close()
    host = lab.other_host("172.16.86.251/24")
    again = lab.named("web")
    host.macvnet("state", "import", "-", stdin=text).checked()
    assert host.macvnet("check").status == 11
    host.macvnet("restore").checked()
    assert again.mac("lan0") == before.mac
    assert lab.router.ping(before.ip)
    assert host.macvnet("check").checked().lines == []
    assert [one["Name"] for one in shown(host, "net")[0]["Containers"].values()] == ["netns:web"]


@pytest.mark.needs("vlan", "dummy")
def test_no_link_that_is_there_becomes_macvnets_own(lab: Lab) -> None:
    """Where it is missing macvnet makes it, and it is its own then."""
    route_vlans(lab, 50)
    create(lab.host, "net", *on_vlan(50))
    create(lab.host, "alone", "--subnet=10.9.0.0/24")
    text = lab.host.macvnet("state", "export").checked().stdout
    lose_state(lab)
    lab.host.macvnet("state", "import", "-", stdin=text).checked()
    lab.host.macvnet("restore").checked()
    lab.host.macvnet("rm", "net", "alone").checked()
    assert vlan_of(lab.host, "eth0.50") == ("eth0", 50, True)
    assert len(lab.host.links()) == 4
    with after_reboot(lab) as host:
        host.macvnet("state", "import", "-", stdin=text).checked()
        host.macvnet("restore").checked()
        assert vlan_of(host, "eth0.50") == ("eth0", 50, True) and len(host.links()) == 4
        host.macvnet("rm", "net", "alone").checked()
        assert host.links() == ["lo", "eth0"]


def test_import_does_not_mix_with_what_is_there(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    text = lab.host.macvnet("state", "export").checked().stdout
    before = exported(lab.host)
    for words in (("--dry-run",), ()):
        done = lab.host.macvnet("state", "import", *words, "-", stdin=text)
        refused(done, CONFLICT, "networks already")
    assert exported(lab.host) == before


def test_dry_run_says_what_would_be(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    join(lab.host, lab.named("web"), "net")
    text = lab.host.macvnet("state", "export").checked().stdout
    lose_state(lab)
    dry = lab.host.macvnet("state", "import", "--dry-run", "-", stdin=text).checked()
    assert dry.lines == [
        "create network net driver macvlan",
        "create endpoint of netns:web in network net",
    ]
    assert networks(lab.host) == [] and not lab.state_dir.exists()


def _set(document: Any, *path: Any) -> None:
    *way, last, value = path
    for step in way:
        document = document[step]
    document[last] = value


NET = ("networks", 0, "record")
WRONG: list[tuple[tuple[Any, ...], str]] = [
    (("format", "other"), "not a state"),
    (("schema", 2), "schema '2'"),
    (("schema", True), "'schema' is not a whole number"),
    (("installation", "x" * 32), "hexadecimal"),
    (("more", 1), "unknown key 'more'"),
    (("networks", {}), "'networks' is not a list"),
    ((*NET, "name", "a/b"), "a/b"),
    ((*NET, "name", "other"), "contradict"),
    ((*NET, "id", "0" * 63), "hexadecimal"),
    ((*NET, "driver", "bridge"), "no driver"),
    ((*NET, "state", "creating"), "contradict"),
    ((*NET, "ipv4", 1), "ipv4' is not true or false"),
    ((*NET, "link", "mode", "brigde"), "brigde"),
    ((*NET, "link", "mtu", 1 << 70), "mtu"),
    ((*NET, "link", "announce_interval", 1e300), "advertise_addr_ms"),
    ((*NET, "parent", None), "its link"),
    ((*NET, "pools", 0, "subnet", "172.16.0.0/16"), "pools"),
    ((*NET, "pools", 0, "gateway", "here"), "damaged"),
    (("networks", 0, "request", "subnets", ["172.16.86.0/24", "\x1b[31m"]), "subnet"),
    (("links", [{"name": "eth0", "kind": "vlan", "lower_name": "eth0", "vlan_id": 9999}]), "eth0"),
    (("links", [{"name": "eth9", "kind": "dummy", "lower_name": "", "vlan_id": 0}]), "eth9"),
    (("endpoints", 0, "network", "0" * 64), "no network"),
    (("endpoints", 0, "owner", "runtime", "no"), "no network"),
    (("endpoints", 0, "owner", "name", "a/b"), "a/b"),
    (("endpoints", 0, "mac", "01:00:00:00:00:00"), "multicast"),
    (("endpoints", 0, "ifname", "a" * 16), "longer"),
    (("endpoints", 0, "addresses", 0, "address", "172.16.86.1"), "172.16.86.1"),
    (("endpoints", 0, "addresses", 0, "address", "10.0.0.1"), "10.0.0.1"),
    (("endpoints", 0, "addresses", 0, "pool", "no"), "no pool"),
    (("endpoints", 0, "sandbox", "cookie", "1"), "cookie"),
]


@pytest.mark.parametrize(("path", "words"), WRONG, ids=[str(path[:-1]) for path, _ in WRONG])
def test_document_that_is_not_as_it_was_made_is_refused(
    document: str, lab_for_documents: Lab, path: tuple[Any, ...], words: str
) -> None:
    """Naming what is wrong; nothing of it is taken over."""
    changed = json.loads(document)
    _set(changed, *path)
    host = lab_for_documents.host
    refused(host.macvnet("state", "import", "-", stdin=json.dumps(changed)), REQUEST, words)
    assert networks(host) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"format": NaN}', "[" * 100_000, "1" * 5000, '"' + "\\ud800" + '"'],
    ids=["empty", "cut", "list", "null", "nan", "deep", "long", "surrogate"],
)
def test_what_is_no_document_is_refused(lab_for_documents: Lab, text: str) -> None:
    done = lab_for_documents.host.macvnet("state", "import", "-", stdin=text)
    refused(done, REQUEST, "the document")


def test_same_endpoint_twice_is_refused(document: str, lab_for_documents: Lab) -> None:
    changed = json.loads(document)
    changed["endpoints"] *= 2
    done = lab_for_documents.host.macvnet("state", "import", "-", stdin=json.dumps(changed))
    refused(done, REQUEST, "netns:web")
    changed = json.loads(document)
    changed["networks"] *= 2
    done = lab_for_documents.host.macvnet("state", "import", "-", stdin=json.dumps(changed))
    refused(done, REQUEST, "net")


@pytest.fixture(scope="module")
def lab_for_documents() -> Any:
    """A lab whose state stays empty."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def document(lab_for_documents: Lab) -> str:
    """A document with a network and an endpoint, of another host."""
    host = lab_for_documents.other_host("172.16.86.252/24")
    create(host, "net", *LAN)
    join(host, lab_for_documents.named("web"), "net")
    return host.macvnet("state", "export").checked().stdout
