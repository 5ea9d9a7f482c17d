"""Containers of systemd-nspawn, registered with a real machined.

machined needs systemd as the first process, so all of that is in User Mode
Linux. What machined never writes, damaged and stale files, is shown on the ground.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.boots.site import program
from tests.kernel.steps import CONFLICT, NOT_FOUND, refused
from tests.lab import uml
from tests.runtimes.containers import Runc
from tests.runtimes.ground import Ground, require
from tests.runtimes.test_every_runtime import attach, looked_up

UNAVAILABLE = 10


def test_container_is_connected_restarted_restored_and_disconnected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And others are refused: in User Mode Linux, with systemd as the first process."""
    require("systemd-nspawn", "machinectl", "dbus-daemon")
    script = program([sys.executable, "-m", "tests.runtimes.machined"])
    outcome = uml.boot(script, tmp_path, timeout=240, systemd=True)
    assert outcome.status == 0, outcome.preamble + capsys.readouterr().out


def machine_file(ground: Ground, text: str) -> None:
    file = ground.file("/run/systemd/machines/web")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_machined_that_is_not_there(ground: Ground) -> None:
    hint = refused(ground.macvnet("connect", "net", "nspawn:web"), UNAVAILABLE, "machined")
    assert "PID" in hint


def test_leader_that_is_in_no_unit_of_the_machine_is_not_believed(
    ground: Ground, runc: Runc
) -> None:
    """A stale file names a process that has the number now."""
    runc.make("victim")
    pid = runc.pid("victim")
    try:
        for leader, unit in ((pid, "machine-web.scope"), (pid, ""), (0, "x"), ("x", "x")):
            machine_file(ground, f"CLASS=container\nLEADER={leader}\nSCOPE={unit}\n")
            refused(ground.macvnet("connect", "net", "nspawn:web"), NOT_FOUND, "has ended")
        machine_file(ground, f"CLASS=container\nLEADER={pid}\nSCOPE=victim\n")
        attach(ground, "nspawn:web")
        machine_file(ground, f"CLASS=vm\nLEADER={pid}\nSCOPE=victim\n")
        refused(ground.macvnet("connect", "net", "nspawn:web"), CONFLICT, "no container", "'vm'")
        assert looked_up(ground, "nspawn:") == []
        machine_file(ground, "\0=\n=\nLEADER\n")
        refused(ground.macvnet("connect", "net", "nspawn:web"), CONFLICT, "no container")
    finally:
        ground.run("rm", "-r", "/run/systemd/machines").checked()
