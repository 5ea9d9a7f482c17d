"""Which addresses a scan asks for."""

from __future__ import annotations

import pytest

from macvnet.addresses import Address, Interval, Subnet
from macvnet.errors import InvalidRequest
from macvnet.ipam.stretches import Chosen, Stretch, of_network, of_ranges
from macvnet.model import Network
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend
from tests.unit.test_ipam_segment import get, install


@pytest.fixture
def store() -> Store:
    return Store(MemoryBackend())


def asked(store: Store, network: Network, *held: str) -> list[str]:
    chosen = of_network(store, network, map(Address.parse, held))
    assert len(list(chosen.addresses())) == chosen.total == len(set(chosen.addresses()))
    assert all(chosen.holds(address) for address in chosen.addresses())
    return [str(stretch) for stretch in chosen.stretches]


def test_a_subnet_without_what_no_machine_can_have(store: Store) -> None:
    whole = install(store, "whole", "10.0.0.0/24", "10.0.1.0/30", "10.0.2.0/31")
    assert asked(store, whole, "10.0.0.9") == [
        "10.0.0.1-10.0.0.254", "10.0.1.1-10.0.1.2", "10.0.2.0-10.0.2.1",
    ]  # fmt: skip


def test_ranges_and_what_is_held_outside_of_them(store: Store) -> None:
    lan = install(store, "lan", "10.0.0.0/24", ranges=("10.0.0.0/29", "10.0.0.8/30"))
    # One of another network's, in no subnet of this one.
    assert asked(store, lan, "10.0.0.12", "10.0.0.200", "10.9.0.1") == [
        "10.0.0.1-10.0.0.12", "10.0.0.200",
    ]  # fmt: skip


def test_of_a_large_range_of_ipv6_what_matters(store: Store) -> None:
    six = install(
        store, "six", "fd00::/64", gateways=("fd00::1",), aux=("nas=fd00::ff", "tv=fd00::3")
    )
    assert get(store, six) == "fd00::2"
    chosen = of_network(store, six, [Address.parse("fd00::2"), Address.parse("fd00::77")])
    assert [pool.subnet for pool in chosen.sampled] == [Subnet.parse("fd00::/64")]
    assert [str(stretch) for stretch in chosen.stretches] == [
        "fd00::1-fd00::23", "fd00::77", "fd00::ff",
    ]  # fmt: skip
    small = install(store, "small", "fd01::/120")
    assert of_network(store, small, ()) == Chosen(
        (Stretch(6, Interval((0xFD01 << 112) + 1, (0xFD01 << 112) + 255)),)
    )


def test_ranges_as_they_are_typed(store: Store) -> None:
    lan = install(store, "lan", "10.0.0.0/24", "fd00::/64")
    chosen = of_ranges(lan, ["10.0.0.0/30", "10.0.0.3-10.0.0.9", "10.0.0.255", "fd00::/127"])
    assert [str(stretch) for stretch in chosen.stretches] == ["10.0.0.1-10.0.0.9", "fd00::1"]
    assert chosen.sampled == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.1.0/30", "range '10.0.1.0/30' is in no subnet of network 'lan'"),
        ("10.0.0.0/23", "range '10.0.0.0/23' is in no subnet of network 'lan'"),
        ("10.0.0.250-10.0.1.2", "is in no subnet of network 'lan'"),
        ("fd00::1", "is in no subnet of network 'lan'"),
        ("ten", "'ten'"),
    ],
)
def test_ranges_that_are_not_the_networks(store: Store, text: str, says: str) -> None:
    lan = install(store, "lan", "10.0.0.0/24")
    with pytest.raises(InvalidRequest) as caught:
        of_ranges(lan, [text])
    assert says in caught.value.message and "--range" in (caught.value.hint or "")
