"""A store that forgets: the fake for tests, and for trying things out.

Knows optimistic commits only, as a cluster store would do them: what a
transaction read may have changed when it commits.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from contextlib import contextmanager
from typing import TYPE_CHECKING

from macvnet.errors import StoreError
from macvnet.store.backend import (
    ANY,
    MAX_OPERATIONS,
    Guard,
    KeyTaken,
    Operation,
    Row,
    StoreConflict,
    outside,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class MemoryBackend:
    """Rows in a dictionary.

    ``before_commit`` is a queue of callables, one used up by each commit: they
    may raise (a failing disk) or commit something else first (somebody faster).
    """

    most_operations = MAX_OPERATIONS

    def __init__(self, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self.before_commit: list[Callable[[], None]] = []
        self._rows: dict[str, Row] = {}
        self._keys: list[str] = []
        self._revision = 0
        self._lock = threading.RLock()

    def get(self, key: str) -> Row | None:
        """The row of a key."""
        return self._rows.get(key)

    def scan(self, low: str, high: str, *, limit: int | None, reverse: bool) -> list[Row]:
        """Rows with low <= key < high, in order."""
        with self._lock:
            begin = bisect_left(self._keys, low)
            end = bisect_left(self._keys, high) if high else len(self._keys)
            if limit is not None and reverse:
                begin = max(begin, end - limit)
            elif limit is not None:
                end = min(end, begin + limit)
            keys = self._keys[begin:end]
            return [self._rows[key] for key in (reversed(keys) if reverse else keys)]

    @contextmanager
    def session(self, *, write: bool, durable: bool = True) -> Iterator[None]:
        """Nothing is locked: commits are optimistic."""
        yield

    def commit(self, operations: Sequence[Operation], guards: Sequence[Guard] = ()) -> None:
        """All operations or none."""
        if len(operations) > self.most_operations:
            raise ValueError(f"{len(operations)} operations in one commit")
        if self.read_only:
            raise StoreError("the state was opened for reading only")
        if self.before_commit:
            self.before_commit.pop(0)()
        with self._lock:
            for key, revision in [(o.key, o.revision) for o in operations] + list(guards):
                row = self._rows.get(key)
                if revision != ANY and (row.revision if row else 0) != revision:
                    raise StoreConflict(key)
            self._revision += 1
            for operation in operations:
                self._apply(operation)

    def begin_sync(self) -> None:
        """Nothing is ever on its way: it is for this process alone."""

    def load(self, rows: Sequence[tuple[str, str]], *, apart_from: Sequence[str]) -> None:
        """Put many rows, all or none."""
        if self.read_only:
            raise StoreError("the state was opened for reading only")
        with self._lock:
            foreign = outside(self, apart_from)
            if foreign is not None:
                raise KeyTaken(foreign)
            self._revision += 1
            for key, text in rows:
                self._apply(Operation(key, text, 0))

    def close(self) -> None:
        """Nothing to let go of."""

    def _apply(self, operation: Operation) -> None:
        key = operation.key
        if operation.text is not None:
            if key not in self._rows:
                insort(self._keys, key)
            self._rows[key] = Row(key, operation.text, self._revision)
        elif self._rows.pop(key, None):
            del self._keys[bisect_left(self._keys, key)]
