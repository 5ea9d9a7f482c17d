"""Announcements of ipvlan endpoints: l2 from the parent, l3 and l3s none."""

from __future__ import annotations

import time

import pytest

from tests.kernel.steps import GATEWAY, ON_ETH0, SUBNET, create, join, notes
from tests.lab import Frame, Lab

pytestmark = pytest.mark.needs("ipvlan")

DUAL = ("-d", "ipvlan", SUBNET, GATEWAY, "--subnet=2001:db8:86::/64", *ON_ETH0)


def announced(frame: Frame) -> bool:
    return frame.gratuitous_arp or frame.unsolicited_na


def test_l2_address_is_announced_three_times_with_the_parent_s_mac(lab: Lab) -> None:
    """And the host's own address is not: the frames come from its link, not from it."""
    create(lab.host, "net", *DUAL)
    container = lab.container()
    with lab.router.capture(keep=announced) as wire:
        joined = join(lab.host, container, "net")
        wire.wait_for(announced, count=6, timeout=15)
    arps = [frame for frame in wire if frame.gratuitous_arp]
    solicited = [frame for frame in wire if frame.unsolicited_na]
    assert len(arps) == len(solicited) == 3
    assert {(frame.src, frame.arp_sha, frame.arp_spa) for frame in arps} == {
        (lab.host.mac(), lab.host.mac(), joined.ip)
    }
    assert {(frame.src, frame.nd_target) for frame in solicited} == {(lab.host.mac(), joined.ip6)}


def test_neighbour_that_knew_another_mac_learns_the_parent_s(lab: Lab) -> None:
    """What announcing is for: a router whose cache has the address elsewhere reaches it."""
    create(lab.host, "net", *DUAL)
    lab.router.ip("neigh", "replace", "172.16.86.20", "lladdr", "02:00:5e:00:53:99", "dev", "eth0")
    lab.router.ip("neigh", "change", "172.16.86.20", "dev", "eth0", "nud", "stale")
    join(lab.host, lab.container(), "net", "--ip=172.16.86.20")
    assert lab.router.ping("172.16.86.20")
    (neighbour,) = lab.router.query("neigh", "show", "to", "172.16.86.20")
    assert neighbour["lladdr"] == lab.host.mac()


def test_announcing_ends_with_the_endpoint(lab: Lab) -> None:
    """The parent lives on; nobody answers for the address any more."""
    create(lab.host, "net", *DUAL)
    container = lab.container()
    with lab.router.capture(keep=announced) as wire:
        join(lab.host, container, "net")
        lab.host.macvnet("disconnect", "net", container.target).checked()
        seen = len(wire.frames)
        time.sleep(2.5)
        assert len(wire.frames) == seen < 6


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_l3_asks_and_announces_nothing(lab: Lab, mode: str) -> None:
    """There is no ARP in these modes; nor does anything of macvnet stay behind to send it."""
    made = create(lab.host, "net", *DUAL, "-o", f"ipvlan_mode={mode}", "-o", "probe=on")
    assert any(f"in mode {mode} has no ARP" in note for note in notes(made))
    with lab.router.capture() as wire:
        joined = join(lab.host, lab.container(), "net")
        time.sleep(1.5)
        # A frame that must be seen, so that silence means something.
        assert lab.host.ping("172.16.86.1")
        wire.wait_for(lambda frame: frame.ping)
    assert joined.addresses
    assert not wire.matching(lambda frame: joined.ip in (frame.arp_spa, frame.arp_tpa))
    assert not wire.matching(lambda frame: frame.nd_target == joined.ip6)
