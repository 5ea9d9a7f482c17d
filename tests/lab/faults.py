"""macvnet with one thing going wrong: ``python -m tests.lab.faults MODE NUMBER ARGUMENT...``.

The NUMBER-th point at which macvnet touches the world (netlink message, sysctl
write, fork, commit) fails, or the process is killed or interrupted after it. The
points are found by counting, not by a list. Exit status 77 says that there is no
such point. With an errno as MODE the kernel answers with it at that point: to a
message, where a sysctl is opened, or to a fork.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

BEYOND = 77
NUMBERS = sorted(errno.errorcode)
"""Every errno there is."""
FAIL, KILL, INTERRUPT = "fail", "kill", "interrupt"


class Points:
    """Counts the points, and strikes at one of them."""

    def __init__(self, mode: str, number: int) -> None:
        self.mode = mode
        self.number = number
        self.seen = 0

    @property
    def struck(self) -> bool:
        return self.seen >= self.number

    def around(self, real: Callable[..., Any], failure: Callable[[], Exception]) -> Any:
        """``real`` as it is, but for the one call that is struck."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.seen += 1
            mine = self.seen == self.number
            if mine and (self.mode == FAIL or self.mode.isdecimal()):
                raise failure()
            result = real(*args, **kwargs)
            if mine and self.mode == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            if mine and self.mode == INTERRUPT:
                os.kill(os.getpid(), signal.SIGTERM)
            return result

        return call


def answer(points: Points, number: int) -> None:
    """The kernel answers with an errno at the point that is struck, and does nothing."""
    import builtins

    from macvnet.kernel import rtnetlink, sysctl

    kind = rtnetlink.Rtnetlink
    send, receive, soon = kind._send, kind._receive, kind.change_soon

    # To a question these are no refusal: they say that there is no such object.
    absent = number in rtnetlink.ABSENT

    def sent(self: Any, message: Any, kind: int, flags: int) -> None:
        counts = bool(flags & rtnetlink.NLM_F_ACK) or not absent
        points.seen += counts
        if counts and points.seen == points.number:
            self.struck = True
        else:
            send(self, message, kind, flags)

    def received(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.__dict__.pop("struck", False):
            raise rtnetlink.NetlinkError(number)
        return receive(self, *args, **kwargs)

    def changed_soon(self: Any, request: Any, done: Any) -> None:
        points.seen += 1
        if points.seen == points.number:
            raise rtnetlink._refusal(rtnetlink.NetlinkError(number), request)
        soon(self, request, done)

    struck = {"_send": sent, "_receive": received, "change_soon": changed_soon}
    if not absent:
        struck["answered"] = points.around(kind.answered, lambda: rtnetlink.NetlinkError(number))
    for name, method in struck.items():
        setattr(kind, name, method)
    refused = OSError(number, os.strerror(number))
    vars(sysctl)["open"] = points.around(builtins.open, lambda: refused)
    os.fork = points.around(os.fork, lambda: refused)


def main() -> int:
    """Run macvnet's own entry point with the strike in place."""
    mode, number, *arguments = sys.argv[1:]
    points = Points(mode, int(number))
    from macvnet.cli import boundary, calling

    if mode.isdecimal():
        answer(points, int(mode))
    else:
        strike(points, mode)
    calling.standard_streams()
    boundary.listen()
    status = calling.run(arguments)
    return status if points.struck else BEYOND


def strike(points: Points, mode: str) -> None:
    """Everything that touches the world counts, and fails, or ends the process."""
    from macvnet.errors import KernelRefused, StoreError
    from macvnet.kernel import rtnetlink, sysctl
    from macvnet.store.sqlite import SqliteBackend

    # A question changes nothing: only its failure is another story than what came before it.
    # In User Mode Linux, where each point takes seconds, the changes alone.
    questions = mode == FAIL and not os.environ.get("MACVNET_TEST_UML")
    messages = ("_send", "answered", "change_soon") if questions else ("change", "change_soon")
    for name in messages:
        real = getattr(rtnetlink.Rtnetlink, name)
        struck = points.around(real, lambda: rtnetlink.NetlinkError(errno.ENOMEM, "injected"))
        setattr(rtnetlink.Rtnetlink, name, struck)
    sysctl.write = points.around(sysctl.write, lambda: KernelRefused("injected", errno.EIO))
    committed = points.around(SqliteBackend.commit, lambda: StoreError("injected"))
    SqliteBackend.commit = committed  # type: ignore[method-assign]  # calls it, or fails
    os.fork = points.around(os.fork, lambda: OSError(errno.EAGAIN, "injected"))


if __name__ == "__main__":
    sys.exit(main())
