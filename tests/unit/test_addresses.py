"""Addresses, intervals and subnets as integers."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet.addresses import IPV4, IPV6, Address, Interval, Subnet, sort_key

addresses = st.ip_addresses()
networks = st.tuples(addresses, st.integers(0, 128)).map(
    lambda pair: ipaddress.ip_network(
        f"{pair[0]}/{min(pair[1], pair[0].max_prefixlen)}", strict=False
    )
)


def ours(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Address:
    return Address(address.version, int(address))


@given(addresses)
def test_an_address_reads_and_prints_as_others_do(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert Address.parse(str(address)) == ours(address)
    assert ours(address).packed == address.packed
    assert Address.parse(str(ours(address))) == ours(address)


@given(st.lists(st.ip_addresses(v=6)))
def test_the_order_of_keys_is_that_of_addresses(found: list[ipaddress.IPv6Address]) -> None:
    assert sorted(ours(a).key for a in found) == [ours(a).key for a in sorted(found)]
    assert {len(ours(a).key) for a in found} <= {32}


def test_ipv6_is_printed_as_rfc_5952_wants_it() -> None:
    assert str(Address.parse("2001:DB8:0:0:1:0:0:1")) == "2001:db8::1:0:0:1"


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", " 1.2.3.4", "1.2.3.4\n", "1.2.3.4/24",
     "::1%lo", ":::", "1::2::3", "g::", "1.2.3.4\0", "\ud800", "\u0661.2.3.4", "1:2:3:4:5:6:7:8:9"],
)  # fmt: skip
def test_what_is_no_address_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address"):
        Address.parse(text)


@given(networks)
def test_a_subnet_reads_and_prints_as_others_do(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> None:
    subnet = Subnet.parse(str(network))
    assert (subnet.first, subnet.last) == (
        int(network.network_address),
        int(network.broadcast_address),
    )
    assert subnet.interval.size == network.num_addresses
    assert Subnet.parse(str(subnet)) == subnet


@given(networks, networks)
def test_overlap_is_symmetric_and_right(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network,
    two: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> None:
    first, second = Subnet.parse(str(one)), Subnet.parse(str(two))
    expected = one.version == two.version and one.overlaps(two)
    assert first.overlaps(second) is second.overlaps(first) is expected


@given(networks, addresses)
def test_a_subnet_holds_its_addresses_only(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    subnet = Subnet.parse(str(network))
    assert subnet.holds(ours(address)) is (address in network)
    assert subnet.holds(ours(network.network_address))
    assert subnet.holds(ours(network.broadcast_address))


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0.0/24/24", "/24",
     "10.0.0.0/²", "10.0.0.0/0x8"],
)  # fmt: skip
def test_what_is_no_subnet_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Subnet.parse(text)


def test_host_bits_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="has host bits"):
        Subnet.parse("10.0.0.1/24")


@pytest.mark.parametrize(
    ("text", "reserved", "broadcast"),
    [
        ("10.0.0.0/24", ["10.0.0.0", "10.0.0.255"], "10.0.0.255"),
        ("10.0.0.0/30", ["10.0.0.0", "10.0.0.3"], "10.0.0.3"),
        ("10.0.0.0/31", [], None),
        ("10.0.0.1/32", [], None),
        ("2001:db8::/64", ["2001:db8::"], None),
        ("2001:db8::/126", ["2001:db8::"], None),
        ("2001:db8::/127", [], None),
        ("2001:db8::1/128", [], None),
    ],
)
def test_point_to_point_subnets_reserve_nothing(
    text: str, reserved: list[str], broadcast: str | None
) -> None:
    subnet = Subnet.parse(text)
    assert [str(Address(subnet.family, value)) for value in subnet.reserved] == reserved
    assert subnet.broadcast == (Address.parse(broadcast).value if broadcast else None)


def test_an_interval_includes_both_ends() -> None:
    interval = Interval(3, 5)
    assert [value in interval for value in (2, 3, 5, 6)] == [False, True, True, False]
    assert interval.size == 3
    assert not interval.__contains__("3")


def test_sort_keys_have_the_width_of_their_family() -> None:
    assert sort_key(IPV4, 1) == "00000001"
    assert sort_key(IPV6, 1) == "0" * 31 + "1"
