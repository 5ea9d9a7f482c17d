"""A process by its number: the only target that cannot come back by name."""

from __future__ import annotations

import os
import time

from macvnet.errors import Conflict, InvalidRequest
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Endpoint, Owner
from macvnet.runtimes import Listed, Target
from macvnet.store import Reader, Store
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "pid"
ISOLATED = "unshare --net COMMAND, or macvnet run -- COMMAND"
LONGEST = 10


def _number(name: str) -> int:
    if not (name.isascii() and name.isdecimal()) or len(name) > LONGEST or int(name) < 1:
        raise InvalidRequest(f"{quoted(name)} is no PID", "pid:4242")
    return int(name)


def owner(name: str) -> Owner:
    """``pid:N``; a PID is reused by others, so it does not return."""
    return Owner(NAME, str(_number(name)), returns=False)


def open_target(name: str, store: Store) -> Target:
    """The network namespace of a living process."""
    pid = _number(name)
    if pid == 1:
        # Often not even root may open it, so the reason is given before that is tried.
        raise Conflict(
            "the network namespace of PID 1 is the host's own, which macvnet never changes",
            ISOLATED,
        )
    namespace = Namespace.of_pid(pid)
    return Target(owner(name), namespace, pid)


def present(endpoint: Endpoint, store: Store) -> bool:
    """Whether a process has that number."""
    return os.path.exists(f"/proc/{endpoint.owner.name}/net")


def knows(name: str, store: Store) -> bool:
    """Never: digits alone are a PID before anybody is asked."""
    return False


def listed(prefix: str, reader: Reader, seconds: float) -> Iterator[Listed]:
    """One process, the oldest by number, of each namespace that is not the host's."""
    end = time.monotonic() + seconds
    seen = {_namespace(1), _namespace(os.getpid()), None}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        if time.monotonic() > end:
            return
        namespace = _namespace(pid)
        if namespace not in seen:
            seen.add(namespace)
            if str(pid).startswith(prefix):
                yield Listed(str(pid), _command(pid))


def _namespace(pid: int) -> str | None:
    """What its network namespace is called in /proc; None where that may not be seen."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return None


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(200).rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return os.fsdecode(b" ".join(words))
