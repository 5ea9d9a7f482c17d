"""Who on the LAN has addresses of a network: who is asked what, when, and what is made of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.kernel.steps import (
    CONFLICT,
    LAN,
    NOT_FOUND,
    REQUEST,
    create,
    join,
    notes,
    refused,
)
from tests.kernel.test_probe import TV, probe_of, taken
from tests.lab import Frame, Lab
from tests.lab.command import executable
from tests.lab.stranger import Stranger

FOUND, INTERRUPTED = 11, 130
PRINTER = "02:00:5e:00:53:78"


def asking(frame: Frame) -> bool:
    """Whether a frame asks for any address without saying who asks."""
    return (frame.arp_op == 1 and frame.arp_spa == "0.0.0.0") or (
        frame.icmp_type == 135 and frame.ip_src == "::"
    )


def address(last: int) -> str:
    return f"172.16.86.{last}"


def scanned(lab: Lab, *words: str) -> list[tuple[Any, ...]]:
    """What a scan finds, and whether its exit status says so."""
    done = lab.host.macvnet("ipam", "scan", "--format=json", *words)
    rows = done.json()
    assert done.status == (FOUND if any(row["conflict"] for row in rows) else 0), done
    keys = ("address", "mac", "kind", "conflict", "container", "label")
    return [tuple(row[key] for key in keys) for row in rows]


def test_who_answers_is_told_apart_and_a_free_address_is_not_given_out(lab: Lab) -> None:
    create(lab.host, "lan", *LAN, "--ip-range=172.16.86.0/28", "--aux-address=nas=172.16.86.5",
           "--exclude=172.16.86.6", "-o", "com.docker.network.advertise_addr_nmsgs=0")  # fmt: skip
    join(lab.host, lab.named(), "lan")
    join(lab.host, lab.named(), "lan", "--ip", address(4))
    join(lab.host, lab.named(), "lan", "--ip", address(100))
    lab.host.macvnet("reserve", "--ip", address(7), "lan", "netns:later").checked()
    other = lab.external().fd
    with (
        lab.router.capture(keep=asking) as wire,
        Stranger(other, address(3), address(4), mac=TV),
        Stranger(other, *map(address, (5, 6, 7, 100)), mac=PRINTER),
    ):
        found = scanned(lab, "lan")
        sent = wire.frames
        # The next one is remembered anew, and nothing besides.
        table = lab.host.macvnet("ipam", "scan", "--range", f"{address(3)}-{address(5)}", "lan")
        again = [frame.arp_tpa for frame in wire.frames[len(sent) :]]
    assert found == [
        (address(1), lab.router.mac("eth0"), "gateway", False, None, None),
        (address(3), TV, "free", True, None, None),
        (address(4), TV, "used", True, "netns:ns2", None),
        (address(5), PRINTER, "auxiliary", False, None, "nas"),
        (address(6), PRINTER, "excluded", False, None, None),
        (address(7), PRINTER, "reserved", True, "netns:later", None),
        (address(100), PRINTER, "used", True, "netns:ns3", None),
    ]
    # Once each, as there are more than go out in a second; evenly, from the parent.
    assert [f.arp_tpa for f in sent] == [address(last) for last in (*range(1, 16), 100)]
    assert {f.src for f in sent} == {lab.host.mac("eth0")}
    gaps = [later.time - sooner.time for sooner, later in pairwise(sent)]
    assert min(gaps) > 0.09 and sent[10].time - sent[0].time > 0.95
    # Three rounds of a few; who has answered is not asked again.
    assert again == [address(last) for last in (3, 4, 5)]
    assert table.status == FOUND and table.stderr == ""
    assert [line.split() for line in table.lines] == [
        ["ADDRESS", "MAC", "KIND", "CONTAINER", "CONFLICT"],
        [address(3), TV, "free", "-", "yes"],
        [address(4), TV, "used", "netns:ns2", "yes"],
        [address(5), PRINTER, "auxiliary", "nas", "-", "no"],
    ]
    assert len(taken(lab)) == 1
    assert TV in lab.host.macvnet("ipam", "who", address(3)).checked().stdout
    assert lab.host.macvnet("ipam", "next", "lan").checked().lines == [f"{address(8)}/24"]
    silent = lab.host.macvnet("ipam", "scan", "--range", address(9), "lan").checked()
    assert silent.stdout == "" and "no other machine" in silent.stderr


def test_what_is_ours_is_left_out(make_lab: Callable[..., Lab]) -> None:
    """A container on another parent in the same LAN; what answers by its other interface: a

    container, and this host itself.
    """
    lab = make_lab(nics=2)
    lab.config.write_text("arp_rate = 100\n")
    create(lab.host, "lan", *LAN, "--ip-range=172.16.86.64/28")
    create(lab.host, "second", "--subnet=172.16.86.0/24", "--gateway=172.16.86.1",
           "--ip-range=172.16.86.64/28", "-o", "parent=eth1")  # fmt: skip
    create(lab.host, "quiet", "--subnet=10.9.0.0/24", "-o", "parent=eth1", "-o", "share_parent=1")
    both = lab.named()
    on_lan = join(lab.host, both, "lan")
    flux = join(lab.host, both, "quiet")
    joined = join(lab.host, lab.named(), "second")
    with lab.host.capture() as wire:
        ranges = f"--range={joined.ip},{on_lan.ip},{address(250)}"
        assert scanned(lab, ranges, "lan") == []
        # Not for want of an answer.
        macs = {f.arp_sha for f in wire if f.arp_op == 2}
    assert macs == {joined.mac, flux.mac, lab.host.mac("eth1")}
    assert taken(lab) == []


def test_an_interrupted_scan_gives_what_it_has_and_holds_nobody_up(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    target = lab.named()
    with lab.router.capture(keep=asking) as wire, Stranger(lab.external().fd, address(2), mac=TV):
        scan = lab.host.start(
            executable(), "ipam", "scan", "lan", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wire.wait_for(probe_of(address(4)), timeout=20)
        lab.host.macvnet("connect", "lan", target.target).checked()
        lab.host.macvnet("disconnect", "lan", target.target).checked()
        assert scan.poll() is None
        scan.send_signal(signal.SIGINT)
        out, err = scan.communicate(timeout=20)
        asked = len(wire.frames)
        assert asked < 100
    assert scan.returncode == INTERRUPTED
    assert [line.split() for line in out.splitlines()[1:]] == [
        [address(1), lab.router.mac("eth0"), "gateway", "-", "no"],
        [address(2), TV, "free", "-", "yes"],
    ]
    assert "of 254 frames" in err and "macvnet: interrupted" in err
    assert len(taken(lab)) == 1


def test_of_ipv6_what_matters_is_asked_for(lab: Lab) -> None:
    lab.config.write_text("arp_rate = 500\n")
    create(lab.host, "lan", "-o", "parent=eth0", "--ipv6", "--ipv4=false", "--subnet=fd00:9::/64",
           "--gateway=fd00:9::1", "--aux-address=nas=fd00:9::5:5")  # fmt: skip
    join(lab.host, lab.named(), "lan", "--ip6", "fd00:9::77")
    with (
        lab.router.capture(keep=asking) as wire,
        Stranger(lab.external().fd, "fd00:9::3", "fd00:9::77", "fd00:9::5:5", mac=TV),
    ):
        done = lab.host.macvnet("ipam", "scan", "--format=json", "lan")
        first = {f.nd_target for f in wire if f.src == lab.host.mac("eth0")}
        found = scanned(lab, "--range", "fd00:9::/123", "lan")
    [note] = notes(done)
    assert "fd00:9::/64" in note and "millions of years" in note and "--range" in note
    assert [(row["address"], row["kind"], row["conflict"]) for row in done.json()] == [
        ("fd00:9::3", "free", True),
        ("fd00:9::77", "used", True),
        ("fd00:9::5:5", "auxiliary", False),
    ]
    assert first == {
        "fd00:9::1", "fd00:9::77", "fd00:9::5:5", *(f"fd00:9::{last:x}" for last in range(2, 34)),
    }  # fmt: skip
    assert found == [("fd00:9::3", TV, "free", True, None, None)]


def test_one_that_answers_for_everything_takes_nothing_away(lab: Lab) -> None:
    """A router with proxy ARP: what is remembered would be all that there is."""
    lab.config.write_text("arp_rate = 500\n")
    create(lab.host, "lan", *LAN, "--ip-range=172.16.86.64/27")
    everything = [address(last) for last in range(64, 96)]
    with Stranger(lab.external().fd, *everything, mac=TV):
        done = lab.host.macvnet("ipam", "scan", "--format=json", "lan")
        assert done.status == FOUND and [row["address"] for row in done.json()] == everything
        [note] = notes(done)
        assert f"the MAC {TV} answers for 32 free addresses" in note and "proxy ARP" in note
        assert taken(lab) == []
        # As many as one machine may well have.
        assert len(scanned(lab, "--range", f"{address(70)}-{address(85)}", "lan")) == 16
    assert len(taken(lab)) == 16
    assert lab.host.macvnet("ipam", "next", "lan").checked().lines == [f"{address(64)}/24"]


def test_a_dry_run_says_how_long_and_asks_nobody(lab: Lab) -> None:
    create(lab.host, "lan", *LAN, "--ip-range=172.16.86.64/26")
    with lab.router.capture(keep=asking) as wire:
        foreseen = lab.host.macvnet("ipam", "scan", "--dry-run", "lan").checked()
        assert foreseen.lines == [
            f"ask address {address(64)}-{address(127)} on eth0 (64 frames in 7 s in all)"
        ]
        join(lab.host, lab.named(), "lan")
        assert wire.frames == []


def test_what_cannot_be_scanned_is_refused_with_the_reason(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    create(lab.host, "large", "--subnet=10.0.0.0/8", "-o", "parent=eth0", "-o", "share_parent=1")
    create(lab.host, "base", "--config-only", "--subnet=10.9.0.0/24")
    create(lab.host, "bare", "--ipam-driver=null", "-o", "parent=eth0", "-o", "share_parent=1")

    def refusal(*words: str, status: int, says: tuple[str, ...]) -> str:
        return refused(lab.host.macvnet("ipam", "scan", *words), status, *says)

    hint = refusal("large", status=REQUEST, says=("16777214 addresses", "20 days", "10 frames"))
    assert hint.startswith("macvnet ipam scan --range 10.0.0.0/20 large")
    refusal("bare", status=REQUEST, says=("'bare'", "no addresses"))
    refusal("base", status=CONFLICT, says=("'base'", "--config-only"))
    refusal("nosuch", status=NOT_FOUND, says=("'nosuch'",))
    hint = refusal("--range=10.9.9.0/24", "lan", status=REQUEST, says=("10.9.9.0/24", "no subnet"))
    assert "172.16.86.0/24" in hint
    refusal("--range=seven", "lan", status=REQUEST, says=("'seven'",))
    lab.switch.cable(lab.host, False)
    refusal("lan", status=CONFLICT, says=("eth0", "no carrier"))
    lab.host.ip("link", "set", "eth0", "down")
    assert refusal("lan", status=CONFLICT, says=("eth0 is down",)) == "ip link set eth0 up"
    lab.host.ip("link", "del", "eth0")
    refusal("lan", status=NOT_FOUND, says=("the parent eth0 is missing",))


@pytest.mark.needs("ipvlan")
@pytest.mark.needs("dummy")
def test_ipvlan_without_arp_and_networks_without_a_parent(lab: Lab) -> None:
    create(lab.host, "routed", *LAN, "-d", "ipvlan", "-o", "ipvlan_mode=l3")
    create(lab.host, "inside", "--subnet=10.9.0.0/24", "--internal")
    hint = refused(lab.host.macvnet("ipam", "scan", "routed"), REQUEST, "ipvlan in mode l3", "ARP")
    assert hint == "macvnet ipam status routed"
    refused(lab.host.macvnet("ipam", "scan", "inside"), REQUEST, "no parent")
    lab.host.macvnet("rm", "routed").checked()
    create(lab.host, "lan", *LAN, "-d", "ipvlan")
    lab.host.macvnet("connect", "--ip", address(2), "lan", lab.named().target).checked()
    with Stranger(lab.external().fd, address(2), mac=TV):
        assert scanned(lab, "--range", address(2), "lan") == [
            (address(2), TV, "used", True, "netns:ns1", None)
        ]
