"""The data path: what a frame costs on its way out of a container.

Three containers on three hosts of one LAN send to one other machine there: by a
macvlan that macvnet made, by veth and a bridge that holds the host's NIC, and
by veth, a bridge and NAT, as Docker's default network does. Cables are veth
links, so there is no NIC that could hide the difference.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.bench.figures import Spread
from tests.bench.measure import run
from tests.bench.site import Site
from tests.lab import Container, Host, Machine

PEER = "172.16.86.200"
PORT = 5999
ROUNDS, QUICK_ROUNDS = 5, 1
SECONDS, QUICK_SECONDS = 3, 1
TRIPS = 5000
MACVLAN, BRIDGE, NAT = "macvlan (macvnet)", "veth + bridge", "veth + bridge + NAT"
SMALL = 64
"""Bytes of payload where packets are counted."""


class Unanswered(RuntimeError):
    """No traffic came through, so there is nothing to measure."""


def part(site: Site, quick: bool) -> dict[str, Any]:
    echo = str(site.folder / "echo")
    here = Path(__file__).parent
    subprocess.run(["gcc", "-O2", "-o", echo, str(here / "echo.c")], check=True)
    peer = site.lab.external(f"{PEER}/24")
    senders = {MACVLAN: _macvlan(site), BRIDGE: _bridged(site), NAT: _translated(site)}
    for name, sender in senders.items():
        if not sender.ping(PEER):
            raise Unanswered(f"{name} does not reach {PEER}")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    peer.start("iperf3", "--server", **quiet)
    peer.start(echo, "serve", str(PORT), **quiet)
    seconds = QUICK_SECONDS if quick else SECONDS
    taken: dict[str, dict[str, list[float]]] = {
        name: {"tcp_gbit": [], "packets": [], "trip_us": []} for name in senders
    }
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        for name, sender in senders.items():
            tcp = _iperf(sender, seconds, "sum_received")
            taken[name]["tcp_gbit"].append(tcp["bits_per_second"] / 1e9)
            small = ("--udp", "--bitrate", "0", "--length", str(SMALL))
            udp = _iperf(sender, seconds, "sum", *small)
            arrived = udp["packets"] - udp["lost_packets"]
            taken[name]["packets"].append(arrived / udp["seconds"])
            trips = sender.run(echo, "ask", PEER, str(PORT), str(TRIPS)).checked().lines
            taken[name]["trip_us"].append(Spread.of([float(line) for line in trips]).median)
    return {
        "seconds": seconds,
        "trips": TRIPS,
        "ways": {
            name: {what: Spread.of(values).to_json() for what, values in each.items()}
            for name, each in taken.items()
        },
    }


def _iperf(sender: Machine, seconds: int, wanted: str, *words: str) -> Any:
    argv = ("iperf3", "--client", PEER, "--time", str(seconds), "--json", *words)
    deadline = time.monotonic() + 20
    while True:
        done = sender.run(*argv)
        # One that was cut short ends well, too, and without a sum.
        if done.ok and wanted in (found := done.json()["end"]):
            return found[wanted]
        # The server starts, or is still busy with the last one.
        if time.monotonic() > deadline:
            raise Unanswered(json.loads(done.stdout or "{}").get("error") or done.stderr)
        time.sleep(0.1)


def _macvlan(site: Site) -> Container:
    container = site.lab.container(ipv6=False)
    run(site.macvnet("attach", "--network", "net0", container.target))
    return container


def _bridged(site: Site) -> Container:
    """The host's NIC is a port of the bridge, so the container is on the LAN."""
    host = site.lab.other_host("172.16.86.201/24")
    container = site.lab.container(ipv6=False)
    _plug(host, container)
    host.batch(
        "addr flush dev eth0",
        "link set eth0 master br0",
        "addr add 172.16.86.201/24 dev br0",
    )
    container.add_addresses("172.16.86.202/24")
    return container


def _translated(site: Site) -> Container:
    """The bridge is the host's own network, and the host's address stands for it on the LAN."""
    host = site.lab.other_host("172.16.86.203/24")
    container = site.lab.container(ipv6=False)
    _plug(host, container)
    host.add_addresses("172.31.0.1/24", ifname="br0")
    host.sysctl("net/ipv4/ip_forward", "1")
    translate = ("POSTROUTING", "--source", "172.31.0.0/24", "--out-interface", "eth0")
    host.run("iptables", "-t", "nat", "-A", *translate, "-j", "MASQUERADE").checked()
    container.add_addresses("172.31.0.2/24")
    container.add_default("172.31.0.1")
    return container


def _plug(host: Host, container: Container) -> None:
    host.batch(
        "link add br0 type bridge stp_state 0 forward_delay 0",
        "link set br0 up",
        f"link add port0 type veth peer name eth0 netns {container.pid}",
        "link set port0 master br0 up",
    )
