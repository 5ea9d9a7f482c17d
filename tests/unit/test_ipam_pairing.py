"""How the address options of ``create`` become pools, and what is refused with which words."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from macvnet.addresses import Address
from macvnet.errors import InvalidRequest
from macvnet.ipam.pairing import plan_pools
from macvnet.ipam.plan import PoolPlan
from macvnet.model import CreateRequest


def plan(
    subnets: str = "",
    *,
    gateways: str = "",
    ranges: str = "",
    aux: str = "",
    excludes: str = "",
    real_parent: bool = True,
    onlink: bool = False,
    **other: Any,
) -> tuple[PoolPlan, ...]:
    request = CreateRequest(
        "net",
        subnets=tuple(subnets.split()),
        gateways=tuple(gateways.split()),
        ip_ranges=tuple(ranges.split()),
        aux_addresses=tuple(aux.split()),
        excludes=tuple(excludes.split()),
        **other,
    )
    ids = itertools.count(1)
    return plan_pools(request, lambda: f"p{next(ids)}", real_parent=real_parent, onlink=onlink)


def runs(plan: PoolPlan) -> list[str]:
    family = plan.pool.family
    return [f"{Address(family, r.first)}-{Address(family, r.last)}" for r in plan.allowed]


def test_the_seed_document_starts_at_2() -> None:
    (one,) = plan("172.16.86.0/24", gateways="172.16.86.1", aux="exclude_host=172.16.86.250")
    assert runs(one) == ["172.16.86.2-172.16.86.249", "172.16.86.251-172.16.86.254"]
    assert (one.usable, str(one.first), str(one.last)) == (252, "172.16.86.2", "172.16.86.254")


def test_the_seed_document_starts_at_128_in_its_range() -> None:
    (one,) = plan("192.168.32.0/24", ranges="192.168.32.128/25", gateways="192.168.32.254")
    assert runs(one) == ["192.168.32.128-192.168.32.253"]
    assert one.pool.range_texts == ("192.168.32.128/25",)


def test_the_seed_document_pairs_gateways_by_containment_in_command_line_order() -> None:
    plans = plan(
        "192.168.218.0/24 192.168.216.0/24 2001:db8:abc8::/64",
        gateways="2001:DB8:abc8::10 192.168.216.1 192.168.218.1",
    )
    assert [(str(p.pool.subnet), str(p.pool.gateway)) for p in plans] == [
        ("192.168.218.0/24", "192.168.218.1"),
        ("192.168.216.0/24", "192.168.216.1"),
        ("2001:db8:abc8::/64", "2001:db8:abc8::10"),
    ]
    assert [p.pool.id for p in plans] == ["p1", "p2", "p3"]
    assert runs(plans[2])[0] == "2001:db8:abc8::1-2001:db8:abc8::f"


def test_several_ranges_of_both_spellings_are_one_set() -> None:
    (one,) = plan(
        "10.0.0.0/24",
        gateways="10.0.0.1",
        ranges="10.0.0.64/26 10.0.0.10-10.0.0.20 10.0.0.15-10.0.0.63",
    )
    assert runs(one) == ["10.0.0.10-10.0.0.127"]
    assert one.pool.range_texts == ("10.0.0.64/26", "10.0.0.10-10.0.0.20", "10.0.0.15-10.0.0.63")


def test_exclusions_of_all_spellings_are_never_given_out() -> None:
    plans = plan(
        "10.0.0.0/24 10.0.1.0/24 2001:db8::/64",
        gateways="10.0.0.1 10.0.1.1 2001:db8::1",
        excludes="10.0.0.5 10.0.0.250-10.0.1.9 10.0.0.32/27 2001:db8::8000:0:0:0/65",
    )
    assert runs(plans[0]) == ["10.0.0.2-10.0.0.4", "10.0.0.6-10.0.0.31", "10.0.0.64-10.0.0.249"]
    assert runs(plans[1]) == ["10.0.1.10-10.0.1.254"]
    assert runs(plans[2]) == ["2001:db8::2-2001:db8::7fff:ffff:ffff:ffff"]
    assert plans[0].exclude_texts == ("10.0.0.5", "10.0.0.250-10.0.1.9", "10.0.0.32/27")
    assert plans[1].exclude_texts == ()


@pytest.mark.parametrize(
    ("subnet", "arguments", "first"),
    [
        ("10.0.0.0/24", {}, "10.0.0.2"),
        ("2001:db8::/64", {}, "2001:db8::2"),
        ("10.0.0.0/30", {}, "10.0.0.2"),
        ("10.0.0.0/24", {"gateways": "10.0.0.254"}, "10.0.0.1"),
        ("10.0.0.0/24", {"ranges": "10.0.0.0/25"}, "10.0.0.1"),
        ("10.0.0.0/24", {"real_parent": False}, "10.0.0.1"),
        ("10.0.0.0/24", {"internal": True}, "10.0.0.1"),
        ("10.0.0.0/31", {}, "10.0.0.0"),
        ("10.0.0.7/32", {}, "10.0.0.7"),
        ("2001:db8::/127", {}, "2001:db8::"),
        ("2001:db8::7/128", {}, "2001:db8::7"),
        ("10.0.0.0/31", {"gateways": "10.0.0.0"}, "10.0.0.1"),
    ],
)
def test_the_probable_router_is_kept_back(
    subnet: str, arguments: dict[str, Any], first: str
) -> None:
    (one,) = plan(subnet, **arguments)
    assert str(one.first) == first


@pytest.mark.parametrize(
    ("subnets", "gateway", "onlink", "where"),
    [
        ("2001:db8::/64", "fe80::1", False, 0),
        ("10.0.0.0/24 2001:db8::/64", "fe80::1", False, 1),
        ("10.0.0.7/32", "10.9.9.9", False, 0),
        ("10.0.1.0/24 10.0.0.7/32", "10.9.9.9", False, 1),
        ("2001:db8::7/128", "2001:db8:1::1", False, 0),
        ("10.0.0.0/24 10.0.1.0/24", "10.9.9.9", True, 0),
        ("fe80::/64", "fe80::1", False, None),
    ],
)
def test_a_gateway_outside_is_on_link(
    subnets: str, gateway: str, onlink: bool, where: int | None
) -> None:
    plans = plan(subnets, gateways=gateway, onlink=onlink)
    assert [p.pool.onlink for p in plans] == [index == where for index in range(len(plans))]
    assert [str(p.pool.gateway) for p in plans].count(gateway) == 1


def test_a_bare_auxiliary_address_is_its_own_name() -> None:
    (one,) = plan("10.0.0.0/24", aux="10.0.0.9 r=10.0.0.8 =10.0.0.7")
    assert [name for name, _ in one.pool.aux] == ["10.0.0.9", "r", "10.0.0.7"]


REFUSED = [
    ({"subnets": "10.2.0.5/24"}, "subnet '10.2.0.5/24' has host bits set", "--subnet 10.2.0.0/24"),
    ({"subnets": "10.2.0.0"}, "subnet '10.2.0.0' has no prefix length", "--subnet 10.2.0.0/24"),
    (
        {"subnets": "10.2.0.0/255.255.0.0"},
        "subnet '10.2.0.0/255.255.0.0' has no prefix length from 0 to 32",
        "--subnet 10.2.0.0/16",
    ),
    ({"subnets": "10.2.0.0/33"}, "subnet '10.2.0.0/33' has no prefix length from 0 to 32", "/24"),
    ({"subnets": "foo/24"}, "subnet 'foo/24' is not an IP address", "--subnet"),
    ({"subnets": "010.2.0.0/24"}, "subnet '010.2.0.0/24' is not an IP address", "--subnet"),
    ({"subnets": "10.2/16"}, "subnet '10.2/16' is not an IP address", "--subnet"),
    (
        {"subnets": "::ffff:10.0.0.0/112"},
        "subnet '::ffff:10.0.0.0/112' is an IPv4 subnet written as IPv6",
        "--subnet 10.0.0.0/16",
    ),
    ({"subnets": "0.0.0.0/0"}, "subnet '0.0.0.0/0' is not a subnet", "leave --subnet out"),
    ({"subnets": "::/72"}, "subnet '::/72' is not a subnet", "leave --subnet out"),
    ({"subnets": "224.0.0.0/24"}, "subnet '224.0.0.0/24' is a multicast block", "--subnet"),
    ({"subnets": "ff02::/64"}, "subnet 'ff02::/64' is a multicast block", "--subnet fd"),
    ({"subnets": "127.1.0.0/16"}, "subnet '127.1.0.0/16' is a loopback block", "--subnet"),
    (
        {"subnets": "10.0.0.0/24 10.0.0.0/16"},
        "subnet '10.0.0.0/16' overlaps subnet '10.0.0.0/24'",
        "give each subnet once",
    ),
    ({"subnets": "10.0.0.0/24", "ipv4": False}, "contradicts --ipv4=false", "--ipv4=false"),
    ({"subnets": "2001:db8::/64", "ipv6": False}, "contradicts --ipv6=false", "--ipv6=false"),
    ({"gateways": "10.0.0.1"}, "--gateway '10.0.0.1' has no --subnet", "--subnet"),
    ({"ranges": "10.0.0.0/25"}, "--ip-range '10.0.0.0/25' has no --subnet", "--subnet"),
    ({"aux": "a=10.0.0.1"}, "--aux-address 'a=10.0.0.1' has no --subnet", "--subnet"),
    ({"excludes": "10.0.0.1"}, "--exclude '10.0.0.1' has no --subnet", "--subnet"),
    (
        {"subnets": "10.0.0.0/24", "gateways": "10.0.1.1"},
        "gateway '10.0.1.1' is not in any --subnet",
        "-o onlink=true",
    ),
    (
        {"subnets": "10.0.0.0/24", "gateways": "fe80::1"},
        "gateway 'fe80::1' is IPv6, and no --subnet is",
        "add an IPv6 --subnet",
    ),
    (
        {"subnets": "10.0.0.0/24", "gateways": "10.0.0.2 10.0.0.1"},
        "gateway '10.0.0.1' is the second one for subnet 10.0.0.0/24",
        "--gateway 10.0.0.2",
    ),
    (
        {"subnets": "10.0.0.0/24", "gateways": "10.0.0.1 10.9.9.9"},
        "gateway '10.9.9.9' is not in any --subnet, and each has",
        "leave --gateway 10.9.9.9 out",
    ),
    (
        {"subnets": "10.0.0.0/24", "gateways": "10.0.0.0"},
        "gateway '10.0.0.0' is the network address",
        "--gateway 10.0.0.1",
    ),
    (
        {"subnets": "10.0.0.0/24", "gateways": "10.0.0.255"},
        "gateway '10.0.0.255' is the broadcast address",
        "--gateway 10.0.0.1",
    ),
    ({"subnets": "10.0.0.0/24", "gateways": "foo"}, "gateway 'foo' is not an IP", "--gateway"),
    (
        {"subnets": "10.0.0.0/24", "gateways": "10.0.0.1/24"},
        "gateway '10.0.0.1/24' has a prefix length",
        "--gateway 10.0.0.1",
    ),
    (
        {"subnets": "2001:db8::/64", "gateways": "fe80::1%eth0"},
        "gateway 'fe80::1%eth0' has a zone",
        "--gateway fe80::1",
    ),
    (
        {"subnets": "10.0.0.0/24", "gateways": "::ffff:10.0.0.1"},
        "gateway '::ffff:10.0.0.1' is an IPv4 address written as IPv6",
        "--gateway 10.0.0.1",
    ),
    (
        {"subnets": "10.0.0.0/24", "gateways": "224.0.0.1", "onlink": True},
        "gateway '224.0.0.1' is a multicast address",
        "--gateway",
    ),
    (
        {"subnets": "10.2.0.0/24", "ranges": "10.3.0.0/25"},
        "ip range '10.3.0.0/25' is not in any --subnet",
        "--subnet 10.2.0.0/24",
    ),
    (
        {"subnets": "10.2.0.0/24", "ranges": "10.2.0.0/16"},
        "ip range '10.2.0.0/16' reaches beyond subnet 10.2.0.0/24",
        "--ip-range 10.2.0.0/24",
    ),
    (
        {"subnets": "10.2.0.0/24", "ranges": "10.2.0.200-10.2.1.9"},
        "ip range '10.2.0.200-10.2.1.9' reaches beyond subnet 10.2.0.0/24",
        "--ip-range 10.2.0.200-10.2.0.255",
    ),
    (
        {"subnets": "10.2.0.0/24", "ranges": "10.2.0.130/25"},
        "ip range '10.2.0.130/25' has host bits set",
        "--ip-range 10.2.0.128/25",
    ),
    (
        {"subnets": "10.2.0.0/24", "ranges": "10.2.0.9"},
        "ip range '10.2.0.9' is a single address",
        "--ip-range 10.2.0.9/32",
    ),
    (
        {"subnets": "10.2.0.0/24", "ranges": "10.2.0.9-10.2.0.3"},
        "ip range '10.2.0.9-10.2.0.3' runs backwards",
        "--ip-range 10.2.0.3-10.2.0.9",
    ),
    ({"subnets": "10.2.0.0/24", "ranges": "10.2.0.9-::1"}, "mixes IPv4 and IPv6", "--ip-range"),
    ({"subnets": "10.2.0.0/24", "ranges": "10.2.0.9-"}, "is not an IP address", "--ip-range"),
    (
        {"subnets": "10.2.0.0/24", "aux": "a=10.2.1.5"},
        "auxiliary address 'a=10.2.1.5' is not in any --subnet",
        "--subnet 10.2.0.0/24",
    ),
    ({"subnets": "10.2.0.0/24", "aux": "a="}, "auxiliary address '' is not an IP", "--aux"),
    (
        {"subnets": "10.2.0.0/24", "gateways": "10.2.0.1", "aux": "a=10.2.0.1"},
        "auxiliary address 'a=10.2.0.1' is the gateway already",
        "leave it out",
    ),
    (
        {"subnets": "10.2.0.0/24", "aux": "a=10.2.0.255"},
        "is the broadcast address of subnet 10.2.0.0/24 already",
        "leave it out",
    ),
    (
        {"subnets": "10.2.0.0/24", "aux": "a=10.2.0.5 b=10.2.0.5"},
        "auxiliary address 'b=10.2.0.5' is auxiliary address 'a' already",
        "leave it out",
    ),
    (
        {"subnets": "10.2.0.0/24", "aux": "a=10.2.0.5 a=10.2.0.6"},
        "auxiliary address name 'a' is given to '10.2.0.5' and '10.2.0.6'",
        "another name",
    ),
    (
        {"subnets": "10.2.0.0/24", "excludes": "10.3.0.1"},
        "exclusion '10.3.0.1' is not in any --subnet",
        "--subnet 10.2.0.0/24",
    ),
    (
        {"subnets": "10.2.0.0/24", "excludes": "10.2.0.1/30"},
        "exclusion '10.2.0.1/30' has host bits set",
        "--exclude 10.2.0.0/30",
    ),
]


@pytest.mark.parametrize(("arguments", "message", "hint"), REFUSED)
def test_a_wrong_value_is_refused_by_name_with_a_correction(
    arguments: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(**arguments)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_control_characters_do_not_reach_the_terminal() -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan("10.0.0.0/24\x1b[31m\x07")
    assert caught.value.message.isprintable()
    assert "\\x1b" in caught.value.message


def test_ten_thousand_exclusions_are_planned_quickly() -> None:
    excludes = " ".join(f"10.0.{n >> 8}.{n & 255}" for n in range(1, 20000, 2))
    begin = time.process_time()
    (one,) = plan("10.0.0.0/16", gateways="10.0.0.1", excludes=excludes)
    assert time.process_time() - begin < 5
    assert one.usable == 65536 - 2 - 10000
    assert len(one.exclude_texts) == 10000
