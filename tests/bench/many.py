"""Many endpoints: what one of them costs when there are 10, 100 or 1,000.

Peers have no way to do many at once, so they are called in a loop, on a sample:
what one costs does not depend on how many follow.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tests.bench.figures import Spread, significant
from tests.bench.measure import Call, Cost, Samples
from tests.bench.netlink import Replay
from tests.bench.peers import Cni, Floor, Netavark, Pair, Peer, try_once
from tests.bench.site import CROWD, Crowd, Site, text_file

SIZES, QUICK_SIZES = (10, 100, 1000), (50,)
ROUNDS = {10: 7, 100: 5, 1000: 3}
QUICK_ROUNDS = 1
SAMPLE, QUICK_SAMPLE = 50, 10
THREADS = 128
PAUSE_SECONDS, QUICK_PAUSE_SECONDS = 1.0, 0.2
BATCH = "connect --batch, disconnect --batch"
MANY_PIDS = "attach --network NET PID..., disconnect --all"
C_FLOOR, PYTHON_FLOOR = "floor (C)", "floor (Python)"

Act = Callable[[str], float]
"""Does one side for all, records costs under the name that it is given; seconds of wall."""


class Way(NamedTuple):
    """One way to give so many ``endpoints`` to as many targets, and to take them away again."""

    endpoints: int
    attach: Act
    detach: Act


def part(site: Site, quick: bool) -> dict[str, Any]:
    sizes = QUICK_SIZES if quick else SIZES
    samples = Samples()
    with Crowd(max(sizes)) as crowd, site.crowd_network():
        measured = {}
        for size in sizes:
            rounds = QUICK_ROUNDS if quick else ROUNDS[size]
            sample = min(size, QUICK_SAMPLE if quick else SAMPLE)
            with contextlib.ExitStack() as stack:
                ways = _Ways(site, samples, crowd, size, sample, stack).all()
                pause = QUICK_PAUSE_SECONDS if quick else PAUSE_SECONDS
                measured[str(size)] = _measure(ways, size, rounds, samples, pause)
    return {
        "sizes": measured,
        "threads": THREADS,
    }


def _measure(
    ways: dict[str, Way], size: int, rounds: int, samples: Samples, pause: float
) -> dict[str, Any]:
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name][0].append(way.attach(f"{size} {name} attach") / way.endpoints * 1e3)
            taken[name][1].append(way.detach(f"{size} {name} detach") / way.endpoints * 1e3)
            # Those who announce look after each endpoint once more, some in each second.
            samples.settle(pause)

    def cpu(name: str, side: str) -> float:
        each = samples.cpu(f"{size} {name} {side}") / rounds / ways[name].endpoints
        return significant(each * 1e3)

    return {
        name: {
            "endpoints": ways[name].endpoints,
            "attach_ms": Spread.of(attach).to_json(),
            "detach_ms": Spread.of(detach).to_json(),
            "attach_cpu_ms": cpu(name, "attach"),
            "detach_cpu_ms": cpu(name, "detach"),
        }
        for name, (attach, detach) in taken.items()
    }


class _Ways:
    """All ways for ``size`` targets; those in a loop do ``sample`` of them."""

    def __init__(
        self,
        site: Site,
        samples: Samples,
        crowd: Crowd,
        size: int,
        sample: int,
        stack: contextlib.ExitStack,
    ) -> None:
        self._site = site
        self._samples = samples
        self._pids = crowd.pids[:size]
        self._names = [f"netns:{name}" for name in crowd.names[:size]]
        self._sample = sample
        self._stack = stack

    def all(self) -> dict[str, Way]:
        ways = dict(self._macvnet())
        for peer in (Netavark(self._site), Cni(self._site)):
            ways[f"{peer.name} in a loop"] = self._looped(self._pairs(peer))
        ways.update(self._floors())
        return ways

    def _macvnet(self) -> Iterator[tuple[str, Way]]:
        site, size = self._site, len(self._pids)
        lines = "".join(f"{name}\n" for name in self._names)
        file = self._stack.enter_context(text_file(site.folder, lines))
        connect = [site.macvnet("connect", "--batch", file, CROWD)]
        disconnect = [site.macvnet("disconnect", "--batch", file, CROWD)]
        yield BATCH, self._way(size, connect, disconnect)
        attach = [site.macvnet("attach", "--network", CROWD, *map(str, self._pids))]
        detach = [site.macvnet("disconnect", "--all", CROWD)]
        yield MANY_PIDS, self._way(size, attach, detach)

    def _pairs(self, peer: Peer) -> list[Pair]:
        pairs = [peer.pair(pid, number) for number, pid in enumerate(self._pids[: self._sample])]
        try_once(pairs[0])
        return pairs

    def _looped(self, pairs: Sequence[Pair]) -> Way:
        attach, detach = [pair.attach for pair in pairs], [pair.detach for pair in pairs]
        return self._way(len(pairs), attach, detach)

    def _way(self, count: int, attach: Sequence[Call], detach: Sequence[Call]) -> Way:
        def act(calls: Sequence[Call]) -> Act:
            return lambda name: sum(self._samples.call(name, call).wall for call in calls)

        return Way(count, act(attach), act(detach))

    def _floors(self) -> Iterator[tuple[str, Way]]:
        floor, size = Floor(self._site), len(self._pids)
        pair = floor.crowd(self._pids, f"crowd{size}", min(THREADS, size))
        yield C_FLOOR, self._way(size, [pair.attach], [pair.detach])
        replay = Replay(floor.endpoints(self._pids))
        yield (
            PYTHON_FLOOR,
            Way(
                size,
                self._here(replay.attach),
                self._here(lambda: replay.detach(min(THREADS, size))),
            ),
        )

    def _here(self, work: Callable[[], float]) -> Act:
        """Work of this process itself, with its CPU."""

        def act(name: str) -> float:
            before = time.process_time()
            wall = work()
            self._samples.add(name, Cost(wall, time.process_time() - before))
            return wall

        return act
