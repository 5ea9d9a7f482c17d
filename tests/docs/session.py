"""A shell on the lab's host, which runs the steps of one part one after the other."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from tests.docs.matching import Bindings, matches
from tests.docs.pages import LabPlan, Part, Step
from tests.lab import HOST, ROUTER, Lab, Machine

SECONDS = 120.0
NETNS = Path("/run/netns")


class Failed(AssertionError):
    """A step's output is not what the page shows."""


class Shell(Protocol):
    """Where the steps of a part are run."""

    def run(self, machine: str, command: str) -> list[str]:
        """The lines that a command prints, on both streams."""


class Session:
    """One bash for all commands of the host, so that ``cd``, variables and ``$!`` hold."""

    def __init__(
        self, host: Machine, folder: Path, machines: dict[str, Machine], path: str = ""
    ) -> None:
        self._machines = machines
        self._output = folder / "output"
        self._status = 0
        self._jobs = 0
        # Debian's busybox is there for certain, wget perhaps not.
        tools = folder / "bin"
        tools.mkdir()
        (tools / "wget").symlink_to("/usr/bin/busybox")
        self._path = f"{Path(sys.executable).parent}:{path or os.environ['PATH']}:{tools}"
        self._shell = host.start(
            *("env", f"PATH={self._path}", "bash", "--noprofile", "--norc"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
        )

    def run(self, machine: str, command: str) -> list[str]:
        """The lines that a command prints, on both streams."""
        if machine:
            done = self._machines[machine].run("bash", "-c", command, env={"PATH": self._path})
            return (done.stdout + done.stderr).splitlines()
        assert self._shell.stdin is not None and self._shell.stdout is not None
        quoted, output = shlex.quote(command), shlex.quote(str(self._output))
        self._shell.stdin.write(
            f'(exit {self._status}); eval {quoted} >{output} 2>&1 </dev/null; echo "$? ${{!:-0}}"\n'
        )
        self._shell.stdin.flush()
        ready, _, _ = select.select([self._shell.stdout], [], [], SECONDS)
        answer = self._shell.stdout.readline().split() if ready else []
        if len(answer) != 2:
            raise Failed(f"$ {command}\nno end after {SECONDS:.0f} s, or the shell has ended")
        self._status = int(answer[0])
        lines = self._output.read_text(encoding="utf-8").splitlines()
        if command.endswith("&"):
            # What an interactive shell says of a job.
            self._jobs += 1
            lines.insert(0, f"[{self._jobs}] {answer[1]}")
        return lines


@contextmanager
def session_for(plan: LabPlan, make_lab: Callable[..., Lab]) -> Iterator[Session]:
    """The lab that a part wants, with a shell on its host."""
    before = _named()
    lab = make_lab(
        host=HOST if plan.host is None else plan.host,
        router=ROUTER if plan.router is None else plan.router,
        default_route=plan.default_route,
        nics=plan.nics,
    )
    machines = {"router": lab.router}
    if not plan.forward:
        lab.router.sysctl("net/ipv4/ip_forward", "0")
    for vid, addresses in plan.vlans.items():
        lab.router.add_vlan(vid, *addresses)
    for name, addresses in plan.external.items():
        machines[name] = lab.external(*addresses)
    router = lab.router.advertising(plan.advertises) if plan.advertises else nullcontext()
    try:
        with router:
            yield Session(lab.host, lab.folder, machines)
    finally:
        for name in _named() - before:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _named() -> set[str]:
    return {path.name for path in NETNS.iterdir()} if NETNS.exists() else set()


def play(part: Part, session: Shell) -> Iterator[tuple[Step, list[str], bool]]:
    """Run the steps: each with its real output, and whether the page shows that."""
    bindings = Bindings()
    for step in part.steps:
        lines = session.run(step.machine, bindings.substituted(step.command))
        yield step, lines, matches(step.output, lines, bindings)


def check(part: Part, session: Shell) -> None:
    """Failed at the first step whose output is not as shown."""
    for step, lines, as_shown in play(part, session):
        if not as_shown:
            text = "\n".join(lines)
            raise Failed(
                f"{part.page}:{step.first + 1}: {step.machine}$ {step.command}\n"
                f"--- printed:\n{text}\n--- the page shows:\n" + "\n".join(step.output)
            )
