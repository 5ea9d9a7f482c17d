"""Addresses that links have learned from routers, in whatever namespace, seen from this one.

Like ``sight``, for who only looks: without pyroute2, by the nsid of the namespace.
An address that has a lifetime was not put there for good; the kernel makes such
ones of router advertisements (RFC 4862). Constants: linux/if_addr.h.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence

from macvnet import sockets
from macvnet.addresses import IPV6, Address
from macvnet.records import NamedTuple

RTM_GETADDR = 22
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12
IFA_ADDRESS, IFA_CACHEINFO, IFA_FLAGS, IFA_TARGET_NETNSID = 1, 6, 8, 10
SCOPE_GLOBAL = 0
IFA_F_DEPRECATED, IFA_F_TENTATIVE, IFA_F_PERMANENT = 0x20, 0x40, 0x80
FOREVER = 0xFFFFFFFF
REPLY_SECONDS = 30
PREFERRED, DEPRECATED, TENTATIVE = "preferred", "deprecated", "tentative"
_ROOM = 1 << 18
_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_CACHE = struct.Struct("=IIII")


class Learned(NamedTuple):
    """An address that a link has made itself. ``valid`` is how many seconds it lasts; None: ever.

    ``state``: "preferred"; "deprecated": for what has begun only; "tentative": not
    proved unique yet. One that another machine has is taken away by the kernel.
    """

    address: Address
    prefixlen: int
    state: str
    valid: int | None

    @property
    def cidr(self) -> str:
        return f"{self.address}/{self.prefixlen}"

    @property
    def usable(self) -> bool:
        return self.state != TENTATIVE


def learned(places: Sequence[tuple[int, int]]) -> list[list[Learned] | None]:
    """For each (nsid, ifindex) what its link has learned; None where that cannot be seen."""
    kind = sockets.SOCK_RAW | sockets.SOCK_CLOEXEC
    with sockets.socket(sockets.AF_NETLINK, kind, sockets.NETLINK_ROUTE) as asked:
        asked.settimeout(REPLY_SECONDS)
        # Otherwise the kernel overlooks which namespace and link are asked for.
        asked.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        found: list[list[Learned] | None] = []
        for number, (nsid, ifindex) in enumerate(places, 1):
            try:
                asked.send(_question(number, nsid, ifindex))
                found.append(_answer(asked, number))
            except OSError:
                found.append(None)
        return found


def _question(number: int, nsid: int, ifindex: int) -> bytes:
    body = _ADDRESS.pack(sockets.AF_INET6, 0, 0, 0, ifindex)
    body += _ATTRIBUTE.pack(8, IFA_TARGET_NETNSID) + struct.pack("=i", nsid)
    flags = NLM_F_REQUEST | NLM_F_DUMP
    return _HEADER.pack(_HEADER.size + len(body), RTM_GETADDR, flags, number, 0) + body


def _answer(asked: sockets.socket, wanted: int) -> list[Learned]:
    found: list[Learned] = []
    while True:
        data = asked.recv(_ROOM)
        begin = 0
        while begin + _HEADER.size <= len(data):
            length, kind, _, number, _ = _HEADER.unpack_from(data, begin)
            message = data[begin + _HEADER.size : begin + length]
            begin += (max(length, _HEADER.size) + 3) & ~3
            if number != wanted:
                continue
            if kind == NLMSG_DONE:
                return found
            if kind == NLMSG_ERROR:
                refused = -int(struct.unpack_from("=i", message)[0]) or errno.EIO
                raise OSError(refused, os.strerror(refused))
            if one := _read(message):
                found.append(one)


def _read(message: bytes) -> Learned | None:
    family, prefixlen, flags, scope, _ = _ADDRESS.unpack_from(message)
    if family != sockets.AF_INET6 or scope != SCOPE_GLOBAL:
        return None
    values: dict[int, bytes] = {}
    begin = _ADDRESS.size
    while begin + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, begin)
        values[kind & 0x3FFF] = message[begin + 4 : begin + length]
        begin += (max(length, 4) + 3) & ~3
    if IFA_FLAGS in values:
        (flags,) = struct.unpack("=I", values[IFA_FLAGS])
    if flags & IFA_F_PERMANENT or IFA_ADDRESS not in values:
        return None
    valid = _CACHE.unpack_from(values[IFA_CACHEINFO])[1] if IFA_CACHEINFO in values else FOREVER
    return Learned(
        Address(IPV6, int.from_bytes(values[IFA_ADDRESS], "big")),
        prefixlen,
        _state(flags),
        None if valid == FOREVER else valid,
    )


def _state(flags: int) -> str:
    if flags & IFA_F_TENTATIVE:
        return TENTATIVE
    return DEPRECATED if flags & IFA_F_DEPRECATED else PREFERRED
