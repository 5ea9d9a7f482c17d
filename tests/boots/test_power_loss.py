"""A power cut takes nothing away that was acknowledged; ``make soak`` cuts far more often."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.boots import cutting
from tests.boots.working import DID, WORKING, Lost
from tests.lab import uml
from tests.lab.uml import Cut

CUTS = 5


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """And what was cut short is done or undone by restore and repair."""
    tally = cutting.campaign(tmp_path, CUTS, random.randrange(1 << 32))
    print(tally)
    assert tally.cuts == CUTS and tally.acknowledged > 0


def test_without_a_sync_in_every_commit_it_would_be(tmp_path: Path) -> None:
    """Else the test above would show nothing: the state is one that a power cut can harm."""
    disk = tmp_path / "disk.img"
    uml.make_disk(disk)
    cutting.boot(tmp_path, disk, Cut(f"{DID} 6", 0), 1, "unsynced", "unsynced")
    with pytest.raises(Lost, match="acknowledged as"):
        cutting.boot(tmp_path, disk, Cut(WORKING, 0), 1, "afterwards")
