"""One call of the executable: from its words to its exit status.

Knows that most calls are plain and shall be quick (``short``), and that click is
loaded for all others; must not know any command.
"""

from __future__ import annotations

import io
import os
import sys

from macvnet.cli import boundary, short
from macvnet.cli.invocation import Invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COMPLETE = "__complete"
"""What a completion script calls; no command, and in no help."""


def run(arguments: Sequence[str], invocation: Invocation | None = None) -> int:
    """Carry out one command line and return its exit status; never raises."""
    called = invocation or Invocation()

    def work() -> int:
        plain = short.read(arguments)
        if plain is not None:
            return short.carry_out(called, plain)
        from macvnet.cli.main import cli

        with cli.make_context("macvnet", list(arguments), obj=called) as ctx:
            return int(cli.invoke(ctx) or 0)

    status = boundary.guarded(called, work)
    boundary.record(called, arguments, status)
    return status


def standard_streams() -> None:
    """Fill closed streams, so that no file of ours becomes one, and never fail on a character."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - open until the end
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> int:
    """One call of the executable; its exit status."""
    if sys.argv[1:2] == [COMPLETE]:
        from macvnet.cli import shells

        shells.complete(sys.argv[2:])
    standard_streams()
    boundary.listen()
    return run(sys.argv[1:], Invocation(last=True))
