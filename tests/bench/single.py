"""Single calls: one process, one endpoint, from exec to exit.

All programs take turns in one loop, so that whatever else the machine does
falls on all of them.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from macvnet.annotations import KEY
from tests.bench.figures import Spread
from tests.bench.measure import Call, Samples
from tests.bench.netlink import Replay
from tests.bench.peers import (
    Cni,
    DockerNetwork,
    Floor,
    IpScript,
    Netavark,
    Pair,
    Peer,
    try_once,
    versions,
)
from tests.bench.site import LEASES, NETWORKS, Site

PYTHON = "python3 -c 'import socket, json, sqlite3'"
BARE = "bare click program"
SIZED = "click program of macvnet's size"
ATTACH, CONNECT = "macvnet attach", "macvnet connect"
DETACH, DISCONNECT = "macvnet detach", "macvnet disconnect"
HOOK, AFTER_HOOK = "macvnet-oci-hook, createRuntime", "macvnet detach, after the hook"
KERNEL = "the messages alone, in a running process"
READS = {
    "macvnet ls": ("ls",),
    "macvnet inspect net0": ("inspect", "net0"),
    "macvnet --version": ("--version",),
    "macvnet --help": ("--help",),
    "macvnet attach --help": ("attach", "--help"),
    "Tab after 'macvnet connect'": ("__complete", "bash", "macvnet connect ", "", ""),
}
RARE = ("macvnet attach --help",)
"""Those that a quick run leaves out."""
REPETITIONS, QUICK_REPETITIONS = 25, 15


def part(site: Site, quick: bool) -> dict[str, Any]:
    repetitions = QUICK_REPETITIONS if quick else REPETITIONS
    env = site.env()
    plain = {
        PYTHON: Call((site.installation.python, "-c", "import socket, json, sqlite3"), env),
        BARE: Call((site.installation.bare, "4242"), env),
        SIZED: Call((site.installation.sized, "ls"), env),
        **{
            name: site.macvnet(*words)
            for name, words in READS.items()
            if not (quick and name in RARE)
        },
    }
    with contextlib.ExitStack() as stack:
        docker = DockerNetwork(site)
        stack.callback(docker.close)
        floor = Floor(site)
        pairs = _macvnet_pairs(site)
        peers: list[Peer] = [docker, Netavark(site), Cni(site), IpScript(site), floor]
        for number, peer in enumerate(peers):
            container = site.lab.container()
            pairs[f"{peer.name}: attach", f"{peer.name}: detach"] = peer.pair(container.pid, number)
        target = site.lab.container()
        replay = Replay(floor.endpoints([target.pid]))
        samples = Samples()
        for pair in pairs.values():
            try_once(pair)
        kernel: tuple[list[float], list[float]] = ([], [])
        for _ in range(repetitions):
            for name, call in plain.items():
                samples.call(name, call)
            for (attach, detach), pair in pairs.items():
                samples.call(attach, pair.attach, pair.clock)
                samples.call(detach, pair.detach, pair.clock)
            kernel[0].append(replay.attach() * 1e3)
            kernel[1].append(replay.detach(1) * 1e3)
        return {
            "repetitions": repetitions,
            "networks": NETWORKS,
            "leases": LEASES,
            "calls": samples.results(),
            "kernel_ms": {
                "attach": Spread.of(kernel[0]).to_json(),
                "detach": Spread.of(kernel[1]).to_json(),
            },
            "peers": versions(docker.version),
        }


def _macvnet_pairs(site: Site) -> dict[tuple[str, str], Pair]:
    one, other, hooked = site.lab.container(), site.lab.named(), site.lab.container()
    state = site.folder / "state.json"
    told = {"id": "bench", "status": "creating", "bundle": "/bench", "pid": hooked.pid}
    state.write_text(json.dumps({**told, "annotations": {KEY: "net0"}}))
    return {
        (ATTACH, DETACH): Pair(
            site.macvnet("attach", "--network", "net0", one.target),
            site.macvnet("detach", one.target),
        ),
        (CONNECT, DISCONNECT): Pair(
            site.macvnet("connect", "net0", other.target),
            site.macvnet("disconnect", "net0", other.target),
        ),
        (HOOK, AFTER_HOOK): Pair(
            Call((site.installation.hook,), site.env(), str(state)),
            site.macvnet("detach", hooked.target),
        ),
    }
