"""A machine that is booted again and again, and a program in it for each boot.

    python -m tests.boots.site MODULE FUNCTION      (inside User Mode Linux)

The machine itself is the host here, not a namespace of it: its own eth0 has a
permanent MAC and a cable to the router, its boot id is the kernel's, and the
state is on a disk.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.lab import FORWARD, LO, QUIET, Host, Lab, Machine, Result, uml
from tests.lab.processes import Holder

DISK = Path("/run/disk")
"""Where the machine's disk is mounted inside."""
SECONDS = 240.0
"""For one boot with its work, on a machine that is busy with other things."""


class Itself(Holder):
    """The namespace this program is in; nothing holds it but the machine."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.path = "/proc/1/ns/net"
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def kill(self) -> None:
        """It ends with the machine."""

    def close(self) -> None:
        os.close(self.fd)


class Here(Host):
    """The machine this program runs on.

    macvnet's commands are calls in this process: in User Mode Linux that takes a
    tenth of the time of a process of their own.
    """

    def __init__(self, env: dict[str, str]) -> None:
        super().__init__(env, "host", Itself())
        os.environ.update(env)

    def macvnet(self, *argv: str, **how: Any) -> Result:
        if how:
            raise TypeError(f"not for a call in this process: {', '.join(how)}")
        from macvnet.cli.calling import run

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run(argv)
        return Result(("macvnet", *argv), status, out.getvalue(), err.getvalue())


class Site(Lab):
    """The booted machine, and its router if there is to be one."""

    ROUTER = ("172.16.86.1/24", "2001:db8:86::1/64")

    def _build(
        self, host: Sequence[str], router: Sequence[str], nics: int, default_route: bool
    ) -> None:
        del host, router, nics, default_route
        self._surround(DISK / "state")
        # Not among the machines that end with the lab: this program is in it.
        self.host = Here(self.env)
        self.host.run("sh", "-c", f"{LO}; {QUIET}; ip link set eth0 up").checked()

    def add_router(self) -> None:
        """A router at the other end of eth0's cable."""
        self.router = self._add(Machine, "router", f"{LO}; {QUIET}; {FORWARD}")
        self.host.ip("link", "set", "eth1", "netns", str(self.router.pid), "name", "eth0")
        self.router.add_addresses(*self.ROUTER)


def same(found: Any, wanted: Any) -> None:
    """AssertionError with both values unless they are equal: no pytest is there to tell."""
    if found != wanted:
        raise AssertionError(f"found  {found!r}\nwanted {wanted!r}")


def boot(work: Callable[[Site], None], job: Path, disk: Path) -> None:
    """Boot the machine with ``disk``, and run ``work`` (a function of a module) in it."""
    argv = [sys.executable, "-m", "tests.boots.site", work.__module__, work.__name__]
    outcome = uml.boot(program(argv), job, timeout=SECONDS, disk=disk, cable=True)
    assert outcome.status == 0, f"{work.__name__}: {outcome}"


def program(argv: Sequence[str]) -> str:
    """The script that runs a program of the tests inside."""
    env = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return uml.script_for(argv, env)


def copied(disk: Path, to: Path) -> Path:
    """A copy of a machine's disk, holes kept."""
    subprocess.run(["cp", "--sparse=always", str(disk), str(to)], check=True)
    return to


def main() -> int:
    module, name = sys.argv[1:]
    work = getattr(importlib.import_module(module), name)
    with Site() as site:
        work(site)
    return 0


if __name__ == "__main__":
    sys.exit(main())
