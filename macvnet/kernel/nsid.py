"""Numbers that one namespace gives to others: proof of death, and a handle without a process.

An nsid stays while anything holds the namespace and vanishes when it dies; user
space cannot take it away (RTM_NEWNSID, RTM_GETNSID). macvnet chooses the number
itself, from a random one on, so that a number seen again is the same namespace. The kernel
and other programs number from 0 on, and give a number that is free again to the next.
"""

from __future__ import annotations

import errno
import sys

from macvnet import chance
from macvnet.errors import KernelRefused
from macvnet.kernel.constants import LOWEST_OWN_NSID
from macvnet.kernel.messages import attributes, formed
from macvnet.kernel.namespaces import Namespace
from macvnet.kernel.rtnetlink import (
    NLM_F_REQUEST,
    PIPELINED,
    RTM_GETNSID,
    RTM_NEWNSID,
    NetlinkError,
    Request,
    Rtnetlink,
    encoded,
)
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

NETNSA_NSID = 1
_BODY = 4
"""Bytes of struct rtgenmsg, padded."""

ATTEMPTS = 8
LOWEST = LOWEST_OWN_NSID
HIGHEST = (1 << 31) - 1


class _Free:
    """Numbers that are free, most probably: one after the other, from a random one on.

    Asked which number a namespace has, the kernel goes through all that there are, and from
    one to the next faster where they are neighbours: with 1,000 of them in 30 us, not 250.
    """

    def __init__(self) -> None:
        self._next = 0

    def begin(self) -> None:
        """From another one on."""
        self._next = LOWEST + chance.below(HIGHEST - LOWEST)

    def next(self) -> int:
        if not LOWEST <= self._next <= HIGHEST:
            self.begin()
        self._next += 1
        return self._next - 1


_free = _Free()


def lookup(netlink: Rtnetlink, namespace: Namespace) -> int | None:
    """The nsid that the socket's namespace has for ``namespace``, or None."""
    answer = netlink.get(message(NETNSA_FD=namespace.fd), RTM_GETNSID)
    return None if answer is None else _read(answer)


def _read(answer: bytes) -> int | None:
    """The nsid that a message tells; None for -1, which says that there is none."""
    raw = dict(attributes(answer, _BODY)).get(NETNSA_NSID, b"")
    number = int.from_bytes(raw, sys.byteorder, signed=True) if raw else -1
    return number if number >= 0 else None


def assign(netlink: Rtnetlink, namespace: Namespace) -> int:
    """The nsid of ``namespace``, given now if it has none. KernelRefused if that fails."""
    known = lookup(netlink, namespace)
    if known is not None:
        return known
    for _ in range(ATTEMPTS):
        number = _free.next()
        asked = message(NETNSA_NSID=number, NETNSA_FD=namespace.fd)
        try:
            netlink.change(Request(asked, RTM_NEWNSID, 0, f"netns set {_name(namespace)} {number}"))
        except NetlinkError as error:
            if error.errno not in (errno.EEXIST, errno.ENOSPC):
                raise error.during(f"number the namespace {quoted(_name(namespace))}") from None
            # The number is another's, or somebody has given it one meanwhile.
            known = lookup(netlink, namespace)
            if known is not None:
                return known
            _free.begin()
        else:
            return number
    refusal = KernelRefused("", errno.ENOSPC)
    raise refusal.during(f"number the namespace {quoted(_name(namespace))}")


def _name(namespace: Namespace) -> str:
    """``ip netns set`` takes a name under /run/netns or a path."""
    return namespace.origin.removeprefix("/run/netns/")


def is_own(number: int) -> bool:
    """Whether macvnet gave the number, so that it never means another namespace."""
    return number >= LOWEST


def exists(netlink: Rtnetlink, number: int) -> bool:
    """True while the namespace with that nsid lives."""
    asked = message(NETNSA_NSID=number, NETNSA_TARGET_NSID=number)
    return netlink.get(asked, RTM_GETNSID) is not None


def living(netlink: Rtnetlink, asked: Sequence[int]) -> set[int]:
    """Those of ``asked`` whose namespaces live; costs little more than one question."""
    found: set[int] = set()
    for begin in range(0, len(asked), PIPELINED):
        part = asked[begin : begin + PIPELINED]
        questions = [_asked(number) for number in part]
        answers = netlink.answered(questions)
        found.update(number for number, alive in zip(part, answers, strict=True) if alive)
    return found


def _asked(number: int) -> bytes:
    """The question of ``exists``, with its header."""
    asked = message(NETNSA_NSID=number, NETNSA_TARGET_NSID=number)
    return encoded(asked, RTM_GETNSID, NLM_F_REQUEST, 0)


def message(**values: int) -> bytes:
    """The message that has these attributes, but for its header."""

    def build(**values: int) -> Any:
        from macvnet.kernel.classes import nsidmsg

        made = nsidmsg()
        made["attrs"] = [list(item) for item in values.items()]
        return made

    return formed(("nsid",), build, values)


def numbers(netlink: Rtnetlink) -> list[int]:
    """The nsids of all namespaces that have one here."""
    found = map(_read, netlink.dump("nsidmsg", RTM_GETNSID))
    return [number for number in found if number is not None]
