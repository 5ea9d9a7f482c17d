"""A change being thought out: reads see its own writes, nothing is stored yet.

Knows JSON, and which guards follow from what was read; must not know a kind of
store.

What a scan did not return is not guarded: a key that somebody else adds inside
a scanned range does not conflict on a store that cannot lock. Code that
depends on absence reads that key, or a record that every such addition changes.
"""

from __future__ import annotations

from macvnet import jsontext
from macvnet.blocks import contextmanager
from macvnet.errors import StoreError
from macvnet.records import Protocol
from macvnet.store.backend import ANY, Backend, Guard, KeyTaken, Operation, Row, bounds
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")


class Reader(Protocol):
    """What can be asked of a store, and of a transaction alike."""

    def get(self, key: str) -> Any | None:
        """The value of a key, or None."""

    def parsed(self, key: str, parse: Callable[[Any], T]) -> T | None:
        """What ``parse`` makes of the value of a key, which must not be changed; or None."""

    def scan(
        self,
        prefix: str,
        *,
        start: str | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[tuple[str, Any]]:
        """Keys that start with ``prefix`` and their values, in order of key.

        ``start`` is a full key, included; with ``reverse`` the scan goes
        downwards from there (or from the end of the prefix).
        """


def decoded(key: str, text: str) -> Any:
    """The value in a stored text. StoreError where a disk has changed it."""
    try:
        return jsontext.read(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(
            f"the state is damaged, the record {quoted(key)} cannot be read",
            "macvnet state import BACKUP, into a new --state-dir",
        ) from error


def _kind(key: str) -> str:
    return key[: key.find("/") + 1]


class Parsed:
    """What the latest records were parsed to: many ask for the same, before a change and in it.

    For one kind of record there must be one ``parse``.
    """

    MOST = 1024

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Any]] = {}

    def of(self, key: str, text: str, parse: Callable[[Any], T]) -> T | None:
        """What ``parse`` makes of a record; None of null. StoreError where it is damaged."""
        known = self._known.get(key)
        if known is None or known[0] != text:
            value = decoded(key, text)
            if len(self._known) >= self.MOST:
                self._known.clear()
            known = self._known[key] = (text, None if value is None else parse(value))
        found: Any = known[1]
        asked: T | None = found
        return asked


class Transaction:
    """Reads and intended writes over one backend; ``Store.transact`` commits it."""

    def __init__(self, backend: Backend, parsed: Parsed | None = None) -> None:
        self._backend = backend
        self._read: dict[str, Row | None] = {}
        self._writes: dict[str, str | None] = {}
        self._of_kind: dict[str, list[str]] = {}
        """The keys of ``_writes`` by their first parts: a scan looks at few."""
        self._fresh: set[str] = set()
        self._parsed = parsed or Parsed()

    def get(self, key: str) -> Any | None:
        """The value of a key, own writes included; None where there is none."""
        text = self._text(key)
        return None if text is None else decoded(key, text)

    def parsed(self, key: str, parse: Callable[[Any], T]) -> T | None:
        """As Reader.parsed, own writes included."""
        text = self._text(key)
        return None if text is None else self._parsed.of(key, text, parse)

    def _text(self, key: str) -> str | None:
        if key in self._writes:
            return self._writes[key]
        row = self._row(key)
        return row.text if row else None

    def scan(
        self,
        prefix: str,
        *,
        start: str | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[tuple[str, Any]]:
        """As Reader.scan, own writes included."""
        low, high = bounds(prefix, start, reverse)
        own = {
            key: self._writes[key]
            for key in (self._of_kind.get(_kind(prefix), ()) if "/" in prefix else self._writes)
            if low <= key and (not high or key < high)
        }
        # Every own write can hide one stored row at most.
        wanted = None if limit is None else limit + len(own)
        found: dict[str, str | None] = {}
        for row in self._backend.scan(low, high, limit=wanted, reverse=reverse):
            self._read.setdefault(row.key, row)
            found[row.key] = row.text
        found.update(own)
        keys = sorted((key for key, text in found.items() if text is not None), reverse=reverse)
        return [(key, decoded(key, found[key] or "null")) for key in keys[:limit]]

    def put(self, key: str, value: Any) -> None:
        """Set a key, whether it exists or not."""
        self._row(key)
        self._write(key, jsontext.written(value))

    def create(self, key: str, value: Any) -> None:
        """Set a key that must not exist; KeyTaken if it does."""
        if self.get(key) is not None:
            raise KeyTaken(key)
        if not self._is_fresh(key):
            self._row(key)
        self._write(key, jsontext.written(value))

    def create_fresh(self, key: str, value: Any) -> None:
        """Set a key that cannot exist, so that nobody need look: it holds a new random ID, say.

        Should it exist all the same, the transaction is run again, and in the end refused.
        """
        if key in self._writes or key in self._read:
            self.create(key, value)
            return
        self._fresh.add(key)
        self._write(key, jsontext.written(value))

    def delete(self, key: str) -> None:
        """Remove a key; nothing happens if it is not there."""
        if not self._is_fresh(key):
            self._row(key)
        self._write(key, None)

    def erase(self, key: str) -> None:
        """Remove a key, whatever it holds by now: nobody need look. For what belongs to a record
        that is read, and is never changed but with it."""
        self._write(key, None)

    def _write(self, key: str, text: str | None) -> None:
        if key not in self._writes:
            self._of_kind.setdefault(_kind(key), []).append(key)
        self._writes[key] = text

    def _is_fresh(self, key: str) -> bool:
        return key in self._fresh and key in self._writes and key not in self._read

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """What is written inside the block counts only if it ends without an exception."""
        before = dict(self._writes)
        try:
            yield
        except BaseException:
            self._writes, self._of_kind = {}, {}
            for key, text in before.items():
                self._write(key, text)
            raise

    @property
    def size(self) -> int:
        """How many operations it would commit now at most."""
        return len(self._writes)

    @property
    def operations(self) -> list[Operation]:
        """What it would commit: writes that change something."""
        result = []
        for key, text in self._writes.items():
            if key not in self._read:
                if key not in self._fresh:
                    result.append(Operation(key, text, ANY))
                elif text is not None:
                    result.append(Operation(key, text, 0))
                continue
            row = self._read[key]
            if text != (row.text if row else None):
                result.append(Operation(key, text, row.revision if row else 0))
        return result

    @property
    def guards(self) -> list[Guard]:
        """What it read and does not write."""
        changed = {operation.key for operation in self.operations}
        return [
            Guard(key, row.revision if row else 0)
            for key, row in self._read.items()
            if key not in changed
        ]

    def _row(self, key: str) -> Row | None:
        if key not in self._read:
            self._read[key] = self._backend.get(key)
        return self._read[key]
