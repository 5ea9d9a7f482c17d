"""What SQLite's errors mean for the person at the keyboard.

Knows its error codes (sqlite.org/rescode.html); must not know what was being done.
"""

from __future__ import annotations

import os

from macvnet.errors import MacvnetError, StoreError
from macvnet.store.sqlite_module import sqlite3
from macvnet.text import quoted


def locked_out(path: str, seconds: float) -> StoreError:
    """Somebody has not let go of the state for that long."""
    return StoreError(
        f"another process has kept {quoted(path)} locked for {seconds:.0f} s", f"fuser -v {path}"
    )


def _at(path: str) -> OSError | None:
    """Why the file cannot be opened, which SQLite does not say; None if it can be."""
    opened: list[int] = []
    try:
        # SQLite has more than the one open: the log, its index, the folder.
        for wanted in (path, path, path, os.path.dirname(path)):
            opened.append(os.open(wanted, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return None


def explanation(error: sqlite3.Error, path: str, seconds: float) -> MacvnetError:
    """One sentence and something to type; ``seconds`` is how long a lock was waited for."""
    directory = os.path.dirname(path)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StoreError(
            f"the state in {quoted(path)} is damaged or no database ({error})",
            f"mv {directory} {directory}.damaged && macvnet state import BACKUP",
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"no space is left on the disk of {quoted(path)}", f"df -h {directory}")
    failure = _at(path) if code == sqlite3.SQLITE_CANTOPEN else None
    if failure is not None:
        from macvnet import failures

        return StoreError(
            f"the state in {quoted(path)} cannot be opened: {failures.reason(failure)}",
            failures.advice(failure, path),
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(
            f"the state in {quoted(path)} cannot be written or opened ({error})",
            f"findmnt -T {directory}",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return locked_out(path, seconds)
    return StoreError(
        f"the state in {quoted(path)} cannot be used ({error})", f"df -h {directory}; dmesg | tail"
    )
