"""Work that a command leaves to a process of its own, and does not wait for.

Knows how such a process lets go of everything it inherited: streams, locks,
files, directory, signal handlers, session. Must not know the work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from macvnet import signals

_left: list[int] = []
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
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(name)
    for number in _DEFAULT:
        signals.signal(number, signals.SIG_DFL)
    signals.set_wakeup_fd(-1)
    signals.pthread_sigmask(signals.SIG_SETMASK, ())
