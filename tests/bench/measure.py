"""One call of one program: how long it took, what CPU it used, with all its children.

Programs are started with posix_spawn, whose cost does not grow with this
process. What they leave behind comes to this process as their reaper, and its
CPU is counted with the call that left it. Must not know which programs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.figures import Spread

PR_SET_CHILD_SUBREAPER = 36
SETTLE_SECONDS = 0.1
PATIENT = "macvnet-arp"
"""The name of a process that looks after an address for seconds, and disturbs nobody meanwhile."""
ORPHAN_SECONDS = 4.0
_libc = ctypes.CDLL(None, use_errno=True)


class CallFailed(RuntimeError):
    """A program that is measured did not succeed, so its time means nothing."""


class Call(NamedTuple):
    """A program as it is started. ``input`` is a file for its stdin."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    input: str = os.devnull


class Cost(NamedTuple):
    """Seconds. ``cpu`` is user and system time of the program and all it started."""

    wall: float
    cpu: float


class Samples:
    """The costs of calls by name. ``results`` waits for what the calls left at work."""

    def __init__(self) -> None:
        become_reaper()
        self._costs: dict[str, list[Cost]] = {}
        self._orphans: dict[int, tuple[str, int]] = {}

    def call(self, name: str, call: Call, clock: Callable[[], float] | None = None) -> Cost:
        """Run it once. ``clock`` is the CPU clock of a daemon that works for it. CallFailed."""
        before = clock() if clock else 0.0
        strangers = children()
        cost = run(call)
        if clock:
            cost = cost._replace(cpu=cost.cpu + clock() - before)
        self.add(name, cost)
        self._adopt(name, children() - strangers)
        return cost

    def add(self, name: str, cost: Cost) -> None:
        self._costs.setdefault(name, []).append(cost)

    def _adopt(self, name: str, pids: set[int]) -> None:
        """Orphans of the last call; the short-lived ones end here, since they hold locks."""
        self._orphans.update(dict.fromkeys(pids, (name, len(self._costs[name]) - 1)))
        deadline = time.monotonic() + SETTLE_SECONDS
        while any(map(_hurries, pids & self._orphans.keys())) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.002)

    def _reap(self) -> None:
        for pid, (name, number) in list(self._orphans.items()):
            done, _, usage = os.wait4(pid, os.WNOHANG)
            if done:
                del self._orphans[pid]
                cost = self._costs[name][number]
                cpu = cost.cpu + usage.ru_utime + usage.ru_stime
                self._costs[name][number] = cost._replace(cpu=cpu)

    def settle(self, seconds: float = ORPHAN_SECONDS) -> None:
        """Wait, so long at most, until nothing that a call left is at work any more."""
        deadline = time.monotonic() + seconds
        while self._orphans and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.01)

    def cpu(self, name: str) -> float:
        """CPU seconds of all calls of that name, and of what they left until now."""
        return sum(cost.cpu for cost in self._settled(name))

    def _settled(self, name: str) -> list[Cost]:
        """With what the orphans that are still at work have used until now."""
        self._reap()
        costs = list(self._costs[name])
        for pid, (owner, number) in self._orphans.items():
            if owner == name:
                cpu = costs[number].cpu + process_clock(pid)()
                costs[number] = costs[number]._replace(cpu=cpu)
        return costs

    def results(self) -> dict[str, dict[str, Any]]:
        """Spreads of wall and CPU by name, in milliseconds."""
        self.settle()
        settled = {name: self._settled(name) for name in self._costs}
        return {
            name: {
                "wall_ms": Spread.of([cost.wall * 1e3 for cost in costs]).to_json(),
                "cpu_ms": Spread.of([cost.cpu * 1e3 for cost in costs]).to_json(),
            }
            for name, costs in settled.items()
        }


def _hurries(pid: int) -> bool:
    """Whether an orphan that is not reaped yet will end soon."""
    return Path(f"/proc/{pid}/comm").read_text().strip() != PATIENT


def become_reaper() -> None:
    """What programs leave behind becomes a child of this process (prctl(2))."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def wait_for(pids: set[int], *, patient: bool) -> None:
    """Wait until orphans have ended, a while at most; ``patient``: those too that take long."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while any(patient or _hurries(pid) for pid in pids) and time.monotonic() < deadline:
        pids = {pid for pid in pids if not os.waitpid(pid, os.WNOHANG)[0]}
        time.sleep(0.01)


def run(call: Call) -> Cost:
    """Start it, wait for it; its stdout goes nowhere. CallFailed with its stderr."""
    with tempfile.TemporaryFile() as errors:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, call.input, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
        ]
        began = time.perf_counter()
        pid = os.posix_spawn(call.argv[0], call.argv, call.env, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - began
        if status:
            errors.seek(0)
            text = errors.read()[-2000:].decode(errors="replace")
            code = os.waitstatus_to_exitcode(status)
            raise CallFailed(f"{' '.join(call.argv)}: status {code}\n{text}")
    return Cost(wall, usage.ru_utime + usage.ru_stime)


def process_clock(*pids: int) -> Callable[[], float]:
    """The CPU seconds of processes that are not our children, to the nanosecond (clock_gettime)."""

    def read() -> float:
        # The number of another process's CPU clock: clock_getcpuclockid(3).
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids) / 1e9

    return read


def children() -> set[int]:
    """The numbers of this process's children, adopted ones included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        # A thread that ends meanwhile has handed its children on.
        with contextlib.suppress(OSError):
            found.update(int(word) for word in (task / "children").read_text().split())
    return found
