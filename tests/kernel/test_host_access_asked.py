"""The IPv6 address that host access reserves is asked for first: who asks, and what follows."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.kernel.steps import LAN, create, join, notes
from tests.kernel.test_host_access import SHIM, host_routes, kinds
from tests.kernel.test_probe import PARTLY, TV, keys, probe_of, said, taken
from tests.lab import Lab
from tests.lab.command import executable
from tests.lab.stranger import Stranger
from tests.lab.watching import NOWHERE, Watch

DUAL = (*LAN, "--subnet=fd00:9::/64", "--gateway=fd00:9::1", "-o", "probe=on")
OFF = (*DUAL[:-1], "probe=off")
SLOW = ("-o", "probe_ms=300")
FIRST, SECOND, THIRD = "fd00:9::2", "fd00:9::3", "fd00:9::4"
SHARED = ("-o", "parent=eth0", "-o", "share_parent=1")
OTHER = (*SHARED, "--subnet=fd00:8::/64", "-o", "probe=on", *SLOW)


def test_a_taken_address_is_not_the_host_s(lab: Lab) -> None:
    """Asked from the shim, three times; then the next one is, and the first one is remembered."""
    host = lab.host
    before = host.snapshot()
    with lab.router.capture() as wire:
        with Stranger(lab.external().fd, FIRST, mac=TV):
            made = create(host, "lan", *DUAL, "--host-access")
        shim_mac = host.mac(SHIM)
        asked = {each: wire.matching(probe_of(each)) for each in (FIRST, SECOND)}
        assert [frame.src for frame in asked[SECOND]] == [shim_mac] * 3
        # Who has an answer asks no more.
        assert {frame.src for frame in asked[FIRST]} == {shim_mac} and len(asked[FIRST]) <= 3
        times = [frame.time for frame in asked[SECOND]]
        assert times[1] - times[0] > 0.09 and times[2] - times[1] > 0.09
        # The host's own IPv4 address is asked for by nobody.
        assert not wire.matching(lambda frame: frame.arp_op == 1 and frame.src == shim_mac)
    [note] = [note for note in notes(made) if "used on the LAN" in note]
    assert FIRST in note and f"with the MAC {TV}" in note and "'lan'" in note
    assert host.addresses(SHIM) == [f"{SECOND}/128"] and len(taken(lab)) == 1
    assert host.macvnet("inspect", "lan", fork=True).json()[0]["Macvnet"]["HostAccess"][
        "IPv6Address"
    ] == (SECOND)
    # An endpoint gets neither of the two.
    web = lab.named("web")
    joined = join(host, web, "lan")
    assert joined.ip6 == THIRD and host.ping(THIRD) and web.ping(SECOND)

    # Who takes it later is found by who asks.
    check = ("check", "--probe", "--format=json")
    assert host.macvnet(*check, fork=True).checked().json() == []
    with Stranger(lab.external().fd, SECOND, mac=TV):
        [found] = host.macvnet(*check, fork=True).json()
    assert (found["kind"], found["subject"]) == ("address-taken", "network lan")
    assert f"the host's address {SECOND}" in found["text"] and TV in found["text"]

    # Where that is off nobody is asked.
    host.macvnet("detach", web.target, fork=True).checked()
    host.macvnet("rm", "lan", fork=True).checked()
    assert before.changes(host.snapshot()) == [] and taken(lab) == []
    with lab.router.capture() as wire, Stranger(lab.external().fd, FIRST, mac=TV):
        create(host, "lan", *OFF, "--host-access")
        assert host.ping("fd00:9::1") or host.ping("172.16.86.1")
        wire.wait_for(lambda frame: frame.ping)
        assert not wire.matching(probe_of(FIRST))
    assert host.addresses(SHIM) == [f"{FIRST}/128"]


def test_an_address_that_has_been_taken_meanwhile_is_left_out(lab: Lab, tmp_path: Path) -> None:
    """By restore, repair and watch; IPv4 works, and all else as soon as it is free again."""
    host, web = lab.host, lab.named("web")
    create(host, "lan", *DUAL, "--host-access")
    first = join(host, web, "lan", "--no-probe")
    says = (f"the host's address {FIRST}", "'lan'", f"with the MAC {TV}")
    stranger = lab.external()
    with Stranger(stranger.fd, FIRST, mac=TV):
        host.ip("link", "del", SHIM)
        done = host.macvnet("restore", fork=True)
        assert done.status == PARTLY and done.lines == [f"link {SHIM} for network lan"]
        assert all(word in done.stderr for word in says), done
        assert "hint: macvnet host-access enable lan\n" in done.stderr
        assert host.addresses(SHIM) == [] and host_routes(host) == [first.ip]
        assert kinds(host) == ["host-address-missing"]
        left = host.macvnet("repair", fork=True)
        assert left.status == 11 and all(word in left.stdout for word in says), left
        # Whoever comes meanwhile is reached by IPv4, and told about IPv6.
        other = lab.named("other")
        connected = host.macvnet("connect", "--no-probe", "lan", other.target, fork=True).checked()
        assert any(f"the link {SHIM} lacks the host's address" in each for each in notes(connected))
        assert host.ping(first.ip) and len(host_routes(host)) == 2
        # Nobody is told that it is the host's.
        with stranger.capture(keep=said) as wire:
            host.macvnet("announce", "lan", fork=True).checked()
            wire.wait_for(lambda frame: frame.nd_target == first.ip6)
            assert not wire.matching(lambda frame: frame.nd_target == FIRST)
        host.ip("link", "del", SHIM)
        with Watch(host, tmp_path, env=NOWHERE, ready=False) as watch:
            watch.wait_for("link", link=SHIM)
            watch.wait_for("fail", reason=says[0])
            watch.wait_for("ready")
        assert host.addresses(SHIM) == [] and len(host_routes(host)) == 2
    host.macvnet("repair", fork=True).checked()
    assert kinds(host) == [] and host.addresses(SHIM) == [f"{FIRST}/128"]
    assert len(host_routes(host)) == 4 and host.ping(first.ip6) and web.ping(FIRST)
    # Who asks for host access anew gets another address.
    host.ip("link", "del", SHIM)
    with Stranger(stranger.fd, FIRST, mac=TV):
        done = host.macvnet("host-access", "enable", "lan", fork=True).checked()
        assert "the host gets another one" in notes(done)[1]
        assert kinds(host) == [] and host.addresses(SHIM) == ["fd00:9::5/128"]
        assert host.ping(first.ip6) and web.ping("fd00:9::5")


def test_nobody_waits_for_who_asks_and_what_is_begun_is_undone_or_mended(lab: Lab) -> None:
    """Others make networks meanwhile and connect; a signal and a kill come in between."""
    host, web = lab.host, lab.named("web")
    create(host, "lan", *DUAL, *SLOW)
    before, recorded = host.snapshot(), keys(lab)

    def begun(address: str, *words: str) -> subprocess.Popen[str]:
        with lab.router.capture() as wire:
            process = host.start(executable(), *words)
            wire.wait_for(probe_of(address), timeout=30)
        return process

    enabling = begun(FIRST, "host-access", "enable", "lan")
    # It takes as long as the others need.
    enabling.send_signal(signal.SIGSTOP)
    host.macvnet("create", "--subnet=10.9.0.0/24", *SHARED, "other", fork=True).checked()
    joined = join(host, web, "lan", "--no-probe")
    # What is reserved for the host is nobody else's, though it is not in use yet.
    assert joined.ip6 == SECOND
    assert host.addresses(SHIM) == [] and host_routes(host) == [joined.ip]
    enabling.send_signal(signal.SIGCONT)
    assert enabling.wait(30) == 0
    assert host_routes(host) == [joined.ip, SECOND] and kinds(host) == []
    assert host.ping(SECOND) and web.ping(FIRST)
    host.macvnet("detach", web.target, fork=True).checked()
    host.macvnet("rm", "other", fork=True).checked()
    host.macvnet("host-access", "disable", "lan", fork=True).checked()
    assert before.changes(host.snapshot()) == [] and keys(lab) == recorded

    for address, *words in (
        (FIRST, "host-access", "enable", "lan"),
        ("fd00:8::2", "create", *OTHER, "--host-access", "other"),
    ):
        ended = begun(address, *words)
        ended.send_signal(signal.SIGTERM)
        assert ended.wait(30) == 128 + signal.SIGTERM
        assert before.changes(host.snapshot()) == [] and keys(lab) == recorded, words

    killed = begun(FIRST, "host-access", "enable", "lan")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(30)
    assert kinds(host) == ["host-address-missing"]
    host.macvnet("repair", fork=True).checked()
    assert kinds(host) == [] and host.addresses(SHIM) == [f"{FIRST}/128"]
    host.macvnet("rm", "lan", fork=True).checked()
    assert before.changes(host.snapshot()) == []


def test_one_note_for_a_subnet_that_the_host_has_no_address_in(lab: Lab) -> None:
    """However many containers are in it."""
    host = lab.host
    create(host, "lan", *LAN, "--host-access")
    many = [lab.container() for _ in range(3)]
    host.macvnet("attach", *(each.target for each in many)).checked()
    host.ip("addr", "del", "172.16.86.250/24", "dev", "eth0")
    text = (
        "the parent eth0 has no address in 172.16.86.0/24, so the host does not reach the "
        "containers in it"
    )
    assert notes(host.macvnet("restore", fork=True).checked()) == [text]
    assert host.macvnet("check", fork=True).lines == [f"network lan: {text}"]
    more = [lab.container() for _ in range(2)]
    done = host.macvnet("attach", *(each.target for each in more)).checked()
    assert [note for note in notes(done) if "does not reach" in note] == [text]
