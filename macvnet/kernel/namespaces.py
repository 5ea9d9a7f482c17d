"""Network namespaces held by file descriptor.

Only this module calls setns. A namespace is opened once, and everything that
follows uses the descriptor: names, PIDs and inodes are reused, an open
descriptor is not.
"""

from __future__ import annotations

import errno
import os

from macvnet import sockets
from macvnet.blocks import contextmanager
from macvnet.errors import KernelRefused, MacvnetError, NotFound, PermissionDenied
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

CLONE_NEWNET = 0x40000000
NS_GET_NSTYPE = 0xB703
SO_NETNS_COOKIE = 71
THREAD_NAMESPACE = "/proc/thread-self/ns/net"


def _libc_setns(fd: int, kind: int) -> None:
    from macvnet.kernel import libc

    libc.call("setns", fd, kind)


def _not_permitted(purpose: str) -> PermissionDenied:
    from macvnet.surroundings import machine

    return machine.not_permitted("CAP_SYS_ADMIN", purpose)


def _leave_namespace() -> None:
    """unshare(2) of this thread's network, by libc: os.unshare came with Python 3.12."""
    from macvnet.kernel import libc

    try:
        libc.call("unshare", CLONE_NEWNET)
    except OSError as error:
        if error.errno == errno.EPERM:
            raise _not_permitted("to make a network namespace") from None
        refusal = KernelRefused("", error.errno or 0)
        raise refusal.during("make a network namespace") from None


def _set_namespace(fd: int) -> None:
    try:
        # os.setns came with Python 3.12.
        getattr(os, "setns", _libc_setns)(fd, CLONE_NEWNET)
    except OSError as error:
        if error.errno == errno.EPERM:
            raise _not_permitted("to enter the target's network namespace") from None
        refusal = KernelRefused("", error.errno or 0)
        raise refusal.during("enter a network namespace") from None


def _unopened(path: str, error: OSError | ValueError) -> MacvnetError:
    """Nothing there, unless it is the machine that lacks something."""
    if isinstance(error, OSError):
        from macvnet import failures

        if error.errno in failures.SHORTAGES or path == THREAD_NAMESPACE:
            told = failures.told(error)
            if told is not None:
                return told
    return NotFound(f"there is no network namespace {path!r}", "ip netns list; lsns -t net")


class Likeness(NamedTuple):
    """What tells the namespace of a process from others, without the right to look into it.

    /proc/PID/ns/net needs ptrace rights, /proc/PID/net needs none; the files there
    (``inside``) have inodes of their own in each namespace.
    """

    inside: bool
    identity: tuple[int, int]


def likeness_of(pid: int) -> Likeness | None:
    """Of the namespace that a process is in; None where nothing can be seen of it."""
    for inside, path in ((False, f"/proc/{pid}/ns/net"), (True, f"/proc/{pid}/net/dev")):
        try:
            return Likeness(inside, _identity(os.stat(path)))
        except OSError:
            continue
    return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class Namespace:
    """An open network namespace; ``fd`` keeps it alive until ``close``."""

    def __init__(self, fd: int, origin: str) -> None:
        self.fd = fd
        self.origin = origin
        self._cookie: int | None = None

    @classmethod
    def open(cls, path: str, *, directory: int | None = None, origin: str = "") -> Namespace:
        """Open a namespace file; one below the open ``directory`` where its path is relative.

        ``origin`` is then the path by which others find it.

        Raises NotFound if there is none or it is no network namespace,
        PermissionDenied if it may not be opened.
        """
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(path, flags, dir_fd=directory)
        except PermissionError:
            raise PermissionDenied(
                f"no permission to open the namespace {path!r}", "run macvnet as root"
            ) from None
        except (OSError, ValueError) as error:
            raise _unopened(path, error) from None
        import fcntl

        try:
            kind = fcntl.ioctl(fd, NS_GET_NSTYPE)
        except OSError:
            kind = 0
        if kind != CLONE_NEWNET:
            os.close(fd)
            raise NotFound(f"{path!r} is no network namespace", "ip netns list; lsns -t net")
        return cls(fd, origin or path)

    @classmethod
    def of_pid(cls, pid: int) -> Namespace:
        """Open a process's network namespace; NotFound if there is no such process."""
        try:
            return cls.open(f"/proc/{pid}/ns/net")
        except NotFound:
            if os.path.isdir(f"/proc/{pid}"):
                raise
            if not os.path.isdir("/proc/self"):
                from macvnet import failures

                raise failures.hidden("/proc/self") from None
            raise NotFound(f"there is no process {pid}", "ps -e -o pid,comm") from None

    @classmethod
    def current(cls) -> Namespace:
        """The namespace this thread is in."""
        return cls.open(THREAD_NAMESPACE)

    @classmethod
    def new(cls) -> Namespace:
        """A namespace of nobody else's, which ends when it is closed.

        PermissionDenied without CAP_SYS_ADMIN.
        """
        back = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _leave_namespace()
            try:
                return cls.open(THREAD_NAMESPACE)
            finally:
                _set_namespace(back)
        finally:
            os.close(back)

    @property
    def inode(self) -> int:
        return os.fstat(self.fd).st_ino

    @property
    def cookie(self) -> int:
        """The kernel's 64-bit number of the namespace (SO_NETNS_COOKIE, Linux 5.14)."""
        if self._cookie is None:
            with entered(self), sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as probe:
                self._cookie = socket_cookie(probe)
        return self._cookie

    def learn_cookie(self, inside: sockets.socket) -> None:
        """Take the cookie from a socket that was made in this namespace."""
        self._cookie = socket_cookie(inside)

    def same_as(self, other: Namespace) -> bool:
        return _identity(os.fstat(self.fd)) == _identity(os.fstat(other.fd))

    def is_like(self, likeness: Likeness | None) -> bool:
        """Whether it is the namespace that this was seen of."""
        if likeness is None:
            return False
        try:
            if not likeness.inside:
                return _identity(os.fstat(self.fd)) == likeness.identity
            with entered(self):
                return _identity(os.stat("/proc/thread-self/net/dev")) == likeness.identity
        except OSError:
            return False

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Namespace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def socket_cookie(sock: sockets.socket) -> int:
    """The cookie of the namespace a socket was made in. KernelRefused before Linux 5.14."""
    try:
        raw = sock.getsockopt(sockets.SOL_SOCKET, SO_NETNS_COOKIE, 8)
    except OSError as error:
        raise KernelRefused(
            "tell network namespaces apart (SO_NETNS_COOKIE)",
            error.errno or 0,
            "this kernel does not know it",
            "uname -r; macvnet needs Linux 5.14 or newer",
        ) from None
    return int.from_bytes(raw, "little")


@contextmanager
def entered(namespace: Namespace) -> Iterator[None]:
    """This thread is in ``namespace`` inside the block, and back where it was after it."""
    back = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(namespace.fd)
        try:
            yield
        finally:
            _set_namespace(back)
    finally:
        os.close(back)


def boot_id() -> str:
    """The kernel's random id of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()
