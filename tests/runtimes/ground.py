"""A piece of this machine that container runtimes can be let loose in.

The lab's host with mounts, PIDs and control groups of its own: daemons and
programs find everything where it always is, and what they write is in tmpfs, in
namespaces that end with this process, and below one control group, which is
removed. Knows no runtime.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab import Lab, Machine, Result, command
from tests.lab.processes import MARK, PREFIX, owner_lives

BUSYBOX = "/bin/busybox"
APPLETS = ("sh", "sleep", "ping", "ip", "true")
BOX = "/run/box"
"""The root file system of all containers."""
GROUPS = Path("/sys/fs/cgroup")

# /proc/sys/kernel/keys: dockerd raises limits of the whole machine there.
PREPARE = f"""
set -e
mount -t tmpfs ground /run
mount -t tmpfs ground /var/lib
mount -t tmpfs ground /proc/sys/kernel/keys
mkdir -p /etc/docker
mount -t tmpfs ground /etc/docker
mkdir -p /run/netns /run/lock /run/podman /var/lib/lxc {BOX}
grep -E '^[^ ]+ /sys/fs/cgroup[^ ]* cgroup2? ' /proc/self/mounts >/run/groups
while read -r what where kind options rest; do
    case $options in
        *name=systemd*) options=none,name=systemd ;;
        *) options=${{where##*/}} ;;
    esac
    umount "$where"
    if [ "$kind" = cgroup ]; then
        mount -t cgroup -o "$options" cgroup "$where"
    else
        mount -t cgroup2 cgroup2 "$where"
    fi
    mkdir "$where/programs"
    echo 0 >"$where/programs/cgroup.procs"
done </run/groups
exec "$@"
"""

# The first process of the PID namespace: whatever loses its parent is its to wait for.
INIT = """
import os, time
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.05)
"""
JOIN = 'for each in $(cat /run/joined); do echo 0 >"$each"; done; exec "$@"'
READY_WITHIN = 30.0


class Unready(AssertionError):
    """The ground, or a daemon on it, did not come up."""


def _own_groups() -> Iterator[Path]:
    """This process's control group in each hierarchy."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path.lstrip("/")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind not in ("cgroup", "cgroup2") or not where.startswith(str(GROUPS)):
            continue
        given = set(options.split(","))
        for controllers, path in own.items():
            mine = set(controllers.split(",")) <= given if controllers else kind == "cgroup2"
            if mine and (kind == "cgroup2") == (not controllers):
                yield Path(where, path)


class Ground(Machine):
    """``lab.host`` with its own mounts, PIDs and control groups."""

    more_of_its_own = True

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.name = "ground"
        # Without what this machine's user has told docker.
        self.env = {**lab.env, "HOME": "/run/nobody"}
        self.path = lab.host.path
        self.fd = lab.host.fd
        self._started = []
        self._groups: list[Path] = []
        require(BUSYBOX)
        try:
            self._make_groups()
            self._start()
            self._fill()
        except BaseException:
            self.close()
            raise

    def _make_groups(self) -> None:
        for own in _own_groups():
            for left in own.glob(f"{PREFIX}*"):
                if not owner_lives(left.name.removeprefix(PREFIX)):
                    _remove(left)
            group = own / f"{PREFIX}{self.lab.id}"
            group.mkdir()
            self._groups.append(group)
            if (group / "cpuset.cpus").exists() and (group / "cgroup.clone_children").exists():
                for key in ("cpuset.cpus", "cpuset.mems"):
                    (group / key).write_text((own / key).read_text())
                (group / "cgroup.clone_children").write_text("1")
        if not self._groups:
            raise Unready(f"there are no control groups below {GROUPS}")

    def _start(self) -> None:
        enter = "; ".join(f"echo 0 >{group}/cgroup.procs" for group in self._groups)
        alone = ["unshare", "--mount", "--propagation", "private", "--cgroup", "--pid", "--fork"]
        log = self.lab.folder / "ground.log"
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--"),
                    *("sh", "-ec", f'{enter}; exec "$@"', "sh"),
                    *("nsenter", f"--net={self.path}", "--"),
                    *(*alone, "--kill-child=KILL", "--mount-proc", "--"),
                    *("sh", "-c", PREPARE, "sh", sys.executable, "-c", INIT),
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], MARK: self.env[MARK]},
                start_new_session=True,
            )

        def is_up() -> bool:
            if self._process.poll() is not None:
                raise Unready(log.read_text())
            self.pid = _first_child(self._process.pid)
            # What prepares it has INIT among its words too, and is a shell.
            return bool(self.pid) and _command_line(self.pid).startswith(
                os.fsencode(sys.executable)
            )

        wait_until(is_up, "the ground is not ready")

    def _fill(self) -> None:
        """What every process started here needs, and what containers hold."""
        joined = (
            "sed 's/^[^ ]* \\([^ ]*\\).*/\\1\\/programs\\/cgroup.procs/' /run/groups >/run/joined"
        )
        links = "; ".join(f"ln -s busybox {BOX}/bin/{name}" for name in APPLETS)
        folders = " ".join(f"{BOX}/{name}" for name in ("bin", "proc", "sys", "dev", "tmp", "etc"))
        script = f"{joined}; mkdir {folders}; cp {BUSYBOX} {BOX}/bin; {links}"
        done = subprocess.run(
            [*self._inside, "sh", "-ec", script], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unready(done.stderr)

    @property
    def _inside(self) -> list[str]:
        here = f"/proc/{self.pid}/ns"
        kinds = ("--mount=mnt", "--cgroup=cgroup", "--pid=pid")
        spaces = [f"{flag}={here}/{name}" for flag, name in (kind.split("=") for kind in kinds)]
        return ["nsenter", f"--net={self.path}", *spaces, "--"]

    @property
    def enter(self) -> list[str]:
        return [*self._inside, "sh", "-c", JOIN, "sh"]

    def macvnet(
        self,
        *argv: str,
        stdin: str | None = None,
        timeout: float = 60,
        env: dict[str, str] | None = None,
        fork: bool = False,
        kill_after: float | None = None,
    ) -> Result:
        """The installed executable, here: never a fork, which would have other mounts."""
        del fork, kill_after
        words = (command.executable(), *argv)
        done = self.run(*words, stdin=stdin, timeout=timeout, env=env)
        return done._replace(argv=("macvnet", *argv))

    def file(self, path: str) -> Path:
        """A file of the ground, as this process sees it."""
        return Path(f"/proc/{self.pid}/root{path}")

    def daemon(self, *argv: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a daemon; what it says goes to a file in the lab's folder."""
        with (self.lab.folder / f"{Path(argv[0]).name}.log").open("ab") as log:
            process: subprocess.Popen[str] = subprocess.Popen(
                [*self.enter, *argv],
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env, **(env or {})},
            )
        self._started.append(process)
        return process

    def signal(self, name: str, pid: str) -> None:
        """Signal a process, by its number here; a shell's kill is everywhere."""
        self.run("sh", "-c", f"kill -{name} {pid}").checked()

    def said(self, program: str) -> str:
        """The last that a daemon said."""
        return (self.lab.folder / f"{program}.log").read_text(errors="replace")[-4000:]

    def __enter__(self) -> Ground:
        return self

    def close(self) -> None:
        if hasattr(self, "_process"):
            # unshare's child is the first process of its PID namespace: all others go with it.
            self._process.kill()
            self._process.wait()
        self._end_started()
        for group in self._groups:
            _remove(group)
        self._groups = []


def _first_child(pid: int) -> int:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return int(children[0]) if children else 0


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _remove(group: Path) -> None:
    """A control group and those below it; its processes may be dying still."""
    deadline = time.monotonic() + 10
    while group.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                time.sleep(0.02)


def wait_until(condition: Callable[[], bool], what: str, within: float = READY_WITHIN) -> None:
    """Return as soon as the condition holds; Unready after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise Unready(what)
        time.sleep(0.05)


def require(*programs: str) -> None:
    """A missing runtime is a failure, never a skip."""
    for program in programs:
        if not shutil.which(program):
            raise Unready(f"{program} is missing: .ci/setup test")
