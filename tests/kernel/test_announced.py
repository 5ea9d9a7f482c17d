"""Announcements as a command makes them: seen from the router, waited for by nobody."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from macvnet.kernel.announce import PROCESS_NAME
from tests.kernel.steps import LAN, attach, create, join, wait_until
from tests.lab import BROADCAST, Capture, Frame, Lab, executable

DUAL = (*LAN[:2], "--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1", *LAN[2:])
COUNT = "com.docker.network.advertise_addr_nmsgs"
PACE = "com.docker.network.advertise_addr_ms"


def announced(frame: Frame) -> bool:
    return frame.gratuitous_arp or frame.unsolicited_na


def listening(lab: Lab) -> Capture:
    return lab.router.capture(keep=announced)


def gaps(frames: list[Frame]) -> list[float]:
    return [later.time - frames[0].time for later in frames]


def test_address_is_announced_three_times_at_0_1_and_2_seconds(lab: Lab) -> None:
    """Gratuitous ARP for IPv4, an unsolicited NA for IPv6; the first before the command returns."""
    create(lab.host, "net", *DUAL)
    container = lab.container()
    with listening(lab) as wire:
        joined = join(lab.host, container, "net", "--ip6=2001:db8:86::20")
        returned = time.time()
        wire.wait_for(announced, count=6)
    for kind in (
        [frame for frame in wire if frame.gratuitous_arp],
        [frame for frame in wire if frame.unsolicited_na],
    ):
        assert len(kind) == 3
        assert kind[0].time < returned
        assert gaps(kind) == pytest.approx([0, 1, 2], abs=0.35)
        assert {frame.src for frame in kind} == {joined.mac}
    (arp, *_) = (frame for frame in wire if frame.gratuitous_arp)
    assert (arp.dst, arp.arp_sha, arp.arp_spa) == (BROADCAST, joined.mac, joined.ip)
    (na, *_) = (frame for frame in wire if frame.unsolicited_na)
    assert (na.nd_target, na.ttl) == ("2001:db8:86::20", 255)


def test_docker_s_keys_set_number_and_pace(lab: Lab) -> None:
    create(lab.host, "net", *LAN, "-o", f"{COUNT}=2", "-o", f"{PACE}=300")
    with listening(lab) as wire:
        join(lab.host, lab.container(), "net")
        wire.wait_for(announced, count=2)
        time.sleep(0.5)
    assert gaps(wire.frames) == pytest.approx([0, 0.3], abs=0.15)


def test_number_zero_announces_nothing(lab: Lab) -> None:
    create(lab.host, "net", *LAN, "-o", f"{COUNT}=0")
    container = lab.container()
    with listening(lab) as wire:
        join(lab.host, container, "net")
        assert container.ping("172.16.86.1")
        time.sleep(0.3)
    assert wire.frames == []


@pytest.mark.parametrize(
    ("option", "hint"), [(f"{COUNT}=4", "0 to 3"), (f"{PACE}=50", "100 to 2000")]
)
def test_docker_s_limits_of_these_keys_hold(lab: Lab, option: str, hint: str) -> None:
    done = lab.host.macvnet("create", *LAN, "-o", option, "net")
    assert done.status == 3 and hint in done.stderr


def test_command_substitution_does_not_wait_for_announcements(lab: Lab) -> None:
    """`$(macvnet attach ...)` returns while two more frames are to come."""
    create(lab.host, "net", *LAN)
    container = lab.container()
    with listening(lab) as wire:
        script = f'out=$({executable()} attach "$1"); echo "[$out]"'
        began = time.monotonic()
        done = lab.host.run("sh", "-c", script, "sh", container.target).checked()
        assert time.monotonic() - began < 1
        assert done.stdout.startswith("[eth0 ") and len(wire.frames) < 3
        wire.wait_for(announced, count=3)


def test_announcing_ends_with_the_link_and_keeps_no_namespace_alive(lab: Lab) -> None:
    """The container dies in the middle: silence, and its MAC is free for the next one."""
    create(lab.host, "net", *LAN)
    web = lab.named("web")
    with listening(lab) as wire:
        first = join(lab.host, web, "net")
        web.close()
        second = join(lab.host, lab.named("web"), "net")
        assert second.mac == first.mac
        wire.wait_for(announced, count=4)
        time.sleep(1.2)
    assert len(wire.frames) == 4


def test_announcing_of_many_ends_when_all_are_gone(lab: Lab) -> None:
    """At two frames a second there are frames for half a minute, and nobody to send them for."""
    lab.config.write_text("arp_rate = 2\n")
    create(lab.host, "net", *LAN)
    targets = [lab.named().target for _ in range(20)]
    lab.host.macvnet("attach", *targets).checked()
    assert announcers(lab)
    lab.host.macvnet("detach", *targets[1:]).checked()
    assert announcers(lab)
    lab.host.macvnet("detach", targets[0]).checked()
    assert wait_until(lambda: not announcers(lab), 5)


def announcers(lab: Lab) -> list[int]:
    """The processes that announce, of this lab's host alone."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            same = os.stat(entry / "ns/net").st_ino == os.fstat(lab.host.fd).st_ino
            if same and (entry / "comm").read_text().strip() == PROCESS_NAME:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_other_commands_run_while_announcements_are_under_way(lab: Lab) -> None:
    """Neither the state nor a lock is held: the container leaves and the network goes at once."""
    create(lab.host, "net", *LAN)
    container = lab.container()
    with listening(lab) as wire:
        join(lab.host, container, "net")
        lab.host.macvnet("detach", container.target).checked()
        lab.host.macvnet("rm", "net").checked()
        time.sleep(1.3)
    assert len(wire.frames) == 1


def test_batch_keeps_to_ten_frames_a_second_on_its_parent(make_lab: Callable[..., Lab]) -> None:
    """Twelve networks in one command, two frames each at once: the bursts stretch."""
    lab = make_lab(host=(), router=("10.0.0.1/8",))
    shared = ("-o", "parent=eth0", "-o", "share_parent=true", "-o", f"{COUNT}=2")
    for number in range(12):
        create(lab.host, f"n{number}", f"--subnet=10.{number}.0.0/24", *shared)
    container = lab.container()
    with listening(lab) as wire:
        attach(lab.host, container, *(f"--network=n{number}" for number in range(12)))
        wire.wait_for(announced, count=24, timeout=6)
    times = [frame.time for frame in wire]
    assert all(late - early >= 1 for early, late in zip(times, times[10:], strict=False))
    assert len({frame.arp_spa for frame in wire}) == 12


def test_arp_rate_of_the_configuration_is_kept(lab: Lab) -> None:
    lab.config.write_text("arp_rate = 1\n")
    create(lab.host, "net", *LAN, "-o", f"{COUNT}=2", "-o", f"{PACE}=100")
    with listening(lab) as wire:
        join(lab.host, lab.container(), "net")
        wire.wait_for(announced, count=2)
    assert gaps(wire.frames)[1] >= 1
