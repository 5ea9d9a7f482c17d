"""Hundreds of power cuts: MACVNET_SOAK_CUTS says how many."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.boots import cutting

CUTS = int(os.environ.get("MACVNET_SOAK_CUTS", "200"))


def test_nothing_acknowledged_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def tell(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    seed = random.randrange(1 << 32)
    tell(f"\n{CUTS} power cuts, seed {seed}")
    tally = cutting.campaign(tmp_path, CUTS, seed, tell)
    tell(str(tally))
    assert tally.cuts == CUTS
