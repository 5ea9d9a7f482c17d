"""Cutting the power of a machine at random moments, again and again, and booting it anew.

The machine is a process, so a power cut is SIGKILL: what its kernel had not
written to the disk is gone. What it does and finds is in ``tests.boots.working``.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.boots.site import SECONDS, program
from tests.boots.working import DID, LOOKING, WORKING, Lost
from tests.lab import uml
from tests.lab.uml import Cut

LOOK_SECONDS, ACT_SECONDS = 4.0, 0.2
"""What looking and one command take at most, roughly, where the machine is not busy."""


class Tally(NamedTuple):
    """What a campaign came to."""

    cuts: int = 0
    while_looking: int = 0
    acknowledged: int = 0
    doubtful: int = 0
    kept: int = 0

    def __str__(self) -> str:
        return (
            f"{self.cuts} power cuts ({self.while_looking} while the last one was being mended), "
            f"{self.acknowledged} commands acknowledged, none lost; {self.doubtful} commands cut "
            f"short, {self.kept} of them had come through"
        )


def moment(chance: random.Random) -> Cut:
    """When the power goes: at work, within a command or just after one, or while mending."""
    later = chance.choice((0, chance.uniform(0, ACT_SECONDS)))
    return chance.choice(
        (
            Cut(LOOKING, chance.uniform(0, LOOK_SECONDS)),
            Cut(WORKING, chance.uniform(0, ACT_SECONDS)),
            *(Cut(f"{DID} {chance.randint(1, 16)}", later) for _ in range(3)),
        )
    )


def campaign(job: Path, cuts: int, seed: int, tell: Callable[[str], None] = print) -> Tally:
    """Cut the power so many times, then let the machine look once more.

    Lost, with the seed, if a boot finds anything wrong. ``tell`` hears of each cut.
    """
    chance = random.Random(seed)
    disk = job / "disk.img"
    uml.make_disk(disk)
    tally = Tally()
    while tally.cuts < cuts:
        cut = moment(chance)
        boot(job, disk, cut, chance.randrange(1 << 32), f"seed {seed}, cut {tally.cuts + 1}")
        tally = tally._replace(
            cuts=tally.cuts + 1, while_looking=tally.while_looking + (cut.said == LOOKING)
        )
        tell(f"{tally.cuts} of {cuts}: {cut.seconds:.2f} s after {cut.said!r}")
    boot(job, disk, Cut(WORKING, 0), 0, f"seed {seed}, after the last cut")
    return _counted(tally, diary(job))


def boot(job: Path, disk: Path, cut: Cut, seed: int, where: str, *how: str) -> None:
    """One boot that ends with the power cut. Lost if it ended by itself."""
    words = [sys.executable, "-m", "tests.boots.working", str(seed), *how]
    outcome = uml.boot(program(words), job, timeout=SECONDS, disk=disk, cable=True, cut=cut)
    lost = [str(entry["lost"]) for entry in diary(job) if "lost" in entry]
    if lost:
        raise Lost(f"{where}: {lost[0]}")
    if not outcome.cut:
        raise Lost(f"{where}: {outcome}, and no power cut ({cut})")


def diary(job: Path) -> list[dict[str, Any]]:
    """The entries of the machine's diary; one that was cut short is none."""
    path = job / "diary"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]


def _counted(tally: Tally, entries: list[dict[str, Any]]) -> Tally:
    """How many commands returned, and what became of those that did not."""
    begun: list[str] | None = None
    for entry in entries:
        if "begin" in entry:
            begun = entry["begin"]
        elif "did" in entry:
            begun = None
            tally = tally._replace(acknowledged=tally.acknowledged + 1)
        elif "found" in entry and begun is not None:
            verb, network, target = begun
            networks, endpoints = entry["found"]
            there = network in networks
            if target:
                there = [network, target] in [each[:2] for each in endpoints]
            through = there == (verb in ("create", "attach"))
            tally = tally._replace(doubtful=tally.doubtful + 1, kept=tally.kept + through)
            begun = None
    return tally
