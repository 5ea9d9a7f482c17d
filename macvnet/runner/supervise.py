"""Waiting for the command: signals and terminal passed through, its exit status taken.

One loop over descriptors (signals come as one too), no threads, no handlers.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from macvnet.kernel import detached
from macvnet.runner import libc, terminal
from macvnet.runner.launch import Launched

FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
GRACE_SECONDS = 10.0
"""How long a detached command has after SIGTERM before it is killed."""

CHUNK = 1 << 16


@contextmanager
def signals_held() -> Iterator[set[int]]:
    """Signals wait to be read inside the block; gives the mask there was before."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*FORWARDED, signal.SIGCHLD})
    try:
        yield set(before)
    finally:
        # What came after the command's end is nobody's any more.
        while signal.sigtimedwait(FORWARDED, 0) is not None:
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_attended(command: Launched, *, keyboard: bool) -> int:
    """Wait in the foreground; ``keyboard``: what is typed goes to the command's terminal."""
    with terminal.raw(0) if keyboard else nullcontext():
        return _Loop(command, keyboard=keyboard, output=1).run()


def wait_alone(command: Launched) -> int:
    """Wait without anybody watching; SIGTERM is followed by SIGKILL after a while."""
    return _Loop(command, keyboard=False, output=-1, grace=GRACE_SECONDS).run()


class _Loop:
    def __init__(
        self, command: Launched, *, keyboard: bool, output: int, grace: float | None = None
    ) -> None:
        self._command = command
        self._master = command.master
        self._keyboard = 0 if keyboard else -1
        self._output = output
        self._grace = grace
        self._deadline: float | None = None
        self._typed = b""
        self._shares_terminal = output >= 0 and command.master < 0
        self._signals = libc.signal_fd((*FORWARDED, signal.SIGCHLD))
        if self._master >= 0:
            os.set_blocking(self._master, False)

    def run(self) -> int:
        try:
            # It may have ended before its SIGCHLD could wait for us.
            while (status := self._command.reap()) is None:
                self._step()
            self._drain()
            return status
        finally:
            os.close(self._signals)

    def _step(self) -> None:
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        if self._master >= 0:
            poll.register(self._master, select.POLLIN | (select.POLLOUT if self._typed else 0))
        if self._keyboard >= 0 and len(self._typed) < CHUNK:
            poll.register(self._keyboard, select.POLLIN)
        ready = dict(poll.poll(self._patience()))
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._deadline = None
            self._command.signal(signal.SIGKILL)
        if self._signals in ready:
            self._pass_signals()
        if self._keyboard in ready:
            self._read_keyboard()
        if ready.get(self._master, 0) & select.POLLOUT:
            self._type()
        if ready.get(self._master, 0) & ~select.POLLOUT:
            self._relay()

    def _patience(self) -> int | None:
        """Milliseconds until the command's time is up; None without end."""
        if self._deadline is None:
            return None
        return max(0, int((self._deadline - time.monotonic()) * 1000) + 1)

    def _pass_signals(self) -> None:
        for received in libc.read_signals(self._signals):
            if received.number == signal.SIGCHLD:
                detached.reap()
                continue
            if received.number == signal.SIGWINCH and self._master >= 0:
                terminal.copy_size(self._master)
                continue
            # What our terminal sends (^C), it sends to the command as well.
            if self._shares_terminal and received.code == libc.SI_KERNEL:
                continue
            self._command.signal(received.number)
            if received.number == signal.SIGTERM and self._grace is not None:
                self._deadline = self._deadline or time.monotonic() + self._grace

    def _read_keyboard(self) -> None:
        data = _read(self._keyboard)
        if data == b"":
            self._keyboard = -1
        elif data:
            self._typed += data
            self._type()

    def _type(self) -> None:
        if self._master < 0:
            return
        try:
            self._typed = self._typed[os.write(self._master, self._typed) :]
        except BlockingIOError:
            return
        except OSError:
            self._typed = b""

    def _relay(self) -> bool:
        """Pass some output on; whether there was any."""
        data = _read(self._master)
        if data == b"":
            # The command closed its terminal and may run on; the descriptor stays open.
            self._master = -1
        elif data and self._output >= 0 and not _write(self._output, data):
            self._output = -1
        return bool(data)

    def _drain(self) -> None:
        while self._master >= 0 and self._relay():
            pass


def _read(fd: int) -> bytes | None:
    """What is there: empty at the end (a terminal says EIO), None if nothing yet."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _write(fd: int, data: bytes) -> bool:
    """Write all of it; False if nobody takes it any more."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            waiting = select.poll()
            waiting.register(fd, select.POLLOUT)
            waiting.poll()
        except OSError:
            return False
    return True
