"""What every kind of store promises: one body, all kinds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from macvnet.errors import StoreError
from macvnet.store import MAX_OPERATIONS, Backend, KeyTaken, Store, StoreConflict, Transaction, core
from macvnet.store.backend import Guard, Operation, after
from macvnet.store.memory import MemoryBackend
from macvnet.store.sqlite import SqliteBackend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda directory: MemoryBackend(),
    "sqlite": lambda directory: SqliteBackend(str(directory / "state")),
}


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return KINDS[request.param](tmp_path)


@pytest.fixture
def store(backend: Backend) -> Store:
    return Store(backend)


def fill(store: Store, keys: str) -> None:
    def change(tx: Transaction) -> None:
        for key in keys.split():
            tx.put(key, key.upper())

    store.transact(change)


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert store.get("a") is None
    assert store.get("") is None
    assert store.scan("") == []


def test_values_come_back_as_they_were_put(store: Store) -> None:
    value = {"ü": [1, None, True, "\0\n\x1b", 2**200], "": {}}
    store.transact(lambda tx: tx.put("k", value))
    assert store.get("k") == value


def test_scans_are_ordered_and_bounded_by_prefix_start_and_limit(store: Store) -> None:
    fill(store, "a/1 a/2 a/3 a/10 b/1 a a0")
    assert [key for key, _ in store.scan("a/")] == ["a/1", "a/10", "a/2", "a/3"]
    assert [key for key, _ in store.scan("a/", reverse=True)] == ["a/3", "a/2", "a/10", "a/1"]
    assert [key for key, _ in store.scan("a/", start="a/2")] == ["a/2", "a/3"]
    assert [key for key, _ in store.scan("a/", start="a/11", limit=1)] == ["a/2"]
    assert [key for key, _ in store.scan("a/", start="a/2", reverse=True, limit=1)] == ["a/2"]
    assert [key for key, _ in store.scan("a/", start="a/19", reverse=True)] == ["a/10", "a/1"]
    assert [key for key, _ in store.scan("a/", start="b", reverse=True, limit=1)] == ["a/3"]
    assert store.scan("a/", start="b") == []
    assert store.scan("a/", start="A", reverse=True) == []
    assert store.scan("a/", limit=0) == []
    assert len(store.scan("")) == 7


def test_a_transaction_sees_its_own_writes(store: Store) -> None:
    fill(store, "k/1 k/2 k/3")

    def change(tx: Transaction) -> None:
        tx.delete("k/1")
        tx.put("k/2", "new")
        tx.create("k/0", "first")
        assert tx.get("k/1") is None
        assert tx.scan("k/", limit=2) == [("k/0", "first"), ("k/2", "new")]
        assert tx.scan("k/", limit=1, reverse=True) == [("k/3", "K/3")]
        tx.delete("k/3")
        assert tx.scan("k/", limit=1, reverse=True) == [("k/2", "new")]

    store.transact(change)
    assert store.scan("k/") == [("k/0", "first"), ("k/2", "new")]


def test_a_value_read_in_a_transaction_is_a_copy(store: Store) -> None:
    def change(tx: Transaction) -> None:
        tx.put("k", [])
        tx.get("k").append(1)  # type: ignore[union-attr]  # get returns Any | None
        assert tx.get("k") == []

    store.transact(change)


def test_create_refuses_a_key_that_exists(store: Store) -> None:
    fill(store, "k")
    with pytest.raises(KeyTaken):
        store.transact(lambda tx: tx.create("k", 1))
    assert store.get("k") == "K"


def test_what_nobody_looked_at_is_created_and_erased(store: Store) -> None:
    fill(store, "k other")

    def change(tx: Transaction) -> None:
        tx.create_fresh("new", 1)
        tx.create_fresh("passing", 1)
        tx.delete("passing")
        tx.erase("k")
        tx.erase("absent")

    store.transact(change)
    assert store.scan("") == [("new", 1), ("other", "OTHER")]


def test_a_fresh_key_that_exists_all_the_same_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, "k")
    monkeypatch.setattr(core, "ATTEMPTS", 2)
    with pytest.raises(StoreError):
        store.transact(lambda tx: tx.create_fresh("k", 1))
    assert store.get("k") == "K"


def test_an_exception_changes_nothing(store: Store) -> None:
    def change(tx: Transaction) -> None:
        tx.put("a", 1)
        raise KeyError("stop")

    with pytest.raises(KeyError):
        store.transact(change)
    assert store.scan("") == []
    fill(store, "after")
    assert store.get("after") == "AFTER"


def test_a_guard_that_does_not_hold_stops_every_operation(backend: Backend) -> None:
    backend.commit([Operation("a", "1", 0)])
    row = backend.get("a")
    assert row
    assert row.revision > 0
    for bad in (
        Operation("a", "2", 0),
        Operation("a", "2", row.revision + 1),
        Operation("a", None, row.revision + 1),
        Operation("a", None, 0),
        Operation("none", "2", row.revision),
        Operation("none", None, row.revision),
    ):
        with pytest.raises(StoreConflict):
            backend.commit([Operation("b", "1", 0), bad])
    for guard in (Guard("a", 0), Guard("none", 1)):
        with pytest.raises(StoreConflict):
            backend.commit([Operation("b", "1", 0)], [guard])
    assert backend.get("b") is None
    assert backend.get("a") == row
    backend.commit([Operation("a", None, row.revision)], [Guard("none", 0)])
    assert backend.get("a") is None


def test_a_conflict_names_the_key_that_is_there_among_many_that_are_not(backend: Backend) -> None:
    backend.commit([Operation("c", "1", 0)])
    with pytest.raises(StoreConflict) as caught:
        backend.commit([Operation(key, "2", 0) for key in "abcde"])
    assert caught.value.key == "c"
    assert [backend.get(key) for key in "abde"] == [None] * 4


def test_a_revision_never_returns(backend: Backend) -> None:
    seen = set()
    for _ in range(3):
        backend.commit([Operation("a", "1", 0)])
        row = backend.get("a")
        assert row
        seen.add(row.revision)
        backend.commit([Operation("a", None, row.revision)])
    assert len(seen) == 3


def test_a_commit_has_a_bounded_size(backend: Backend) -> None:
    most = backend.most_operations
    assert most >= MAX_OPERATIONS
    backend.commit([Operation(f"k/{n}", "1", 0) for n in range(most)])
    with pytest.raises(ValueError, match="operations"):
        backend.commit([Operation(f"l/{n}", "1", 0) for n in range(most + 1)])
    assert backend.scan("l/", after("l/"), limit=None, reverse=False) == []


def test_writes_that_change_nothing_are_not_committed(store: Store) -> None:
    fill(store, "k")
    committed: list[str] = []
    store.commit_hook = lambda stage, operations: committed.append(stage)

    def nothing(tx: Transaction) -> None:
        tx.put("k", "K")
        tx.put("x", 1)
        tx.delete("x")

    store.transact(nothing)
    assert committed == []
    store.transact(lambda tx: tx.put("k", 2))
    assert committed == ["before", "after"]


def test_a_crash_before_the_commit_leaves_everything_as_it_was(store: Store) -> None:
    def crash(stage: str, operations: object) -> None:
        raise KeyboardInterrupt

    store.commit_hook = crash
    with pytest.raises(KeyboardInterrupt):
        fill(store, "k")
    store.commit_hook = None
    assert store.get("k") is None
    fill(store, "k")
    assert store.get("k") == "K"


def test_concurrent_threads_lose_no_update(store: Store) -> None:
    def count(tx: Transaction) -> None:
        tx.put("n", (tx.get("n") or 0) + 1)

    threads = [
        threading.Thread(target=lambda: [store.transact(count) for _ in range(25)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("n") == 100


def test_a_view_drops_what_is_written_in_it(store: Store) -> None:
    fill(store, "k")

    def look(tx: Transaction) -> object:
        tx.put("k", "changed")
        return tx.get("k")

    assert store.view(look) == "changed"
    assert store.get("k") == "K"


@pytest.mark.parametrize("key", ["\udcff", "a/\ud800", "\U0010ffff", "\0", "a\0b"])
def test_strange_keys_are_not_found(store: Store, key: str) -> None:
    assert store.get(key) is None
    assert store.scan(key) == []
    assert store.scan("a/", start=key) == []


def test_the_end_of_a_prefix() -> None:
    assert after("a/") == "a0"
    assert after("") == ""
    assert after("a\U0010ffff") == "b"
    assert after("\U0010ffff") == ""
    assert after("\ud7ff") == "\ue000"


def test_a_closed_store_can_be_used_again(store: Store) -> None:
    fill(store, "k")
    store.close()
    assert store.get("k") == "K"
    store.close()


PREFIXES = ("meta/", "segment/")


def test_a_store_takes_over_another_whole(store: Store) -> None:
    """However much it is; what is here under the named prefixes stays."""
    source = Store(MemoryBackend())
    for begin in range(0, 1000, 100):
        fill(source, " ".join(f"k{number:04}" for number in range(begin, begin + 100)))
    source.transact(lambda tx: tx.put("meta/a", "new"))
    fill(store, "meta/a meta/b segment/x")
    store.fill(source, apart_from=PREFIXES)
    assert len(store.scan("k")) == 1000
    assert [store.get(key) for key in ("meta/a", "meta/b")] == ["new", "META/B"]
    store.transact(lambda tx: tx.put("k0000", "changed"))
    assert store.get("k0000") == "changed"


@pytest.mark.parametrize("key", ["a", "meta", "n", "segment0", "zz"])
def test_a_store_that_holds_something_takes_over_nothing(store: Store, key: str) -> None:
    source = Store(MemoryBackend())
    fill(source, "k")
    fill(store, f"{key} meta/b segment/x")
    with pytest.raises(KeyTaken) as caught:
        store.fill(source, apart_from=PREFIXES)
    assert caught.value.key == key
    assert store.get("k") is None
