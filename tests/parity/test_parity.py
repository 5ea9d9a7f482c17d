"""One list of command lines through a real dockerd and through macvnet."""

from __future__ import annotations

import pytest

from tests.parity import comparing
from tests.parity.corpus import Scenario, load
from tests.parity.playing import play

SCENARIOS = load()
LINES = [line for scenario in SCENARIOS for line in scenario.lines if line.compared]
RECORDED = comparing.recorded()
SHOWN, OUTSIDE = comparing.documented(comparing.DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario.name))
def test_docker_and_macvnet_differ_as_documented_only(scenario: Scenario) -> None:
    """After each line the same success, output and state, or the differences written down."""
    wrong = []
    for played in play(scenario):
        expected = RECORDED.get(played.line.place, [])
        if played.found != expected:
            lost = [f"no more: {text}" for text in expected if text not in played.found]
            wrong.append("\n  ".join([str(played), *lost]))
        elif played.found and not played.line.rows:
            wrong.append(f"{played}\n  no row of {comparing.DOCUMENT.name} is named")
        elif played.line.rows and not played.found:
            wrong.append(f"{played}\n  {' '.join(played.line.rows)}: no difference any more")
    assert not wrong, "\n\n".join(["", *wrong])


def test_corpus_has_at_least_100_lines() -> None:
    assert len(LINES) >= 100
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_every_row_is_shown_by_a_line_and_every_line_names_rows_that_exist() -> None:
    named = {row for line in LINES for row in line.rows}
    assert named == SHOWN
    assert not SHOWN & OUTSIDE


def test_every_row_outside_the_corpus_says_why() -> None:
    _, _, outside = comparing.DOCUMENT.read_text(encoding="utf-8").partition(comparing.OUTSIDE)
    for row, cells in comparing.ROW.findall(outside):
        assert len(cells.split("|")) == 6 and cells.split("|")[-1].strip(), row
        for name in comparing.TEST_FILE.findall(cells):
            assert (comparing.DOCUMENT.parents[1] / name).exists(), name


def test_record_is_of_lines_that_exist() -> None:
    """What was recorded for a line that has changed since must be recorded anew."""
    places = {line.place: line for line in LINES}
    headings = [
        text for text in comparing.RECORD.read_text(encoding="utf-8").splitlines()
        if text.startswith("[")
    ]  # fmt: skip
    assert len(headings) == len(RECORDED)
    for heading in headings:
        line = places[heading[1:].partition("]")[0]]
        assert heading == comparing.heading(line)
        assert line.rows and RECORDED[line.place]
