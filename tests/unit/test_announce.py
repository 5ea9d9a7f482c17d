"""Announcements: the frames, byte by byte, and when each of them is sent."""

from __future__ import annotations

import os
import struct

import pytest

from macvnet.addresses import Address
from macvnet.kernel.announce import Item, announce, frames_of, schedule
from macvnet.kernel.frames import WINDOW_SECONDS
from macvnet.kernel.namespaces import Namespace

# What Linux itself sends with net.ipv4.conf.*.arp_notify and net.ipv6.conf.*.ndisc_notify,
# captured on a veth.
KERNEL_ARP = "ffffffffffff02005e0053010806000108000604000102005e005301c000020a000000000000c000020a"
KERNEL_NA = (
    "33330000000102005e00530186dd6000000000203aff20010db8000000000000000000000010"
    "ff0200000000000000000000000000018800480c2000000020010db8000000000000000000000010"
    "020102005e005301"
)
MAC = "02:00:5e:00:53:01"
NOWHERE = Namespace(-1, "/nowhere")


def item(*addresses: str, parent: str = "eth0", count: int = 3, interval: float = 1.0) -> Item:
    found = tuple(Address.parse(address) for address in addresses)
    return Item(NOWHERE, 7, MAC, found, parent, count, interval)


def test_ipv4_address_is_announced_as_the_kernel_would() -> None:
    assert [frame.hex() for frame in frames_of(item("192.0.2.10"))] == [KERNEL_ARP]


def test_ipv6_address_is_announced_as_the_kernel_would() -> None:
    assert [frame.hex() for frame in frames_of(item("2001:db8::10"))] == [KERNEL_NA]


@pytest.mark.parametrize("address", ["2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"])
def test_checksum_of_an_advertisement_sums_to_all_ones(address: str) -> None:
    (frame,) = frames_of(item(address))
    message = frame[54:]
    pseudo = frame[22:54] + struct.pack("!II", len(message), 58)
    total = sum(struct.unpack(f"!{(len(pseudo) + len(message)) // 2}H", pseudo + message))
    assert total % 0xFFFF == 0
    assert total


@pytest.mark.parametrize("mac", ["", "02:00:5e", "no-mac"])
def test_nothing_is_sent_without_a_mac(mac: str) -> None:
    assert frames_of(item("192.0.2.10")._replace(mac=mac)) == []


def test_three_frames_for_an_address_at_0_1_and_2_seconds() -> None:
    assert [planned.delay for planned in schedule([item("192.0.2.10")], 10)] == [0, 1, 2]


def test_count_and_interval_are_the_items_own() -> None:
    items = [item("192.0.2.10", count=1), item("192.0.2.11", count=2, interval=0.1)]
    assert [(p.delay, p.item) for p in schedule(items, 10)] == [(0, 0), (0, 1), (0.1, 1)]
    assert schedule([item("192.0.2.10", count=0)], 10) == []


@pytest.mark.parametrize("rate", [1, 3, 10])
def test_rate_is_kept_in_every_window_and_nothing_is_left_out(rate: int) -> None:
    planned = schedule([item(f"192.0.2.{n}", "2001:db8::1") for n in range(1, 31)], rate)
    delays = [one.delay for one in planned]
    assert len(delays) == 30 * 2 * 3
    assert delays == sorted(delays)
    for earlier, later in zip(delays, delays[rate:], strict=False):
        assert later - earlier >= WINDOW_SECONDS - 1e-6


def test_everybodys_first_frame_comes_before_anybodys_second() -> None:
    planned = schedule([item(f"192.0.2.{n}") for n in range(1, 31)], 10)
    assert [one.item for one in planned[:30]] == list(range(30))


def test_rate_is_counted_for_each_parent() -> None:
    items = [item("192.0.2.1", parent=f"eth{n % 2}") for n in range(20)]
    assert [one.delay for one in schedule(items, 10)].count(0) == 20


def test_vanished_namespace_fails_nothing() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    with Namespace(fd, "/nowhere") as gone:
        announce([item("192.0.2.10")._replace(namespace=gone)])
