"""Measure macvnet beside its peers.

    python -m tests.bench [--quick] [--json FILE] [--page] [PART...]

Prints tables and what is promised of them; with ``--json`` the results go into
a file too, with ``--page`` into docs/performance.md. It needs root, and what
``.ci/setup bench`` installs. Exits with 0 however slow anything was.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench import contention, flat, many, page, path, profiling, single, tables
from tests.bench.machine import described
from tests.bench.site import Site

PARTS = {
    "single": single.part,
    "many": many.part,
    "flat": flat.part,
    "contention": contention.part,
    "path": path.part,
    "profile": profiling.part,
}


def main(argv: list[str]) -> int:
    words = argparse.ArgumentParser(prog="python -m tests.bench")
    words.add_argument("--quick", action="store_true", help="fewer repetitions, smaller sizes")
    words.add_argument("--json", type=Path, metavar="FILE", help="where the results go, too")
    words.add_argument("--page", action="store_true", help="write docs/performance.md anew")
    words.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    given = words.parse_args(argv)
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        words.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if os.geteuid() != 0:
        words.error("the bench makes network namespaces, so it needs root")
    # Whoever ends it wants the namespaces and files gone, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    results = measure(given.parts or list(PARTS), quick=given.quick, keep=given.json)
    print(tables.text(results), end="")
    if given.page:
        page.write(results)
    return 0


def measure(parts: list[str], *, quick: bool, keep: Path | None = None) -> dict[str, Any]:
    """The results of these parts; in the file ``keep`` too, after each of them."""
    began = time.monotonic()
    results: dict[str, Any] = {"format": page.FORMAT, "run": described()}
    with Site() as site:
        results["run"] |= {
            "file_system": site.file_system,
            "python_packages": site.installation.versions,
            "quick": quick,
        }
        for name in parts:
            print(f"{time.monotonic() - began:5.0f} s: {name}", file=sys.stderr, flush=True)
            results[name] = PARTS[name](site, quick)
            results["run"]["seconds"] = round(time.monotonic() - began)
            if keep:
                keep.parent.mkdir(parents=True, exist_ok=True)
                keep.write_text(json.dumps(results, indent=1) + "\n")
    return results


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
