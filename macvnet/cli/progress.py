"""A bar on a terminal, for work that takes longer than a second.

On stderr, and nothing at all where that is no terminal; rich is imported when
there is something to draw.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PATIENCE_SECONDS = 1.0
REFRESH_SECONDS = 0.1


class Progress:
    """``step`` after each of ``total`` pieces of work; ``close`` at the end, which clears it.

    ``at`` instead, where the total is learned late, or there are several rounds.
    """

    def __init__(self, what: str, total: int = 0) -> None:
        self._what = what
        self._total = total
        self._steps = 0
        self._due = time.monotonic() + PATIENCE_SECONDS
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._wanted = sys.stderr.isatty()

    def step(self) -> None:
        """One more is done."""
        self.at(self._steps + 1, self._total)

    def at(self, steps: int, total: int) -> None:
        """So many are done, of so many."""
        self._steps, self._total = steps, total
        if not self._wanted or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + REFRESH_SECONDS
        if self._bar is None:
            self._begin()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._steps, total=self._total)
            self._bar.refresh()

    def close(self) -> None:
        """Clear the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        # stdout is for results alone; what is told on stderr meanwhile goes above the bar.
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(self._what, total=self._total)
