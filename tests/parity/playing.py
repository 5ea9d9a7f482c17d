"""Play a scenario on both sides at the same time, each on a host of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.lab import Lab
from tests.parity.comparing import differences
from tests.parity.corpus import Line, Scenario
from tests.parity.daemon import Docker
from tests.parity.sides import NICS, DockerSide, MacvnetSide, Outcome


class Played(NamedTuple):
    """A line, what both did, and the differences."""

    line: Line
    docker: Outcome
    macvnet: Outcome
    found: list[str]

    def __str__(self) -> str:
        told = [
            f"docker says: {self.docker.stderr.strip()}",
            f"macvnet says: {self.macvnet.stderr.strip()}",
        ]
        return "\n  ".join([f"[{self.line.place}] {self.line.text}", *self.found, *told])


def play(scenario: Scenario) -> list[Played]:
    """Every compared line of the scenario; nothing of it is left when this returns."""
    with (
        Lab(nics=NICS) as theirs,
        Lab(nics=NICS) as ours,
        Docker(theirs.host, theirs.folder) as daemon,
        ThreadPoolExecutor(2) as threads,
    ):
        sides = (DockerSide(scenario, theirs, daemon), MacvnetSide(scenario, ours))
        docker, macvnet = threads.map(lambda side: side.play(scenario), sides)
    return _together(scenario.lines, docker, macvnet)


def _together(
    lines: Sequence[Line], docker: Sequence[Outcome], macvnet: Sequence[Outcome]
) -> list[Played]:
    compared = [line for line in lines if line.compared]
    return [
        Played(line, one, other, differences(line, one, other))
        for line, one, other in zip(compared, docker, macvnet, strict=True)
    ]
