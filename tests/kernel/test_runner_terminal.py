"""A run on a terminal, ours or its own: keys, sizes, and the terminal as it was before."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.runner_program import SHELL, SHELL_PATH, Runner, runner_in, wait_until


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    with runner_in(tmp_path) as made:
        yield made


class Terminal:
    """A terminal with the program in its foreground, as a person would start it."""

    def __init__(self, argv: list[str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)
        self.text = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("=HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, text: str, seconds: float = 8) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, self.text
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode()
                except OSError:
                    assert text in self.text, self.text
        self.text = self.text.partition(text)[2]

    @property
    def flags(self) -> int:
        return int(termios.tcgetattr(self.fd)[3])

    def status(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self.fd)


def test_terminal_is_passed_through_and_restored(runner: Runner) -> None:
    script = (
        "trap 'stty size' WINCH; stty size; tty; while :; do read line && break; done;"
        "echo [$line]; exit 4"
    )
    argv = runner.argv(*SHELL, script, tty=True, interactive=True)
    terminal = Terminal([*SHELL_PATH, 'stty rows 33 cols 77; "$@"; echo done $?', "sh", *argv])
    try:
        terminal.expect("33 77")
        terminal.expect("/dev/pts/")
        assert not terminal.flags & (termios.ICANON | termios.ECHO | termios.ISIG)
        terminal.resize(44, 88)
        terminal.expect("44 88")
        terminal.type("hello\r")
        terminal.expect("[hello]")
        terminal.expect("done 4")
        assert terminal.flags & termios.ICANON
        assert terminal.flags & termios.ECHO
        assert terminal.status() == 0
    finally:
        terminal.close()


def test_interrupt_key_goes_to_the_command_in_its_terminal(runner: Runner) -> None:
    terminal = Terminal(
        runner.argv(*SHELL, "echo ready; exec sleep 60", tty=True, interactive=True)
    )
    try:
        terminal.expect("ready")
        terminal.type("\x03")
        assert terminal.status() == 130
    finally:
        terminal.close()
    assert runner.verbs == ["attach", "detach"]


def test_interrupt_key_reaches_a_command_on_our_own_terminal_once(runner: Runner) -> None:
    script = (
        "n=0; trap 'n=$((n+1))' INT; echo ready; sleep 0.5; sleep 0.5; sleep 0.1; echo counted $n"
    )
    terminal = Terminal(runner.argv(*SHELL, script, interactive=True))
    try:
        terminal.expect("ready")
        terminal.type("\x03")
        terminal.expect("counted 1")
        assert terminal.status() == 0
    finally:
        terminal.close()


def test_terminal_is_restored_when_the_supervisor_is_told_to_end(runner: Runner) -> None:
    terminal = Terminal(
        runner.argv(*SHELL, "echo ready; exec sleep 60", tty=True, interactive=True)
    )
    try:
        terminal.expect("ready")
        os.kill(terminal.pid, signal.SIGTERM)
        wait_until(lambda: terminal.flags & termios.ICANON)
        assert terminal.status() == 143
    finally:
        terminal.close()
