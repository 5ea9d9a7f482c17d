"""The executable's own process: signals, closed streams, full disks, readers that leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BYTES = {"BYTES": r"\xff\x1b", "LC_ALL": "C"}

SCRIPT = """
import os, signal, sys, time
from macvnet.cli import calling
from macvnet.cli.invocation import Invocation
from tests.cli.fakes import FakeEngine, network

class Slow(FakeEngine):
    def networks(self):
        if os.environ.get("WAIT"):
            try:
                sys.stderr.write("waiting\\n")
                sys.stderr.flush()
                time.sleep(30)
            finally:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    os.kill(os.getpid(), number)
                sys.stderr.write("undone\\n")
        return [network(f"n{i}", i % 255) for i in range(int(os.environ.get("MANY", "1")))]

calling.Invocation = lambda **named: Invocation(Slow(network("lan", 1)), **named)
sys.exit(calling.main())
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, *arguments]


def environ(**more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MACVNET_STATE_DIR": "/nonexistent",
        "PYTHONWARNINGS": "error",
        # Unbuffered, Python drops the rest of a short write without a word.
        "PYTHONUNBUFFERED": "",
        **more,
    }


def shell(text: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which "$@" is macvnet."""
    return subprocess.run(
        ["/bin/bash", "-c", text, "bash", *command()],
        env=environ(**more),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_undoing_finish(number: signal.Signals) -> None:
    process = subprocess.Popen(
        command("ls"), env=environ(WAIT="1"), stdout=-1, stderr=-1, text=True
    )
    assert process.stderr is not None
    with process:
        assert process.stderr.readline() == "waiting\n"
        process.send_signal(number)
        assert process.stderr.read() == (
            "undone\nmacvnet: interrupted, what was not finished has been undone\n"
        )
    assert process.returncode == 128 + number


def test_an_ignored_hangup_stays_ignored() -> None:
    said = shell('trap "" HUP; "$@" ls -q & sleep 0; kill -HUP $!; wait $!')
    assert (said.returncode, said.stdout) == (0, "000000000000\n")


def test_a_reader_that_leaves_is_no_error() -> None:
    said = shell('"$@" ls --no-trunc | head -1; echo ${PIPESTATUS[0]}', MANY="3000")
    assert said.stdout.splitlines()[1] == "141"
    assert said.stderr == ""


@pytest.mark.parametrize(("arguments", "many"), [("ls", "1"), ("ls", "3000"), ("ls --help", "1")])
def test_a_full_disk_is_named(arguments: str, many: str) -> None:
    said = shell(f'"$@" {arguments} >/dev/full', MANY=many)
    assert said.returncode == 8
    assert said.stderr == (
        "macvnet: cannot write to the standard output: no space is left there (No space left on "
        "device)\nhint: df -h /dev/full; df -i /dev/full\n"
    )


def test_closed_streams_are_borne() -> None:
    assert shell('"$@" ls >&- 2>&- <&-; echo $?').stdout == "0\n"
    assert shell('"$@" crate 2>&-; echo $?').stdout == "2\n"
    assert shell('"$@" prune <&-; echo $?').stdout.endswith("[y/N] 0\n")


def test_any_bytes_may_come_in_and_none_of_them_stop_us() -> None:
    said = shell('"$@" create "$(printf %b $BYTES)"; printf %b $BYTES | "$@" prune', **BYTES)
    assert (said.returncode, said.stderr) == (0, "")
    refused = shell('"$@" rm "$(printf %b $BYTES)"', **BYTES)
    assert refused.stderr.splitlines()[0] == r"macvnet: network '\udcff\x1b' does not exist"
