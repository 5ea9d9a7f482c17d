"""What Docker gets wrong, measured, and macvnet must not: a test for each of the cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.kernel.steps import (
    CONFLICT,
    EXHAUSTED,
    LAN,
    NOT_FOUND,
    REQUEST,
    create,
    join,
    networks,
    refused,
)
from tests.lab import Lab

DUAL = (*LAN, "--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1")


def shown(lab: Lab, name: str) -> dict[str, Any]:
    (network,) = lab.host.macvnet("inspect", name).checked().json()
    return dict(network)


@pytest.mark.needs("vlan")
def test_no_sub_interface_is_left_where_its_lower_link_is_down(
    make_lab: Callable[..., Lab],
) -> None:
    lab = make_lab(nics=2)
    lab.host.ip("link", "set", "eth1", "down")
    before = lab.host.snapshot()
    words = ("--subnet=192.168.50.0/24", "-o", "parent=eth1.50", "v50")
    refused(lab.host.macvnet("create", *words), CONFLICT, "'eth1' is down")
    assert before.changes(lab.host.snapshot()) == [] and networks(lab.host) == []
    lab.host.ip("link", "set", "eth1", "up")
    lab.host.macvnet("create", *words).checked()


def test_ipv4_address_is_not_lost_where_the_ipv6_one_cannot_be_had(lab: Lab) -> None:
    """Neither one that was chosen nor one that was asked for."""
    create(lab.host, "net", *DUAL)
    first = join(lab.host, lab.container(), "net")
    other = lab.container().target
    for words in ((), ("--ip=172.16.86.77",)):
        done = lab.host.macvnet("connect", *words, f"--ip6={first.ip6}", "net", other)
        refused(done, CONFLICT, first.ip6)
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.3"
    assert join(lab.host, lab.container(), "net", "--ip=172.16.86.77").ip == "172.16.86.77"


def test_ipv4_address_is_not_lost_where_the_ipv6_pool_is_full(lab: Lab) -> None:
    create(lab.host, "net", *LAN, "--subnet=2001:db8:86::/127")
    for last in (2, 3):
        assert join(lab.host, lab.container(), "net").ip == f"172.16.86.{last}"
    done = lab.host.macvnet("connect", "net", lab.container().target)
    refused(done, EXHAUSTED, "2001:db8:86::/127")
    assert shown(lab, "net")["Status"]["IPAM"]["Subnets"]["172.16.86.0/24"]["IPsInUse"] == 5


def test_pool_is_not_lost_where_an_auxiliary_address_is_wrong(lab: Lab) -> None:
    words = ("create", *LAN, "--aux-address")
    for wrong in ("a=172.16.86.5/24", "a=foo", "a=10.9.9.9", "a="):
        refused(lab.host.macvnet(*words, wrong, "net"), REQUEST)
    create(lab.host, "net", *LAN)


def test_subnets_keep_the_order_of_the_command_line(lab: Lab) -> None:
    """Docker iterates over a map: each time another order."""
    subnets = [f"10.{number}.0.0/24" for number in (7, 3, 9, 1, 5)]
    words = [f"--subnet={subnet}" for subnet in subnets]
    for number in range(5):
        create(lab.host, f"n{number}", *words, "-o", "parent=eth0")
        config = shown(lab, f"n{number}")["IPAM"]["Config"]
        assert [one["Subnet"] for one in config] == subnets
        container = lab.container()
        assert join(lab.host, container, f"n{number}").ip == "10.7.0.2"
        lab.host.macvnet("detach", container.target).checked()
        lab.host.macvnet("rm", f"n{number}").checked()


def test_auxiliary_address_without_a_name_is_kept_back(lab: Lab) -> None:
    create(lab.host, "net", *LAN, "--aux-address=172.16.86.2")
    assert shown(lab, "net")["IPAM"]["Config"][0]["AuxiliaryAddresses"] == {
        "172.16.86.2": "172.16.86.2"
    }
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.3"


def test_ip_of_the_other_family_is_not_ignored(lab: Lab) -> None:
    create(lab.host, "net", *DUAL)
    target = lab.container()
    done = lab.host.macvnet("connect", "--ip=2001:db8:86::9", "net", target.target)
    assert refused(done, REQUEST, "--ip takes an IPv4 address") == "--ip6 2001:db8:86::9"
    done = lab.host.macvnet("connect", "--ip6=172.16.86.9", "net", target.target)
    assert refused(done, REQUEST, "--ip6 takes an IPv6 address") == "--ip 172.16.86.9"
    assert target.links() == ["lo"]


def test_addresses_of_a_configuration_network_are_shown(lab: Lab) -> None:
    create(lab.host, "config", "--config-only", *LAN[:2])
    assert shown(lab, "config")["IPAM"]["Config"] == [
        {"Subnet": "172.16.86.0/24", "Gateway": "172.16.86.1"}
    ]


def test_dangling_is_what_nothing_is_connected_to(lab: Lab) -> None:
    create(lab.host, "used", *LAN)
    create(lab.host, "free", "--subnet=10.1.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1")
    join(lab.host, lab.container(), "used")

    def listed(value: str) -> list[str]:
        words = ("ls", "--filter", f"dangling={value}", "--format", "{{.Name}}")
        return lab.host.macvnet(*words).checked().lines

    assert listed("true") == ["free"] and listed("false") == ["used"]


def test_network_without_a_gateway_does_not_take_the_default_route_away(lab: Lab) -> None:
    """Whatever its name, and whichever is connected first."""
    create(lab.host, "zz", *LAN)
    create(lab.host, "aa", "--subnet=10.1.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1")
    for order in (("zz", "aa"), ("aa", "zz")):
        container = lab.container()
        for name in order:
            join(lab.host, container, name)
        route = container.default_route()
        assert route is not None and route["gateway"] == "172.16.86.1"


@pytest.mark.needs("vlan")
def test_link_that_somebody_made_anew_under_the_name_is_not_removed(lab: Lab) -> None:
    create(lab.host, "v51", "--subnet=192.168.51.0/24", "-o", "parent=eth0.51")
    lab.host.ip("link", "del", "eth0.51")
    lab.host.add_vlan(51)
    lab.host.macvnet("rm", "v51").checked()
    assert "eth0.51" in lab.host.links()


@pytest.mark.needs("vlan", "ipvlan")
def test_network_of_the_other_driver_does_not_lose_its_link(lab: Lab) -> None:
    """It cannot come to that: the kernel allows one kind of link on a parent."""
    create(lab.host, "v52", "--subnet=192.168.52.0/24", "-o", "parent=eth0.52")
    words = ("-d", "ipvlan", "--subnet=10.52.0.0/24", "-o", "parent=eth0.52", "other")
    refused(lab.host.macvnet("create", *words), CONFLICT, "macvlan or ipvlan")
    lab.host.macvnet("rm", "v52").checked()
    assert "eth0.52" not in lab.host.links()


def test_connect_to_a_container_that_is_not_there_is_not_swallowed(lab: Lab) -> None:
    """Docker notes it down without a look, and ignores the second of two."""
    create(lab.host, "net", *LAN)
    for words in ((), ("--ip=172.16.86.9",)):
        done = lab.host.macvnet("connect", *words, "net", "netns:stopped")
        refused(done, NOT_FOUND, "stopped")
