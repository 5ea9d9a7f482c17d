"""What a kind of store must offer, in terms of texts and revisions.

Knows the contract that every kind keeps (tests/contracts runs one body against
all of them); must not know JSON or what is stored.
"""

from __future__ import annotations

from macvnet.records import NamedTuple, Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

# etcd's default --max-txn-ops: a change that fits here fits there.
MAX_OPERATIONS = 128


ANY = -1
"""The guard that always holds, of a deletion: whatever is at the key, or nothing, goes."""


class Row(NamedTuple):
    """One key with its text and its revision (> 0, never used twice for a key)."""

    key: str
    text: str
    revision: int


class Operation(NamedTuple):
    """Put ``text`` at ``key`` (or delete it, when ``text`` is None).

    ``revision`` is the guard: the revision the key must have, 0 = must not exist,
    and for a deletion also ANY.
    """

    key: str
    text: str | None
    revision: int


class Guard(NamedTuple):
    """A key that was read, and the revision it must still have (0 = none)."""

    key: str
    revision: int


class StoreConflict(Exception):
    """Somebody else changed ``key`` since it was read."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class KeyTaken(Exception):
    """A key that must not exist does."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Backend(Protocol):
    """One kind of store. Keys are ordered by code point."""

    read_only: bool
    most_operations: int
    """How many of them a commit takes: MAX_OPERATIONS or more."""

    def get(self, key: str) -> Row | None:
        """The row of a key."""

    def scan(self, low: str, high: str, *, limit: int | None, reverse: bool) -> list[Row]:
        """Rows with low <= key < high, in order; ``high`` "" means no upper end."""

    def session(self, *, write: bool, durable: bool = True) -> AbstractContextManager[None]:
        """One view of the data, until the end of the block; inside another one, that one's.

        With ``write``, a kind that can lock does so here, before anything is
        read, and what is committed inside cannot conflict. A kind that cannot
        lets ``commit`` raise StoreConflict. Leaving it without a commit
        changes nothing. Not ``durable``: what is committed inside may be lost
        with the power, until the next durable commit.
        """

    def commit(self, operations: Sequence[Operation], guards: Sequence[Guard] = ()) -> None:
        """All operations or none; StoreConflict when a guard does not hold.

        At most ``most_operations`` (ValueError beyond). Durable when it
        returns, unless the session is not.
        """

    def begin_sync(self) -> None:
        """Have what was committed and is not durable yet go on its way, without waiting for it.

        It is not durable by that: a durable commit that follows waits less.
        """

    def load(self, rows: Sequence[tuple[str, str]], *, apart_from: Sequence[str]) -> None:
        """Put many rows, all or none; KeyTaken if a key is here under no prefix of these."""

    def close(self) -> None:
        """Let go of files and connections; the backend can be used again afterwards."""


def after(prefix: str) -> str:
    """The least text above everything that starts with ``prefix`` ("" = there is none)."""
    for position in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[position]) + 1
        if 0xD800 <= code <= 0xDFFF:  # surrogates are no characters, and no store takes them
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[:position] + chr(code)
    return ""


def bounds(prefix: str, start: str | None, reverse: bool) -> tuple[str, str]:
    """The range [low, high) of a scan; ``start`` is a full key and included."""
    low, high = prefix, after(prefix)
    if start is not None:
        if reverse:
            end = start + "\0"
            high = min(high, end) if high else end
        else:
            low = max(low, start)
    return low, high


def outside(backend: Backend, prefixes: Sequence[str]) -> str | None:
    """The first key under none of the prefixes, or None."""
    begin = ""
    for prefix in sorted(prefixes):
        if found := backend.scan(begin, prefix, limit=1, reverse=False):
            return found[0].key
        begin = after(prefix)
    found = backend.scan(begin, "", limit=1, reverse=False)
    return found[0].key if found else None
