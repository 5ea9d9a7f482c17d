"""A screen of its own on the terminal: keys without Enter, and the terminal as it was at the end.

Knows keys, sizes and waiting; must not know what is drawn.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from macvnet import failures, signals
from macvnet.errors import KernelRefused

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

KEY, RESIZED, TIME = "key", "resized", "time"
_LOCAL, _CHARACTERS = 3, 6


class Screen:
    """``draw`` shows a picture, ``wait`` sleeps until something is to be done."""

    def __init__(self, live: Live, keys: int | None, woken: int) -> None:
        self._live = live
        self._keys = keys
        self._woken = woken

    @property
    def size(self) -> tuple[int, int]:
        """How many columns and lines there are now."""
        size = self._live.console.size
        return size.width, size.height

    def draw(self, picture: RenderableType) -> None:
        self._live.update(picture, refresh=True)

    def wait(self, until: float) -> str:
        """KEY and its character; RESIZED; TIME at ``until`` (time.monotonic)."""
        waiting = select.poll()
        for watched in (self._woken, self._keys):
            if watched is not None:
                waiting.register(watched, select.POLLIN)
        left = max(0.0, until - time.monotonic())
        ready = {descriptor for descriptor, _ in waiting.poll(left * 1000)}
        if self._woken in ready:
            os.read(self._woken, 4096)
            return RESIZED
        if ready and self._keys is not None:
            typed = os.read(self._keys, 1)
            if typed:
                return KEY + typed.decode(errors="replace")
            self._keys = None  # nobody will type any more
            return RESIZED
        return TIME


@contextmanager
def screen() -> Iterator[Screen]:
    """A screen inside the block; afterwards the terminal is as it was, whatever happened."""
    from rich.console import Console
    from rich.live import Live

    keys = sys.stdin.fileno() if sys.stdin.isatty() else None
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    live = Live(
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="crop",
    )
    before = signals.getsignal(signals.SIGWINCH)
    wakes = signals.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signals.signal(signals.SIGWINCH, lambda number, frame: None)
    try:
        with _unbuffered(keys), live:
            yield Screen(live, keys, woken)
    except OSError as error:
        raise KernelRefused(
            "use the terminal", error.errno or 0, failures.reason(error), "tty; echo $TERM"
        ) from error
    finally:
        signals.signal(signals.SIGWINCH, before)
        signals.set_wakeup_fd(wakes)
        os.close(woken)
        os.close(wake)


@contextmanager
def _unbuffered(fd: int | None) -> Iterator[None]:
    """Keys come one by one and are not shown. Ctrl-C is a signal still, Ctrl-Z is no key."""
    if fd is None:
        yield
        return
    before = termios.tcgetattr(fd)
    changed = termios.tcgetattr(fd)
    changed[_LOCAL] &= ~(termios.ICANON | termios.ECHO)
    # Stopped, we would leave a terminal that shows nothing of what is typed.
    changed[_CHARACTERS] = list(changed[_CHARACTERS])
    changed[_CHARACTERS][termios.VSUSP] = b"\0"
    changed[_CHARACTERS][termios.VMIN] = 1
    changed[_CHARACTERS][termios.VTIME] = 0
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, changed)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
