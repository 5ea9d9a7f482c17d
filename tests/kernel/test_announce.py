"""Announcements on the wire: how many, how fast, and by a process that is in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from macvnet.addresses import Address
from macvnet.kernel.announce import PROCESS_NAME, Item, announce
from macvnet.kernel.namespaces import Namespace
from tests.kernel.steps import wait_until
from tests.lab import Capture, Container, Frame, Lab

IPV4 = "172.16.86.10"
IPV6 = "2001:db8:86::10"

SCRIPT = """
import sys
from macvnet.addresses import Address
from macvnet.kernel.announce import Item, announce
from macvnet.kernel.namespaces import Namespace
pid, ifindex, mac, kept = sys.argv[1:]
held = open(kept, "w")
sys.stdout.write("not yet flushed, and to be printed once\\n")
with Namespace.of_pid(int(pid)) as space:
    announce([Item(space, int(ifindex), mac, (Address.parse("172.16.86.10"),), "eth0")])
"""


def connected(lab: Lab, count: int = 1) -> tuple[Container, list[int]]:
    """A container with macvlans on the host's eth0, up; their indexes."""
    container = lab.container()
    indexes = []
    for number in range(count):
        lab.host.ip(
            *("link", "add", "link", "eth0", "name", f"mv{number}", "netns", str(container.pid)),
            *("type", "macvlan", "mode", "bridge"),
        )
        container.ip("link", "set", f"mv{number}", "up")
        indexes.append(int(container.link(f"mv{number}")["ifindex"]))
    return container, indexes


def announcing() -> set[int]:
    """The processes that send announcements now, in this test run's mount namespace."""
    found = set()
    mounts = os.stat("/proc/self/ns/mnt").st_ino
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit():
                continue
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            # A zombie has ended; when its parent, PID 1, notices is not our business.
            if name != PROCESS_NAME or rest.split()[0] == "Z":
                continue
            if (entry / "ns/mnt").stat().st_ino == mounts:
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def started(before: set[int], within: float = 2) -> int:
    """The one announcing process that was not there before."""
    deadline = time.monotonic() + within
    while not announcing() - before:
        assert time.monotonic() < deadline, "no process announces"
        time.sleep(0.01)
    (child,) = announcing() - before
    return child


def ended(child: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while child in announcing():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def wire(lab: Lab) -> Iterator[Capture]:
    with lab.router.capture() as capture:
        yield capture


def test_three_of_each_at_0_1_and_2_seconds(lab: Lab, wire: Capture) -> None:
    container, (ifindex,) = connected(lab)
    mac = container.mac("mv0")
    addresses = (Address.parse(IPV4), Address.parse(IPV6))
    began = time.time()
    with Namespace.of_pid(container.pid) as space:
        announce([Item(space, ifindex, mac, addresses, "eth0")])
    assert time.time() - began < 0.5

    def kept(frame: Frame) -> bool:
        return frame.src == mac and (
            frame.gratuitous_arp or frame.arp_op == 2 or frame.nd_target == IPV6
        )

    seen = wire.wait_for(kept, count=6)
    time.sleep(1.2)
    assert len(wire.matching(kept)) == 6
    for address in (IPV4, IPV6):
        times = [f.time - began for f in seen if address in (f.arp_spa, f.nd_target)]
        assert times[0] < 0.5
        assert [at - times[0] for at in times] == pytest.approx([0, 1, 2], abs=0.35)
    arp = next(frame for frame in seen if frame.arp_op)
    assert (arp.arp_op, arp.dst, arp.arp_tha) == (1, "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00")
    advertisement = next(frame for frame in seen if frame.unsolicited_na)
    assert (advertisement.ip_src, advertisement.ttl) == (IPV6, 255)


def test_neighbour_learns_the_new_mac(lab: Lab) -> None:
    container, (ifindex,) = connected(lab)
    mac = container.mac("mv0")
    for address in (IPV4, IPV6):
        lab.router.ip(
            "neigh",
            "replace",
            address,
            "lladdr",
            "02:00:5e:00:53:99",
            "nud",
            "stale",
            "dev",
            "eth0",
        )
    addresses = (Address.parse(IPV4), Address.parse(IPV6))
    with Namespace.of_pid(container.pid) as space:
        announce([Item(space, ifindex, mac, addresses, "eth0", count=1)])
    for address in (IPV4, IPV6):
        deadline = time.monotonic() + 3
        while mac not in lab.router.ip("neigh", "show", address):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_nobody_waits_for_the_rest(lab: Lab, wire: Capture, tmp_path: Path) -> None:
    container, (ifindex,) = connected(lab)
    mac = container.mac("mv0")
    kept = tmp_path / "kept-open"
    before = announcing()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(container.pid), str(ifindex), mac, str(kept)],
        capture_output=True,
        text=True,
        check=True,
    )
    # Both pipes were at their end although two more frames are to come.
    assert len(wire.matching(lambda frame: frame.src == mac and frame.gratuitous_arp)) < 3
    assert done.stdout.count("flushed") == 1
    assert done.stderr == ""
    child = started(before)
    assert os.getsid(child) != os.getsid(0)
    assert os.readlink(f"/proc/{child}/cwd") == "/"
    assert {os.readlink(fd) for fd in Path(f"/proc/{child}/fd").iterdir()} == {"/dev/null"}
    wire.wait_for(lambda frame: frame.src == mac and frame.gratuitous_arp, count=3)
    assert ended(child, 1)


@pytest.mark.parametrize("count", [0, 1])
def test_no_process_stays_where_nothing_remains(lab: Lab, wire: Capture, count: int) -> None:
    """But for the moment that closing a packet socket takes the kernel."""
    container, (ifindex,) = connected(lab)
    mac = container.mac("mv0")
    before = announcing()
    with Namespace.of_pid(container.pid) as space:
        announce([Item(space, ifindex, mac, (Address.parse(IPV4),), "eth0", count=count)])
    assert count or announcing() == before
    assert wait_until(lambda: announcing() == before)
    time.sleep(0.3)
    assert len(wire.matching(lambda f: f.src == mac and f.gratuitous_arp)) == count


def test_it_ends_with_the_link(lab: Lab, wire: Capture) -> None:
    container, (ifindex,) = connected(lab)
    mac = container.mac("mv0")
    before = announcing()
    with Namespace.of_pid(container.pid) as space:
        announce([Item(space, ifindex, mac, (Address.parse(IPV4),), "eth0", 30)])
    child = started(before)
    container.ip("link", "delete", "mv0")
    assert ended(child, 1.5)


def test_it_ends_with_the_endpoint_where_frames_leave_by_the_parent(lab: Lab) -> None:
    container, (ifindex,) = connected(lab)
    parent = lab.host.link("eth0")
    before = announcing()
    with Namespace.of_pid(container.pid) as space, Namespace.of_pid(lab.host.pid) as host:
        items = [
            Item(
                host,
                int(parent["ifindex"]),
                str(parent["address"]),
                (Address.parse(IPV4),),
                "eth0",
                30,
                1.0,
                (space, ifindex),
            )
        ]
        with lab.router.capture() as capture:
            announce(items)
            capture.wait_for(lambda f: f.src == parent["address"] and f.arp_spa == IPV4)
    child = started(before)
    container.ip("link", "delete", "mv0")
    assert ended(child, 1.5)


def test_dead_container_is_not_kept_alive(lab: Lab) -> None:
    """A MAC is free again while its announcements would still have gone on."""
    container, (ifindex,) = connected(lab)
    mac = container.mac("mv0")
    with Namespace.of_pid(container.pid) as space:
        announce([Item(space, ifindex, mac, (Address.parse(IPV4),), "eth0", 30)])
    container.close()
    successor = lab.container()
    lab.host.ip(
        *("link", "add", "link", "eth0", "name", "mv0", "netns", str(successor.pid)),
        *("address", mac, "type", "macvlan", "mode", "bridge"),
    )
    deadline = time.monotonic() + 2
    while not successor.run("ip", "link", "set", "mv0", "up").ok:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_batch_stretches_to_the_rate(lab: Lab, wire: Capture) -> None:
    container, indexes = connected(lab, 30)
    before = announcing()
    with Namespace.of_pid(container.pid) as space:
        announce(
            [
                Item(
                    space,
                    index,
                    container.mac(f"mv{n}"),
                    (Address.parse(f"172.16.86.{100 + n}"),),
                    "eth0",
                    1,
                )
                for n, index in enumerate(indexes)
            ],
            rate=10,
        )
    started(before)
    seen = wire.wait_for(lambda frame: frame.gratuitous_arp, count=30)
    assert len({frame.arp_spa for frame in seen}) == 30
    times = sorted(frame.time for frame in seen)
    for earlier, later in zip(times, times[10:], strict=False):
        assert later - earlier > 1.0
    assert times[-1] - times[0] < 3.5
