"""What one call of macvnet has at hand: settings, the engine, the two streams.

The engine is imported when a command asks for it, since help and errors of
usage need none of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from macvnet.errors import MacvnetError
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.engine import Engine
    from macvnet.model import Change
    from macvnet.settings import Settings

Opener = Callable[..., Any]


class Invocation:
    """Handed to every command as click's ``obj``.

    ``opener`` stands in for the engine in tests: called as Engine is.
    """

    def __init__(self, opener: Opener | None = None) -> None:
        self.given: dict[str, Any] = {}
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

    def engine(self) -> Engine:
        """The engine, to be used in a ``with`` block."""
        opener = self._opener
        if opener is None:
            from macvnet.engine import Engine

            opener = Engine
        trace = self.trace if self.given.get("verbose") else None
        engine: Engine = opener(self.settings, note=self.note, trace=trace)
        return engine

    def out(self, line: str = "") -> None:
        """One line of results. The caller makes foreign text printable."""
        sys.stdout.write(line + "\n")

    def note(self, text: str) -> None:
        """One sentence that is worth knowing and no error."""
        self._aside(f"macvnet: note: {printable(text)}")

    def trace(self, command: str) -> None:
        """A kernel operation, as a command to type."""
        self._aside(f"+ {printable(command)}")

    def error(self, error: MacvnetError) -> None:
        """A refusal: what is wrong, and what to type."""
        self._aside(f"macvnet: {printable(error.message)}")
        if error.hint:
            self._aside(f"hint: {printable(error.hint)}")

    def changes(self, changes: Iterable[Change]) -> None:
        """What a dry run would do, a line each."""
        lines = [printable(str(change)) for change in changes]
        for line in lines:
            self.out(line)
        if not lines:
            self.note("nothing to do")

    def _aside(self, line: str) -> None:
        # Results come first where both streams are one terminal or one file.
        sys.stdout.flush()
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except OSError:
            # Nobody can be told that nobody can be told.
            pass
