"""What people look at, on the real kernel: addresses, names, the tree, the traffic."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.kernel.steps import EXHAUSTED, LAN, NOT_FOUND, attach, create, join, wait_until
from tests.lab import Lab

KINDS = {"used": 0, "reserved": 0, "excluded": 0, "free": 0}


def counted(lab: Lab, *networks: str) -> dict[str, dict[str, int]]:
    """The numbers of ``ipam status`` by subnet."""
    found = lab.host.macvnet("ipam", "status", "--format", "json", *networks).checked().json()
    return {one["subnet"]: {kind: one[kind] for kind in KINDS} for one in found}


def place(lab: Lab, address: str) -> dict[str, Any]:
    """The only answer of ``ipam who``."""
    (found,) = lab.host.macvnet("ipam", "who", "--format=json", address).checked().json()
    return dict(found)


def test_kept_addresses_are_reserved_until_their_container_has_them(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    before = counted(lab)["172.16.86.0/24"]
    web = lab.named("web")
    lab.host.macvnet("reserve", "lan", web.target).checked()
    kept = {**before, "reserved": before["reserved"] + 1, "free": before["free"] - 1}
    assert counted(lab)["172.16.86.0/24"] == kept
    assert place(lab, "172.16.86.2")["kind"] == "reserved"
    said = lab.host.macvnet("ipam", "who", "172.16.86.2").checked().stdout
    assert f"held by the reservation for {web.target}, in 172.16.86.0/24" in said
    lab.host.macvnet("connect", "lan", web.target).checked()
    used = {**before, "used": 1, "free": before["free"] - 1}
    assert counted(lab)["172.16.86.0/24"] == used
    assert place(lab, "172.16.86.2")["kind"] == "used"
    lab.host.macvnet("disconnect", "lan", web.target).checked()
    assert counted(lab)["172.16.86.0/24"] == kept


def test_parent_whose_other_end_is_here_is_in_the_tree(lab: Lab) -> None:
    lab.host.ip("link", "add", "near", "type", "veth", "peer", "name", "far")
    create(lab.host, "lan", "--subnet=172.16.99.0/24", "-o", "parent=near")
    drawn = lab.host.macvnet("tree").checked()
    assert drawn.stderr == "" and drawn.lines[0].startswith("near")
    assert any("lan" in line for line in drawn.lines)
    every = lab.host.macvnet("tree", "--all").checked().stdout
    assert "far" in every


def test_addresses_are_told_as_they_are_given_out(lab: Lab) -> None:
    create(
        lab.host,
        "lan",
        *"--subnet 172.16.86.0/24 --ip-range 172.16.86.128/25 --gateway 172.16.86.1".split(),
        *"--aux-address nas=172.16.86.9 --exclude 172.16.86.130 -o parent=eth0".split(),
        *"--subnet 2001:db8:86::/64 --gateway 2001:db8:86::1".split(),
    )
    # The network's and the broadcast address, the gateway, the NAS, the host itself.
    assert counted(lab)["172.16.86.0/24"] == {
        "used": 0,
        "reserved": 5,
        "excluded": 126,
        "free": 125,
    }
    assert counted(lab)["2001:db8:86::/64"]["free"] == (1 << 64) - 2
    told = lab.host.macvnet("ipam", "next", "lan").checked().lines
    web, process = lab.named("web"), lab.container()
    lab.host.macvnet("connect", "--alias", "www", "lan", web.target).checked()
    assert told == ["172.16.86.128/24", "2001:db8:86::2/64"]
    assert set(told) <= set(web.addresses())
    join(lab.host, lab.named("db"), "lan", "--ip", "172.16.86.20")
    (by_pid,) = attach(lab.host, process)
    # 172.16.86.130 is excluded, and 172.16.86.20 was never in the range.
    assert by_pid.ip == "172.16.86.129"
    assert lab.host.macvnet("ipam", "next", "lan").lines[0] == "172.16.86.131/24"
    assert counted(lab, "lan") == {
        "172.16.86.0/24": {"used": 3, "reserved": 5, "excluded": 125, "free": 123},
        "2001:db8:86::/64": {"used": 3, "reserved": 2, "excluded": 0, "free": (1 << 64) - 5},
    }
    inspected = lab.host.macvnet("inspect", "lan").json()[0]["Status"]["IPAM"]["Subnets"]
    assert inspected["2001:db8:86::/64"]["IPsInUse"] == 5

    expected = {
        "172.16.86.128": "used",
        "172.16.86.20": "used",
        "172.16.86.1": "gateway",
        "172.16.86.9": "auxiliary",
        "172.16.86.250": "host",
        "172.16.86.0": "network",
        "172.16.86.255": "broadcast",
        "2001:db8:86::": "anycast",
        "172.16.86.130": "excluded",
        "172.16.86.30": "excluded",
        "172.16.86.131": "free",
    }
    assert {address: place(lab, address)["kind"] for address in expected} == expected
    holder = place(lab, "172.16.86.128")
    assert (holder["container"], holder["interface"], holder["present"]) == (
        "netns:web",
        "eth0",
        True,
    )
    assert holder["since"].startswith("20") and holder["since"].endswith("Z")
    assert lab.host.macvnet("ipam", "who", "10.9.9.9").status == NOT_FOUND

    said = lab.host.macvnet("hosts").checked()
    assert said.lines == [
        "172.16.86.128\tweb www",
        "2001:db8:86::2\tweb www",
        "172.16.86.20\tdb",
        "2001:db8:86::3\tdb",
    ]
    assert "1 endpoint has no name" in said.stderr


def test_next_and_status_of_a_full_pool(lab: Lab) -> None:
    words = "--subnet 172.16.86.0/24 --ip-range 172.16.86.250/31 -o parent=eth0".split()
    create(lab.host, "tiny", *words, "--gateway", "172.16.86.1")
    # Of the two in the range one is the host's.
    assert counted(lab)["172.16.86.0/24"] == {
        "used": 0,
        "reserved": 4,
        "excluded": 251,
        "free": 1,
    }
    join(lab.host, lab.container(), "tiny")
    assert counted(lab)["172.16.86.0/24"]["free"] == 0
    refused = lab.host.macvnet("ipam", "next", "tiny")
    assert refused.status == EXHAUSTED
    assert "hint: macvnet ipam status tiny" in refused.stderr
    (shown,) = json.loads(lab.host.macvnet("ipam", "status", "--format", "json").stdout)
    assert shown["size"] == 256


def conditions(lab: Lab) -> dict[str, str]:
    """How ``tree`` says each endpoint is, by container and network."""
    return {
        f"{one['container']} {network['network']}": one["condition"]
        for root in lab.host.macvnet("tree", "--format=json").checked().json()
        for branch in (root, *root["links"])
        for network in branch["networks"]
        for one in network["endpoints"]
    }


def test_tree_says_how_each_endpoint_is(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    web, down, bare, gone = lab.named("web"), lab.named("down"), lab.named("bare"), lab.container()
    for target in (web, down, bare, gone):
        join(lab.host, target, "lan")
    assert lab.host.macvnet("tree").lines[1:3] == [
        "└─ lan  macvlan bridge  172.16.86.0/24",
        "   ├─ ● netns:web  eth0  172.16.86.2/24",
    ]
    down.batch("link set eth0 down")
    # Under whatever name or alias: the link is known by its number in its namespace.
    web.batch("link set eth0 down", "link set eth0 name lan0 alias mine", "link set lan0 up")
    bare.batch("link del eth0")
    number = gone.target
    gone.close()
    before = lab.host.snapshot()
    expected = {
        "netns:web lan": "up",
        "netns:down lan": "down",
        "netns:bare lan": "no-link",
        f"pid:{number} lan": "gone",
    }
    # The kernel takes a namespace apart some time after its last process has ended.
    assert wait_until(lambda: conditions(lab) == expected), conditions(lab)
    assert lab.host.snapshot() == before
    lab.host.batch("link set eth0 name wan0")
    renamed, *_ = lab.host.macvnet("tree").lines
    assert renamed.startswith("wan0  ")


@pytest.mark.needs("vlan", "dummy", "bond", "ipvlan")
def test_tree_of_links_on_links(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(nics=2)
    lab.host.bond("bond0", "eth0", "eth1")
    create(lab.host, "flat", *"-d ipvlan --subnet 10.1.0.0/24 -o parent=bond0".split())
    create(lab.host, "v50", *"--subnet 10.50.0.0/24 -o parent=bond0.50".split())
    create(lab.host, "alone", *"--subnet 10.2.0.0/24".split())
    join(lab.host, lab.named("web"), "v50")
    join(lab.host, lab.named("db"), "flat")
    lines = lab.host.macvnet("tree").checked().lines
    assert [line.strip("│├└─ ").partition("  ")[0] for line in lines] == [
        "bond0",
        "flat",
        "● netns:db",
        "bond0.50",
        "v50",
        "● netns:web",
        lines[6].partition("  ")[0],
        "alone",
    ]
    assert lines[0].startswith("bond0  bond  of eth0, eth1  ")
    assert lines[1] == "├─ flat  ipvlan l2 bridge  10.1.0.0/24"
    assert lines[3].startswith("└─ bond0.50  VLAN 50  ") and lines[3].endswith("made by macvnet")
    assert lines[6].endswith("  dummy  up  made by macvnet")
    assert len(lab.host.macvnet("tree", "--all").lines) > len(lines)
    lab.host.batch("link del bond0.50")
    assert "bond0.50  missing" in lab.host.macvnet("tree").lines
