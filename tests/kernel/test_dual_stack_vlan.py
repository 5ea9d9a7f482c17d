"""The seed's dual-stack, multi-subnet network on VLAN 218, word by word."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

import pytest

from tests.kernel.steps import create, join, wait_until
from tests.lab import Container, Lab

pytestmark = pytest.mark.needs("vlan")

# docker network create -d macvlan ... macvlan216
LINE = (
    *("-d", "macvlan"),
    *("--subnet=192.168.216.0/24", "--subnet=192.168.218.0/24"),
    *("--gateway=192.168.216.1", "--gateway=192.168.218.1"),
    *("--subnet=2001:db8:abc8::/64", "--gateway=2001:db8:abc8::10"),
    *("-o", "parent=eth0.218"),
    *("-o", "macvlan_mode=bridge"),
)
GATEWAYS = ("192.168.216.1/24", "192.168.218.1/24", "2001:db8:abc8::10/64")


@pytest.fixture
def trunk(make_lab: Callable[..., Lab]) -> Lab:
    lab = make_lab(host=())
    lab.router.add_vlan(218, *GATEWAYS)
    return lab


def joined(lab: Lab, address: str) -> Container:
    container = lab.container()
    join(lab.host, container, "macvlan216", f"--ip={address}")
    return container


def test_containers_of_both_subnets_have_what_the_document_prints(trunk: Lab) -> None:
    create(trunk.host, "macvlan216", *LINE)
    first, second, third, fourth = (
        joined(trunk, f"192.168.{n}") for n in ("216.10", "218.10", "216.11", "218.11")
    )
    assert third.ping("192.168.216.10") and fourth.ping("192.168.218.10")
    assert third.addresses() == ["192.168.216.11/24", "2001:db8:abc8::3/64"]
    assert fourth.addresses() == ["192.168.218.11/24", "2001:db8:abc8::4/64"]
    (info,) = (i for i in third.address_info() if i["local"] == "2001:db8:abc8::3")
    assert info["scope"] == "global" and info["nodad"] and not info.get("tentative")
    for container, gateway in ((third, "192.168.216.1"), (fourth, "192.168.218.1")):
        subnet = gateway.rpartition(".")[0] + ".0/24"
        printed = [line.rstrip() for line in container.ip("route").splitlines()]
        (source,) = (a for a in container.addresses() if ":" not in a)
        source = source.partition("/")[0]
        assert printed == [
            f"default via {gateway} dev eth0 proto 109",
            f"{subnet} dev eth0 proto kernel scope link src {source}",
        ]
        six = container.ip("-6", "route").splitlines()
        assert any(
            line.startswith("default via 2001:db8:abc8::10 dev eth0") and "metric 1024" in line
            for line in six
        )
        assert any(
            line.startswith("2001:db8:abc8::/64 dev eth0 proto kernel metric 256") for line in six
        )
        assert container.ping(gateway) and container.ping("2001:db8:abc8::10")
    # The other subnet only by the router; IPv6 is one subnet for all.
    assert third.ping("192.168.218.10") and first.ping("2001:db8:abc8::2")
    trunk.switch.cable(trunk.router, plugged=False)
    assert third.silent("192.168.218.10")
    assert first.ping("2001:db8:abc8::2") and second.ping("2001:db8:abc8::3")


def test_everything_of_it_is_tagged_218(trunk: Lab) -> None:
    create(trunk.host, "macvlan216", *LINE)
    with trunk.switch.capture(trunk.switch.port(trunk.host)) as cable:
        container = joined(trunk, "192.168.216.10")
        assert container.ping("192.168.216.1") and container.ping("2001:db8:abc8::10")
        cable.wait_for(lambda frame: frame.unsolicited_na)
    mac = container.mac()
    ours = cable.matching(lambda frame: mac in (frame.src, frame.dst))
    assert ours and {frame.vlans for frame in ours} == {(218,)}


def test_ipv6_is_usable_the_moment_connect_returns(trunk: Lab) -> None:
    """No duplicate address detection holds it back: a connection, not a retry."""
    create(trunk.host, "macvlan216", *LINE)
    container = trunk.container()
    with trunk.router.tcp_server("::"):
        trunk.host.macvnet("connect", "macvlan216", container.target).checked()
        with container.capture() as seen:
            assert container.tcp_connect("2001:db8:abc8::10") == "2001:db8:abc8::1"
    flags = [frame for frame in seen if frame.nd_target == "2001:db8:abc8::1"]
    assert not [frame for frame in flags if frame.ip_src == "::"]


def test_router_advertisement_gives_the_additional_address_the_document_shows(trunk: Lab) -> None:
    """One made from the endpoint's MAC, beside macvnet's own; the routes as printed."""
    create(trunk.host, "macvlan216", *LINE)
    with trunk.router.advertising("2001:db8:abc4::/64", "eth0.218", lifetime=0):
        container = joined(trunk, "192.168.216.11")
        assert wait_until(lambda: len(container.addresses()) == 3)
    mac = bytes.fromhex(container.mac().replace(":", ""))
    interface = bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
    expected = IPv6Address(IPv6Address("2001:db8:abc4::").packed[:8] + interface)
    assert f"{expected}/64" in container.addresses()
    assert "2001:db8:abc8::1/64" in container.addresses()
    destinations = [route["dst"] for route in container.routes(6)]
    assert {"2001:db8:abc4::/64", "2001:db8:abc8::/64", "default"} <= set(destinations)
    default = container.default_route(6)
    assert default is not None and default["gateway"] == "2001:db8:abc8::10"
    # The host, on the same VLAN, got nothing of it.
    assert trunk.host.addresses("eth0.218", link_local=True) == []
