"""Something goes wrong at every point of a command, in turn, until no point is left.

After a failure or an interruption nothing of the attempt is left; after a kill
the next command finishes or undoes what was begun. State and kernel agree, and
everything foreign is as it was.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, Named, Result
from tests.lab.faults import BEYOND, FAIL, INTERRUPT, KILL

ROOT = Path(__file__).parents[2]
CREATE = (
    "create --subnet=172.16.86.0/24 --gateway=172.16.86.1 --subnet=fd00:9::/64 "
    "--gateway=fd00:9::1 -o parent=eth0 -o com.docker.network.advertise_addr_nmsgs=1"
).split()
MAKERS = ("create", "connect", "attach")
FINE, NOT_FOUND, CONFLICT = 0, 4, 5


class Rig:
    """A lab, and what it looks like when macvnet has done nothing."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.host.macvnet(*CREATE, "first").checked()
        lab.host.macvnet("rm", "first").checked()
        self.host = lab.host.snapshot()
        self.empty = self.recorded()

    def recorded(self) -> set[str]:
        """Every key in the state but those that only count changes."""
        path = f"file:{self.lab.state_dir}/state.db?mode=ro"
        connection = sqlite3.connect(path, uri=True)
        try:
            rows = connection.execute("SELECT key FROM kv WHERE key <> ''").fetchall()
        finally:
            connection.close()
        return {key for (key,) in rows if not key.startswith("segment/")}

    def struck(self, mode: str, point: int, command: list[str]) -> Result:
        words = [sys.executable, "-m", "tests.lab.faults", mode, str(point), *command]
        return self.lab.host.run(*words, env={"PYTHONPATH": str(ROOT)})

    def targets(self) -> Iterator[Named]:
        number = 0
        while True:
            number += 1
            yield self.lab.named(f"t{number}")

    def assert_untouched(self, target: Named, what: str) -> None:
        assert self.recorded() == self.empty, what
        assert self.host.changes(self.lab.host.snapshot()) == [], what
        assert target.links() == ["lo"], what


SHARE = (
    "create --subnet=172.16.87.0/24 --gateway=172.16.87.1 -o parent=eth0 -o share_parent=1".split()
)
BOTH = "attach --network n --network m,gw-priority=1 TARGET".split()
SCRIPTS = {
    "create": ([], [*CREATE, "n"], ["rm n"]),
    "connect": ([[*CREATE, "n"]], "connect n TARGET".split(), ["disconnect n TARGET", "rm n"]),
    "attach": ([[*CREATE, "n"], [*SHARE, "m"]], BOTH, ["detach TARGET", "rm n m"]),
    "disconnect": (
        [[*CREATE, "n"], "connect n TARGET".split()],
        "disconnect n TARGET".split(),
        ["rm n"],
    ),
    "rm": ([[*CREATE, "n"]], "rm n".split(), []),
}


@pytest.mark.parametrize("mode", [FAIL, KILL, INTERRUPT])
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_point(lab: Lab, name: str, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    rig = Rig(lab)
    setup, command, teardown = SCRIPTS[name]
    points = 0
    for target in rig.targets():

        def filled(words: list[str], target: Named = target) -> list[str]:
            return [target.target if word == "TARGET" else word for word in words]

        for words in setup:
            lab.host.macvnet(*filled(words)).checked()
        before = rig.recorded()
        result = rig.struck(mode, points + 1, filled(command))
        if result.status != BEYOND:
            points += 1
            what = f"{mode} at point {points} of {name}: {result}"
            if mode != KILL and result.status != FINE and name in MAKERS:
                assert rig.recorded() == before, what
                assert rig.host.changes(lab.host.snapshot()) == [], what
                assert target.links() == ["lo"], what
            again = lab.host.macvnet(*filled(command))
            done = (FINE, CONFLICT) if name in MAKERS else (FINE, NOT_FOUND)
            assert again.status in done, f"{what}\nthen {again}"
        for line in teardown:
            lab.host.macvnet(*filled(line.split())).checked()
        rig.assert_untouched(target, f"{mode} at point {points} of {name}")
        target.close()
        if result.status == BEYOND:
            break
    with capsys.disabled():
        print(f" {points} points", end="")
    assert points >= 2
