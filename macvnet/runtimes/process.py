"""A process that a runtime names, held by its directory in /proc while it is proved.

What is read through the open directory is of that process, or fails once it has
ended: the number may be given to another, the directory may not. Knows what can
prove that a process is a container's on this machine; must not know a runtime.
"""

from __future__ import annotations

import os

from macvnet.errors import MacvnetError, NotFound
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Process:
    """A living process. NotFound where there is none of that number (any more)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._directory = os.open(f"/proc/{pid}", flags)
        except (OSError, OverflowError):
            raise _gone(pid) from None

    def namespace(self) -> Namespace:
        """Its network namespace, open. PermissionDenied where it may not be opened."""
        origin = f"/proc/{self.pid}/ns/net"
        return Namespace.open("ns/net", directory=self._directory, origin=origin)

    def groups(self) -> list[str]:
        """The paths of its control groups, as cgroups(7) has them in /proc/PID/cgroup."""
        lines = os.fsdecode(self._read("cgroup")).splitlines()
        return [line.split(":", 2)[2] for line in lines if line.count(":") >= 2]

    def is_in_group_of(self, container: str) -> bool:
        """Whether one of its control groups is named after a container, by its ID or unit."""
        parts = (part for path in self.groups() for part in path.split("/"))
        return bool(container) and any(_names(part, container) for part in parts)

    def began(self) -> int:
        """When it began, in clock ticks since boot (proc(5)); -1 once it has ended."""
        fields = self._read("stat").rpartition(b")")[2].split()
        return -1 if fields[0] in b"ZX" else int(fields[19])

    def _read(self, name: str) -> bytes:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            with open(fd, "rb") as file:
                return file.read()
        except OSError:
            raise _gone(self.pid) from None

    def close(self) -> None:
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _gone(pid: int) -> NotFound:
    return NotFound(f"there is no process {pid}", "ps -e -o pid,comm")


def _names(part: str, container: str) -> bool:
    """``ID``, ``docker-ID.scope``, ``libpod-ID``, ``slice:cri-containerd:ID``; a unit as it is."""
    stem = part.removesuffix(".scope")
    return container in (part, stem) or stem.endswith((f"-{container}", f":{container}"))


def hold(pid: int, proof: Callable[[Process, Namespace], bool]) -> Namespace | None:
    """The open network namespace of a process, held first and then proved; None where it is not.

    ``proof`` says whether the process, which is in that namespace, is the container's.
    """
    try:
        with Process(pid) as process:
            namespace = process.namespace()
            try:
                if proof(process, namespace):
                    return namespace
            except BaseException:
                namespace.close()
                raise
            namespace.close()
    except NotFound:
        pass
    return None


def is_there(endpoint: Endpoint, container: str) -> bool:
    """Whether the process an endpoint was made with lives, and is that container's. No proof."""
    if endpoint.pid is None:
        return False
    try:
        with Process(endpoint.pid) as process:
            if process.is_in_group_of(container):
                return True
            with process.namespace() as namespace:
                return namespace.cookie == endpoint.sandbox.cookie
    except MacvnetError:
        return False
