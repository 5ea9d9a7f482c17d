"""The outer terminal: its size, and raw mode that always ends."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

_WINDOW = struct.Struct("=HHHH")


def copy_size(master: int) -> None:
    """Give a pseudo-terminal the size of ours, if we have one."""
    for fd in (0, 1, 2):
        if os.isatty(fd):
            size = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_WINDOW.size))
            fcntl.ioctl(master, termios.TIOCSWINSZ, size)
            return


@contextmanager
def raw(fd: int) -> Iterator[None]:
    """Every key goes through inside the block; afterwards the terminal is as it was."""
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
