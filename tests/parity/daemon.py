"""A real dockerd of its own: nothing of the machine's Docker is used or changed.

It lives in the network namespace of a lab's host, and in mount and PID
namespaces whose first process dies with this one: with it the kernel ends the
daemon, containerd and all containers, and its files, all in tmpfs, are gone.
Knows how to start, ask and end it, and nothing of what is compared.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from tests.lab import CommandFailed, Machine, Result
from tests.lab.processes import MARK, PREFIX

# Debian's docker.io: another client in the PATH may be of another version.
CLIENT, DAEMON, BUSYBOX = "/usr/bin/docker", "/usr/sbin/dockerd", "/bin/busybox"
VERSION = "20.10."
READY_WITHIN = 60.0
IMAGE = "box"
FOLDER = "/run/docker-parity"

# /run, /etc/docker: shims put sockets there, the daemon its key. keys: it raises limits of the
# whole machine.
PREPARE = f"""
set -e
mount -t tmpfs parity /run
mount -t tmpfs parity /proc/sys/kernel/keys
mkdir -p /etc/docker
mount -t tmpfs parity /etc/docker
mkdir {FOLDER}
echo '{{}}' >{FOLDER}/daemon.json
exec "$@"
"""


class Unanswered(AssertionError):
    """The daemon did not start, ended, or refused what it has to do."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


class Docker:
    """dockerd in ``host``'s network namespace; close() leaves nothing of it.

    Its images, containers and networks are in tmpfs, or in ``data`` where that is given.
    """

    def __init__(self, host: Machine, folder: Path, data: Path | None = None) -> None:
        self.host = host
        self._data = str(data) if data else f"{FOLDER}/data"
        self._group = f"{PREFIX}{host.env[MARK]}-docker"
        self._config = folder / "docker-config"
        self._log = folder / "dockerd.log"
        self._process: subprocess.Popen[bytes] | None = None
        for program in (CLIENT, DAEMON, BUSYBOX):
            if not Path(program).exists():
                raise Unanswered(f"{program} is missing: apt-get install docker.io busybox-static")
        self._config.mkdir()
        try:
            self._start()
            self._import_image()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        daemon = [
            *(DAEMON, "--host", f"unix://{FOLDER}/docker.sock", "--pidfile", f"{FOLDER}/pid"),
            *("--data-root", self._data, "--exec-root", f"{FOLDER}/exec"),
            *("--config-file", f"{FOLDER}/daemon.json"),
            *("--storage-driver", "vfs", "--bridge", "none", "--cgroup-parent", self._group),
            *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        ]
        alone = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork"]
        environment = {key: os.environ[key] for key in ("PATH",)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--", *self.host.enter),
                    *(*alone, "--kill-child=KILL", "--mount-proc", "--"),
                    *("sh", "-c", PREPARE, "sh", *daemon),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, MARK: self.host.env[MARK]},
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_WITHIN
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._init = self._first_child(self._process.pid)
                version = self.api("GET", "/version")["Version"]
                break
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Unanswered(f"dockerd did not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.05)
        if not version.startswith(VERSION):
            raise Unanswered(f"parity is held against Docker {VERSION}*, and this is {version}")

    @staticmethod
    def _first_child(pid: int) -> int:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            raise ProcessLookupError(pid)
        return int(children[0])

    @property
    def _socket(self) -> str:
        return f"/proc/{self._init}/root{FOLDER}/docker.sock"

    def _import_image(self) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(os.path.realpath(BUSYBOX), "bin/busybox")
            for name in ("sh", "sleep"):
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        done = subprocess.run(
            [*self.client, "import", "-", IMAGE],
            input=packed.getvalue(),
            capture_output=True,
            env=self._environment,
        )
        if done.returncode:
            raise Unanswered(done.stderr.decode())

    # -- asking -----------------------------------------------------------

    @property
    def client(self) -> list[str]:
        return [CLIENT, "--host", f"unix://{self._socket}"]

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(self._config), "HOME": "/"}

    def run(self, *argv: str, stdin: str | None = None) -> Result:
        """``docker ARGV``, whatever its status."""
        done = subprocess.run(
            [*self.client, *argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=60,
            env=self._environment,
        )
        return Result(("docker", *argv), done.returncode, done.stdout, done.stderr)

    def api(self, method: str, path: str) -> Any:
        """The daemon's own answer, decoded; CommandFailed where it refuses."""
        connection = _Connection(self._socket)
        try:
            connection.request(method, quote(path, safe='/?=&{}"[]:,'))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise CommandFailed(f"{method} {path}: {body.decode(errors='replace')}")
        return json.loads(body) if body else None

    # -- containers -------------------------------------------------------

    def container(self, name: str) -> str:
        """A running container without networks; the path of its network namespace."""
        image = (IMAGE, "sleep", "1000000")
        self.run("run", "--detach", "--name", name, "--network", "none", *image).checked()
        # A container on 'none' cannot be on any other network.
        self.run("network", "disconnect", "none", name).checked()
        return self.namespace(name)

    def processes(self) -> list[int]:
        """The numbers of the daemon and all that serves it, as this process knows them."""
        found, waiting = [], [self._init]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += [int(word) for word in (task / "children").read_text().split()]
        return found

    def namespace(self, name: str) -> str:
        """The path of a running container's network namespace."""
        pid = self.api("GET", f"/containers/{name}/json")["State"]["Pid"]
        return f"/proc/{self._init}/root/proc/{pid}/ns/net"

    def networks(self) -> list[dict[str, Any]]:
        """Everything about the networks that somebody made."""
        listed = self.api("GET", '/networks?filters={"type":["custom"]}')
        return [self.api("GET", f"/networks/{network['Id']}") for network in listed]

    # -- its end ----------------------------------------------------------

    def close(self) -> None:
        if self._process is not None:
            # unshare's child is the first process of its PID namespace: all others go with it.
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._config, ignore_errors=True)
        deadline = time.monotonic() + 10
        while self._remove_groups() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _remove_groups(self) -> list[str]:
        """Remove the control groups of the daemon's containers; those that are still there."""
        left = []
        # Below this process's own group, which is not the top one in every hierarchy.
        for top in list(Path("/sys/fs/cgroup").rglob(self._group)):
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    left.append(folder)
        return left

    def __enter__(self) -> Docker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
