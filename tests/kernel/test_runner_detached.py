"""A run that stays behind: its supervisor, its ID, its end."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from macvnet.runner import resolve_run
from macvnet.store import open_store
from tests.kernel.runner_program import SHELL, Runner, runner_in, running, wait_until


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    with runner_in(tmp_path) as made:
        yield made


def test_detached_run_prints_its_id_and_is_a_target_until_it_ends(runner: Runner) -> None:
    began = time.monotonic()
    done = runner("sleep", "60", detach=True, name="web")
    assert time.monotonic() - began < 5
    assert done.returncode == 0
    record = runner.record("web")
    assert done.stdout == record["id"] + "\n"
    assert record["command"] == ["sleep", "60"]
    with open_store(str(runner.folder)) as store:
        assert resolve_run(store, "web") == (record["pid"], f"/proc/{record['pid']}/ns/net")
    assert os.getsid(record["pid"]) != os.getsid(0)
    assert os.getsid(record["supervisor"]) != os.getsid(0)
    taken = runner("true", name="web")
    assert taken.returncode == 5
    assert f"'web' is there already (PID {record['pid']})" in taken.stderr
    assert runner.record("web") == record
    os.kill(record["pid"], signal.SIGKILL)
    wait_until(lambda: not runner.records)
    assert runner.verbs == ["attach", "detach"]
    assert runner.log[1]["by"] == record["supervisor"]
    assert runner.log[1]["inode"] == runner.log[0]["inode"]


def test_supervisor_holds_no_stream_store_or_folder(runner: Runner) -> None:
    runner("sleep", "60", detach=True, name="web")
    supervisor = runner.record("web")["supervisor"]
    proc = Path(f"/proc/{supervisor}")
    wait_until(lambda: (proc / "comm").read_text() == "macvnet-run\n")
    files = {os.readlink(fd) for fd in (proc / "fd").iterdir()}
    assert {re.sub(r"\[.*", "", name) for name in files} == {
        "/dev/null",
        "net:",
        "pipe:",
        "anon_inode:",
    }
    assert os.readlink(proc / "cwd") == "/"


def test_sigterm_to_the_supervisor_ends_the_command(runner: Runner) -> None:
    runner("sleep", "60", detach=True, name="web")
    record = runner.record("web")
    os.kill(record["supervisor"], signal.SIGTERM)
    wait_until(lambda: not runner.records)
    assert not running(record["pid"])
    wait_until(lambda: not running(record["supervisor"]))


def test_command_that_ignores_sigterm_is_killed_after_a_while(runner: Runner) -> None:
    runner(*SHELL, "trap '' TERM; while :; do sleep 0.1; done", detach=True, name="web", grace=0.5)
    record = runner.record("web")
    time.sleep(0.3)
    os.kill(record["supervisor"], signal.SIGTERM)
    time.sleep(0.2)
    assert running(record["pid"])
    wait_until(lambda: not runner.records)
    assert not running(record["pid"])


@pytest.mark.parametrize("tty", [False, True])
def test_detached_shell_stays_alive(runner: Runner, tty: bool) -> None:
    runner("sh", detach=True, interactive=True, tty=tty, name="web")
    pid = runner.record("web")["pid"]
    time.sleep(0.5)
    assert running(pid)
    assert os.readlink(f"/proc/{pid}/fd/0").startswith("/dev/pts/" if tty else "pipe:")


def test_detached_output_to_a_terminal_never_blocks_the_command(runner: Runner) -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' x"
    runner(*SHELL, script, detach=True, tty=True, name="web")
    wait_until(lambda: not runner.records)
