"""The inside of a run's sandbox: its mounts, its /sys, its ``lo``, its name service.

As ``ip netns exec`` does it (iproute2, lib/namespace.c), and in addition a
resolv.conf from --dns. Runs in the process that becomes the command; must not
know a store or an engine.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from macvnet import failures
from macvnet.addresses import Address
from macvnet.kernel.namespaces import Namespace, entered
from macvnet.records import NamedTuple
from macvnet.runner import libc

NETNS_ETC = "/etc/netns"
RESOLV_CONF = "/etc/resolv.conf"
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
_IFREQ = struct.Struct("=16sH22x")
LOOPBACK_IPV4 = 127
LOOPBACK = "set lo up"


class Failed(Exception):
    """A step that the kernel refused: what was tried, and its errno."""

    def __init__(self, operation: str, errno: int) -> None:
        super().__init__(operation)
        self.operation = operation
        self.errno = errno


class Inside(NamedTuple):
    """What is to be seen inside: ``name`` of /etc/netns/NAME or "", ``dns`` servers."""

    name: str
    dns: tuple[str, ...]


def new_network() -> Namespace:
    """A new network namespace, empty but for ``lo``; this process stays where it is."""
    with Namespace.current() as here, entered(here):
        try:
            libc.unshare(libc.CLONE_NEWNET)
        except OSError as error:
            raise Failed("make a network namespace", error.errno or 0) from None
        return Namespace.current()


def furnish(inside: Inside) -> list[str]:
    """Make the mount namespace and all that is in it; notes for the user. Failed.

    The process is in its network namespace already: /sys shows that one.
    """
    notes = []
    operation = "make a mount namespace"
    try:
        libc.unshare(libc.CLONE_NEWNS)
        operation = "keep mounts apart from the host's"
        libc.mount("none", "/", "none", libc.MS_REC | libc.MS_SLAVE)
        operation = "replace /sys"
        flags = _remove_sys()
        if inside.dns:
            operation = f"replace {RESOLV_CONF}"
            # /sys, empty for the moment, is a place where nothing has to be cleaned up.
            libc.mount("tmpfs", "/sys", "tmpfs")
            prepared = _write_resolv_conf("/sys/resolv.conf", inside)
        operation = "bind the files of /etc/netns"
        notes += _bind_etc(inside)
        if inside.dns:
            operation = f"replace {RESOLV_CONF}"
            libc.mount(prepared, RESOLV_CONF, "none", libc.MS_BIND)
            libc.unmount("/sys")
        operation = "mount a new /sys"
        libc.mount("sysfs", "/sys", "sysfs", flags)
        operation = LOOPBACK
        _loopback_up()
    except OSError as error:
        raise Failed(operation, error.errno or 0) from None
    if not inside.dns:
        notes += loopback_resolver(_read(RESOLV_CONF))
    return notes


def _remove_sys() -> int:
    """Take /sys away; flags for the new one: read-only over a read-only one that stays."""
    try:
        libc.unmount("/sys")
    except OSError:
        try:
            if os.statvfs("/sys").f_flag & os.ST_RDONLY:
                return libc.MS_RDONLY
        except OSError:
            return 0
    return 0


def _bind_etc(inside: Inside) -> list[str]:
    """Bind /etc/netns/NAME/* over /etc/*; a note for each that has nothing to go over."""
    directory = f"{NETNS_ETC}/{inside.name}"
    if not inside.name or not os.path.isdir(directory):
        return []
    notes = []
    for entry in sorted(os.listdir(directory)):
        if inside.dns and f"/etc/{entry}" == RESOLV_CONF:
            continue
        try:
            libc.mount(f"{directory}/{entry}", f"/etc/{entry}", "none", libc.MS_BIND)
        except OSError as error:
            why = failures.reason(error)
            notes.append(f"{directory}/{entry} does not replace /etc/{entry}: {why}")
    return notes


def _write_resolv_conf(path: str, inside: Inside) -> str:
    """A resolv.conf with the servers of --dns and the rest as it was (as docker has it)."""
    own = f"{NETNS_ETC}/{inside.name}/resolv.conf"
    before = _read(own) if inside.name and os.path.isfile(own) else _read(RESOLV_CONF)
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(resolv_conf(before, inside.dns))
    os.chmod(path, 0o644)
    return path


def resolv_conf(before: str, servers: tuple[str, ...]) -> str:
    """The text of a resolv.conf(5) with other servers, search and options kept."""
    kept = [
        line
        for line in before.splitlines()
        if line.split(maxsplit=1)[:1] in (["search"], ["domain"], ["options"])
    ]
    return "\n".join([*(f"nameserver {server}" for server in servers), *kept, ""])


def loopback_resolver(text: str) -> list[str]:
    """A note when a resolv.conf(5) names a server that is only reached from the host itself."""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = Address.parse(words[1].partition("%")[0])
        except ValueError:
            continue
        loopback = address.packed[0] == LOOPBACK_IPV4 if address.family == 4 else address.value == 1
        if loopback:
            text = (
                f"{RESOLV_CONF} names the resolver {address}, which listens on the host's loopback "
                "and cannot be reached from the new namespace (--dns ADDRESS gives another)"
            )
            return [text]
    return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        answer = fcntl.ioctl(control, SIOCGIFFLAGS, _IFREQ.pack(b"lo", 0))
        _, flags = _IFREQ.unpack(answer)
        fcntl.ioctl(control, SIOCSIFFLAGS, _IFREQ.pack(b"lo", flags | IFF_UP))
