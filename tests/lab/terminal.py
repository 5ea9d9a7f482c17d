"""A program in the foreground of a terminal of its own, as a person would start it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence


class Terminal:
    """``text`` is what the program has written since the last thing that was expected.

    ``env`` replaces the environment, ``prepare`` runs in the program's process before it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                prepare()
                os.execvpe(argv[0], list(argv), os.environ if env is None else env)
            finally:
                os._exit(127)
        self.text = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("=HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, text: str, seconds: float = 8) -> None:
        """Wait until the program has written ``text``."""
        self.wait_for(lambda: text in self.text, seconds)
        self.text = self.text.partition(text)[2]

    def wait_for(self, happened: Callable[[], bool], seconds: float = 8) -> None:
        """Wait, reading what the program writes, until something has happened."""
        deadline = time.monotonic() + seconds
        while not happened():
            left = deadline - time.monotonic()
            assert left > 0, self.text
            if select.select([self.fd], [], [], min(left, 0.05))[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode(errors="replace")
                except OSError:
                    assert happened(), self.text

    @property
    def flags(self) -> int:
        return int(termios.tcgetattr(self.fd)[3])

    def status(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self.fd)

    def end(self) -> None:
        """End the program, whatever it does, and close the terminal."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.close()
