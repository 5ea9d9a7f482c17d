"""Nobody else's address is used: who was asked what, when, and what follows from the answer."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.steps import CONFLICT, LAN, create, join, notes, refused
from tests.lab import Frame, Lab
from tests.lab.command import executable
from tests.lab.stranger import ANSWER, PROBE, Stranger
from tests.lab.watching import NOWHERE, Watch

DUAL = (*LAN, "--subnet=fd00:9::/64", "--gateway=fd00:9::1", "-o", "probe=on")
FIRST, SECOND, THIRD = "172.16.86.2", "172.16.86.3", "172.16.86.4"
FIRST6, SECOND6 = "fd00:9::2", "fd00:9::3"
DIFFERENCES, PARTLY = 11, 13
TV = "02:00:5e:00:53:77"


def probe_of(address: str) -> Any:
    """Whether a frame asks for an address without saying who asks."""
    return lambda frame: (
        (frame.arp_op == 1 and frame.arp_spa == "0.0.0.0" and frame.arp_tpa == address)
        or (frame.icmp_type == 135 and frame.ip_src == "::" and frame.nd_target == address)
    )


def said(frame: Frame) -> bool:
    """Whether a frame announces an address."""
    return frame.gratuitous_arp or frame.unsolicited_na


def taken(lab: Lab) -> list[str]:
    connection = sqlite3.connect(f"file:{lab.state_dir}/state.db?mode=ro", uri=True)
    try:
        return [key for (key,) in connection.execute("SELECT key FROM kv WHERE key GLOB 'taken/*'")]
    finally:
        connection.close()


def keys(lab: Lab) -> set[str]:
    connection = sqlite3.connect(f"file:{lab.state_dir}/state.db?mode=ro", uri=True)
    try:
        return {key for (key,) in connection.execute("SELECT key FROM kv WHERE key <> ''")}
    finally:
        connection.close()


def test_three_probes_of_each_family_from_the_endpoint_then_the_announcement(lab: Lab) -> None:
    create(lab.host, "lan", *DUAL)
    target = lab.named()
    with lab.router.capture() as wire:
        began = time.monotonic()
        joined = join(lab.host, target, "lan")
        took = time.monotonic() - began
        wire.wait_for(said, count=2)
    assert took > 0.35
    assert joined.addresses == [f"{FIRST}/24", f"{FIRST6}/64"]
    for address in (FIRST, FIRST6):
        sent = wire.matching(probe_of(address))
        assert [frame.src for frame in sent] == [joined.mac] * 3
        assert sent[1].time - sent[0].time > 0.09 and sent[2].time - sent[1].time > 0.09
        # The three are over before the address is used; both families share the time.
        first = next(f.time for f in wire if said(f) and address in (f.arp_spa, f.nd_target))
        assert first - sent[2].time > 0.14
    [solicited, *_] = wire.matching(probe_of(FIRST6))
    assert (solicited.ip_dst, solicited.dst) == ("ff02::1:ff00:2", "33:33:ff:00:00:02")
    assert solicited.ttl == 255
    everything = [frame for frame in wire if frame.src == joined.mac]
    assert all(probe_of(address)(everything[n]) for n, address in enumerate((FIRST, FIRST6)))
    assert target.sysctl("net/ipv6/conf/eth0/disable_ipv6") == "0"
    assert not any(info.get("tentative") for info in target.address_info() if "fd00" in str(info))


@pytest.mark.parametrize(
    ("address", "how", "mac", "delay"),
    [
        (FIRST, ANSWER, TV, 0.0),
        (FIRST, ANSWER, TV, 0.25),
        (FIRST, ANSWER, "", 0.0),
        (FIRST, PROBE, TV, 0.0),
        (FIRST6, ANSWER, "", 0.0),
        (FIRST6, PROBE, TV, 0.25),
    ],
)
def test_an_address_that_another_has(
    lab: Lab, address: str, how: str, mac: str, delay: float
) -> None:
    create(lab.host, "lan", *DUAL)
    target = lab.named()
    before, host = keys(lab), lab.host.snapshot()
    flag = "--ip6" if ":" in address else "--ip"
    stranger = lab.external()
    with (
        Stranger(stranger.fd, address, how=how, mac=mac, delay=delay),
        stranger.capture() as wire,
    ):
        asked = lab.host.macvnet("connect", flag, address, "lan", target.target)
        hint = refused(asked, CONFLICT, address, f"with the MAC {mac}")
        assert flag in hint
        assert keys(lab) == before and target.links() == ["lo"]
        assert host.changes(lab.host.snapshot()) == []
        assert not wire.matching(lambda f: said(f) and not f.outgoing)
        done = lab.host.macvnet("connect", "lan", target.target).checked()
    [note] = [note for note in notes(done) if "lo is down" not in note]
    assert address in note and f"with the MAC {mac}" in note
    assert f"{address}/" not in " ".join(target.addresses())
    other = SECOND6 if ":" in address else SECOND
    assert any(one.startswith(f"{other}/") for one in target.addresses())
    assert len(taken(lab)) == 1


def test_whoever_asks_for_an_address_by_name_is_told_who_has_it(lab: Lab) -> None:
    """However the container is connected. To reserve it asks nobody, and is no way around that."""
    create(lab.host, "lan", *LAN, "-o", "probe=on")
    target, kept, pid = lab.named("web"), lab.named("kept"), lab.container()
    batch, hook = lab.folder / "batch", Path(executable()).parent / "macvnet-oci-hook"
    batch.write_text(f"--ip {FIRST} netns:web\n")
    asked = {"macvnet.network": f"lan ip={FIRST}"}
    state = {"ociVersion": "1.0.2", "id": "web", "status": "creating", "bundle": "/run/web"}
    told = json.dumps({**state, "annotations": asked, "pid": pid.pid})
    file = f'id="a"\n[[endpoints]]\nnetwork="lan"\ncontainer="netns:web"\nip="{FIRST}"\n'
    says = f"the address {FIRST} is used on the LAN by another machine, with the MAC {TV}"
    with Stranger(lab.external().fd, FIRST, mac=TV):
        for line, stdin in (
            (f"connect --ip {FIRST} lan netns:web", None),
            (f"attach --network lan,ip={FIRST} {pid.target}", None),
            (f"run --network lan,ip={FIRST} -- true", None),
            (f"connect --batch {batch} lan", None),
            (f"connect --atomic --batch {batch} lan", None),
            ("apply -", file),
        ):
            done = lab.host.macvnet(*line.split(), stdin=stdin)
            assert done.status == CONFLICT and says in done.stderr, done
            assert "hint: leave --ip out" in done.stderr
        done = lab.host.run(str(hook), stdin=told)
        assert done.status and says in done.stderr
        with lab.router.capture() as wire:
            lab.host.macvnet("reserve", "--ip", FIRST, "lan", "netns:kept").checked()
            assert lab.host.ping("172.16.86.1")
            wire.wait_for(lambda frame: frame.ping)
        assert not wire.matching(probe_of(FIRST))
        refusal = lab.host.macvnet("connect", "lan", "netns:kept")
        hint = refused(refusal, CONFLICT, FIRST, "reserved for netns:kept", f"with the MAC {TV}")
        assert hint == "macvnet unreserve lan netns:kept"
    assert [one.links() for one in (target, kept, pid)] == [["lo"]] * 3
    assert not any(key.startswith("endpoint/") for key in keys(lab)) and taken(lab) == []


def test_nobody_is_asked_where_that_is_off_or_the_parent_leads_nowhere(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    create(lab.host, "asks", "--subnet=10.9.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1",
           "-o", "probe=on")  # fmt: skip
    with lab.router.capture() as wire:
        first = join(lab.host, lab.named(), "lan")
        second = join(lab.host, lab.named(), "asks", "--no-probe")
        wire.wait_for(said, count=2)
        assert not wire.matching(probe_of(first.ip)) and not wire.matching(probe_of(second.ip))
        lab.switch.cable(lab.host, False)
        done = lab.host.macvnet("connect", "asks", lab.named().target).checked()
    assert any("nobody was asked" in note and "no carrier" in note for note in notes(done))


def test_a_batch_asks_for_all_at_once_and_others_do_not_wait(lab: Lab) -> None:
    """At its rate, each address once where there are more than that."""
    lab.config.write_text("arp_rate = 20\n")
    create(lab.host, "lan", *LAN, "-o", "probe=on")
    create(lab.host, "free", "--subnet=10.9.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1")
    targets = [lab.named() for _ in range(30)]
    other = lab.named()
    file = lab.folder / "batch"
    file.write_text("".join(f"{target.target}\n" for target in targets))
    with lab.router.capture() as wire, Stranger(lab.external().fd, SECOND, THIRD, mac=TV):
        batch = lab.host.start(executable(), "connect", "--batch", str(file), "lan")
        wire.wait_for(probe_of(FIRST))
        lab.host.macvnet("connect", "free", other.target).checked()
        # Whoever wants one of the same containers waits, and finds it connected.
        again = lab.host.macvnet("connect", "lan", targets[0].target)
        assert batch.wait(60) == 0
        refused(again, CONFLICT, "connected")
        sent = [f.time for f in wire if f.arp_op == 1 and f.arp_spa == "0.0.0.0" and f.src != TV]
    # Thirty once, and the two that went on three times each.
    assert len(sent) == 36
    assert all(later - sooner > 0.95 for sooner, later in zip(sent, sent[20:], strict=False))
    held = [target.addresses()[0] for target in targets]
    assert len(set(held)) == 30 and not {f"{SECOND}/24", f"{THIRD}/24"} & set(held)
    assert len(taken(lab)) == 2
    assert not list((lab.state_dir / "locks").glob("lent-*"))
    # What is asked for by name is asked for again; what nobody else has any more can be had.
    lab.host.macvnet("connect", "--ip", SECOND, "lan", lab.named().target).checked()
    assert len(taken(lab)) == 1
    lab.host.macvnet("disconnect", "--all", "lan").checked()
    lab.host.macvnet("rm", "lan").checked()
    assert taken(lab) == []


def test_restore_and_watch_leave_a_taken_address_to_who_has_it(lab: Lab, tmp_path: Path) -> None:
    create(lab.host, "lan", *LAN, "-o", "probe=on")
    target = lab.named()
    join(lab.host, target, "lan")
    target.ip("link", "del", "eth0")
    with Stranger(lab.external().fd, FIRST, mac=TV):
        done = lab.host.macvnet("restore")
        with Watch(lab.host, tmp_path, env=NOWHERE, ready=False) as watch:
            told = watch.wait_for("fail", reason=f"{target.target} in network lan")
            watch.wait_for("ready")
    assert done.status == PARTLY and FIRST in done.stderr and TV in done.stderr
    assert FIRST in told["reason"] and f"with the MAC {TV}" in told["reason"]
    assert target.links() == ["lo"]
    lab.host.macvnet("restore").checked()
    assert target.addresses() == [f"{FIRST}/24"]


@pytest.mark.needs("ipvlan")
def test_ipvlan_asks_from_the_parent(lab: Lab) -> None:
    create(lab.host, "lan", *LAN, "-d", "ipvlan", "-o", "probe=on")
    with lab.router.capture() as wire, Stranger(lab.external().fd, FIRST, mac=TV):
        joined = join(lab.host, lab.named(), "lan")
        assert {f.src for f in wire.matching(probe_of(SECOND))} == {lab.host.mac("eth0")}
    assert joined.addresses == [f"{SECOND}/24"]


def test_restore_asks_for_all_addresses_at_once(lab: Lab) -> None:
    """Those of a second network of the same container too; what is taken is left out."""
    lab.config.write_text("arp_rate = 1000\n")
    create(lab.host, "lan", *LAN, "-o", "probe=on", "-o", "probe_ms=500")
    create(lab.host, "quiet", "--subnet=10.9.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1",
           "-o", "probe=off")  # fmt: skip
    targets = [lab.named() for _ in range(6)]
    batch = lab.folder / "batch"
    batch.write_text("".join(f"{one.target} --no-probe\n" for one in targets))
    lab.host.macvnet("connect", "--batch", str(batch), "lan").checked()
    lab.host.macvnet("connect", "quiet", targets[0].target).checked()
    held = [one.addresses() for one in targets]
    routes = targets[0].ip("route", "show", "default")
    for one in targets:
        one.batch(*(f"link del {name}" for name in one.links() if name != "lo"))
    with lab.router.capture() as wire, Stranger(lab.external().fd, THIRD, mac=TV):
        began = time.monotonic()
        done = lab.host.macvnet("restore")
        took = time.monotonic() - began
    # One after the other would take 1.75 seconds for each of five.
    assert 1.7 < took < 7
    assert done.status == PARTLY and THIRD in done.stderr and TV in done.stderr
    assert len(done.lines) == 6
    assert targets[2].links() == ["lo"]
    del targets[2:3]
    assert [one.addresses() for one in targets] == [*held[:2], *held[3:]]
    assert targets[0].ip("route", "show", "default") == routes
    addresses = [one[0].partition("/")[0] for one in held]
    silent = [address for address in addresses if address != THIRD]
    asked = [f.arp_tpa for f in wire if f.arp_op == 1 and f.arp_spa == "0.0.0.0" and f.src != TV]
    assert asked == [*addresses, *silent, *silent]
    assert lab.host.macvnet("restore").checked().lines == [f"netns:ns3 in network lan {THIRD}/24"]
    assert not list((lab.state_dir / "locks").glob("lent-*"))


def test_repair_asks_for_all_addresses_at_once_also_after_a_killed_restore(lab: Lab) -> None:
    """What a dead command had begun is ended, and brought back in the same run."""
    create(lab.host, "lan", *LAN, "-o", "probe=on", "-o", "probe_ms=500")
    lab.config.write_text("arp_rate = 1000\n")
    targets = [lab.named() for _ in range(4)]
    batch = lab.folder / "batch"
    batch.write_text("".join(f"{one.target} --no-probe\n" for one in targets))
    lab.host.macvnet("connect", "--batch", str(batch), "lan").checked()
    held = [one.addresses() for one in targets]
    for one in targets:
        one.ip("link", "del", "eth0")
    with lab.router.capture() as wire:
        killed = lab.host.start(executable(), "restore")
        wire.wait_for(probe_of(SECOND))
        killed.kill()
        killed.wait(30)
    with lab.router.capture() as wire, Stranger(lab.external().fd, THIRD, mac=TV):
        done = lab.host.macvnet("repair")
    addresses = [one[0].partition("/")[0] for one in held]
    silent = [address for address in addresses if address != THIRD]
    asked = [f.arp_tpa for f in wire if f.arp_op == 1 and f.arp_spa == "0.0.0.0" and f.src != TV]
    assert asked == [*addresses, *silent, *silent]
    assert done.status == DIFFERENCES
    unfinished = [line for line in done.lines if "its endpoint is returning" in line]
    mended = [line for line in done.lines if "its link eth0 is missing" in line]
    assert len(unfinished) == len(mended) == 4 and len(done.lines) == 8
    [left] = [line for line in mended if line.startswith("left")]
    assert THIRD in left and TV in left and "netns:ns3" in left
    assert targets[2].links() == ["lo"]
    lab.host.macvnet("repair").checked()
    assert [one.addresses() for one in targets] == held
    assert lab.host.macvnet("check").checked().lines == []
