"""Work that a command leaves to a process of its own, and does not wait for.

Knows how such a process lets go of everything it inherited: streams, locks,
files, directory, signal handlers, session. Must not know the work.
"""

from __future__ import annotations

import os

from macvnet import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_left: list[int] = []
_waiting: list[tuple[Callable[[], int], tuple[int, ...], str]] | None = None
"""What is left when this process ends; None where it is left at once."""
_DEFAULT = (signals.SIGINT, signals.SIGTERM, signals.SIGHUP, signals.SIGQUIT, signals.SIGCHLD)


def leave(work: Callable[[], int], *, keep: Collection[int], name: str) -> int:
    """Do ``work`` in a child of its own session; its PID. OSError if there can be none.

    The child has the descriptors in ``keep`` and no other; what ``work`` returns
    is its exit status. ``name`` is what ps shows of it (15 characters).
    """
    # The child must not take a signal that was meant for us for its own.
    blocked = signals.pthread_sigmask(signals.SIG_BLOCK, signals.valid_signals())
    try:
        child = os.fork()
        if child == 0:
            status = 1
            # _exit and nothing else: neither the caller's buffers nor its exit handlers are ours.
            try:
                _let_go(frozenset(keep), name)
                status = work()
            finally:
                os._exit(status)
    finally:
        signals.pthread_sigmask(signals.SIG_SETMASK, blocked)
    _left.append(child)
    return child


def wait_for_end() -> None:
    """This process ends soon, by ``leave_waiting``: until then ``at_end`` keeps what it is given.

    After a fork each page that is written to is copied first, which makes all that follows slow.
    """
    global _waiting
    _waiting = []


def at_end(work: Callable[[], int], *, keep: Collection[int], name: str) -> bool:
    """As ``leave``, but when this process ends; False where nothing waits for that."""
    if _waiting is None:
        return False
    _waiting.append((work, tuple(keep), name))
    return True


def leave_waiting() -> None:
    """Leave what waits; the last thing that this process does. Never raises."""
    signals.pthread_sigmask(signals.SIG_BLOCK, signals.valid_signals())
    for work, keep, name in _waiting or ():
        try:
            leave(work, keep=keep, name=name)
        except OSError:
            # No process more can be had.
            continue


def ended(child: int) -> int | None:
    """The exit status of a child that was left, or None while it works."""
    pid, status = os.waitpid(child, os.WNOHANG)
    if not pid:
        return None
    _left.remove(child)
    return os.waitstatus_to_exitcode(status)


def reap() -> None:
    """Take notice of the children that have ended: for a process that does not end itself."""
    for child in list(_left):
        try:
            ended(child)
        except ChildProcessError:
            _left.remove(child)


def _let_go(keep: frozenset[int], name: str) -> None:
    os.setsid()
    for fd in [int(entry) for entry in os.listdir("/proc/self/fd")]:
        if fd not in keep:
            try:
                os.close(fd)
            except OSError:
                continue
    for fd in range(3):
        if fd not in keep:
            os.open(os.devnull, os.O_RDWR)
    os.chdir("/")
    with open("/proc/self/comm", "w", encoding="utf-8") as comm:
        comm.write(name)
    for number in _DEFAULT:
        signals.signal(number, signals.SIG_DFL)
    signals.set_wakeup_fd(-1)
    signals.pthread_sigmask(signals.SIG_SETMASK, ())
