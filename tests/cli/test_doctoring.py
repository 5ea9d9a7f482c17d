"""doctor: what it asks of the engine, prints, and ends with."""

from __future__ import annotations

import json

from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine

FINE, USAGE, INVALID, NOT_FOUND, FOUND = 0, 2, 3, 4, 11


def test_nothing_found_is_nothing_said(macvnet: Macvnet, engine: FakeEngine) -> None:
    assert macvnet("doctor") == Said(FINE, "", "")
    assert macvnet("doctor", "lan", "--format=json") == Said(FINE, "[]\n", "")
    assert engine.asked == [("diagnose", "", False), ("diagnose", "lan", False)]


def test_what_is_found_is_printed_with_what_to_type(macvnet: Macvnet, engine: FakeEngine) -> None:
    """Foreign text is escaped, in JSON by JSON's own means."""
    engine.differs = True
    evidence = "nobody answers for the gateway 192.0.2.1 on eth0"
    text = f"gateway-silent: {evidence}\\x1b\n  fix: arping -I eth0 192.0.2.1\n"
    assert macvnet("doctor", "--active", "lan") == Said(FOUND, text, "")
    assert engine.asked == [("diagnose", "lan", True)]
    said = macvnet("doctor", "--format", "json", "lan")
    assert said.status == FOUND and "\x1b" not in said.out
    assert json.loads(said.out) == [
        {
            "id": "gateway-silent",
            "subject": "network lan",
            "evidence": f"{evidence}\x1b",
            "fix": "arping -I eth0 192.0.2.1",
        }
    ]


def test_what_cannot_be_looked_at_is_refused(macvnet: Macvnet, engine: FakeEngine) -> None:
    assert macvnet("doctor", "nosuch").status == NOT_FOUND
    assert macvnet("doctor", "--format=yaml", "lan").status == INVALID
    assert macvnet("doctor", "lan", "other").status == USAGE
    refused = macvnet("doctor", "--active")
    assert refused.status == USAGE
    assert refused.err.endswith("hint: macvnet doctor --active lan\n")
    assert engine.asked == [("diagnose", "nosuch", False)]
