"""Gateways outside the subnet, and the smallest subnets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import (
    EXHAUSTED,
    GATEWAY,
    ON_ETH0,
    REQUEST,
    SUBNET,
    create,
    join,
    networks,
    notes,
    refused,
)
from tests.lab import Lab

FAR = "203.0.113.1"


@pytest.fixture
def world(make_lab: Callable[..., Lab]) -> Lab:
    """The router has an address behind itself, which only a default route leads to."""
    lab = make_lab(host=(), router=("172.16.86.1/24", "2001:db8:86::1/64"))
    lab.router.batch(f"addr add {FAR}/32 dev lo", "addr add 2001:db8:f::1/128 dev lo")
    return lab


def test_off_subnet_gateway_is_refused_and_the_hint_makes_it_work(world: Lab) -> None:
    words = ("--subnet=10.5.0.0/24", GATEWAY, *ON_ETH0)
    hint = refused(world.host.macvnet("create", *words, "net"), REQUEST, "'172.16.86.1'")
    assert "-o onlink=true" in hint and "10.5.0.0/24" in hint
    assert networks(world.host) == []
    create(world.host, "net", *words, "-o", "onlink=true")
    world.router.ip("route", "add", "10.5.0.0/24", "dev", "eth0")
    container = world.container()
    joined = join(world.host, container, "net")
    assert joined.addresses == ["10.5.0.1/24"]
    assert joined.gateways == ["172.16.86.1"]
    route = container.default_route()
    assert route is not None and "onlink" in route["flags"]
    assert container.ping(FAR)


def test_gateway_of_a_32_is_on_link_by_itself(world: Lab) -> None:
    """A hoster's extra address: no neighbour but the router."""
    create(world.host, "net", "--subnet=198.51.100.7/32", GATEWAY, *ON_ETH0)
    world.router.ip("route", "add", "198.51.100.7/32", "dev", "eth0")
    container = world.container()
    assert join(world.host, container, "net").addresses == ["198.51.100.7/32"]
    assert container.ping(FAR)
    assert world.router.ping("198.51.100.7")
    full = world.host.macvnet("connect", "net", world.container().target)
    refused(full, EXHAUSTED, "198.51.100.7/32")


def test_gateway_of_a_128_is_on_link_by_itself(world: Lab) -> None:
    create(world.host, "net", "--subnet=2001:db8:5::7/128", "--gateway=2001:db8:86::1", *ON_ETH0)
    world.router.ip("-6", "route", "add", "2001:db8:5::7/128", "dev", "eth0")
    container = world.container()
    assert join(world.host, container, "net").addresses == ["2001:db8:5::7/128"]
    assert container.ping("2001:db8:f::1")


def test_link_local_gateway_is_on_link_by_itself(world: Lab) -> None:
    """As most IPv6 routers are known."""
    world.router.ip("addr", "add", "fe80::1/64", "dev", "eth0", "nodad")
    create(world.host, "net", "--subnet=2001:db8:86::/64", "--gateway=fe80::1", *ON_ETH0)
    container = world.container()
    joined = join(world.host, container, "net", "--ip6=2001:db8:86::20")
    assert joined.gateways == ["fe80::1"]
    route = container.default_route(6)
    assert route is not None and (route["gateway"], route["dev"]) == ("fe80::1", "eth0")
    assert container.ping("2001:db8:f::1")


@pytest.mark.parametrize(
    ("subnet", "gateway", "given"),
    [
        ("172.16.86.2/31", None, ["172.16.86.2/31", "172.16.86.3/31"]),
        ("172.16.86.0/31", "172.16.86.1", ["172.16.86.0/31"]),
        ("2001:db8:86::2/127", None, ["2001:db8:86::2/127", "2001:db8:86::3/127"]),
        ("172.16.86.9/32", None, ["172.16.86.9/32"]),
        ("2001:db8:86::9/128", None, ["2001:db8:86::9/128"]),
    ],
)
def test_smallest_subnets_give_every_address_they_have(
    world: Lab, subnet: str, gateway: str | None, given: list[str]
) -> None:
    """No network, broadcast or router's address is kept back there; then they are full."""
    flags = [f"--gateway={gateway}"] if gateway else []
    create(world.host, "net", f"--subnet={subnet}", *flags, *ON_ETH0)
    containers = [world.container() for _ in given]
    joined = [join(world.host, container, "net") for container in containers]
    assert [endpoint.addresses for endpoint in joined] == [[address] for address in given]
    full = world.host.macvnet("connect", "net", world.container().target)
    refused(full, EXHAUSTED, subnet)
    if len(joined) > 1:
        assert containers[0].ping(joined[1].ip)
    if gateway:
        assert containers[0].ping(gateway)


def test_first_address_without_a_gateway_is_probably_the_router_s(world: Lab) -> None:
    """Given only on request; an --ip-range that names it gives it out."""
    made = create(world.host, "net", SUBNET, *ON_ETH0)
    assert any("no default route" in note for note in notes(made))
    assert join(world.host, world.container(), "net").ip == "172.16.86.2"
    world.switch.cable(world.router, plugged=False)
    one = world.container()
    assert join(world.host, one, "net", "--ip=172.16.86.1").ip == "172.16.86.1"
    assert one.ping("172.16.86.2")


def test_range_that_names_the_first_address_gives_it_out(world: Lab) -> None:
    create(world.host, "net", SUBNET, "--ip-range=172.16.86.0/30", *ON_ETH0)
    given = [join(world.host, world.container(), "net").ip for _ in range(3)]
    assert given == ["172.16.86.1", "172.16.86.2", "172.16.86.3"]


def test_first_ipv6_address_without_a_gateway_is_kept_back_too(world: Lab) -> None:
    create(world.host, "net", "--subnet=2001:db8:86::/64", *ON_ETH0)
    assert join(world.host, world.container(), "net").ip == "2001:db8:86::2"


def test_internal_network_gives_the_first_address(world: Lab) -> None:
    create(world.host, "net", "--internal", SUBNET, *ON_ETH0)
    assert join(world.host, world.container(), "net").ip == "172.16.86.1"
