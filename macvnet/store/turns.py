"""Whose turn it is: file locks in the state directory, served in the order of asking.

Knows flock(2) and how to end a wait that is too long; must not know what a lock
is for.
"""

from __future__ import annotations

import fcntl
import os
import time

from macvnet import signals
from macvnet.blocks import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

LOCKS = "locks"
"""Folder of lock files in the state directory; of no value between commands."""


@contextmanager
def in_turn(state_dir: str, seconds: float, held: signals.Uninterrupted) -> Iterator[None]:
    """Writers queue here before they ask SQLite for its lock, so that nobody is passed over.

    SQLite's own waiting is trying again after a sleep: whoever comes at the
    right moment goes first, and among many one can wait for seconds.
    TimeoutError after ``seconds``. ``held`` is the block that this is in.
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
        _queue(descriptor, seconds, held)
        yield
    finally:
        os.close(descriptor)


def _queue(descriptor: int, seconds: float, held: signals.Uninterrupted) -> None:
    """The kernel serves those who wait in order; an alarm ends a wait that is too long."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        pass
    import threading

    if threading.current_thread() is not threading.main_thread():
        _ask_again(descriptor, seconds)
        return

    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signals.signal(signals.SIGALRM, too_long)
    signals.setitimer(signals.ITIMER_REAL, seconds)
    try:
        with held.waiting():
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        signals.setitimer(signals.ITIMER_REAL, 0)
        signals.signal(signals.SIGALRM, before)


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
