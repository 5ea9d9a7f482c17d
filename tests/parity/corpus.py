"""The corpus: scenarios of command lines, read from the files beside this one.

    == name: what the scenario is about
    create -d macvlan --subnet=10.1.0.0/24 -o parent=eth0 n1   ## D03
    host: ip link set eth1 down

A line is a docker network command; ``run`` is docker's own; what begins with
``host:``, ``c1:`` or ``stop:`` prepares both sides alike and is not compared. ``##`` names the
rows of docs/docker-differences.md that the line shows. Tokens: ``{c1}`` a
container, ``{r1}`` one that a run made, ``{id:NET}`` an ID, ``{id4:NET}`` its
first digits, ``{image}`` what a run runs in. A line that ends in ``<TEXT``
has TEXT for its standard input.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "corpus"
PREPARATION = re.compile(r"(host|stop|[cr]\d): (.+)")
INPUT = re.compile(r"(.*?)\s+<(\S*)")


class Line(NamedTuple):
    """``place`` names a line for people and for the record: SCENARIO.NUMBER."""

    place: str
    text: str
    words: tuple[str, ...]
    rows: tuple[str, ...] = ()
    where: str = ""
    stdin: str | None = None

    @property
    def compared(self) -> bool:
        return not self.where


class Scenario(NamedTuple):
    name: str
    about: str
    lines: tuple[Line, ...]


def _line(scenario: str, number: int, text: str) -> Line:
    command, _, rows = text.partition("##")
    command = command.strip()
    place = f"{scenario}.{number}"
    if prepared := PREPARATION.fullmatch(command):
        words = tuple(shlex.split(prepared[2]))
        return Line(place, command, words, where=prepared[1])
    stdin = None
    rest = command
    if given := INPUT.fullmatch(command):
        rest, stdin = given[1], given[2] + "\n"
    return Line(place, command, tuple(shlex.split(rest)), tuple(rows.split()), stdin=stdin)


def parse(text: str) -> list[Scenario]:
    """The scenarios of one file, in order."""
    scenarios: list[Scenario] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            name, _, about = line[3:].partition(": ")
            scenarios.append(Scenario(name, about, ()))
            continue
        last = scenarios[-1]
        lines = (*last.lines, _line(last.name, len(last.lines) + 1, line))
        scenarios[-1] = last._replace(lines=lines)
    return scenarios


def load() -> list[Scenario]:
    """All scenarios of the corpus."""
    files = sorted(FOLDER.glob("*.txt"))
    return [scenario for file in files for scenario in parse(file.read_text(encoding="utf-8"))]
