"""check, repair, restore and gc: what they ask of the engine, print, and end with."""

from __future__ import annotations

import json

import pytest

from macvnet.engine.checking import Difference
from macvnet.errors import KernelRefused
from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine, endpoint, network

FINE, INVALID, NOT_FOUND, DIFFERENCES, PENDING, PARTLY = 0, 3, 4, 11, 12, 13


def test_check_says_nothing_where_nothing_differs(macvnet: Macvnet) -> None:
    assert macvnet("check") == Said(FINE, "", "")
    assert macvnet("check", "--format", "json") == Said(FINE, "[]\n", "")


def test_check_prints_a_line_for_each_difference(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.differs = True
    lines = "network lan: its link eth0 is missing\nnetwork lan: the parent eth0 is down\n"
    assert macvnet("check", "lan") == Said(DIFFERENCES, lines, "")
    assert engine.asked == [("check", ("lan",), None)]


def test_check_names_each_kind_of_difference_for_scripts(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    engine.differs = True
    said = macvnet("check", "--format=json")
    assert said.status == DIFFERENCES
    first, second = json.loads(said.out)
    assert first == {
        "kind": "endpoint-link-missing",
        "subject": "network lan",
        "text": "its link eth0 is missing",
        "network": "lan",
        "endpoint_id": endpoint(engine.known[0]).id,
        "fix": None,
    }
    assert (second["kind"], second["endpoint_id"]) == ("parent-down", None)


@pytest.mark.parametrize("name", ["check", "repair"])
def test_what_is_unknown_is_refused(macvnet: Macvnet, name: str) -> None:
    assert macvnet(name, "nosuch").status == NOT_FOUND
    assert macvnet(name, "--format", "yaml").status == INVALID


def test_repair_says_what_it_mended_and_what_it_left(macvnet: Macvnet, engine: FakeEngine) -> None:
    assert macvnet("repair") == Said(FINE, "", "")
    engine.differs = True
    said = macvnet("repair", "lan")
    assert said == Said(
        DIFFERENCES,
        "mended network lan: its link eth0 is missing\n"
        "left network lan: the parent eth0 is down: a parent is never changed\n",
        "",
    )
    assert macvnet("repair", "--dry-run").out.startswith("would mend network lan: ")
    assert [call[1:] for call in engine.asked] == [((), False), (("lan",), False), ((), True)]


def test_repair_prints_json(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.differs = True
    mended, left = json.loads(macvnet("repair", "--format=json").out)
    assert (mended["mended"], left["mended"]) == (True, False)
    assert left["reason"] == "a parent is never changed"


def test_foreign_text_in_a_difference_is_escaped(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("a\x1b[31m\n")]
    engine.differs = True
    for name in ("check", "repair"):
        assert macvnet(name).out.count("network a\\x1b[31m\\n: ") == 2
        assert "\x1b" not in macvnet(name, "--format=json").out


def test_restore_prints_what_it_made(macvnet: Macvnet, engine: FakeEngine) -> None:
    assert macvnet("restore") == Said(FINE, "link eth0.50 for network lan\n", "")
    assert engine.asked == [("restore", 0.0, False)]


@pytest.mark.parametrize(
    ("given", "seconds"), [("0", 0.0), ("90", 90.0), ("90s", 90.0), ("15m", 900.0), ("1d", 86400.0)]
)
def test_restore_waits_as_long_as_asked(
    macvnet: Macvnet, engine: FakeEngine, given: str, seconds: float
) -> None:
    assert macvnet("restore", "--wait", given).status == FINE
    assert engine.asked == [("restore", seconds, False)]


@pytest.mark.parametrize("given", ["", "soon", "-1", "1.5", "1w", "9999999999", "\x1b"])
def test_no_duration_is_refused_before_anything_is_done(
    macvnet: Macvnet, engine: FakeEngine, given: str
) -> None:
    for words in (("restore", f"--wait={given}"), ("gc", f"--grace={given}")):
        said = macvnet(*words)
        assert said.status == INVALID
        assert "is not a duration" in said.err
    assert engine.asked == []


def test_restore_names_what_is_still_missing(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.pending = ("network lan: the parent eth7 is missing",)
    said = macvnet("restore")
    assert said.status == PENDING
    assert said.err == (
        "macvnet: network lan: the parent eth7 is missing\nhint: macvnet restore --wait 60\n"
    )


def test_restore_goes_on_after_a_failure_and_says_so(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.failed = (("network v50", KernelRefused("add a link", 17, "exists", "ip link")),)
    engine.pending = ("network lan: the parent eth7 is missing",)
    said = macvnet("restore")
    assert (said.status, said.out) == (PARTLY, "link eth0.50 for network lan\n")
    assert said.err.splitlines()[:2] == [
        "macvnet: network v50: cannot add a link: exists",
        "hint: ip link",
    ]


def test_restore_foresees_what_it_would_make(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.pending = ("network lan: the parent eth7 is missing",)
    said = macvnet("restore", "--dry-run", "--wait=60")
    assert (said.status, said.out) == (PENDING, "create link eth0.50\n")
    assert engine.asked == [("restore", 60.0, True)]


def test_gc_prints_what_it_freed(macvnet: Macvnet, engine: FakeEngine) -> None:
    line = "remove endpoint of pid:7 from network lan\n"
    assert macvnet("gc", "--dry-run") == Said(FINE, line, "")
    assert macvnet("gc", "--grace=1h") == Said(FINE, line, "")
    assert engine.asked == [("collect", None, True), ("collect", 3600.0, False)]


def test_check_asks_the_lan_where_that_is_wanted_and_says_what_to_type(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    fix = "macvnet disconnect lan netns:web, and connect it anew"
    engine.conflicts = [Difference("address-taken", "netns:web\x1b", "taken", fix=fix)]
    assert macvnet("check", "lan") == Said(FINE, "", "")
    said = macvnet("check", "--probe", "lan")
    assert said == Said(DIFFERENCES, f"netns:web\\x1b: taken ({fix})\n", "")
    [row] = json.loads(macvnet("check", "--probe", "--format=json").out)
    assert (row["kind"], row["fix"], row["network"]) == ("address-taken", fix, None)
    assert macvnet("check", "--no-probe") == Said(FINE, "", "")
    assert engine.asked == [
        ("check", ("lan",), None), ("check", ("lan",), True), ("check", (), True),
        ("check", (), False),
    ]  # fmt: skip
    assert macvnet("check", "--probe", "--no-probe").status == 3
