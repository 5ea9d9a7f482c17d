"""Bringing a state file of an older macvnet up to date, after a backup of it.

Knows SQLite's backup interface and the table of steps; must not know what any
other version's records mean beyond the step that changes them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from macvnet.errors import StoreError
from macvnet.store.sqlite_module import sqlite3
from macvnet.text import quoted

Step = Callable[[sqlite3.Connection], None]

STEPS: dict[int, Step] = {}
"""From schema version n to n + 1, inside a transaction. A step never begins or commits one."""


def possible(version: int, wanted: int) -> bool:
    """Whether every step from ``version`` up to ``wanted`` is known."""
    return version < wanted and all(number in STEPS for number in range(version, wanted))


def backup_path(path: str, version: int) -> str:
    """Where the state file is kept as it was under a schema version."""
    return f"{path}.v{version}.backup"


def migrate(connection: sqlite3.Connection, path: str, wanted: int) -> None:
    """Bring the file to schema version ``wanted``: all steps or none.

    The caller is the only migrating process. Writers wait meanwhile, so that
    the backup is what the steps begin with. StoreError where the backup cannot
    be written; sqlite3.Error as it comes.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        [(version,)] = connection.execute("PRAGMA user_version").fetchall()
        if version < wanted:
            _back_up(path, backup_path(path, version))
        for number in range(version, wanted):
            STEPS[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(path: str, wanted: str) -> None:
    """Copy the file as last committed, complete and on disk before it gets its name.

    Over a connection of its own: SQLite copies nothing over one that is writing.
    """
    unfinished = f"{wanted}.{os.getpid()}"
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            source, copy = sqlite3.connect(path), sqlite3.connect(unfinished)
            try:
                source.backup(copy)
                # A file of its own, which needs no log beside it.
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()
                source.close()
            _sync(unfinished)
            os.rename(unfinished, wanted)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise
        _sync(os.path.dirname(wanted))
    except (OSError, sqlite3.Error) as error:
        reason: object = error
        if isinstance(error, OSError):
            from macvnet import failures

            reason = failures.reason(error)
        raise StoreError(
            f"the state in {quoted(path)} is of an older macvnet, and cannot be backed up before "
            f"it is brought up to date ({reason})",
            f"df -h {os.path.dirname(path)}",
        ) from error


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
