"""Free space of a pool as runs of addresses, each found by one ordered look-up.

Knows that ``free`` is ``allow`` less every lease, in maximal runs, and keeps it
so; must not know who holds an address, or what a network is.
"""

from __future__ import annotations

from macvnet import keys
from macvnet.addresses import Interval, sort_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from macvnet.store import Reader, Transaction


class Runs:
    """The runs of one pool, of addresses of one family."""

    def __init__(self, reader: Reader, pool_id: str, family: int) -> None:
        self._reader = reader
        self._family = family
        self._allowed = keys.allowed_runs(pool_id)
        self._free = keys.free_runs(pool_id)

    def is_allowed(self, value: int) -> bool:
        """Whether the pool may give it out by itself."""
        return self._covering(self._allowed, value) is not None

    def is_free(self, value: int) -> bool:
        """Whether the pool could give it out by itself now."""
        return self._covering(self._free, value) is not None

    def around(self, value: int) -> Interval | None:
        """The free run that an address is in, or None."""
        return self._covering(self._free, value)

    def allowed(self) -> list[Interval]:
        """All runs that the pool may give out by itself, lowest first."""
        return [_interval(key, last) for key, last in self._reader.scan(self._allowed)]

    def free(self, start: int | None = None, limit: int | None = None) -> list[Interval]:
        """Free runs that begin at ``start`` or later, lowest first."""
        begin = None if start is None else self._key(self._free, start)
        return [
            _interval(key, last) for key, last in self._reader.scan(
                self._free, start=begin, limit=limit
            )
        ]  # fmt: skip

    def lowest(self, avoid: Callable[[int], bool]) -> tuple[int, Interval] | None:
        """The lowest free address that is not to be avoided, and the run it is in."""
        start: int | None = None
        while found := self.free(start, 1):
            run = found[0]
            for value in range(run.first, run.last + 1):
                if not avoid(value):
                    return value, run
            start = run.last + 1
        return None

    def _covering(self, prefix: str, value: int) -> Interval | None:
        start = self._key(prefix, value)
        for key, last in self._reader.scan(prefix, start=start, limit=1, reverse=True):
            run = _interval(key, last)
            return run if value in run else None
        return None

    def _key(self, prefix: str, value: int) -> str:
        return prefix + sort_key(self._family, value)


class OpenRuns(Runs):
    """The same, to be changed in a transaction."""

    def __init__(self, transaction: Transaction, pool_id: str, family: int) -> None:
        super().__init__(transaction, pool_id, family)
        self._transaction = transaction

    def take(self, value: int) -> None:
        """Out of the free runs, if it is in one (at most 2 writes)."""
        run = self._covering(self._free, value)
        if run is not None:
            self.take_from(run, value)

    def take_from(self, run: Interval, value: int) -> None:
        """Out of a free run, as it has just been read (at most 2 writes)."""
        if value == run.first:
            self._transaction.delete(self._key(self._free, run.first))
        else:
            self._put(self._free, Interval(run.first, value - 1))
        if value < run.last:
            # Inside of a run no other begins.
            key, last = self._key(self._free, value + 1), sort_key(self._family, run.last)
            self._transaction.create_fresh(key, last)

    def give(self, value: int) -> None:
        """Back into the free runs, if the pool may give it out (at most 2 writes)."""
        if self.is_allowed(value):
            self._insert(self._free, Interval(value, value))

    def add(self, run: Interval, free: list[Interval]) -> None:
        """A new allowed run, of which ``free`` is free; it may touch the one before."""
        self._insert(self._allowed, run)
        for position, part in enumerate(free):
            if position == 0:
                self._insert(self._free, part)
            else:
                self._put(self._free, part)

    def forget(self, limit: int) -> bool:
        """Delete up to ``limit`` runs, the allowed ones first; False when none is left."""
        for prefix in (self._allowed, self._free):
            found = self._transaction.scan(prefix, limit=limit)
            for key, _ in found:
                self._transaction.delete(key)
            if found:
                return True
        return False

    def _insert(self, prefix: str, run: Interval) -> None:
        first, last = run
        start = self._key(prefix, last + 1 if self._fits(last + 1) else last)
        # No other run begins in between: one look-up finds the run after it, and the one before.
        for key, end in self._reader.scan(prefix, start=start, limit=2, reverse=True):
            other = _interval(key, end)
            if other.first == last + 1:
                self._transaction.delete(key)
                last = other.last
            elif first - 1 in other:
                first, last = other.first, max(last, other.last)
        self._put(prefix, Interval(first, last))

    def _fits(self, value: int) -> bool:
        return value < 1 << (32 if self._family == 4 else 128)

    def _put(self, prefix: str, run: Interval) -> None:
        self._transaction.put(self._key(prefix, run.first), sort_key(self._family, run.last))


def _interval(key: str, last: str) -> Interval:
    return Interval(int(key.rpartition("/")[2], 16), int(last, 16))
