"""Namespaces held by processes, and the promise that they end with us.

A namespace lives exactly as long as its holder, a sleeping process that the
kernel kills when this process dies (PR_SET_PDEATHSIG), however it dies. Knows
nothing of networks: links and addresses are the business of ``machines``.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MARK = "MACVNET_LAB"
PREFIX = "macvnet-lab-"

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


@contextlib.contextmanager
def inside(fd: int) -> Iterator[None]:
    """This thread is in the network namespace ``fd`` inside the block."""
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.setns(fd, CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            _checked(_libc.setns(back, CLONE_NEWNET), "setns")
    finally:
        os.close(back)


_private = threading.Lock()
_outside = -1


def private_mounts() -> None:
    """Give this process a mount namespace of its own, once, with an empty /run/netns.

    What the tests mount, and every namespace they name, is invisible to the
    rest of the machine and gone with the last process that uses it.
    """
    global _outside
    with _private:
        if _outside >= 0:
            return
        if os.geteuid() != 0:
            raise PermissionError("the lab needs root: it makes network and mount namespaces")
        outside = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        _checked(_libc.unshare(CLONE_NEWNS), "unshare")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        os.makedirs("/run/netns", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "macvnet-lab", "/run/netns"], check=True)
        _outside = outside


def visible_outside(path: str) -> bool:
    """Whether the machine itself, beyond this process's mounts, has the file."""
    test = ["nsenter", f"--mount=/proc/self/fd/{_outside}", "test", "-e", path]
    return subprocess.run(test, pass_fds=[_outside], check=False).returncode == 0


class _Spawner:
    """Starts every holder from a thread that lives as long as the process.

    The kernel sends the death signal when the *thread* that made the child
    ends, so holders must not be made from short-lived threads. The main thread
    starts its own: a second one would take signals that a test has blocked.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    def start(self, argv: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        private_mounts()
        if threading.current_thread() is threading.main_thread():
            return self._start(argv, env)
        if self._pool is None or self._pid != os.getpid():
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="lab-spawner")
            self._pid = os.getpid()
        return self._pool.submit(self._start, argv, env).result()

    @staticmethod
    def _start(argv: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env, start_new_session=True
        )


_spawner = _Spawner()


class Holder:
    """A sleeping process in a network and a mount namespace of its own, with its own /sys."""

    def __init__(self, lab_id: str, prepare: str = "ip link set lo up") -> None:
        script = f"mount -t sysfs lab-sys /sys; {prepare}; echo; exec sleep infinity"
        self._process = _spawner.start(
            [
                *("setpriv", "--pdeathsig", "KILL", "--"),
                *("unshare", "--net", "--mount", "--propagation", "private", "--"),
                *("sh", "-c", script),
            ],
            {**os.environ, MARK: lab_id},
        )
        self.pid = self._process.pid
        stdout = self._process.stdout
        assert stdout is not None
        if stdout.readline() != b"\n":
            status = self._process.wait()
            raise RuntimeError(f"no namespace could be made (status {status}): is this root?")
        stdout.close()
        self.path = f"/proc/{self.pid}/ns/net"
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process and wait for it; the namespace stays while ``fd`` is open."""
        if self.alive:
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _start_time(pid: int) -> str:
    """The kernel's start time of a process, which tells two users of one PID apart."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


_counter = 0


def new_lab_id() -> str:
    global _counter
    _counter += 1
    return f"{os.getpid()}.{_start_time(os.getpid())}.{_counter}"


def owner_lives(lab_id: str) -> bool:
    pid, _, rest = lab_id.partition(".")
    return pid.isdigit() and _start_time(int(pid)) == rest.partition(".")[0] != ""


def temporary_folder(lab_id: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{lab_id}-"))


def _processes() -> Iterator[tuple[int, str, int]]:
    """(PID, lab it carries the mark of or "", inode of its network namespace)."""
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
            inode = os.stat(f"{entry.path}/ns/net").st_ino
        except OSError:
            continue
        mark = b"\0" + MARK.encode() + b"="
        _, found, rest = (b"\0" + environment).partition(mark)
        yield int(entry.name), rest.partition(b"\0")[0].decode() if found else "", inode


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end_processes(lab_id: str, namespaces: set[int]) -> None:
    """Kill what carries the lab's mark or lives in one of its namespaces (inodes)."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        left = [pid for pid, mark, net in _processes() if mark == lab_id or net in namespaces]
        for pid in left:
            _kill(pid)
        if not left:
            return
        time.sleep(0.01)


def reap_dead_labs() -> list[str]:
    """Remove what labs of processes that no longer live left behind; their ids."""
    dead: set[str] = set()
    for pid, mark, _ in _processes():
        if mark and not owner_lives(mark):
            dead.add(mark)
            _kill(pid)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lab_id = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not owner_lives(lab_id):
            dead.add(lab_id)
            shutil.rmtree(folder, ignore_errors=True)
    return sorted(dead)


_open: dict[int, contextlib.ExitStack] = {}


def close_at_exit(key: int, stack: contextlib.ExitStack) -> None:
    _open[key] = stack


def closed(key: int) -> None:
    _open.pop(key, None)


@atexit.register
def _close_all() -> None:
    for stack in list(_open.values()):
        stack.close()
