"""Contention: eight processes that attach at once, beside one that does the same work.

The same number of cold calls on the same targets, one after the other and eight
at a time. What is compared is how many are done in a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.bench.figures import Spread
from tests.bench.measure import Call, become_reaper, children, run, wait_for
from tests.bench.site import CROWD, Crowd, Site

PROCESSES = 8
CALLS, QUICK_CALLS = 48, 16
ROUNDS, QUICK_ROUNDS = 3, 1


def part(site: Site, quick: bool) -> dict[str, Any]:
    count = QUICK_CALLS if quick else CALLS
    become_reaper()
    rates: dict[str, list[float]] = {
        f"{side}, {workers} at a time": []
        for side in ("attach", "detach")
        for workers in (1, PROCESSES)
    }
    with Crowd(count) as crowd, site.crowd_network():
        attach = [site.macvnet("attach", "--network", CROWD, str(pid)) for pid in crowd.pids]
        detach = [site.macvnet("detach", str(pid)) for pid in crowd.pids]
        own = children()
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for workers in (1, PROCESSES):
                for side, calls in (("attach", attach), ("detach", detach)):
                    done = rates.setdefault(f"{side}, {workers} at a time", [])
                    done.append(_rate(calls, workers))
                    wait_for(children() - own, patient=not quick)
    return {
        "calls": count,
        "processes": PROCESSES,
        "per_second": {name: Spread.of(each).to_json() for name, each in rates.items()},
    }


def _rate(calls: Sequence[Call], workers: int) -> float:
    """Calls per second, with so many at a time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(run, calls):
            pass
    return len(calls) / (time.perf_counter() - began)
