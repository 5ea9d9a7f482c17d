"""Hold what was executed, natively and in User Mode Linux, against what was collected.

    python -m tests.lab.accounting LEDGER STARTED NATIVE-STATUS UML-STATUS

Fails if a run failed, if a test was executed nowhere, or if the two runs did
not collect the same tests. Prints pytest's closing line for both together.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """One run's node ids: ``outcomes`` of those executed."""

    collected: set[str]
    outcomes: dict[str, str]


def read(*folders: Path) -> Run:
    """What the parts of a run have written, each into a folder of its own."""

    def lines(name: str) -> list[str]:
        paths = [path for folder in folders if (path := folder / name).exists()]
        return [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]

    outcomes: dict[str, str] = {}
    for line in lines("executed"):
        outcome, _, node = line.partition(" ")
        # A test that passed and then failed in its teardown has failed.
        if outcomes.get(node) != "failed":
            outcomes[node] = outcome
    return Run(set(lines("collected")), outcomes)


def complaints(native: Run, uml: Run) -> list[str]:
    """What is wrong with the two runs taken together, one sentence each."""
    found = []
    if not native.outcomes:
        found.append("natively no test was executed")
    if not uml.outcomes:
        found.append("in User Mode Linux no test was executed")
    for node in sorted(native.collected ^ uml.collected):
        found.append(f"collected by one run only: {node}")
    for node in sorted((native.collected | uml.collected) - {*native.outcomes, *uml.outcomes}):
        found.append(f"executed nowhere: {node}")
    return found


def summary(native: Run, uml: Run, seconds: float) -> str:
    both = [*native.outcomes.values(), *uml.outcomes.values()]
    counts = [f"{both.count(word)} {word}" for word in ("failed", "passed") if word in both]
    return f" {', '.join(counts) or 'no tests ran'} in {seconds:.2f}s ".center(79, "=")


def main(argv: list[str]) -> int:
    ledger, started, *statuses = argv
    native, uml = read(*Path(ledger).glob("native*")), read(Path(ledger, "uml"))
    found = complaints(native, uml)
    for name, status in zip(("the native run", "User Mode Linux"), statuses, strict=True):
        if status != "0":
            found.append(f"exit status {status} of {name}")
    for complaint in found:
        print(f"accounting: {complaint}", file=sys.stderr)
    sys.stderr.flush()
    print(f"{len(native.outcomes)} tests executed natively, {len(uml.outcomes)} in User Mode Linux")
    failed = "failed" in {*native.outcomes.values(), *uml.outcomes.values()}
    print(summary(native, uml, time.time() - float(started)))
    return 1 if found or failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
