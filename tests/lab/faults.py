"""macvnet with one thing going wrong: ``python -m tests.lab.faults MODE NUMBER ARGUMENT...``.

The NUMBER-th point at which macvnet touches the world (netlink message, sysctl
write, fork, commit) fails, or the process is killed or interrupted after it. The
points are found by counting, not by a list. Exit status 77 says that there is no
such point.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

BEYOND = 77
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
            if mine and self.mode == FAIL:
                raise failure()
            result = real(*args, **kwargs)
            if mine and self.mode == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            if mine and self.mode == INTERRUPT:
                os.kill(os.getpid(), signal.SIGTERM)
            return result

        return call


def main() -> int:
    """Run macvnet's own entry point with the strike in place."""
    mode, number, *arguments = sys.argv[1:]
    points = Points(mode, int(number))
    from macvnet.cli import boundary, calling
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
    SqliteBackend.commit = points.around(  # type: ignore[method-assign]
        SqliteBackend.commit, lambda: StoreError("injected")
    )
    os.fork = points.around(os.fork, lambda: OSError(errno.EAGAIN, "injected"))
    calling.standard_streams()
    boundary.listen()
    status = calling.run(arguments)
    return status if points.struck else BEYOND


if __name__ == "__main__":
    sys.exit(main())
