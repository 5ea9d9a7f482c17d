"""Numbers that one namespace gives to others: proof of death, and a handle without a process.

An nsid stays while anything holds the namespace and vanishes when it dies; user
space cannot take it away (RTM_NEWNSID, RTM_GETNSID). macvnet chooses the number
itself, at random, so that a number seen again is the same namespace.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence

from macvnet import chance
from macvnet.errors import KernelRefused
from macvnet.kernel.messages import encode, nsidmsg
from macvnet.kernel.namespaces import Namespace
from macvnet.kernel.rtnetlink import (
    NLM_F_REQUEST,
    PIPELINED,
    RTM_GETNSID,
    RTM_NEWNSID,
    NetlinkError,
    Request,
    Rtnetlink,
)

ATTEMPTS = 8
LOWEST = 1 << 16
HIGHEST = (1 << 31) - 1
_PLACE = b"\x11\x22\x33\x44"


def lookup(netlink: Rtnetlink, namespace: Namespace) -> int | None:
    """The nsid that the socket's namespace has for ``namespace``, or None."""
    message = nsidmsg()
    message["attrs"] = [["NETNSA_FD", namespace.fd]]
    answer = netlink.get(message, RTM_GETNSID)
    number = answer.get_attr("NETNSA_NSID") if answer is not None else None
    return number if number is not None and number >= 0 else None


def assign(netlink: Rtnetlink, namespace: Namespace) -> int:
    """The nsid of ``namespace``, given now if it has none. KernelRefused if that fails."""
    known = lookup(netlink, namespace)
    if known is not None:
        return known
    for _ in range(ATTEMPTS):
        number = LOWEST + chance.below(HIGHEST - LOWEST)
        message = nsidmsg()
        message["attrs"] = [["NETNSA_NSID", number], ["NETNSA_FD", namespace.fd]]
        try:
            netlink.change(
                Request(message, RTM_NEWNSID, 0, f"netns set {_name(namespace)} {number}")
            )
        except NetlinkError as error:
            if error.errno == errno.EEXIST:
                known = lookup(netlink, namespace)
                if known is not None:
                    return known
            elif error.errno != errno.ENOSPC:
                raise KernelRefused("number the namespace", error.errno, error.text) from None
        else:
            return number
    raise KernelRefused("number the namespace", errno.ENOSPC)


def _name(namespace: Namespace) -> str:
    """``ip netns set`` takes a name under /run/netns or a path."""
    return namespace.origin.removeprefix("/run/netns/")


def exists(netlink: Rtnetlink, number: int) -> bool:
    """True while the namespace with that nsid lives."""
    message = nsidmsg()
    message["attrs"] = [["NETNSA_NSID", number], ["NETNSA_TARGET_NSID", number]]
    answer = netlink.get(message, RTM_GETNSID)
    return answer is not None


def living(netlink: Rtnetlink, asked: Sequence[int]) -> set[int]:
    """Those of ``asked`` whose namespaces live; costs little more than one question."""
    found: set[int] = set()
    template = _question()
    for begin in range(0, len(asked), PIPELINED):
        part = asked[begin : begin + PIPELINED]
        questions = [template.replace(_PLACE, number.to_bytes(4, sys.byteorder)) for number in part]
        answers = netlink.answered(questions)
        found.update(number for number, alive in zip(part, answers, strict=True) if alive)
    return found


def _question() -> bytes:
    """The question of ``exists`` for the nsid in ``_PLACE``, encoded once for many."""
    message = nsidmsg()
    number = int.from_bytes(_PLACE, sys.byteorder)
    message["attrs"] = [["NETNSA_NSID", number], ["NETNSA_TARGET_NSID", number]]
    return encode(message, RTM_GETNSID, NLM_F_REQUEST, 0)


def numbers(netlink: Rtnetlink) -> list[int]:
    """The nsids of all namespaces that have one here."""
    found = (m.get_attr("NETNSA_NSID") for m in netlink.dump(nsidmsg, RTM_GETNSID))
    return [number for number in found if number is not None and number >= 0]
