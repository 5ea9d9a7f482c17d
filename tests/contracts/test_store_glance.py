"""A glance at the embedded store: as it is now, without a trace, without waiting."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from macvnet.errors import StoreError
from macvnet.store import Store, Transaction, migration, open_store
from macvnet.store import sqlite as module


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    put(open_store(str(path)), "k", 1)
    return path


def put(store: Store, key: str, value: object) -> None:
    store.transact(lambda tx: tx.put(key, value))


Trace = dict[str, tuple[bytes, int]]


def trace(state: Path) -> Trace:
    """Every file with its content and the time of its last change."""
    files = (path for path in state.rglob("*") if path.is_file())
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def seen(state: Path) -> object:
    with open_store(str(state), glance=True) as store:
        return store.get("k")


def test_it_leaves_every_file_as_it_is(state: Path) -> None:
    before = trace(state)
    assert {"state.db", "state.db-wal", "state.db-shm"} <= before.keys()
    assert seen(state) == 1
    assert trace(state) == before


def test_it_sees_each_commit_of_a_writer_that_is_at_work(state: Path) -> None:
    with open_store(str(state)) as writer:
        for number in range(3 * module.CHECKPOINT_PAGES):
            put(writer, "k", number)
            if number % 20 == 0:
                assert seen(state) == number
    assert seen(state) == 3 * module.CHECKPOINT_PAGES - 1


def test_it_sees_what_was_last_committed_while_somebody_writes(state: Path) -> None:
    def change(tx: Transaction) -> None:
        tx.put("k", 2)
        assert seen(state) == 1

    open_store(str(state)).transact(change)
    assert seen(state) == 2


def test_where_nothing_is_it_makes_nothing(tmp_path: Path) -> None:
    assert seen(tmp_path / "state") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "state").mkdir(mode=0o700)
    assert seen(tmp_path / "state") is None
    assert list((tmp_path / "state").iterdir()) == []


def test_a_state_without_a_log_is_read_without_one(state: Path, tmp_path: Path) -> None:
    folded = sqlite3.connect(state / "state.db")
    folded.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    folded.close()
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    shutil.copy2(state / "state.db", copy)
    before = trace(copy)
    assert seen(copy) == 1
    assert trace(copy) == before


def test_a_log_without_its_index_is_left_alone(state: Path) -> None:
    (state / "state.db-shm").unlink()
    before = trace(state)
    with pytest.raises(StoreError, match="no index"):
        seen(state)
    assert trace(state) == before
    assert open_store(str(state), read_only=True).get("k") == 1


def test_an_older_state_is_not_brought_up_to_date(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCHEMA_VERSION", 2)
    monkeypatch.setattr(migration, "STEPS", {1: lambda connection: None})
    before = trace(state)
    with pytest.raises(StoreError, match="older"):
        seen(state)
    assert trace(state) == before


def test_it_waits_for_nobody(state: Path) -> None:
    keeper = sqlite3.connect(state / "state.db")
    try:
        keeper.execute("PRAGMA locking_mode = EXCLUSIVE")
        keeper.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        with pytest.raises(StoreError):
            seen(state)
        assert time.monotonic() - begun < module.LOCK_SECONDS / 2
    finally:
        keeper.close()


def test_it_refuses_to_write(state: Path) -> None:
    with (
        open_store(str(state), glance=True) as store,
        pytest.raises(StoreError, match="reading only"),
    ):
        put(store, "k", 2)
