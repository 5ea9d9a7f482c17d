"""The state directory: whose it is, who can write there, and making it.

Knows owners and modes; must not know what the file in it contains.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from macvnet.errors import MacvnetError, PermissionDenied, StoreError
from macvnet.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

LOCKS = "locks"
"""Folder of lock files in the state directory; of no value between commands."""


def ready(state_dir: str, path: str, *, make: bool) -> bool:
    """Whether the state file is there, after making it (0600, in a 0700 directory) if wanted.

    StoreError when the directory or the file could be changed by somebody
    else; PermissionDenied when this user cannot reach or make it.
    """
    try:
        return _ready(state_dir, path, make)
    except PermissionError as error:
        raise PermissionDenied(
            f"the state in {quoted(state_dir)} is not accessible to this user",
            "run it as root (sudo), or give another directory with --state-dir",
        ) from error
    except ValueError as error:
        raise StoreError(f"{quoted(state_dir)} is no path ({error})", "--state-dir DIR") from error
    except OSError as error:
        raise _unusable(state_dir, error) from error


@contextmanager
def locked(state_dir: str) -> Iterator[None]:
    """The only process in this block, among those that share the directory."""
    try:
        descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(state_dir, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def in_turn(state_dir: str, seconds: float) -> Iterator[None]:
    """Writers queue here before they ask SQLite for its lock, so that nobody is passed over.

    SQLite's own waiting is trying again after a sleep: whoever comes at the
    right moment goes first, and among many one can wait for seconds.
    TimeoutError after ``seconds``.
    """
    folder = os.path.join(state_dir, LOCKS)
    try:
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        descriptor = os.open(
            os.path.join(folder, "store"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o600,
        )
    except OSError:
        # A full or read-only disk: SQLite says so in a moment.
        yield
        return
    try:
        _queue(descriptor, seconds)
        yield
    finally:
        os.close(descriptor)


def _queue(descriptor: int, seconds: float) -> None:
    """The kernel serves those who wait in order; an alarm ends a wait that is too long."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        pass
    if threading.current_thread() is not threading.main_thread():
        _ask_again(descriptor, seconds)
        return

    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ask_again(descriptor: int, seconds: float) -> None:
    """Only the main thread gets signals."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError from None
            time.sleep(0.002)


def _ready(state_dir: str, path: str, make: bool) -> bool:
    try:
        status = os.stat(state_dir)
    except FileNotFoundError:
        if not make:
            return False
        with suppress(FileExistsError):
            os.makedirs(state_dir, 0o700)
        status = os.stat(state_dir)
    if not stat.S_ISDIR(status.st_mode):
        raise StoreError(f"{quoted(state_dir)} is not a directory", "--state-dir DIR")
    _refuse_foreign(state_dir, status, "chmod go-w")
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if not make:
            return False
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{quoted(path)} is not a regular file", "--state-dir DIR")
    _refuse_foreign(path, status, "chmod 600")
    return True


def _refuse_foreign(path: str, status: os.stat_result, remedy: str) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise StoreError(
            f"{quoted(path)} belongs to user {status.st_uid}, who could change the state",
            f"chown {os.geteuid()} {path}",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StoreError(
            f"{quoted(path)} (mode {stat.S_IMODE(status.st_mode):04o}) can be written by others",
            f"{remedy} {path}",
        )


def _unusable(state_dir: str, error: OSError) -> MacvnetError:
    return StoreError(
        f"the state directory {quoted(state_dir)} cannot be used ({error.strerror})",
        "give another directory with --state-dir",
    )
