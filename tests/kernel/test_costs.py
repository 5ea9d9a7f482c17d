"""What commands cost, in counts that no clock and no machine changes.

A number here that has to grow is a decision: say in docs/performance.md what it buys.
"""

from __future__ import annotations

import json
import sys

from macvnet.addresses import Address
from macvnet.engine import lookup
from macvnet.ipam import allocation
from macvnet.store import Transaction, open_store
from tests.kernel.steps import create
from tests.lab import Lab
from tests.lab.command import ROOT

WIDE = ("--subnet=10.0.0.0/8", "--gateway=10.0.0.1", "-o", "parent=eth0")


def cost(lab: Lab, *words: str) -> dict[str, int]:
    done = lab.host.run(
        sys.executable, "-m", "tests.lab.costs", *words, env={"PYTHONPATH": str(ROOT)}
    ).checked()
    counts: dict[str, int] = json.loads(done.stderr.splitlines()[-1])
    return {name: count for name, count in counts.items() if count}


def fill(lab: Lab, network: str, leases: int) -> None:
    """Leases that nobody has: the lowest, every other one of them free."""
    with open_store(str(lab.state_dir)) as store:
        found = lookup.network(store, network)
        [pool] = found.pools
        first = pool.subnet.first + 1000

        def hold(tx: Transaction, number: int) -> Address | None:
            wanted = Address(4, first + 2 * number)
            return allocation.acquire(tx, found.segment, network, pool, wanted, f"{number:064x}")

        store.transact_each(hold, range(leases))


ATTACH = {
    "messages": 9,
    "rows asked for": 11,
    "scans": 5,
    "commits": 2,
    "rows written": 9,
    "syncs": 1,
    "forks": 1,
}
DETACH = {
    "messages": 6,
    "rows asked for": 13,
    "scans": 6,
    "commits": 1,
    "rows written": 8,
    "syncs": 1,
    "forks": 1,
}


def round_trip(lab: Lab) -> tuple[dict[str, int], dict[str, int]]:
    """The counts of one attach and detach; of rows only how many were looked for and written."""
    target = lab.named()
    attached = cost(lab, "attach", "--network", "net", target.target)
    detached = cost(lab, "detach", target.target)
    for counts in (attached, detached):
        counts.pop("rows read")
    return attached, detached


def test_attach_and_detach(lab: Lab) -> None:
    create(lab.host, "net", *WIDE)
    assert round_trip(lab) == (ATTACH, DETACH)


def test_the_same_beside_thousands_of_leases_networks_and_exclusions(lab: Lab) -> None:
    holes = [f"--exclude=10.0.{high}.{low}" for high in range(4) for low in range(5, 255, 2)]
    create(lab.host, "net", *WIDE, *holes)
    fill(lab, "net", 4000)
    assert round_trip(lab) == (ATTACH, DETACH)
    assert cost(lab, "ls") == {"scans": 1, "rows read": 1}
    # Docker's counters are of the network's own leases, and of no other's.
    before = cost(lab, "inspect", "net")
    for number in range(60):
        words = (f"--subnet=11.{number}.0.0/16", "-o", "parent=eth0", "-o", "share_parent=1")
        lab.host.macvnet("create", *words, f"other{number}", fork=True).checked()
    assert round_trip(lab) == (ATTACH, DETACH)
    assert cost(lab, "inspect", "net") == before


def test_a_batch_shares_what_it_can(lab: Lab) -> None:
    """Of a part: one look at the host, one sync; the rest once for each container."""
    create(lab.host, "net", *WIDE)
    targets = [lab.named() for _ in range(32)]
    file = lab.folder / "batch"
    file.write_text("".join(f"{target.target}\n" for target in targets))
    counts = cost(lab, "connect", "--batch", str(file), "net")
    assert counts["syncs"] == 1 and counts["forks"] == 1
    assert counts["messages"] <= 32 * (ATTACH["messages"] - 2) + 2
    assert counts["commits"] <= 2 + 32 * 9 / 100 + 1
    counts = cost(lab, "disconnect", "--batch", str(file), "net")
    assert counts["syncs"] == 1 and "forks" not in counts
    assert counts["messages"] <= 32 * 4 + 2
