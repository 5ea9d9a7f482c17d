"""macvnet announce: what the neighbours are told again, who sends it, and who is left out."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.kernel.steps import LAN, create, join, notes, refused
from tests.lab import Frame, Lab
from tests.lab.capture import Capture

NOT_FOUND, REQUEST = 4, 3
DUAL = (*LAN[:2], "--subnet=2001:db8:86::/64", *LAN[2:])
PACE = ("-o", "com.docker.network.advertise_addr_ms=100")
COUNT = "com.docker.network.advertise_addr_nmsgs"


def announced(frame: Frame) -> bool:
    return frame.gratuitous_arp or frame.unsolicited_na


def told(wire: Capture) -> list[tuple[str, str | None]]:
    """Sender and address of each announcement, in order of both."""
    found = [(frame.src, frame.arp_spa or frame.nd_target) for frame in wire if announced(frame)]
    return sorted(found, key=str)


def quiet(lab: Lab) -> None:
    """Wait until what the connects announce has been announced."""
    time.sleep(0.5)
    with lab.router.capture(keep=announced) as wire:
        while True:
            seen = len(wire.frames)
            time.sleep(0.4)
            if len(wire.frames) == seen:
                return


def test_living_endpoints_are_announced_again_from_inside(
    make_lab: Callable[..., Lab],
) -> None:
    """Three times each address, by the endpoint's own MAC; who is gone is left out and named."""
    lab = make_lab(host=("172.16.86.5/24",))
    host = lab.host
    create(host, "net", *DUAL, *PACE, "--host-access")
    shared = ("-o", "parent=eth0", "-o", "share_parent=true")
    create(host, "silent", "--subnet=10.9.0.0/24", *shared, "-o", f"{COUNT}=0")
    web, other = lab.named("web"), lab.container()
    first, second = join(host, web, "net"), join(host, other, "net")
    shim = next(name for name in host.links() if name.startswith("mvh-"))
    shim_mac = host.mac(shim)
    [own] = host.addresses(shim)
    quiet(lab)
    expected = [
        *((joined.mac, each) for joined in (first, second) for each in (joined.ip, joined.ip6)),
        (shim_mac, own.partition("/")[0]),
    ]
    with lab.router.capture(keep=announced) as wire:
        done = host.macvnet("announce", "--all").checked()
        wire.wait_for(announced, count=3 * len(expected))
    assert (done.lines, notes(done)) == (["net"], [])
    assert told(wire) == sorted(expected * 3, key=str)

    # One container alone; the host's address is not the container's.
    with lab.router.capture(keep=announced) as wire:
        host.macvnet("announce", "net", web.target).checked()
        wire.wait_for(announced, count=6)
    assert told(wire) == sorted([(first.mac, first.ip), (first.mac, first.ip6)] * 3, key=str)

    # A neighbour that has it wrong, as after a fail-over, finds the container again.
    lab.router.ip("neigh", "replace", first.ip, "lladdr", "02:00:5e:00:53:99", "dev", "eth0")
    lab.router.ip("neigh", "change", first.ip, "dev", "eth0", "nud", "stale")
    host.macvnet("announce", "net").checked()
    [neighbour] = lab.router.query("neigh", "show", "to", first.ip)
    assert neighbour["lladdr"] == first.mac

    stranger = lab.container()
    done = host.macvnet("announce", "net", stranger.target)
    hint = refused(done, NOT_FOUND, "is not connected to network 'net'")
    assert hint.startswith("macvnet connect net")
    assert "advertise_addr_nmsgs=0" in host.macvnet("announce", "silent").stderr

    web.ip("link", "set", "eth0", "down")
    pid = other.pid
    other.close()
    done = host.macvnet("announce", "net").checked()
    assert sorted(notes(done)) == [
        "netns:web in network net: its link is down or gone",
        f"pid:{pid} in network net: its process is gone",
    ]
    assert done.lines == ["net"]
    web.ip("link", "del", "eth0")
    done = host.macvnet("announce", "net").checked()
    assert any("eth0 is missing (macvnet repair net)" in note for note in notes(done))


def test_at_most_arp_rate_frames_a_second_leave_on_a_parent(lab: Lab) -> None:
    """Switches with ARP inspection shut a port at about 15 a second."""
    create(lab.host, "net", *LAN, *PACE)
    for number in range(5):
        join(lab.host, lab.named(f"c{number}"), "net")
    quiet(lab)
    with lab.router.capture(keep=announced) as wire:
        lab.host.macvnet("announce", "net").checked()
        wire.wait_for(announced, count=15)
    times = [frame.time for frame in wire]
    assert all(times[at + 10] - times[at] >= 0.95 for at in range(5))


@pytest.mark.needs("ipvlan")
def test_ipvlan_l2_is_announced_by_the_parent_and_l3_not_at_all(lab: Lab) -> None:
    create(lab.host, "l2", "-d", "ipvlan", *LAN, *PACE)
    joined = join(lab.host, lab.named("web"), "l2")
    quiet(lab)
    with lab.router.capture(keep=announced) as wire:
        lab.host.macvnet("announce", "l2").checked()
        wire.wait_for(announced, count=3)
    assert told(wire) == [(lab.host.mac(), joined.ip)] * 3
    lab.host.macvnet("detach", "netns:web").checked()
    lab.host.macvnet("rm", "l2").checked()
    create(lab.host, "l3", "-d", "ipvlan", *LAN, "-o", "ipvlan_mode=l3")
    refused(lab.host.macvnet("announce", "l3"), REQUEST, "no ARP in ipvlan mode l3")
    assert lab.host.macvnet("announce", "--all").checked().lines == []
