"""A crowd that does 50,000 things: MACVNET_SOAK_ACTS says how many."""

from __future__ import annotations

import os
import time

import pytest

from tests.lab import Lab, crowd

ACTS = int(os.environ.get("MACVNET_SOAK_ACTS", "50000"))
ROUND = 2000


def test_no_update_is_lost_and_nothing_leaks(capsys: pytest.CaptureFixture[str]) -> None:
    """In rounds, each on a host of its own: a failure then names one with a seed."""
    for number in range(0, ACTS, ROUND):
        with Lab(nics=len(crowd.PARENTS)) as lab:
            said = crowd.rush(lab, 8, min(ROUND, ACTS - number), time.time_ns())
        with capsys.disabled():
            print(f"\n{number}: {said}", end="", flush=True)
