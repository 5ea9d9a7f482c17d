"""watch: what its lines look like, whatever is in them, and how it ends."""

from __future__ import annotations

import json
import re

import pytest

from macvnet.cli.boundary import Stop
from macvnet.engine.following import Act
from macvnet.errors import Conflict
from tests.cli.conftest import Macvnet
from tests.cli.fakes import FakeEngine

ACTS = [
    Act(
        "attach", "docker:web", "lan", "eth0", "02:00:00:00:00:01", ("192.0.2.10/24", "fd00::2/64")
    ),
    Act("refuse", "docker:bad", "x\x1b[31m\n", reason='no network "x" \u202e=y'),
    Act("link", network="lan", link="eth0.50"),
    Act("ready"),
]


def test_each_act_is_a_line_of_keys_and_values(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.acts = ACTS
    engine.ended_by = Stop(15)
    said = macvnet("watch")
    assert (said.status, said.out) == (0, "")
    lines = said.err.splitlines()
    attach = (
        "act=attach container=docker:web network=lan interface=eth0 mac=02:00:00:00:00:01 "
        'addresses="192.0.2.10/24 fd00::2/64"'
    )
    refuse = (
        'act=refuse container=docker:bad network="x\\\\x1b[31m\\\\n" '
        'reason="no network \\"x\\" \\\\u202e=y"'
    )
    others = ["act=link network=lan link=eth0.50", "act=ready", "act=stop"]
    began = re.compile(r"^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ")
    assert [began.sub("", line) for line in lines] == [attach, refuse, *others]


def test_each_act_is_an_object(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.acts = ACTS
    engine.ended_by = Stop(2)
    said = macvnet("watch", "--format=json")
    assert said.status == 0 and "\x1b" not in said.err and "\u202e" not in said.err
    first, second, *_ = map(json.loads, said.err.splitlines())
    assert first.pop("time")
    assert first == {
        "act": "attach",
        "container": "docker:web",
        "network": "lan",
        "interface": "eth0",
        "mac": "02:00:00:00:00:01",
        "addresses": "192.0.2.10/24 fd00::2/64",
    }
    assert second["network"] == ACTS[1].network and second["reason"] == ACTS[1].reason


def test_what_keeps_it_from_starting_is_an_error(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.ended_by = Conflict("another macvnet watch (PID 7) follows", "systemctl status")
    said = macvnet("watch")
    assert said.status == 5 and "another macvnet watch (PID 7)" in said.err


@pytest.mark.parametrize("words", [["--format", "table"], ["extra"]])
def test_words_that_it_does_not_take(
    macvnet: Macvnet, engine: FakeEngine, words: list[str]
) -> None:
    assert macvnet("watch", *words).status in (2, 3)
    assert engine.asked == []
