"""Play the corpus and write down its differences, to be read and judged as a diff.

    python -m tests.parity.record [SCENARIO...]

Without names everything is played and written; with names it is only shown.
"""

from __future__ import annotations

import sys

from tests.parity.comparing import RECORD, record
from tests.parity.corpus import load
from tests.parity.playing import play


def main(names: list[str]) -> None:
    scenarios = load()
    found = {}
    for scenario in scenarios:
        if names and scenario.name not in names:
            continue
        for played in play(scenario):
            found[played.line.place] = played.found
            if names or bool(played.found) != bool(played.line.rows):
                print(played, flush=True)
    if not names:
        RECORD.write_text(record(scenarios, found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
