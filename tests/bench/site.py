"""Where the bench takes place: a lab, an installation, and a state on a disk.

The host has a NIC for each network, so that peers and macvnet never share one
by accident. Must not know what is measured.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from macvnet.store import open_store
from tests.bench.filling import leases, network_of
from tests.bench.installation import ROOT, Installation
from tests.bench.measure import Call, run
from tests.lab import Lab
from tests.lab.processes import CLONE_NEWNET, inside

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, MS_BIND, MNT_DETACH = 1, 0x1000, 2
OWN = b"/proc/self/ns/net"
NETWORKS = 10
LEASES = 1000
MEMORY_KINDS = ("tmpfs", "ramfs", "devtmpfs")
CROWD = "crowd"
"""The network of a part that needs an empty one, with room for thousands."""


class NoDisk(RuntimeError):
    """No place was found for the state whose file system is on a disk."""


class Site:
    """``folder`` is on a disk, of the type ``file_system``; everything runs on ``lab.host``."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        try:
            self.folder, self.file_system = disk_folder()
            self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.installation = Installation(self.folder)
            # One more for the peers, and one for the crowd.
            self.lab = self._stack.enter_context(Lab(nics=NETWORKS + 2))
            self.peers_nic = f"eth{NETWORKS + 1}"
            self._stack.enter_context(inside(self.lab.host.fd))
            self.state_dir = self.new_state("state")
            for number in range(NETWORKS):
                self._create(self.state_dir, number, f"net{number}")
            self._bare = self.folder / "bare"
            shutil.copytree(self.state_dir, self._bare)
            self.fill(self.state_dir, LEASES // NETWORKS)
        except BaseException:
            self.close()
            raise

    def new_state(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(mode=0o700)
        return path

    def env(self, state_dir: Path | None = None) -> Mapping[str, str]:
        """What macvnet and its peers are started with."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/",
            **self.lab.env,
            "MACVNET_STATE_DIR": str(state_dir or self.state_dir),
        }

    def macvnet(self, *argv: str, state_dir: Path | None = None, input: str = os.devnull) -> Call:
        return Call((self.installation.macvnet, *argv), self.env(state_dir), input)

    def bare_state(self, name: str) -> Path:
        """A new state with the ten networks, and without a lease."""
        return Path(shutil.copytree(self._bare, self.folder / name))

    def _create(self, state_dir: Path, number: int, name: str) -> None:
        """net0, net1, ... on eth0, eth1, ...: a /24, then /16s."""
        subnet, gateway = subnet_of(number)
        words = ("--subnet", subnet, "--gateway", gateway, "-o", f"parent=eth{number}")
        run(self.macvnet("create", *words, name, state_dir=state_dir))

    @contextlib.contextmanager
    def crowd_network(self) -> Iterator[None]:
        """Inside the block there is the network CROWD."""
        self._create(self.state_dir, NETWORKS, CROWD)
        try:
            yield
        finally:
            run(self.macvnet("rm", CROWD))

    def fill(self, state_dir: Path, each: int, *names: str) -> None:
        """``each`` leases in each network, or in those named."""
        with open_store(str(state_dir)) as store:
            for name in names or [f"net{number}" for number in range(NETWORKS)]:
                network = network_of(store, name)
                if leases(store, network, network.pools[0], each) != each:
                    raise RuntimeError(f"{name} has no room for {each} leases")

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Crowd:
    """``count`` namespaces, each held by a process of its own and named under /run/netns.

    The processes are forks of one that dies with this one; nothing of them is left.
    """

    def __init__(self, count: int, stem: str = "crowd") -> None:
        self.names = [f"{stem}{number}" for number in range(count)]
        folder = Path("/run/netns")
        for name in self.names:
            (folder / name).touch()
        reading, writing = os.pipe()
        self._holder = os.fork()
        if self._holder == 0:
            try:
                os.close(reading)
                _hold(self.names, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading) as lines:
            self.pids = [int(line) for line in lines.readline().split()]
        if len(self.pids) != count:
            self.close()
            raise RuntimeError(f"{len(self.pids)} of {count} namespaces were made")

    @property
    def paths(self) -> list[str]:
        return [f"/run/netns/{name}" for name in self.names]

    def close(self) -> None:
        os.kill(self._holder, signal.SIGKILL)
        os.waitpid(self._holder, 0)
        for path in self.paths:
            _libc.umount2(path.encode(), MNT_DETACH)
            Path(path).unlink(missing_ok=True)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _hold(names: list[str], writing: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    pids = []
    for name in names:
        ready, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            os.close(ready)
            here = f"/run/netns/{name}".encode()
            if _libc.unshare(CLONE_NEWNET) or _libc.mount(OWN, here, None, MS_BIND, None):
                os._exit(1)
            os.close(tell)
            os.close(writing)
            while True:
                signal.pause()
        os.close(tell)
        os.read(ready, 1)
        os.close(ready)
        pids.append(pid)
    os.write(writing, (" ".join(map(str, pids)) + "\n").encode())
    os.close(writing)
    while True:
        signal.pause()


def subnet_of(number: int) -> tuple[str, str]:
    """The subnet of a network of the site, and its router."""
    if number == 0:
        return "172.16.86.0/24", "172.16.86.1"
    return f"10.{number}.0.0/16", f"10.{number}.0.1"


def disk_folder() -> tuple[Path, str]:
    """An empty folder on a disk, and the type of its file system. NoDisk.

    build/ in the clone first, then where Linux keeps what is large.
    """
    tried = []
    for place in (ROOT / "build", Path("/var/tmp"), Path(tempfile.gettempdir())):
        place.mkdir(exist_ok=True)
        kind = file_system(place)
        if kind not in MEMORY_KINDS:
            return Path(tempfile.mkdtemp(prefix="bench-", dir=place)), kind
        tried.append(f"{place} is {kind}")
    raise NoDisk("; ".join(tried))


def file_system(place: Path) -> str:
    """The type of the file system that a folder is on."""
    found = subprocess.run(
        ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(place)],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip().splitlines()[-1]


@contextlib.contextmanager
def text_file(folder: Path, text: str) -> Iterator[str]:
    """A file for a program's stdin."""
    fd, name = tempfile.mkstemp(dir=folder)
    os.write(fd, text.encode())
    os.close(fd)
    try:
        yield name
    finally:
        os.unlink(name)
