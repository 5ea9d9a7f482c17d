"""Durable state behind a few verbs: get, ordered scan, guarded commit.

Knows how a change is made once and only once; must not know what the keys
mean, nor how a kind of store keeps them (only ``store.sqlite`` speaks SQL).
"""

from __future__ import annotations

from macvnet.store.backend import MAX_OPERATIONS, Backend, KeyTaken, StoreConflict
from macvnet.store.core import Store
from macvnet.store.transaction import Reader, Transaction

__all__ = [
    "MAX_OPERATIONS",
    "Backend",
    "KeyTaken",
    "Reader",
    "Store",
    "StoreConflict",
    "Transaction",
    "open_store",
]


def open_store(state_dir: str, *, read_only: bool = False, glance: bool = False) -> Store:
    """The store in a state directory, opened when it is first used.

    With ``read_only`` nothing is ever made: where there is no state yet, the
    store is empty. A ``glance`` reads only, leaves every file just as it is, an
    older state too, and waits for nobody; what it cannot read so is a
    StoreError. Errors (StoreError, PermissionDenied) come with first use.
    """
    from macvnet.store.sqlite import SqliteBackend

    return Store(SqliteBackend(state_dir, read_only=read_only or glance, glance=glance))
