"""The state directory: whose it is, who can write there, and making it.

Knows owners and modes; must not know what the file in it contains.
"""

from __future__ import annotations

import fcntl
import os
import stat

from macvnet.blocks import contextmanager, suppress
from macvnet.errors import MacvnetError, PermissionDenied, StoreError
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


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
    from macvnet import failures

    return StoreError(
        f"the state directory {quoted(state_dir)} cannot be used: {failures.reason(error)}",
        failures.advice(error, _nearest(state_dir)),
    )


def _nearest(path: str) -> str:
    """The path, or what of it there is: df and the like know nothing of what is not there."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
