"""Keeps SQLite's log when the last connection closes.

Knows which bytes SQLite locks; must not know SQL. Closing normally moves the
log into the file and deletes it, at four more fsyncs for each process that
commits. SQLite does so only if it gets the exclusive lock on the file
(sqlite.org/fileformat2.html, "lock-byte page"); a shared lock on the same bytes
withholds it. Nothing else asks for that lock while the file is in WAL mode.
"""

from __future__ import annotations

import fcntl
import os
import struct
from _thread import allocate_lock

from macvnet.blocks import suppress
from macvnet.records import NamedTuple

_SHARED_FIRST = 0x40000002
_SHARED_SIZE = 510


class _Guard(NamedTuple):
    descriptor: int
    users: int


# One for each file in this process: closing any descriptor of a file drops the
# process's POSIX locks on it (fcntl(2)), those of other connections too, so a
# guard goes only after the last connection.
_guards: dict[tuple[int, int], _Guard] = {}
_lock = allocate_lock()
# Whose ``leave`` came while the lock was held: the garbage collector closes a
# store at any moment, also in the middle of ``enter``, in the same thread.
_left: list[tuple[int, int]] = []


def enter(path: str) -> tuple[int, int]:
    """Guard the file from now on; returns what ``leave`` needs. OSError if it cannot be opened."""
    with _lock:
        _let_go()
        status = os.stat(path)
        key = (status.st_dev, status.st_ino)
        guard = _guards.get(key)
        descriptor = guard.descriptor if guard else _locked(path)
        _guards[key] = _Guard(descriptor, guard.users + 1 if guard else 1)
        return key


def leave(key: tuple[int, int]) -> None:
    """One connection to the file, closed already, needs no guard any more."""
    _left.append(key)
    if _lock.acquire(blocking=False):
        try:
            _let_go()
        finally:
            _lock.release()


def _let_go() -> None:
    while _left:
        key = _left.pop()
        descriptor, users = _guards.pop(key)
        if users > 1:
            _guards[key] = _Guard(descriptor, users - 1)
        else:
            os.close(descriptor)


def _locked(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    # An open file description lock: a process's own POSIX locks never stand in its way.
    lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, _SHARED_FIRST, _SHARED_SIZE, 0)
    with suppress(OSError):  # a file system without such locks: slower, and as safe
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
    return descriptor
