"""A program that runs a command through the runner, with an engine that only records.

Each test runs it as a process of its own, as the command line would: the runner
forks, and a forked pytest would be two.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from macvnet import keys
from macvnet.store import open_store

SHELL = ("sh", "-c")
SHELL_PATH = ("/bin/sh", "-c")

PROGRAM = """
import json, os, signal, sys
from macvnet.errors import Exhausted, MacvnetError, NotFound
from macvnet.model import EndpointRequest
from macvnet.runner import RunRequest, run, supervise
from macvnet.store import open_store

folder, options = sys.argv[1], json.loads(sys.argv[2])
supervise.GRACE_SECONDS = options.pop("grace", 10.0)
refusing = options.pop("refusing", False)

class Engine:
    opened = None

    @property
    def store(self):
        if self.opened is None:
            self.opened = open_store(folder)
        return self.opened

    def close(self):
        if self.opened is not None:
            self.opened.close()
        self.opened = None

    def log(self, verb, target, **more):
        entry = {"verb": verb, "owner": str(target.owner), "id": target.owner.id,
                 "inode": target.namespace.inode, "by": os.getpid(), **more}
        with open(folder + "/log", "a") as file:
            file.write(json.dumps(entry) + "\\n")

    def attach_target(self, target, wanted):
        self.log("attach", target, pid=target.pid, wanted=[term for term, _ in wanted])
        if refusing:
            raise Exhausted("no free address is left", "another --subnet")

    def detach_target(self, target, terms):
        self.log("detach", target)

    def detach(self, container, terms):
        with open(folder + "/log", "a") as file:
            file.write(json.dumps({"verb": "free", "owner": container}) + "\\n")
        raise NotFound("nothing of it")

engine = Engine()
engine.store.get("an engine that was used before")
request = RunRequest(
    wanted=(("lan", EndpointRequest()),), command=tuple(options.pop("command")),
    **{key: tuple(value) if isinstance(value, list) else value for key, value in options.items()},
)
try:
    status = run(engine, request, note=lambda text: print("note:", text, file=sys.stderr),
                 on_started=lambda text: print(text, flush=True))
except MacvnetError as error:
    print("error:", error.message, "| hint:", error.hint, file=sys.stderr)
    status = error.exit_status
sys.exit(status)
"""


class Runner:
    """Starts the program; knows what its engine was asked and what is recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o700)

    def argv(self, *command: str, **options: Any) -> list[str]:
        asked = json.dumps({"command": command, **options})
        return [sys.executable, "-c", PROGRAM, str(self.folder), asked]

    def __call__(
        self, *command: str, stdin: str | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*command, **options), capture_output=True, text=True, input=stdin, timeout=30
        )

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*command, **options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def verbs(self) -> list[str]:
        return [str(entry["verb"]) for entry in self.log]

    @property
    def records(self) -> list[dict[str, Any]]:
        with open_store(str(self.folder), read_only=True) as store:
            return [record for _, record in store.scan(keys.RUNS)]

    def record(self, name: str) -> dict[str, Any]:
        (found,) = [record for record in self.records if record["name"] == name]
        return found


def wait_until(condition: Callable[[], object], seconds: float = 8) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextlib.contextmanager
def runner_in(folder: Path) -> Iterator[Runner]:
    """A runner with its state in ``folder``; what it left running is ended."""
    made = Runner(folder)
    yield made
    for record in made.records:
        for pid in (record["supervisor"], record["pid"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
