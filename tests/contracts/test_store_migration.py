"""A state file of an older macvnet: backed up, brought up to date, or left alone."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from macvnet.errors import StoreError
from macvnet.store import migration, open_store
from macvnet.store import sqlite as module
from macvnet.store.migration import Step

Migrate = Callable[..., None]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    with open_store(str(path)) as store:
        store.transact(lambda tx: tx.put("k", "old"))
    return path


def to_two(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE kv SET value = '\"two\"' WHERE key = 'k'")


def to_three(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE kv ADD COLUMN third")
    connection.execute("UPDATE kv SET value = '\"three\"' WHERE key = 'k' AND value = '\"two\"'")


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Migrate:
    """This macvnet becomes one of schema version 3, with these steps."""

    def become(first: Step = to_two, second: Step = to_three) -> None:
        monkeypatch.setattr(module, "SCHEMA_VERSION", 3)
        monkeypatch.setattr(migration, "STEPS", {1: first, 2: second})

    return become


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        [(found,)] = connection.execute("PRAGMA user_version").fetchall()
        return int(found)
    finally:
        connection.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_all_steps_are_taken_once_after_a_backup(
    state: Path, newer: Migrate, read_only: bool
) -> None:
    newer()
    for _ in range(2):
        with open_store(str(state), read_only=read_only) as store:
            assert store.get("k") == "three"
    backup = state / "state.db.v1.backup"
    assert [path.name for path in state.glob("*backup*")] == [backup.name]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert (version(state / "state.db"), version(backup)) == (3, 1)


def test_the_backup_is_a_state_file_of_its_own(
    state: Path, newer: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with what was in the log only when it was made."""
    newer()
    open_store(str(state)).get("k")
    again = state.parent / "again"
    again.mkdir(mode=0o700)
    (again / "state.db").touch(0o600)
    (again / "state.db").write_bytes((state / "state.db.v1.backup").read_bytes())
    monkeypatch.setattr(module, "SCHEMA_VERSION", 1)
    with open_store(str(again)) as store:
        assert store.get("k") == "old"
        store.transact(lambda tx: tx.put("k", "new"))


def test_a_step_that_fails_leaves_everything_as_it_was(
    state: Path, newer: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        to_three(connection)
        raise sqlite3.OperationalError("no such thing")

    newer(second=fail)
    for read_only in (False, True):
        with pytest.raises(StoreError):
            open_store(str(state), read_only=read_only).get("k")
    monkeypatch.setattr(module, "SCHEMA_VERSION", 1)
    with open_store(str(state)) as store:
        assert store.get("k") == "old"
        store.transact(lambda tx: tx.put("other", 1))


def test_without_a_backup_nothing_is_changed(
    state: Path, newer: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer()

    def full(path: str) -> None:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(migration, "_sync", full)
    with pytest.raises(StoreError, match=r"cannot be backed up .*No space left") as caught:
        open_store(str(state)).get("k")
    assert caught.value.hint
    assert version(state / "state.db") == 1
    assert list(state.glob("*backup*")) == []


def test_a_version_that_no_step_leads_from_is_left_alone(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(migration, "STEPS", {2: to_three})
    with pytest.raises(StoreError, match="not macvnet's"):
        open_store(str(state)).get("k")
    assert version(state / "state.db") == 1


CHILD = """
import sys
from macvnet.store import migration, open_store, sqlite as module
def step(connection):
    [(value,)] = connection.execute("SELECT value FROM kv WHERE key = 'k'").fetchall()
    connection.execute("UPDATE kv SET value = ? WHERE key = 'k'", (value[:-1] + '+"',))
module.SCHEMA_VERSION = 2
migration.STEPS[1] = step
print(open_store(sys.argv[1]).get("k"))
"""


def test_of_several_processes_one_migrates(state: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(state)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(5)
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["old+\n"] * 5
    assert len(list(state.glob("*backup*"))) == 1


def test_the_table_of_steps_leads_to_this_version() -> None:
    versions = range(1, module.SCHEMA_VERSION)
    assert list(migration.STEPS) == list(versions)


def test_an_empty_file_with_a_log_was_truncated(state: Path) -> None:
    os.truncate(state / "state.db", 0)
    log = (state / "state.db-wal").read_bytes()
    assert log
    for read_only in (False, True):
        with pytest.raises(StoreError, match="damaged, the file has become empty"):
            open_store(str(state), read_only=read_only).get("k")
    assert (state / "state.db-wal").read_bytes() == log


def test_a_record_that_the_disk_has_changed_is_named(state: Path) -> None:
    for text in ('{"a', "[" * 100_000):
        connection = sqlite3.connect(state / "state.db")
        with connection:
            connection.execute("UPDATE kv SET value = ? WHERE key = 'k'", (text,))
        connection.close()
        store = open_store(str(state))
        with pytest.raises(StoreError, match="record 'k' cannot be read"):
            store.get("k")
        with pytest.raises(StoreError, match="record 'k' cannot be read"):
            store.scan("")
        with pytest.raises(StoreError, match="record 'k' cannot be read"):
            store.transact(lambda tx: tx.get("k"))
        store.close()
