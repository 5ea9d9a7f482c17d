"""A page of the documentation as what can be executed: parts, each with a lab and its steps.

A part begins with a comment that says which lab its examples run in:

    <!-- lab: vlan
    needs = ["vlan"]
    host = []
    vlans.50 = ["192.168.50.1/24"]
    -->

and goes on until the next one. In its ```console blocks a line that begins
with a prompt is a command (``$ `` on the host, ``NAME$ `` on the machine of
that name); what follows it is the output that a reader may expect. ``...``
stands for anything in a line, and alone in a line for any number of lines.

A part with a ``runtime`` needs one that runs: tests/runtimes plays it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LAB = re.compile(r"<!-- lab: ([a-z0-9-]+)(.*)")
PROMPT = re.compile(r"(?:([a-z][a-z0-9]*))?\$ (.*)")
FENCE = "```"
CONSOLE = "```console"
KEYS = {
    "needs",
    "host",
    "router",
    "vlans",
    "external",
    "default_route",
    "nics",
    "forward",
    "runtime",
    "advertises",
}


class LabPlan(NamedTuple):
    """Which lab a part wants. ``vlans`` are the router's, ``external`` machines by name.

    ``advertises`` is the IPv6 prefix that the router tells the LAN of, "" for none.
    """

    needs: tuple[str, ...]
    host: tuple[str, ...] | None
    router: tuple[str, ...] | None
    vlans: dict[int, list[str]]
    external: dict[str, list[str]]
    default_route: bool
    forward: bool
    nics: int
    runtime: str
    advertises: str


class Step(NamedTuple):
    """A command and its expected output: lines ``first`` (the prompt's, from 0) to ``end``.

    ``body`` is the line the output begins in. ``machine`` "" is the host.
    """

    machine: str
    command: str
    output: tuple[str, ...]
    first: int
    body: int
    end: int


class Part(NamedTuple):
    page: str
    name: str
    plan: LabPlan
    steps: tuple[Step, ...]


def pages() -> list[str]:
    """README and everything under docs, by path from the root."""
    found = list(ROOT.glob("*.md")) + list((ROOT / "docs").rglob("*.md"))
    return sorted(str(path.relative_to(ROOT)) for path in found)


def parts(page: str) -> list[Part]:
    """The parts of a page that have steps. ValueError for a step outside any part."""
    return parse(page, (ROOT / page).read_text(encoding="utf-8"))


def parse(page: str, text: str) -> list[Part]:
    lines = text.splitlines()
    found: list[Part] = []
    name, plan, steps = "", None, list[Step]()
    number = 0
    while number < len(lines):
        line = lines[number]
        match = LAB.match(line)
        if match:
            if plan is not None and steps:
                found.append(Part(page, name, plan, tuple(steps)))
            end = next(i for i in range(number, len(lines)) if "-->" in lines[i])
            comment = "\n".join([match[2], *lines[number + 1 : end + 1]])
            name, plan, steps = match[1], _plan(comment.partition("-->")[0]), []
            number = end
        elif line.startswith(FENCE) and line != FENCE:
            end = next(i for i in range(number + 1, len(lines)) if lines[i].startswith(FENCE))
            if line == CONSOLE:
                if plan is None:
                    raise ValueError(f"{page}:{number + 1}: a console block before any lab")
                steps += _steps(lines, number + 1, end)
            elif any(PROMPT.match(each) for each in lines[number + 1 : end]):
                raise ValueError(f"{page}:{number + 1}: a prompt in a block that is not console")
            number = end
        number += 1
    if plan is not None and steps:
        found.append(Part(page, name, plan, tuple(steps)))
    return found


def _plan(toml: str) -> LabPlan:
    data = tomllib.loads(toml)
    unknown = set(data) - KEYS
    if unknown:
        raise ValueError(f"no such key of a lab: {', '.join(sorted(unknown))}")
    return LabPlan(
        tuple(data.get("needs", ())),
        tuple(data["host"]) if "host" in data else None,
        tuple(data["router"]) if "router" in data else None,
        {int(vid): addresses for vid, addresses in data.get("vlans", {}).items()},
        dict(data.get("external", {})),
        data.get("default_route", False),
        data.get("forward", True),
        data.get("nics", 1),
        data.get("runtime", ""),
        data.get("advertises", ""),
    )


def _steps(lines: list[str], start: int, end: int) -> list[Step]:
    found: list[Step] = []
    number = start
    while number < end:
        match = PROMPT.fullmatch(lines[number])
        if not match:
            raise ValueError(f"line {number + 1}: output without a command: {lines[number]!r}")
        first, command = number, [match[2]]
        number += 1
        while command[-1].endswith("\\") or _open_heredoc(command):
            command.append(lines[number])
            number += 1
        body = number
        while number < end and not PROMPT.fullmatch(lines[number]):
            number += 1
        output = tuple(lines[body:number])
        found.append(Step(match[1] or "", "\n".join(command), output, first, body, number))
    return found


def _open_heredoc(command: list[str]) -> bool:
    match = re.search(r"<<'?(\w+)'?", command[0])
    return bool(match) and match is not None and match[1] not in command[1:]
