"""What one call of macvnet has at hand: settings, the engine, the two streams.

The engine is imported when a command asks for it, since help and errors of
usage need none of it.
"""

from __future__ import annotations

import os
import sys
import time

from macvnet.errors import KernelRefused, MacvnetError
from macvnet.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Opener = Callable[..., Any]

    from macvnet.engine import Engine
    from macvnet.model import Change
    from macvnet.settings import Settings


class OutputClosed(Exception):
    """Whoever read our results has gone (``| head``)."""


def write(text: str) -> None:
    """Write results. KernelRefused where that fails, OutputClosed where nobody reads on."""
    _attempt(lambda: sys.stdout.write(text))


def flush() -> None:
    """Bring out what was written; raises as ``write``."""
    _attempt(sys.stdout.flush)


def _attempt(output: Callable[[], object]) -> None:
    try:
        output()
    except BrokenPipeError as error:
        raise OutputClosed from error
    except OSError as error:
        from macvnet import failures

        raise KernelRefused(
            "write to the standard output",
            error.errno or 0,
            failures.reason(error),
            failures.advice(error, _place()),
        ) from error


def _place() -> str:
    """The path of the standard output, or "" where it has none."""
    try:
        return os.readlink("/proc/self/fd/1")
    except OSError:
        return ""


class Invocation:
    """Handed to every command as click's ``obj``.

    ``opener`` stands in for the engine in tests: called as Engine is.
    ``began`` (time.monotonic()) is set when a command starts that changes
    something; ``errors`` and ``operations`` are what the log says of it.
    ``last``: the process ends with this call, by ``boundary.end``.
    """

    def __init__(self, opener: Opener | None = None, *, last: bool = False) -> None:
        self.last = last
        self.given: dict[str, Any] = {}
        self.began: float | None = None
        self.errors: list[str] = []
        self.operations: list[str] = []
        self._opener = opener
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            from macvnet import settings

            self._settings = settings.load(
                state_dir=self.given.get("state_dir"), config=self.given.get("config")
            )
        return self._settings

    def engine(self, note: Callable[[str], None] | None = None) -> Engine:
        """The engine, to be used in a ``with`` block. ``note``: who takes its notes instead."""
        opener = self._opener
        if opener is None:
            from macvnet.engine import Engine

            opener = Engine
        engine: Engine = opener(self.settings, note=note or self.note, trace=self.trace)
        return engine

    def begin(self) -> None:
        """A command begins that changes something: it will be in the log."""
        self.began = time.monotonic()

    def begin_short(self) -> None:
        """The same for one that waits for nobody: what it leaves to a process waits for its end."""
        self.begin()
        if self.last:
            from macvnet.kernel import detached

            detached.wait_for_end()

    def out(self, line: str = "") -> None:
        """One line of results. The caller makes foreign text printable."""
        write(line + "\n")

    def note(self, text: str) -> None:
        """One sentence that is worth knowing and no error."""
        self._aside(f"macvnet: note: {printable(text)}")

    def trace(self, command: str) -> None:
        """A kernel operation, as a command to type."""
        self.operations.append(command)
        if self.given.get("verbose"):
            self._aside(f"+ {printable(command)}")

    def error(self, error: MacvnetError, where: str = "") -> None:
        """A refusal: what is wrong, and what to type. ``where``: with which of many."""
        message = f"{where}: {error.message}" if where else error.message
        self.errors.append(message)
        try:
            flush()
        except (OutputClosed, MacvnetError):
            pass  # the boundary meets it again, and this is to be told first
        self.tell(f"macvnet: {printable(message)}")
        if error.hint:
            self.tell(f"hint: {printable(error.hint)}")

    def changes(self, changes: Iterable[Change]) -> None:
        """What a dry run would do, a line each."""
        lines = [printable(str(change)) for change in changes]
        for line in lines:
            self.out(line)
        if not lines:
            self.note("nothing to do")

    def _aside(self, line: str) -> None:
        # Results come first where both streams are one terminal or one file.
        flush()
        self.tell(line)

    def tell(self, line: str) -> None:
        """A line for stderr."""
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except OSError:
            # Nobody can be told that nobody can be told.
            pass
