"""The store as everybody uses it: values by key, changes made once.

Knows how often a change is tried; must not know a kind of store.
"""

from __future__ import annotations

from functools import partial

from macvnet.blocks import contextmanager
from macvnet.errors import MacvnetError, StoreError
from macvnet.signals import Uninterrupted
from macvnet.store.backend import Backend, Operation, StoreConflict, bounds
from macvnet.store.transaction import Parsed, Transaction, decoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Self, TypeVar

    T = TypeVar("T")
    Item = TypeVar("Item")

ATTEMPTS = 100


class Store:
    """Values (JSON) by key, over one kind of store.

    ``commit_hook``, if set, is called with "before" and "after" and the
    operations around each commit: where tests make a crash happen.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._parsed = Parsed()
        self.commit_hook: Callable[[str, Sequence[Operation]], None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files; the store can be used again afterwards."""
        self.backend.close()

    def get(self, key: str) -> Any | None:
        """The value of a key, or None. StoreError if the state cannot be read."""
        row = self.backend.get(key)
        return decoded(key, row.text) if row else None

    def parsed(self, key: str, parse: Callable[[Any], T]) -> T | None:
        """What ``parse`` makes of the value of a key, or None."""
        row = self.backend.get(key)
        return self._parsed.of(key, row.text, parse) if row else None

    def learn(self, other: Store) -> None:
        """What another store of the same state has parsed need not be parsed again."""
        self._parsed = other._parsed

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
        low, high = bounds(prefix, start, reverse)
        rows = self.backend.scan(low, high, limit=limit, reverse=reverse)
        return [(row.key, decoded(row.key, row.text)) for row in rows]

    def transact(self, function: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run ``function`` and commit what it wrote, all or nothing.

        Not ``durable``: every process sees it, and a crash of this one loses
        nothing, but a loss of power may undo it until the next durable commit.
        For intents: without power the links they announce are gone too.

        It runs again when somebody else changed what it had read (never so
        with the embedded store, which is locked for the duration), so it must
        have no side effects. An exception from it changes nothing. StoreError
        if the state cannot be written.
        """
        for _ in range(ATTEMPTS):
            with self.backend.session(write=True, durable=durable):
                transaction = Transaction(self.backend, self._parsed)
                result = function(transaction)
                operations = transaction.operations
                if not operations:
                    return result
                if self.commit_hook:
                    self.commit_hook("before", operations)
                try:
                    self.backend.commit(operations, transaction.guards)
                except StoreConflict:
                    continue
            if self.commit_hook:
                self.commit_hook("after", operations)
            return result
        raise StoreError(
            f"the state is being changed by others all the time, gave up after {ATTEMPTS} attempts",
            "run the command again",
        )

    def transact_each(
        self,
        function: Callable[[Transaction, Item], T],
        items: Sequence[Item],
        *,
        durable: bool = True,
    ) -> list[T | MacvnetError]:
        """Run ``function`` for each item, all or nothing of it, in as few commits as hold them.

        What is refused to an item (MacvnetError) is its outcome; a StoreError is
        everybody's, and raised. However many commits, there is one sync.
        """
        if len(items) == 1:
            return self.transact(partial(_as_many, function, items, 1), durable=durable)
        outcomes: list[T | MacvnetError] = []
        most = self.backend.most_operations
        while len(outcomes) < len(items):
            waiting = items[len(outcomes) :]
            outcomes += self.transact(partial(_as_many, function, waiting, most), durable=False)
        if durable and outcomes:
            self.sync()
        return outcomes

    def begin_sync(self) -> None:
        """Have the disk begin with what was committed until now, so that ``sync`` waits less."""
        self.backend.begin_sync()

    def sync(self) -> None:
        """What was committed until now survives a loss of power. StoreError if that fails."""
        with self.backend.session(write=True):
            self.backend.commit([], [])

    def fill(self, source: Store, *, apart_from: Sequence[str]) -> None:
        """Take over all of ``source`` in one commit, however much it is.

        What is here under the prefixes ``apart_from`` stays, unless ``source``
        has the key too. KeyTaken, changing nothing, if anything else is here.
        """
        rows = source.backend.scan("", "", limit=None, reverse=False)
        self.backend.load([(row.key, row.text) for row in rows], apart_from=apart_from)

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """What is read inside the block is of one moment, and read faster.

        For what is short and waits for nobody: signals wait meanwhile. It must not write.
        """
        with Uninterrupted(), self.backend.session(write=False):
            yield

    def view(self, function: Callable[[Transaction], T]) -> T:
        """Run ``function`` on one consistent view, without any lock; its writes are dropped."""
        with self.backend.session(write=False):
            return function(Transaction(self.backend, self._parsed))


class _Full(Exception):
    """One more item does not fit into the commit."""


def _as_many(
    function: Callable[[Transaction, Item], T],
    items: Sequence[Item],
    most: int,
    tx: Transaction,
) -> list[T | MacvnetError]:
    """The outcomes of the items, from the first on, that fit into ``most`` operations."""
    outcomes: list[T | MacvnetError] = []
    for item in items:
        try:
            with tx.attempt():
                outcome: T | MacvnetError = function(tx, item)
                if tx.size > most and outcomes:
                    raise _Full
        except _Full:
            break
        except StoreError:
            raise
        except MacvnetError as error:
            outcome = error
        outcomes.append(outcome)
    return outcomes
