"""The log of commands: private, bounded, never mixed, and never in the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet import journal
from macvnet.errors import StoreError
from macvnet.journal import CURRENT, FORMER, Entry


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


def entry(*arguments: str, **changed: Any) -> Entry:
    made = journal.entry(arguments, 0, (), (), began=0.0)
    return made._replace(**changed)


def recorded(state: Path, *entries: Entry) -> list[Entry]:
    for one in entries:
        assert journal.record(str(state), one) is None
    return journal.read(str(state))[0]


@pytest.mark.parametrize(
    "text", ["", "a b", "\x1b[31m\n\r\x00", "\udcff", "\u2028", '{"time":', "'", "ü", "}\n{"]
)
def test_whatever_was_typed_comes_back_as_it_was(state: Path, text: str) -> None:
    made = entry("create", text, errors=(text,), operations=(text,), sudo_user=text)
    assert recorded(state, made, made) == [made, made]
    assert (state / CURRENT).read_bytes().count(b"\n") == 2


def test_it_is_private_whatever_the_umask(state: Path) -> None:
    umask = os.umask(0)
    try:
        recorded(state, entry("create"))
    finally:
        os.umask(umask)
    assert stat.S_IMODE((state / CURRENT).stat().st_mode) == 0o600


def test_nothing_is_made_where_there_is_no_state_or_others_can_write(tmp_path: Path) -> None:
    assert journal.record(str(tmp_path / "none"), entry("rm")) is None
    assert journal.record("/nonexistent/\0", entry("rm")) is None
    tmp_path.chmod(0o777)
    assert journal.record(str(tmp_path), entry("rm")) is None
    assert list(tmp_path.iterdir()) == []
    assert journal.read(str(tmp_path / "none")) == ([], 0)


def test_two_files_of_bounded_size_keep_the_last_entries(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LARGEST_FILE", 20_000)
    for number in range(500):
        recorded(state, entry("create", f"n{number}"))
    entries, damaged = journal.read(str(state))
    assert damaged == 0
    numbers = [int(one.arguments[1][1:]) for one in entries]
    assert numbers == list(range(numbers[0], 500))
    assert {path.name for path in state.iterdir()} == {CURRENT, FORMER}
    sizes = [path.stat().st_size for path in state.iterdir()]
    assert max(sizes) <= 20_000 < sum(sizes)


def _write_many(state: str, number: int) -> None:
    journal.LARGEST_FILE = 200_000
    for count in range(200):
        made = entry("create", f"{number}", f"{count}", "x" * 500)
        assert journal.record(state, made) is None


def test_several_processes_lose_no_entry_and_mix_none(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six times 200 entries, of which two files of 200 kB keep the last 400 or so."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write_many, args=(str(state), n)) for n in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    entries, damaged = journal.read(str(state))
    assert damaged == 0
    for number in range(6):
        kept = [int(one.arguments[2]) for one in entries if one.arguments[1] == str(number)]
        assert kept == list(range(200 - len(kept), 200))
    assert 250 < len(entries) < 650


def test_an_entry_is_bounded_too(state: Path) -> None:
    huge = ["\U0001f310" * 5000] * 3000
    made = journal.entry(huge, 1, huge, huge, began=0.0)
    (found,) = recorded(state, made)
    assert (state / CURRENT).stat().st_size <= journal.LARGEST_ENTRY
    assert found.left_out + len(found.operations) == 3000
    assert max(map(len, found.arguments)) <= journal.LONGEST_TEXT + 3


def test_a_failure_to_write_is_told_in_a_sentence(state: Path, tmp_path: Path) -> None:
    (state / CURRENT).symlink_to(tmp_path / "elsewhere")
    told = journal.record(str(state), entry("rm"))
    assert told is not None and str(state / CURRENT) in told and "\n" not in told
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(StoreError):
        journal.read(str(state))
    (state / CURRENT).unlink()
    os.mkfifo(state / CURRENT, 0o600)
    assert journal.record(str(state), entry("rm")) is not None
    with pytest.raises(StoreError):
        journal.read(str(state))
    (state / CURRENT).unlink()
    (state / CURRENT).touch(0o600)
    (state / CURRENT).chmod(0o666)
    assert journal.record(str(state), entry("rm")) is not None
    with pytest.raises(StoreError):
        journal.read(str(state))


def test_a_cut_entry_costs_itself_only(state: Path) -> None:
    """A full disk takes half a line; the next entry is appended to it."""
    first, second, third = entry("a"), entry("b"), entry("c")
    recorded(state, first, second)
    content = (state / CURRENT).read_bytes()
    (state / CURRENT).write_bytes(content[:-30])
    assert recorded(state, third) == [first, third]


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "line",
    [
        DEEP,
        b'{"time":' + DEEP,
        b"null",
        b"[]",
        b"1" * 5000,
        b"\xff\xfe",
        b'{"time":1}',
        b'{"time":"t"}',
        json.dumps({**entry("x")._asdict(), "arguments": [1]}).encode(),
        json.dumps({**entry("x")._asdict(), "status": "0"}).encode(),
        json.dumps({**entry("x")._asdict(), "status": True}).encode(),
    ],
)
def test_damaged_lines_are_counted_and_left_out(state: Path, line: bytes) -> None:
    good = entry("good")
    recorded(state, good)
    with (state / CURRENT).open("ab") as file:
        file.write(line + b"\n")
    recorded(state, good)
    assert journal.read(str(state)) == ([good, good], 1)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_a_failure(content: bytes) -> None:
    for line in content.split(b"\n"):
        journal._parsed(line)


def received(monkeypatch: pytest.MonkeyPatch, state: Path, made: Entry) -> list[str]:
    path = str(state / "socket")
    monkeypatch.setattr(journal, "JOURNALD", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.setblocking(False)
        assert journal.record(str(state), made) is None
        return listener.recv(1 << 20).decode().splitlines()


def test_journald_gets_a_datagram_of_its_protocol(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = entry(
        *("create", "a b\nPRIORITY=0"),
        status=5,
        errors=("no\x1b",),
        operations=("ip link add\nX=y", "sysctl -w a=1"),
        sudo_user="alice",
        user=0,
    )
    lines = received(monkeypatch, state, made)
    assert lines[:3] == [
        r"MESSAGE=macvnet create 'a b\nPRIORITY=0' (status 5, root (alice)): no\x1b",
        "PRIORITY=4",
        "SYSLOG_IDENTIFIER=macvnet",
    ]
    assert lines[-2:] == [r"MACVNET_OPERATION=ip link add\nX=y", "MACVNET_OPERATION=sysctl -w a=1"]
    assert {line.partition("=")[0] for line in lines} == {
        *("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "MACVNET_COMMAND"),
        *("MACVNET_STATUS", "MACVNET_UID", "MACVNET_SUDO_USER", "MACVNET_LOGIN"),
        *("MACVNET_SECONDS", "MACVNET_ERROR", "MACVNET_OPERATION"),
    }


def test_a_datagram_is_bounded(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = received(monkeypatch, state, entry("restore", operations=("x" * 900,) * 1000))
    assert sum(len(line) + 1 for line in lines) <= journal.LARGEST_DATAGRAM


def test_a_journald_that_does_not_listen_holds_nobody_up(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(state / "socket")
    monkeypatch.setattr(journal, "JOURNALD", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        for _ in range(1000):  # far more than its queue takes
            assert journal.record(str(state), entry("rm")) is None
    assert journal.record(str(state), entry("rm")) is None
