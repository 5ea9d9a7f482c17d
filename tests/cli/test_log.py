"""What gets into the log, and how it is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from macvnet import journal
from macvnet.errors import KernelRefused
from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("MACVNET_STATE_DIR", str(path))
    monkeypatch.setattr(journal, "JOURNALD", "/nonexistent/socket")
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.setattr(journal, "_login", lambda: "alice")
    return path


CHANGING = [
    ("create", "x"),
    ("rm", "lan"),
    ("prune", "-f"),
    ("connect", "lan", "42"),
    ("disconnect", "lan", "42"),
    ("attach", "--net=lan", "42"),
    ("detach", "42"),
    ("restore",),
    ("repair",),
    ("gc",),
]


@pytest.mark.parametrize("words", CHANGING, ids=lambda words: str(words[0]))
def test_what_changes_something_has_one_entry(
    macvnet: Macvnet, state: Path, words: tuple[str, ...]
) -> None:
    assert macvnet(*words).status == 0
    ((found,), damaged) = journal.read(str(state))
    assert (found.arguments, found.status, damaged) == (words, 0, 0)
    assert macvnet("log").out.splitlines()[0].endswith(f" status 0 macvnet {' '.join(words)}")


@pytest.mark.parametrize(
    "words",
    [
        *((*words, "--dry-run") for words in CHANGING),
        *(("ls",), ("inspect", "lan"), ("check",), ("log",), ("create", "--help"), ()),
        *(("create",), ("creat", "x"), ("create", "--nosuch", "x")),
    ],
    ids=" ".join,
)
def test_what_only_looks_has_none(macvnet: Macvnet, state: Path, words: tuple[str, ...]) -> None:
    macvnet(*words)
    assert list(state.iterdir()) == []


def test_changes_in_the_kernel_are_collected_without_being_printed(
    macvnet: Macvnet, state: Path
) -> None:
    assert macvnet("create", "x").err == ""
    assert macvnet("--verbose", "create", "x").err == "+ ip link add eth0.50\n"
    found, _ = journal.read(str(state))
    assert [one.operations for one in found] == [("ip link add eth0.50",)] * 2


def test_a_failure_is_told_with_its_message(
    macvnet: Macvnet, engine: FakeEngine, state: Path
) -> None:
    macvnet("rm", "nosuch", "neither", "lan")
    engine.fail = KernelRefused("add a link", 17, "it \x1b[31mexists")
    macvnet("create", "a b")
    engine.fail = KeyboardInterrupt()
    macvnet("create", "c")
    engine.fail = None
    pattern = (
        r"\S+Z (root|uid \d+) \(alice\) status 4 macvnet rm nosuch neither lan\n"
        r"    network 'nosuch' does not exist\n"
        r"    network 'neither' does not exist\n"
        r"\S+Z (root|uid \d+) \(alice\) status 8 macvnet create 'a b'\n"
        r"    cannot add a link: it \\x1b\[31mexists\n"
        r"\S+Z (root|uid \d+) \(alice\) status 130 macvnet create c\n"
        r"    interrupted, what was not finished has been undone\n"
    )
    assert re.fullmatch(pattern, macvnet("log").out)


def test_hostile_text_is_told_as_text(macvnet: Macvnet, state: Path) -> None:
    macvnet("create", "\x1b]0;x\x07\n\udcff")
    said = macvnet("log")
    assert said.out.splitlines()[0].endswith(r" macvnet create '\x1b]0;x\x07\n\udcff'")
    assert "\x1b" not in macvnet("log", "--format=json").out


def test_the_log_as_json_has_a_line_for_each_command(macvnet: Macvnet, state: Path) -> None:
    macvnet("create", "x")
    macvnet("gc")
    first, second = map(json.loads, macvnet("log", "--format", "json").out.splitlines())
    assert first["arguments"] == ["create", "x"]
    assert first["operations"] == ["ip link add eth0.50"]
    assert (first["sudo_user"], first["login"], first["status"]) == ("alice", "alice", 0)
    assert second["arguments"] == ["gc"]


def test_a_part_of_the_log(macvnet: Macvnet, state: Path) -> None:
    for day in range(1, 4):
        made = journal.entry((f"gc{day}",), 0, (), (), began=0.0)
        journal.record(str(state), made._replace(time=f"2026-01-0{day}T00:00:00.000Z"))
    macvnet("gc")

    def shown(*words: str) -> list[str]:
        return [line.split()[-1] for line in macvnet("log", *words).out.splitlines()
                if " status " in line]  # fmt: skip

    assert shown() == ["gc1", "gc2", "gc3", "gc"]
    assert shown("-n", "2") == ["gc3", "gc"]
    assert shown("-n99") == shown("-n0") == shown("--since=999999999d") == shown()
    assert shown("--since", "1h") == ["gc"]
    assert shown("--since", "0") == []
    assert macvnet("log", "-n", "-1").status == 3
    assert macvnet("log", "--since", "yesterday").status == 3
    assert macvnet("log", "--format", "xml").status == 3


def test_no_log_yet_is_no_error(macvnet: Macvnet, state: Path) -> None:
    assert macvnet("log") == Said(0, "", "")
    assert macvnet("--state-dir=/nonexistent", "log") == Said(0, "", "")


def test_a_damaged_entry_is_noted(macvnet: Macvnet, state: Path) -> None:
    macvnet("gc")
    with (state / journal.CURRENT).open("a") as file:
        file.write("{\n")
    assert macvnet("log").err == "macvnet: note: damaged lines of the log, left out: 1\n"


def test_a_log_that_cannot_be_written_is_noted_once_and_fails_nothing(
    macvnet: Macvnet, engine: FakeEngine, state: Path
) -> None:
    (state / journal.CURRENT).mkdir()
    said = macvnet("gc")
    assert said.status == 0
    assert said.err.startswith("macvnet: note: this command is not in the log, '")
    assert said.err.count("\n") == 1
    engine.fail = KernelRefused("add a link", 17, "exists")
    assert macvnet("gc") == Said(8, "", "macvnet: cannot add a link: exists\n")
