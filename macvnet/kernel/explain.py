"""The errno table: what the kernel's refusal of a link means, and what to type."""

from __future__ import annotations

import errno

from macvnet.errors import Conflict, InvalidRequest, KernelRefused, MacvnetError, NotFound
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.text import quoted

MODULES = {"vlan": "8021q", "macvlan": "macvlan", "ipvlan": "ipvlan", "dummy": "dummy"}

UNKNOWN_KIND = (errno.EOPNOTSUPP,)
"""What a kernel answers that does not know a kind of link."""


def missing_module(kind: str) -> MacvnetError:
    """EOPNOTSUPP: the kernel does not know this kind of link."""
    module = MODULES.get(kind, kind)
    return KernelRefused(
        f"make a link of kind {kind}",
        errno.EOPNOTSUPP,
        f"this kernel lacks the module {quoted(module)}",
        f"modprobe {module}",
    )


def link_refused(error: NetlinkError, kind: str, lower: str, name: str) -> MacvnetError:
    """Why a link of ``kind`` on ``lower`` could not be made."""
    number = error.errno
    if number == errno.EOPNOTSUPP:
        return missing_module(kind)
    if number == errno.ENODEV:
        return NotFound(f"the parent {quoted(lower)} has vanished", "ip -br link")
    if number == errno.EBUSY:
        other = "ipvlan" if kind == "macvlan" else "macvlan"
        return Conflict(
            f"the kernel lets no {kind} on {quoted(lower)}: it is a port of a bridge or bond, or "
            f"carries {other} links, in whatever namespace (device or resource busy)",
            f"ip -d link show {lower}",
        )
    if number == errno.EINVAL and kind == "macvlan":
        return Conflict(
            f"the kernel lets no macvlan on {quoted(lower)}: a passthru macvlan is on it, or this "
            "one is passthru and others are there, in whatever namespace (invalid argument)",
            f"ip -d link show {lower}",
        )
    if number == errno.ENETDOWN:
        return Conflict(f"the parent {quoted(lower)} is down", f"ip link set {lower} up")
    if number == errno.EEXIST:
        return Conflict(f"a link {quoted(name)} exists already", f"ip -d link show {name}")
    if number == errno.ERANGE:
        return InvalidRequest(
            f"a value for the link {quoted(name)} is out of the kernel's range: {error}",
            f"ip -d link show {lower}",
        )
    return KernelRefused(
        f"make the {kind} link {name!r} on {lower!r}", number, error.text, "macvnet --verbose ..."
    )
