"""Another machine takes an address that a container has: check finds it and names it."""

from __future__ import annotations

import pytest

from tests.kernel.steps import LAN, create, join, notes
from tests.kernel.test_probe import DUAL, FIRST, FIRST6, SECOND, TV, probe_of
from tests.kernel.test_scan import FOUND, asking
from tests.lab import Frame, Lab
from tests.lab.stranger import PROBE, Stranger

OTHER = "02:00:5e:00:53:79"


def test_a_conflict_that_appears_later_is_found_and_named(lab: Lab) -> None:
    lab.config.write_text("arp_rate = 1000\n")
    create(lab.host, "lan", *DUAL)
    create(lab.host, "quiet", "--subnet=10.9.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1",
           "-o", "probe=off")  # fmt: skip
    targets = [lab.named() for _ in range(3)]
    for target in targets:
        target.ip("link", "set", "lo", "up")
    joined = [join(lab.host, target, "lan", "--no-probe") for target in targets]
    second = join(lab.host, targets[2], "quiet")
    targets[1].ip("link", "set", "eth0", "down")
    before = lab.host.snapshot()
    held = {text.partition("/")[0] for one in (*joined, second) for text in one.addresses}

    def asks(frame: Frame) -> bool:
        about = frame.arp_tpa or frame.nd_target
        return asking(frame) and frame.src != OTHER and about in held

    with (
        Stranger(lab.external().fd, FIRST, SECOND, mac=TV),
        Stranger(lab.external().fd, FIRST6, mac=OTHER, how=PROBE),
        Stranger(lab.external().fd, second.ip, mac=TV),
    ):
        with lab.router.capture(keep=asks) as wire:
            plain = lab.host.macvnet("check", "--no-probe")
        assert not any(address in plain.stdout for address in (TV, OTHER))
        assert not wire.frames
        # As connect asks: in the one network and not in the quiet one.
        with lab.router.capture(keep=asks) as wire:
            usual = lab.host.macvnet("check", "--format=json").json()
        taken = [row["network"] for row in usual if row["kind"] == "address-taken"]
        assert taken == ["lan", "lan"]
        assert not any(probe_of(second.ip)(frame) for frame in wire.frames)
        with lab.router.capture(keep=asks) as wire:
            probed = lab.host.macvnet("check", "--probe", "lan")
        sent = wire.frames
        everywhere = lab.host.macvnet("check", "--probe", "--format=json").json()
        assert lab.host.macvnet("check", "--probe", "quiet").status == FOUND
    words = "netns:ns1 in network lan: another machine on the LAN answers for its address"
    fix = "(macvnet disconnect lan netns:ns1, and connect it anew)"
    assert probed.status == FOUND and probed.stderr == ""
    down = [line for line in plain.lines if "ns2" in line]
    assert [line for line in probed.lines if line not in down] == [
        f"{words} {FIRST}, with the MAC {TV} {fix}",
        f"{words} {FIRST6}, with the MAC {OTHER} {fix}",
    ]
    # The first is asked for once, as it answers; the third three times. All at once.
    for one, count in ((joined[0], 1), (joined[2], 3)):
        for address in (one.ip, one.ip6):
            asked = [frame.src for frame in sent if probe_of(address)(frame)]
            assert asked == [one.mac] * count
    assert not any(frame.src == joined[1].mac for frame in sent)
    found = [row for row in everywhere if row["kind"] == "address-taken"]
    assert sorted((row["network"], row["subject"].split()[0]) for row in found) == [
        ("lan", "netns:ns1"), ("lan", "netns:ns1"), ("quiet", "netns:ns3"),
    ]  # fmt: skip
    assert fix[1:-1] in {row["fix"] for row in found}
    assert before.changes(lab.host.snapshot()) == []
    # And nothing is found when it has gone.
    targets[1].ip("link", "set", "eth0", "up")
    assert lab.host.macvnet("check", "--probe").lines == lab.host.macvnet("check").lines


def test_who_has_not_said_so_does_not_wait_long(lab: Lab) -> None:
    lab.config.write_text("arp_rate = 1\n")
    create(lab.host, "lan", *LAN, "-o", "probe=on")
    for number in range(6):
        join(lab.host, lab.named(), "lan", "--no-probe")
        with lab.router.capture(keep=asking) as wire:
            checked = lab.host.macvnet("check").checked() if number in (0, 5) else None
        if checked and number == 0:
            assert wire.frames and notes(checked) == []
        elif checked:
            assert not wire.frames
            [note] = notes(checked)
            assert (
                note
                == "6 addresses on eth0 were not asked for, which takes 6 s: macvnet check --probe"
            )


def test_where_nobody_can_be_asked(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    create(lab.host, "empty", "--subnet=10.9.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1")
    join(lab.host, lab.named(), "lan")
    lab.host.macvnet("check", "--probe", "empty").checked()
    lab.switch.cable(lab.host, False)
    [note] = notes(lab.host.macvnet("check", "--probe").checked())
    assert note == "nobody was asked whether an address is taken: eth0 has no carrier"


@pytest.mark.needs("ipvlan")
def test_ipvlan_is_asked_about_from_the_parent(lab: Lab) -> None:
    create(lab.host, "lan", *LAN, "-d", "ipvlan")
    join(lab.host, lab.named(), "lan")
    with Stranger(lab.external().fd, FIRST, mac=TV), lab.router.capture(keep=asking) as wire:
        probed = lab.host.macvnet("check", "--probe")
        assert probed.status == FOUND and FIRST in probed.stdout and TV in probed.stdout
        assert {frame.src for frame in wire} == {lab.host.mac("eth0")}
    lab.host.macvnet("disconnect", "lan", "netns:ns1").checked()
    lab.host.macvnet("rm", "lan").checked()
    create(lab.host, "routed", *LAN, "-d", "ipvlan", "-o", "ipvlan_mode=l3")
    join(lab.host, lab.named(), "routed")
    [note] = notes(lab.host.macvnet("check", "--probe").checked())
    assert "network routed" in note and "ipvlan in mode l3 has no ARP" in note
