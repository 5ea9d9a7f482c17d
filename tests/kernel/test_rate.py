"""--rate: what a container may send in a second, by what arrives; lost, found, mended."""

from __future__ import annotations

import json
import re
import socket
import subprocess

import pytest

from macvnet import rates
from tests.kernel.steps import LAN, REQUEST, attach, create, join, refused
from tests.lab import Container, Frame, Lab, Machine, Named
from tests.lab.capture import Capture
from tests.lab.processes import inside

KERNEL, DIFFERENCES = 8, 11
PORT, DATAGRAM, SENT = 9321, 1400, 100
"""So few that a socket that sniffs can hold them all."""


def qdisc(target: Container | Named, ifname: str = "eth0") -> str:
    """Kind and rate of the link's root qdisc, as tc prints them."""
    shown = target.run("tc", "qdisc", "show", "dev", ifname, "root").checked().stdout
    found = re.match(r"qdisc (\S+) \S+ .*?(?:rate (\S+) |$)", shown)
    assert found, shown
    return f"{found[1]} {found[2] or ''}".strip()


def dropped(target: Container | Named) -> int:
    shown = target.run("tc", "-s", "qdisc", "show", "dev", "eth0", "root").checked().stdout
    found = re.search(r"dropped (\d+)", shown)
    assert found, shown
    return int(found[1])


def kinds(host: Machine) -> list[str]:
    done = host.macvnet("check", "--format=json", fork=True)
    return [one["kind"] for one in done.json()]


def datagram(frame: Frame) -> bool:
    return len(frame.payload) > DATAGRAM


def send(sender: Machine | Named, address: str) -> None:
    """SENT datagrams, as fast as they can be."""
    assert sender.ping(address)
    with inside(sender.fd):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        for _ in range(SENT):
            sock.sendto(bytes(DATAGRAM), (address, PORT))


def all_there(wire: Capture) -> bool:
    return len(wire.wait_for(datagram, count=SENT)) >= SENT


def test_what_one_container_sends_is_limited_and_nothing_else(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    slow, free = lab.named("slow"), lab.named("free")
    joined = join(lab.host, slow, "net", "--rate=8kbit")
    join(lab.host, free, "net")
    with lab.router.capture(keep=datagram) as wire:
        send(free, "172.16.86.1")
        assert all_there(wire)
    with slow.capture(keep=datagram) as wire:
        send(lab.router, joined.ip)
        assert all_there(wire)
    # 16 KiB go at once, a few frames wait, and a thousand bytes a second follow.
    with lab.router.capture(keep=datagram) as wire:
        send(slow, "172.16.86.1")
        lost = dropped(slow)
        wire.wait_for(datagram, count=10)
        assert lost > 30 and 10 <= len(wire.frames) < 60


def test_rate_is_said_in_every_way_and_shown(lab: Lab) -> None:
    host = lab.host
    create(host, "net", *LAN)
    web, other, third = lab.named("web"), lab.named("other"), lab.named("third")
    dry = host.macvnet("connect", "--dry-run", "--rate=1.5Mbit", "net", web.target).checked()
    assert "create rate 1500kbit dev eth0 in netns:web" in dry.lines
    told = host.macvnet("--verbose", "connect", "--rate=1.5Mbit", "net", web.target).checked()
    assert "tc qdisc replace dev eth0 root handle 6d76: tbf rate 187500bps" in told.stderr
    assert qdisc(web) == "tbf 1500Kbit"
    host.macvnet("connect", "--batch=-", "net", stdin=f"{other.target} --rate 40gbit\n").checked()
    attach(host, third, "--network=net,rate=10kbps")
    assert (qdisc(other), qdisc(third)) == ("tbf 40Gbit", "tbf 80Kbit")
    shown = host.macvnet("run", "--net=net", "--rate=2mbit", "--", "tc", "qdisc", "show")
    assert " rate 2Mbit " in shown.checked().stdout
    [network] = host.macvnet("inspect", "net").json()
    rates = {one["Target"]: one["Rate"] for one in network["Macvnet"]["Endpoints"]}
    assert rates == {"netns:web": "1500kbit", "netns:other": "40gbit", "netns:third": "80kbit"}
    assert kinds(host) == []

    last = lab.container()
    for word, said, hint in (
        ("10", "has no unit", "--rate 10mbit"),
        ("10M", "has an unknown unit", "--rate 10mbit"),
        ("mbit", "is not a number with a unit", "--rate 10mbit"),
        ("1bit", "is not from 8kbit to 1tbit", "--rate 10mbit"),
    ):
        done = host.macvnet("connect", f"--rate={word}", "net", last.target, fork=True)
        assert refused(done, REQUEST, f"--rate '{word}' {said}") == hint
    assert last.links() == ["lo"]


def test_the_units_are_those_of_tc(lab: Lab) -> None:
    """Bytes a second of each, by tc."""
    asked = [f"17{unit}" for unit in rates.UNITS if rates.UNITS[unit] < 1 << 36]
    script = "".join(
        f"qdisc replace dev lo root tbf rate {text} burst 16k limit 32k\nqdisc show dev lo\n"
        for text in asked
    )
    with lab.container() as container:
        shown = container.run("tc", "-j", "-batch", "-", stdin=script).checked().stdout
    bytes_per_second = [int(text) for text in re.findall(r'"rate":(\d+)', shown)]
    own = [17 * rates.UNITS[text.removeprefix("17")] // 8 for text in asked]
    assert bytes_per_second == own and len(own) > 10


def test_what_is_lost_or_changed_is_found_and_mended(lab: Lab) -> None:
    """By hand, with the link, with the namespace; and what somebody else made is left."""
    host = lab.host
    create(host, "net", *LAN)
    web, free = lab.named("web"), lab.named("free")
    join(host, web, "net", "--rate=10mbit")
    join(host, free, "net")
    free.run("tc", "qdisc", "add", "dev", "eth0", "root", "pfifo").checked()
    for change, said in (
        (("del", "dev", "eth0", "root"), "has lost its limit of 10mbit"),
        (
            ("change", "dev", "eth0", "root", "handle", "6d76:", "tbf", "rate", "5mbit",
             "burst", "16k", "limit", "32k"),
            "is limited to 5mbit, not 10mbit",
        ),
    ):  # fmt: skip
        web.run("tc", "qdisc", *change).checked()
        done = host.macvnet("check", fork=True)
        assert (done.status, done.lines) == (
            DIFFERENCES, [f"netns:web in network net: eth0 {said}"],
        )  # fmt: skip
        host.macvnet("repair", fork=True).checked()
        assert qdisc(web) == "tbf 10Mbit" and kinds(host) == []
    web.run("tc", "qdisc", "replace", "dev", "eth0", "root", "handle", "1:", "pfifo").checked()
    assert kinds(host) == ["wrong-rate"]
    [one] = host.macvnet("repair", "--format=json", fork=True).json()
    assert not one["mended"] and "macvnet did not make the qdisc pfifo" in one["reason"]
    assert qdisc(web) == "pfifo"

    web.ip("link", "del", "eth0")
    dry = host.macvnet("restore", "--dry-run", fork=True).checked().lines
    assert "create rate 10mbit dev eth0 in netns:web" in dry
    host.macvnet("restore", fork=True).checked()
    assert qdisc(web) == "tbf 10Mbit"
    web.close()
    web = lab.named("web")
    host.macvnet("restore", fork=True).checked()
    assert qdisc(web) == "tbf 10Mbit" and kinds(host) == []


def test_rate_is_declared_exported_and_imported(lab: Lab) -> None:
    host = lab.host
    create(host, "net", *LAN)
    web = lab.named("web")
    join(host, web, "net", "--rate=10mbit")
    declared = host.macvnet("export", fork=True).checked().stdout
    assert 'rate = "10mbit"' in declared
    assert host.macvnet("diff", "-", stdin=declared.replace("10mbit", "10000kbit")).status == 0
    changed = declared.replace("10mbit", "20mbit")
    planned = host.macvnet("diff", "-", stdin=changed, fork=True)
    assert "rate is 10mbit, not 20mbit" in planned.stdout
    host.macvnet("apply", "-", stdin=changed, fork=True).checked()
    assert qdisc(web) == "tbf 20Mbit"

    document = host.macvnet("state", "export", fork=True).checked().json()
    elsewhere = {"MACVNET_STATE_DIR": str(lab.folder / "elsewhere")}
    [endpoint] = document["endpoints"]
    for rate in (7, -8, 1 << 70):
        damaged = json.dumps({**document, "endpoints": [{**endpoint, "rate": rate}]})
        done = host.macvnet("state", "import", "-", stdin=damaged, env=elsewhere, fork=True)
        refused(done, REQUEST, "its rate is none that connect gives")
    text = json.dumps(document)
    host.macvnet("state", "import", "-", stdin=text, env=elsewhere, fork=True).checked()
    again = host.macvnet("state", "export", env=elsewhere, fork=True).checked().json()
    assert again["endpoints"][0]["rate"] == 20_000_000


@pytest.mark.lacks("tbf")
def test_kernel_without_tbf_is_told_by_its_module(lab: Lab) -> None:
    """Nothing is left of the attempt; without --rate nobody needs it."""
    host, lacking = lab.host, "this kernel lacks the module 'sch_tbf'"
    create(host, "net", *LAN)
    container = lab.container()
    done = host.macvnet("connect", "--rate=10mbit", "net", container.target, fork=True)
    hint = refused(done, KERNEL, "cannot limit eth0", lacking)
    assert hint == "modprobe sch_tbf"
    assert container.links() == ["lo"] and kinds(host) == []
    join(host, container, "net")

    # As after a reboot into a smaller kernel: it was there when the container was connected.
    subprocess.run(["modprobe", "sch_tbf"], check=True)
    web = lab.named("web")
    join(host, web, "net", "--rate=10mbit")
    web.ip("link", "del", "eth0")
    subprocess.run(["modprobe", "-r", "sch_tbf"], check=True)
    assert lacking in host.macvnet("restore", fork=True).stderr
    assert web.links() == ["lo"] and kinds(host) == ["endpoint-link-missing"]
    web.ip("link", "set", "lo", "up")
    subprocess.run(["mount", "-t", "tmpfs", "none", "/lib/modules"], check=True)
    try:
        found = host.macvnet("doctor", "--format=json", fork=True).json()
    finally:
        subprocess.run(["umount", "/lib/modules"], check=True)
    assert [(one["id"], one["fix"]) for one in found] == [("module-missing", "modprobe sch_tbf")]


@pytest.mark.needs("tbf", "ipvlan")
def test_ipvlan_has_it_too(lab: Lab) -> None:
    create(lab.host, "net", "-d", "ipvlan", *LAN)
    web = lab.named("web")
    join(lab.host, web, "net", "--rate=1mbit")
    assert qdisc(web) == "tbf 1Mbit" and kinds(lab.host) == []
