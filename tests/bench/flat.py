"""Flatness: does a call, or an allocation, cost more when the state is larger?

Cold calls for what a user sees; for the allocator itself, many allocations in
this process over states whose size is the only difference.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from macvnet import keys
from macvnet.addresses import Address
from macvnet.ipam import allocation
from macvnet.ipam.installing import install_pools
from macvnet.model import LinkOptions, Network, Parent, Pool
from macvnet.store import Store, Transaction, open_store
from tests.bench.figures import Spread
from tests.bench.filling import leases, plans_of
from tests.bench.measure import Call, CallFailed, Samples
from tests.bench.peers import Pair, try_once
from tests.bench.site import NETWORKS, Site
from tests.cli import fakes, large

COLD = (
    ("10 leases", 10, NETWORKS),
    ("1,000 leases", 1000, NETWORKS),
    ("65,000 leases", 65_000, NETWORKS),
    ("10 leases, 1,000 networks", 10, 1000),
)
"""Name, leases in net1, networks. The first two are the quick ones."""
COLD_REPETITIONS, QUICK_COLD_REPETITIONS = 15, 3
ALLOCATIONS, QUICK_ALLOCATIONS = 200, 40
TABS = ("macvnet connect net05", "macvnet disconnect big ", "macvnet attach --network ")
RSS = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""What a call needs at most, from a small parent: a child's figure begins with its parent's."""


class Setting(NamedTuple):
    """A state for the allocator: one network of ``subnet`` among ``networks``, of ``held`` leases.

    ``excluded`` addresses, every second one from the bottom, make as many runs.
    """

    name: str
    subnet: str
    held: int = 10
    excluded: int = 0
    networks: int = 1


SETTINGS = (
    Setting("/24, 10 leases", "10.0.0.0/24"),
    Setting("/24, 200 leases", "10.0.0.0/24", held=200),
    Setting("/16, 10 leases", "10.0.0.0/16"),
    Setting("/16, 1,000 leases", "10.0.0.0/16", held=1000),
    Setting("/16, 65,000 leases", "10.0.0.0/16", held=65_000),
    Setting("/8, 10 leases", "10.0.0.0/8"),
    Setting("/8, 1,000 leases", "10.0.0.0/8", held=1000),
    Setting("/8, 65,000 leases", "10.0.0.0/8", held=65_000),
    Setting("/8, 1,000,000 leases", "10.0.0.0/8", held=1_000_000),
    Setting("/64, 10 leases", "2001:db8::/64"),
    Setting("/64, 65,000 leases", "2001:db8::/64", held=65_000),
    Setting("/16, 1,000 leases, 10,000 excluded", "10.0.0.0/16", held=1000, excluded=10_000),
    Setting("/24, 10 leases, 1,000 networks", "10.0.0.0/24", networks=1000),
)
QUICK_SETTINGS = ("/24, 10 leases", "/8, 10 leases", "/8, 1,000 leases", "/64, 10 leases")


def part(site: Site, quick: bool) -> dict[str, Any]:
    repetitions = QUICK_COLD_REPETITIONS if quick else COLD_REPETITIONS
    chosen = [each for each in SETTINGS if not quick or each.name in QUICK_SETTINGS]
    return {
        **_allocator(site, chosen, QUICK_ALLOCATIONS if quick else ALLOCATIONS),
        **_cold(site, COLD[:2] if quick else COLD, repetitions),
        "tab": {} if quick else _tab(site, repetitions),
    }


# -- the allocator --------------------------------------------------------


class _Timer:
    """One state, and the times of its allocations in it."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.setting = setting
        self.folder = folder
        self.store = open_store(str(folder))
        self.network, self.pool = _prepared(self.store, setting)
        self.times: dict[str, list[float]] = {}

    def once(self) -> None:
        """Hold an address and release it, without waiting for the disk; then the same durably."""
        began = time.perf_counter()
        address = self.store.transact(self._acquire, durable=False)
        held = time.perf_counter()
        self.store.transact(partial(self._release, address), durable=False)
        released = time.perf_counter()
        address = self.store.transact(self._acquire)
        durable = time.perf_counter()
        self.store.transact(partial(self._release, address), durable=False)
        for name, seconds in (
            ("acquire", held - began),
            ("release", released - held),
            ("durable", durable - released),
        ):
            self.times.setdefault(name, []).append(seconds * 1e3)

    def _acquire(self, tx: Transaction) -> Address:
        found = allocation.acquire(tx, self.network.segment, "bench", self.pool, None, "e" * 64)
        assert found is not None
        return found

    def _release(self, address: Address, tx: Transaction) -> None:
        allocation.release(tx, self.network.segment, address, "e" * 64)

    def close(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


class _Disk:
    """What the disk alone takes for a page more in a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.times: list[float] = []

    def once(self) -> None:
        self._file.write(bytes(4096))
        began = time.perf_counter()
        os.fdatasync(self._file.fileno())
        self.times.append((time.perf_counter() - began) * 1e3)

    def close(self) -> None:
        self._file.close()


def _allocator(site: Site, settings: list[Setting], count: int) -> dict[str, Any]:
    """All states and the disk take turns, so that the machine's moods fall on all of them."""
    timers: list[_Timer] = []
    disk = _Disk(site.folder / "disk")
    try:
        for number, setting in enumerate(settings):
            timers.append(_Timer(site.new_state(f"allocator{number}"), setting))
        for timer in timers:
            timer.once()
            timer.times.clear()
        for _ in range(count):
            disk.once()
            for timer in timers:
                timer.once()
        allocator = {
            timer.setting.name: {
                **{f"{name}_ms": Spread.of(taken).to_json() for name, taken in timer.times.items()},
                "held": timer.setting.held,
            }
            for timer in timers
        }
        return {"allocator": allocator, "disk_ms": Spread.of(disk.times).to_json()}
    finally:
        disk.close()
        for timer in timers:
            timer.close()


def _prepared(store: Store, setting: Setting) -> tuple[Network, Pool]:
    words: dict[str, tuple[str, ...]] = {"subnets": (setting.subnet,)}
    if setting.excluded:
        step = range(2, 2 * setting.excluded + 2, 2)
        words["excludes"] = tuple(f"10.0.{n >> 8}.{n & 255}" for n in step)
    network, pool = _network(store, "bench", words)
    for number in range(1, setting.networks):
        _network(store, f"n{number}", {"subnets": (f"10.{number >> 8}.{number & 255}.0/24",)})
    if leases(store, network, pool, setting.held, whole=False) != setting.held:
        raise RuntimeError(f"no room for {setting.name}")
    return network, pool


def _network(store: Store, name: str, words: dict[str, tuple[str, ...]]) -> tuple[Network, Pool]:
    """A network with its pools in the books, on a parent of its own that is not there."""
    plans = plans_of(words, name)
    made = fakes.network(
        name,
        id=f"{int.from_bytes(name.encode(), 'big'):x}".ljust(64, "0"),
        parent=Parent(name, name, 2, "02:00:5e:00:53:01", "", ""),
        link=LinkOptions(parent=name, mode="bridge"),
        pools=tuple(plan.pool for plan in plans),
    )

    def write(tx: Transaction) -> None:
        tx.create(keys.network(made.id), made.to_json())
        tx.create(keys.name(name), {"id": made.id})

    store.transact(write, durable=False)
    install_pools(store, made.segment, made.id, name, plans)
    return made, made.pools[0]


# -- cold calls -----------------------------------------------------------


def _cold(site: Site, states: Sequence[tuple[str, int, int]], repetitions: int) -> dict[str, Any]:
    """The same calls over states that differ in one thing; the network used is net1, a /16."""
    samples = Samples()
    container = site.lab.container()
    calls: dict[str, dict[str, Call]] = {}
    memory: dict[str, dict[str, int]] = {}
    for number, (name, held, networks) in enumerate(states):
        state_dir = site.bare_state(f"cold{number}")
        site.fill(state_dir, held, "net1")
        with open_store(str(state_dir)) as store:
            for extra in range(NETWORKS, networks):
                subnet = f"172.{24 + (extra >> 8)}.{extra & 255}.0/24"
                _network(store, f"more{extra}", {"subnets": (subnet,)})
        calls[name] = known = _calls(site, state_dir, container.target)
        try_once(Pair(known["attach"], known["detach"]))
        memory[name] = {
            what: _max_rss(site, known[what]) for what in ("attach", "detach", "inspect")
        }
    for _ in range(repetitions):
        for name, known in calls.items():
            for what, call in known.items():
                samples.call(f"{what}: {name}", call)
    results = samples.results()
    return {
        "cold": {
            name: {what: results[f"{what}: {name}"]["wall_ms"] for what in known}
            for name, known in calls.items()
        },
        "memory_kib": memory,
    }


def _calls(site: Site, state_dir: Path, target: str) -> dict[str, Call]:
    macvnet = partial(site.macvnet, state_dir=state_dir)
    return {
        "attach": macvnet("attach", "--network", "net1", target),
        "detach": macvnet("detach", target),
        "inspect": macvnet("inspect", "net0"),
        "Tab": macvnet("__complete", "bash", "macvnet disconnect net1 ", "", ""),
    }


def _max_rss(site: Site, call: Call) -> int:
    """The most memory that one call has at a time, in KiB."""
    done = subprocess.run(
        [site.installation.python, "-I", "-S", "-c", RSS, *call.argv],
        env=dict(call.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CallFailed(f"{' '.join(call.argv)}: {done.stderr}")
    return int(done.stdout)


def _tab(site: Site, repetitions: int) -> dict[str, Any]:
    """A Tab over a state of 1,000 networks and 65,000 leases, all in one of them."""
    state_dir = site.new_state("tab")
    large.write(state_dir)
    samples = Samples()
    for _ in range(repetitions):
        for line in TABS:
            words = ("__complete", "bash", line, "", "")
            samples.call(f"Tab after {line!r}", site.macvnet(*words, state_dir=state_dir))
    return {name: result["wall_ms"] for name, result in samples.results().items()}
