"""Host access: what is decided from values alone."""

from __future__ import annotations

from macvnet.addresses import Address
from macvnet.engine import host_routes, shims
from macvnet.kernel.addressing import RT_SCOPE_HOST, RT_SCOPE_LINK, AddressInfo
from macvnet.model import Assigned
from tests.cli.fakes import network

FOUR = Assigned("p4", Address.parse("192.0.2.10"), 24, None, False, False)
SIX = Assigned("p6", Address.parse("2001:db8::2"), 64, None, False, False)
OWN = [Address.parse("198.51.100.7"), Address.parse("192.0.2.7"), Address.parse("192.0.2.8")]


def test_shim_is_called_after_the_parent_as_far_as_that_fits_and_is_free() -> None:
    assert shims.name_of("eth0", set()) == "mvh-eth0"
    assert shims.name_of("enp0s31f6.4", set()) == "mvh-enp0s31f6.4"
    long = shims.name_of("enp0s31f6np0.99", set())
    assert len(long) == 15 and long.startswith("mvh-")
    assert long == shims.name_of("enp0s31f6np0.99", set())
    other = shims.name_of("eth0", {"mvh-eth0"})
    assert other != "mvh-eth0" and shims.name_of("eth0", {"mvh-eth0", other}) not in (
        "mvh-eth0",
        other,
    )


def test_route_has_the_host_s_first_address_in_the_subnet_as_its_source() -> None:
    route = host_routes.wanted(network("lan"), FOUR, 7, OWN)
    assert route is not None
    assert (route.words, str(route.source), route.ifindex) == ("192.0.2.10/32", "192.0.2.7", 7)
    assert (route.protocol, route.metric, route.scope) == (109, 0, RT_SCOPE_LINK)
    assert host_routes.wanted(network("lan"), FOUR, 7, OWN[:1]) is None


def test_ipv6_route_has_the_reserved_address_as_its_source() -> None:
    assert host_routes.wanted(network("lan"), SIX, 7, OWN) is None
    with_it = network("lan", shim="mvh-eth0", shim_address="2001:db8::1")
    route = host_routes.wanted(with_it, SIX, 7, [])
    assert route is not None and str(route.source) == "2001:db8::1"
    assert (route.words, route.metric) == ("2001:db8::2/128", 1024)


def test_only_global_ipv4_addresses_of_the_parent_count() -> None:
    every = [
        AddressInfo(2, OWN[0], 24, 0, 0),
        AddressInfo(3, OWN[1], 24, 0, 0),
        AddressInfo(2, OWN[2], 24, RT_SCOPE_HOST, 0),
        AddressInfo(2, SIX.address, 64, 0, 0),
    ]
    assert host_routes.of_host(every, 2) == [OWN[0]]
