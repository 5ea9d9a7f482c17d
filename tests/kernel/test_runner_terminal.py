"""A run on a terminal, ours or its own: keys, sizes, and the terminal as it was before."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.runner_program import SHELL, SHELL_PATH, Runner, runner_in, wait_until
from tests.lab.terminal import Terminal


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    with runner_in(tmp_path) as made:
        yield made


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
