"""A runtime that comes and goes: its stream of events while it is there, its return while not.

Knows when to ask again: as soon as something changes beside its socket, and with
growing pauses where it is there but nobody listens. Must not know what events mean.
"""

from __future__ import annotations

import os
import time

from macvnet import failures
from macvnet.engine.watch_deciding import Pause
from macvnet.errors import MacvnetError, NotFound
from macvnet.kernel.folder_events import FolderEvents
from macvnet.runtimes import following
from macvnet.runtimes.following import Event, Stream, StreamEnded

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds until it is asked again."""


class Source:
    """One runtime. ``retry_at`` (time.monotonic()) is when to call ``attempt`` without an event."""

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.stream: Stream | None = None
        self.retry_at: float | None = None
        self.why = ""
        """Why there is no stream now."""
        self._folder: FolderEvents | None = None
        self._pause = Pause(FIRST_PAUSE, LONGEST_PAUSE)
        self._had_witness = False
        self._began = 0.0

    @property
    def listening(self) -> bool:
        """Whether every event reaches us."""
        return self.stream is not None and self.stream.begun

    def fileno(self) -> int:
        """What becomes readable when something happens; -1 where nothing can."""
        waited = self.stream or self._folder
        return waited.fileno() if waited is not None else -1

    def attempt(self) -> None:
        """Connect, or wait for what has to come first."""
        self.close()
        try:
            path = following.place(self.runtime).path
            # Before looking, so that what comes meanwhile is not missed.
            self._folder = FolderEvents(path)
        except NotFound as error:
            self.why = error.message
            return
        except OSError as error:
            self._pause_for(f"{self.runtime} cannot be waited for: {failures.reason(error)}")
            return
        seen = following.witnessed(self.runtime)
        if not os.path.exists(path):
            self.why = f"there is no socket {path}"
            return
        if self._had_witness and seen is False:
            # Asking now would make systemd start a daemon that somebody has stopped.
            self.why = "its daemon does not run"
            return
        try:
            self.stream = Stream(self.runtime)
        except MacvnetError as error:
            self._pause_for(error.message)
            return
        self.why = ""
        self._began = time.monotonic()
        self._folder.close()
        self._folder = None

    def _pause_for(self, why: str) -> None:
        self.why = why
        self.retry_at = time.monotonic() + self._pause.longer()

    def read(self) -> list[Event]:
        """The events that are there; none where it has just come, or gone."""
        if self._folder is not None:
            self._folder.drain()
            self._pause.over()
            self.attempt()
            return []
        assert self.stream is not None
        try:
            found = self.stream.read()
        except StreamEnded:
            lasted = self.stream.begun and time.monotonic() >= self._began + FIRST_PAUSE
            self.close()
            # One that ends as soon as it is asked is not asked in a loop.
            if lasted:
                self._pause.over()
                self.attempt()
            else:
                self._pause_for("it has ended")
            return []
        if self.stream.begun:
            self._had_witness = bool(following.witnessed(self.runtime))
        return found

    def close(self) -> None:
        """Let go of what is waited for."""
        for opened in (self.stream, self._folder):
            if opened is not None:
                opened.close()
        self.stream = self._folder = None
        self.retry_at = None
