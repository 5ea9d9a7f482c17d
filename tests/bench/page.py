"""docs/performance.md and its charts, written anew from a run's results.

    python -m tests.bench.page FILE

Only what stands between ``<!-- bench: NAME -->`` and ``<!-- bench end -->`` is
replaced; all other text is people's.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.bench import chart
from tests.bench.flat import SETTINGS
from tests.bench.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/performance.md"
FORMAT = "macvnet-bench-1"
BLOCK = re.compile(r"<!-- bench: ([a-z]+) -->\n.*?<!-- bench end -->", re.DOTALL)
CHARTED = "10.0.0.0/8"
ENDPOINTS, LEASES = "performance-endpoints.svg", "performance-leases.svg"


class Incomplete(ValueError):
    """Results that the page cannot be made of."""


def filled(text: str, results: dict[str, Any]) -> str:
    """The page with every table anew. Incomplete where results or page lack one."""
    if results.get("format") != FORMAT:
        raise Incomplete(f"these are no results of {FORMAT}")
    missing = sorted({part for part, _ in TABLES.values()} - set(results))
    if missing:
        raise Incomplete(f"the run has not measured {', '.join(missing)}")
    names = [match[1] for match in BLOCK.finditer(text)]
    if sorted(names) != sorted(TABLES):
        raise Incomplete(f"the page has the tables {', '.join(names)}, not {', '.join(TABLES)}")

    def block(match: re.Match[str]) -> str:
        made = TABLES[match[1]][1](results)
        return f"<!-- bench: {match[1]} -->\n\n{made}\n\n<!-- bench end -->"

    return BLOCK.sub(block, text)


def charts(results: dict[str, Any]) -> dict[str, str]:
    """The SVG files beside the page, by name."""
    sizes = results["many"]["sizes"]
    ways = list(dict.fromkeys(name for known in sizes.values() for name in known))
    endpoints = {
        name: [
            (float(size), sum(known[name][f"{side}_ms"]["median"] for side in ("attach", "detach")))
            for size, known in sizes.items()
            if name in known
        ]
        for name in ways
    }
    allocator = results["flat"]["allocator"]
    held = [each for each in SETTINGS if each.subnet == CHARTED and each.name in allocator]
    leases = {
        "cold attach": [
            (float(name.split()[0].replace(",", "")), known["attach"]["median"])
            for name, known in results["flat"]["cold"].items()
            if name.endswith(" leases")
        ]
    }
    for line, what in (("hold an address, on the disk", "durable"), ("hold one", "acquire")):
        leases[line] = [
            (float(each.held), allocator[each.name][f"{what}_ms"]["median"]) for each in held
        ]
    return {
        ENDPOINTS: chart.lines(
            "One endpoint among many: attach and detach together",
            "endpoints",
            "ms for each",
            endpoints,
        ),
        LEASES: chart.lines("Growing state", "leases held", "ms", leases),
    }


def write(results: dict[str, Any], page: Path = PAGE) -> None:
    text = filled(page.read_text(encoding="utf-8"), results)
    for name, drawn in charts(results).items():
        page.with_name(name).write_text(drawn, encoding="utf-8")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.bench.page FILE")
    write(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
