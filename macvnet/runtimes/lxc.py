"""Containers of LXC, asked through the command socket that each one's monitor listens at.

It is an abstract socket, so only monitors of this machine answer there, and the
answer is a descriptor of the container's first process (a pidfd), not a number:
nothing has to be believed. Only root's monitors count, since anybody can listen
at such a name.
"""

from __future__ import annotations

import os
import re
import socket
import struct

from macvnet.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RuntimeUnavailable,
)
from macvnet.model import Endpoint, Owner
from macvnet.runtimes import Listed, NoSandbox, Target, process, when_it_starts
from macvnet.store import Reader, Store
from macvnet.text import quoted

NAME = "lxc"
ISOLATED = "lxc.net.0.type = empty"
PATH = "/var/lib/lxc"
"""LXC's default lxcpath; names in any other are written with it."""
ANSWER_SECONDS = 5.0

_SOCKETS = "/proc/net/unix"
_LISTENING = 1 << 16
"""__SO_ACCEPTCON, in the flags of /proc/net/unix."""
_COMMAND = "/command"
_GET_INIT_PIDFD = 18
"""lxc_cmd_t in LXC's commands.h; the same since LXC 4.0."""
_REQUEST = struct.Struct("@iiP")
_UCRED = struct.Struct("3i")
"""struct ucred: PID, UID and GID (unix(7))."""
_LONGEST = 106
"""LXC writes the name of a socket that would be as long as this, or longer, as a hash."""
_CONTAINER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@:-]{0,254}")


def _parts(name: str) -> tuple[str, str]:
    """lxcpath ("" where it is not said) and container; InvalidRequest for what is no name."""
    directory, slash, container = name.rpartition("/")
    good = not slash or (directory.startswith("/") and os.path.normpath(directory) == directory)
    if not _CONTAINER.fullmatch(container) or not good or not directory.isprintable():
        raise InvalidRequest(f"{quoted(name)} cannot name a container of LXC", "lxc-ls")
    return directory, container


def owner(name: str) -> Owner:
    """``lxc:NAME``, or ``lxc:/LXCPATH/NAME`` outside of /var/lib/lxc."""
    directory, container = _parts(name)
    return Owner(NAME, container if directory == PATH else name, container)


def open_target(name: str, store: Store) -> Target:
    """The network namespace of the container's first process."""
    directory, container = _parts(name)
    paths = [directory] if directory else _paths_of(container)
    if len(paths) > 1:
        raise Conflict(
            f"{len(paths)} containers of LXC are called {quoted(container)}",
            " or ".join(f"lxc:{path}/{container}" for path in paths),
        )
    path = paths[0] if paths else PATH
    pidfd = _first_process(path, container)
    try:
        pid = _number(pidfd)
        # A pidfd is readable once its process has ended: until then the number is its own.
        namespace = process.hold(pid, lambda held, _: _number(pidfd) == held.pid)
    finally:
        os.close(pidfd)
    if namespace is None:
        raise _stopped(path, container)
    return Target(owner(f"{path}/{container}"), namespace, pid)


def knows(name: str, store: Store) -> bool:
    """Whether a container of that name runs, or is configured in /var/lib/lxc."""
    if not _CONTAINER.fullmatch(name):
        return False
    return _is_configured(PATH, name) or bool(_paths_of(name))


def present(endpoint: Endpoint, store: Store) -> bool:
    """Whether the container's process is still there."""
    return process.is_there(endpoint, f"lxc.payload.{endpoint.owner.id}")


def listed(prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    """Those that run."""
    names = (owner(f"{path}/{name}").name for path, name in _running())
    return [Listed(name) for name in sorted(names) if name.startswith(prefix)]


def _running() -> list[tuple[str, str]]:
    """lxcpath and name of what runs, by the sockets; without those whose name is a hash."""
    found = []
    with open(_SOCKETS, encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.rstrip("\n").split(" ", 7)
            name = words[-1].lstrip(" 0123456789")
            if name.startswith("@/") and name.endswith(_COMMAND):
                directory, _, container = name[1:].removesuffix(_COMMAND).rpartition("/")
                if int(words[3], 16) & _LISTENING and _CONTAINER.fullmatch(container):
                    found.append((directory, container))
    return found


def _paths_of(container: str) -> list[str]:
    """The lxcpaths with a running container of that name; the default one alone if it is there."""
    try:
        paths = sorted({path for path, name in _running() if name == container})
    except OSError:
        return []
    return [PATH] if PATH in paths else paths


def _is_configured(path: str, container: str) -> bool:
    return os.path.exists(f"{path}/{container}/config")


def _stopped(path: str, container: str) -> NotFound | NoSandbox:
    name = owner(f"{path}/{container}").name
    if not _is_configured(path, container):
        return NotFound(f"there is no container {quoted(name)} of LXC", "lxc-ls")
    where = "" if path == PATH else f"-P {path} "
    return NoSandbox(
        f"the container lxc:{name} does not run",
        when_it_starts(f"lxc-start {where}{container}", owner(f"{path}/{container}")),
    )


def _address(path: str, container: str) -> bytes:
    """The name of the command socket, as LXC makes it (commands_utils.c)."""
    whole = os.fsencode(f"{path}/{container}")
    name = whole + os.fsencode(_COMMAND)
    if len(name) >= _LONGEST:
        # FNV-1a, 64 bits.
        digest = 0xCBF29CE484222325
        for byte in whole:
            digest = (digest ^ byte) * 0x100000001B3 % (1 << 64)
        name = f"lxc/{digest:016x}{_COMMAND}".encode()
    return b"\0" + name


def _first_process(path: str, container: str) -> int:
    """A pidfd of the container's first process, from its monitor."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(ANSWER_SECONDS)
        try:
            sock.connect(_address(path, container))
            _refuse_foreign(sock, container)
            # Explicitly: what is sent before the monitor has asked for credentials has none,
            # and it refuses who has none.
            own = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, _credentials())
            sock.sendmsg([_REQUEST.pack(_GET_INIT_PIDFD, 0, 0)], [own])
            _, descriptors, _, _ = socket.recv_fds(sock, _REQUEST.size, 1, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            raise _stopped(path, container) from None
        except OSError:
            raise RuntimeUnavailable(
                f"LXC's monitor of {quoted(container)} does not answer in {ANSWER_SECONDS:g} s",
                f"lxc-info {container}",
            ) from None
    if not descriptors:
        raise RuntimeUnavailable(
            f"LXC's monitor of {quoted(container)} does not say which process it has started",
            f"lxc-info -p {container}",
        )
    return descriptors[0]


def _credentials() -> bytes:
    return _UCRED.pack(os.getpid(), os.geteuid(), os.getegid())


def _refuse_foreign(sock: socket.socket, container: str) -> None:
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, user, _ = _UCRED.unpack(raw)
    if user not in (0, os.geteuid()):
        raise PermissionDenied(
            f"the container {quoted(container)} of LXC was started by user {user}, and only "
            "root's are believed",
            f"pid:$(lxc-info -pH {container}), as that user",
        )


def _number(pidfd: int) -> int:
    """The PID behind a pidfd, as this process sees it; 0 for none (proc(5), fdinfo)."""
    try:
        with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
            for line in file:
                if line.startswith("Pid:"):
                    return max(0, int(line.split()[1]))
    except (OSError, ValueError):
        pass
    return 0
