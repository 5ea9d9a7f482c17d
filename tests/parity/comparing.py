"""Differences between the two sides, and the rows of the documentation that own them.

A difference is a line of text: the side that alone did it, and what. Those of
a corpus line are written down in ``recorded.txt``, word for word, so that
neither a new difference nor the loss of an old one passes unseen.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.parity.corpus import Line, Scenario
from tests.parity.sides import Outcome

DOCUMENT = Path(__file__).parents[2] / "docs" / "docker-differences.md"
RECORD = Path(__file__).parent / "recorded.txt"
ROW = re.compile(r"\| (D\d\d) \|(.+)\|$", re.M)
TEST_FILE = re.compile(r"`(tests/\S+\.py)`")
OUTSIDE = "## Not in the corpus"

# Rows that show on nearly every line. A line that names one shows it in full.
EVERYWHERE: Mapping[str, re.Pattern[str]] = {
    "D01": re.compile(
        r"docker: ([+-]|prints) (\{\w+\}|network \S+) mac \S+ of the address"
        r"|macvnet: ([+-]|prints) (\{\w+\}|network \S+) mac \S+ of its own"
    ),
    "D02": re.compile(
        r"(docker|macvnet): [+-] \{\w+\} "
        r"(address lo ::1/128|sysctl (lo|all|default)/disable_ipv6).*"
    ),
}


def documented(text: str) -> tuple[set[str], set[str]]:
    """The rows that the corpus shows, and those that it cannot."""
    inside, _, outside = text.partition(OUTSIDE)
    return {row for row, _ in ROW.findall(inside)}, {row for row, _ in ROW.findall(outside)}


def differences(line: Line, docker: Outcome, macvnet: Outcome) -> list[str]:
    """What only one of them did; rows that hold everywhere are left out unless named."""
    found = []
    if docker.ok != macvnet.ok:
        for side, outcome in (("docker", docker), ("macvnet", macvnet)):
            found.append(f"{side}: {'succeeds' if outcome.ok else 'fails'}")
    for change in difflib.ndiff(docker.stdout, macvnet.stdout):
        who = {"-": "docker", "+": "macvnet"}.get(change[0])
        if who:
            found.append(f"{who}: prints {change[2:]}".rstrip())
    for sign, theirs, ours in (
        ("+", docker.added, macvnet.added),
        ("-", docker.gone, macvnet.gone),
    ):
        found += [f"docker: {sign} {fact}" for fact in sorted(theirs - ours)]
        found += [f"macvnet: {sign} {fact}" for fact in sorted(ours - theirs)]
    silent = [pattern for row, pattern in EVERYWHERE.items() if row not in line.rows]
    return [text for text in found if not any(pattern.fullmatch(text) for pattern in silent)]


def heading(line: Line) -> str:
    """The first line of an entry of the record."""
    return f"[{line.place}] {line.text} ## {' '.join(line.rows)}".rstrip(" #")


def record(scenarios: Iterable[Scenario], found: Mapping[str, list[str]]) -> str:
    """The record of all lines that differ; ``found``: place to differences."""
    lines = []
    for scenario in scenarios:
        for line in scenario.lines:
            if found.get(line.place):
                lines += [heading(line), *found[line.place], ""]
    return "\n".join(lines)


def recorded() -> dict[str, list[str]]:
    """Place to the differences that were written down for it."""
    entries: dict[str, list[str]] = {}
    place = ""
    for text in RECORD.read_text(encoding="utf-8").splitlines():
        if text.startswith("["):
            place = text[1:].partition("]")[0]
            entries[place] = []
        elif text:
            entries[place].append(text)
    return entries
