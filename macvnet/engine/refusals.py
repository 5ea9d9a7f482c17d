"""The errno table: what the kernel's refusal of a link means, and what to type.

After a refusal the parent is looked at once more: what ``doctor`` would find is the
reason given. What it cannot see is told by the errno.
"""

from __future__ import annotations

import errno

from macvnet.doctor import machine, parents
from macvnet.doctor.facts import Use
from macvnet.doctor.findings import Finding
from macvnet.drivers import Driver
from macvnet.engine import observing
from macvnet.engine.context import Context
from macvnet.errors import Conflict, InvalidRequest, KernelRefused, MacvnetError, NotFound
from macvnet.kernel.links import UNKNOWN_KIND, LinkInfo
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import LinkOptions, MadeLink
from macvnet.surroundings import machine as this_machine
from macvnet.surroundings import modules
from macvnet.text import quoted

REFUSING = {
    errno.EBUSY: ("parent-port", "drivers-mixed"),
    errno.EINVAL: ("parent-loopback", "passthru-siblings", "mtu-above-parent"),
    errno.ENETDOWN: ("parent-down",),
    errno.EEXIST: ("vlan-other-name",),
}
"""Causes that the kernel refuses a link for, by the errno it does so with."""


def missing_module(kind: str, operation: str = "") -> MacvnetError:
    """EOPNOTSUPP: the kernel does not know this kind of link, or what ``operation`` needs."""
    here = this_machine.look()
    module = modules.MODULES.get(kind, kind)
    hint = f"modprobe {module}"
    if here.modules_there and not modules.on_disk("/", here.release, kind):
        hint = machine.installation(module, here)
    return KernelRefused(
        operation or f"make a link of kind {kind}",
        errno.EOPNOTSUPP,
        f"this kernel lacks the module {quoted(module)}",
        hint,
    )


def endpoint_refused(
    ctx: Context,
    error: NetlinkError,
    kind: Driver,
    options: LinkOptions,
    parent: LinkInfo,
    name: str,
) -> MacvnetError:
    """Why the link of an endpoint could not be made on ``parent``."""
    if error.errno in REFUSING:
        try:
            use = Use("", kind.NAME, options, (), observing.Observer(ctx).of_link(parent))
        except (MacvnetError, OSError):
            pass  # the refusal is what is to be told
        else:
            if found := _cause(use, error.errno):
                return Conflict(found.evidence, found.fix)
    return _by_errno(error, kind.NAME, parent.name, name)


def made_refused(ctx: Context, error: NetlinkError, made: MadeLink) -> MacvnetError:
    """Why a link in the host's namespace could not be made, or not be set up."""
    if error.errno in REFUSING and made.lower_name:
        try:
            use = Use("", "macvlan", LinkOptions(), (), observing.Observer(ctx).named(made.name))
        except (MacvnetError, OSError):
            pass
        else:
            if found := _cause(use, error.errno):
                return Conflict(found.evidence, found.fix)
    return _by_errno(error, made.kind, made.lower_name, made.name)


def _cause(use: Use, number: int) -> Finding | None:
    known = REFUSING[number]
    return next((found for found in parents.of_use(use) if found.cause in known), None)


def _by_errno(error: NetlinkError, kind: str, lower: str, name: str) -> MacvnetError:
    number = error.errno
    ask = f"macvnet doctor {lower}".rstrip()
    if number in UNKNOWN_KIND:
        return missing_module(kind)
    if number == errno.ENODEV:
        return NotFound(f"the parent {quoted(lower)} has vanished", "ip -br link")
    if number == errno.EBUSY:
        other = "ipvlan" if kind == "macvlan" else "macvlan"
        return Conflict(
            f"the kernel lets no {kind} on {quoted(lower)}: it is a port of a bridge or bond, or "
            f"carries {other} links, in whatever namespace (device or resource busy)",
            ask,
        )
    if number == errno.EINVAL and kind == "macvlan":
        return Conflict(
            f"the kernel lets no macvlan on {quoted(lower)}: a passthru macvlan is on it, or this "
            "one is passthru and others are there, in whatever namespace (invalid argument)",
            ask,
        )
    if number == errno.ENETDOWN:
        return Conflict(f"the parent {quoted(lower)} is down", f"ip link set {lower} up")
    if number == errno.EEXIST:
        return Conflict(f"a link {quoted(name)} exists already", f"ip -d link show {name}")
    if number == errno.ERANGE:
        return InvalidRequest(
            f"a value for the link {quoted(name)} is out of the kernel's range: {error}", ask
        )
    return error.during(f"make the {kind} link {quoted(name)} on {quoted(lower)}", ask)
