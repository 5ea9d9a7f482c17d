"""A ``macvnet watch`` at work: its lines, waited for; its process, for signals and its figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab import command
from tests.lab.machines import Machine

WITHIN = 30.0
NOWHERE = {
    "DOCKER_HOST": "unix:///run/nowhere/docker.sock",
    "CONTAINER_HOST": "unix:///run/nowhere/podman.sock",
}
"""For a watch that is to follow the kernel only, whatever runs on this machine."""


class Watch:
    """Started, and ready. ``folder`` gets what it writes."""

    def __init__(
        self,
        machine: Machine,
        folder: Path,
        *words: str,
        env: dict[str, str] | None = None,
        ready: bool = True,
    ) -> None:
        self._log = folder / f"watch-{time.monotonic_ns()}.log"
        self._env = {**machine.env, **(env or {})}
        with self._log.open("wb") as log:
            # What is started in a machine may be a process that waits for another one.
            script = 'echo $$ >&2; exec "$0" "$@"'
            argv = ("sh", "-c", script, command.executable(), "watch", "--format", "json", *words)
            self.process = subprocess.Popen(
                [*machine.enter, *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._env},
            )
        self._seen = 0
        self._inner = machine if machine.more_of_its_own else None
        if ready:
            self.wait_for("ready")

    def said(self) -> str:
        return self._log.read_text()

    def acts(self) -> list[dict[str, Any]]:
        """All its lines by now. The last may be half written."""
        lines = self.said().split("\n")[1:-1]
        return [json.loads(line) for line in lines]

    def wait_for(self, act: str, within: float = WITHIN, **fields: str) -> dict[str, Any]:
        """The next line of that act whose fields have those words in them."""
        deadline = time.monotonic() + within
        while True:
            for number, one in enumerate(self.acts()[self._seen :], self._seen):
                if one["act"] == act and all(v in one.get(k, "") for k, v in fields.items()):
                    self._seen = number + 1
                    return one
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"no {act} {fields} after line {self._seen}:\n{self.said()}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The process, as this process numbers it."""
        if self._inner is None:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def switches(self) -> int:
        """How often it has gone to sleep: what has not been woken has not done so again."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                return int(line.split()[1])
        raise AssertionError("it is not there")

    def sleeps(self, seconds: float) -> bool:
        """Whether it sleeps for so long, as soon as it has nothing to do any more."""
        for _ in range(10):
            before = self.switches()
            time.sleep(seconds)
            if self.switches() == before:
                return True
        return False

    def end(self, number: int = signal.SIGTERM, within: float = 10.0) -> int:
        """Signal it; its exit status."""
        os.kill(self.pid, number)
        return self.process.wait(within)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
