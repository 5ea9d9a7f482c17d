"""What the kernel tells of one namespace: links and addresses that change, namespaces that die.

Messages are taken apart by hand, since whoever listens for long should need
nothing of pyroute2 for it. Of addresses it tells the IPv4 ones only: each of a
router's advertisements makes the kernel tell of the IPv6 ones. Constants:
linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/net_namespace.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from types import TracebackType

from macvnet.records import NamedTuple

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_DELNSID = 16, 17, 20, 21, 89
RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_NSID = 1, 5, 28
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
IFLA_IFNAME, IFA_LOCAL, NETNSA_NSID = 3, 2, 1
IFF_UP = 0x1
LARGEST = 1 << 17
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BxxxI")
_ATTRIBUTE = struct.Struct("=HH")
_NSID_LENGTH = 4
"""struct rtgenmsg, padded."""


class LinkChange(NamedTuple):
    """A link as it is now; ``gone`` where it is no more in this namespace."""

    ifindex: int
    name: str
    up: bool
    gone: bool


class AddressChange(NamedTuple):
    """An IPv4 address of a link, its four bytes; ``gone`` where the link has it no more."""

    ifindex: int
    address: bytes
    gone: bool


class Heard(NamedTuple):
    """What came since the last look. ``dead``: nsids whose namespaces have died.

    ``lost``: the kernel had more to tell than it could keep.
    """

    links: tuple[LinkChange, ...] = ()
    dead: frozenset[int] = frozenset()
    lost: bool = False
    addresses: tuple[AddressChange, ...] = ()


class HostEvents:
    """Listens in the namespace this thread is in, from its making on."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        for group in (RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_NSID):
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        return self._socket.fileno()

    def heard(self) -> Heard:
        """Everything that waits to be read; does not wait itself."""
        links: list[LinkChange] = []
        addresses: list[AddressChange] = []
        dead: set[int] = set()
        lost = False
        while True:
            try:
                data, sender = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                return Heard(tuple(links), frozenset(dead), lost, tuple(addresses))
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # What was lost is not known, so everything may have changed.
                lost = True
                continue
            # Any process may send to a netlink socket; the kernel is number 0.
            if sender[0] == 0:
                _take(data, links, addresses, dead)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> HostEvents:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _take(
    data: bytes, links: list[LinkChange], addresses: list[AddressChange], dead: set[int]
) -> None:
    place = 0
    while place + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, place)
        if length < _HEADER.size:
            return
        body = data[place + _HEADER.size : place + length]
        if kind in (RTM_NEWLINK, RTM_DELLINK) and len(body) >= _LINK.size:
            family, _, ifindex, flags, _ = _LINK.unpack_from(body)
            # A bridge tells in its own family of a port that leaves it, and stays a link.
            if family == socket.AF_UNSPEC:
                name = _attribute(body, _LINK.size, IFLA_IFNAME).rstrip(b"\0")
                links.append(
                    LinkChange(
                        ifindex,
                        name.decode(errors="surrogateescape"),
                        bool(flags & IFF_UP),
                        kind == RTM_DELLINK,
                    )
                )
        elif kind in (RTM_NEWADDR, RTM_DELADDR) and len(body) >= _ADDRESS.size:
            family, ifindex = _ADDRESS.unpack_from(body)
            address = _attribute(body, _ADDRESS.size, IFA_LOCAL)
            if family == socket.AF_INET and len(address) == 4:
                addresses.append(AddressChange(ifindex, address, kind == RTM_DELADDR))
        elif kind == RTM_DELNSID:
            number = _attribute(body, _NSID_LENGTH, NETNSA_NSID)
            if len(number) == 4:
                dead.add(struct.unpack("=i", number)[0])
        place += (length + 3) & ~3


def _attribute(body: bytes, place: int, wanted: int) -> bytes:
    while place + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, place)
        if length < _ATTRIBUTE.size:
            break
        if kind & 0x3FFF == wanted:
            return body[place + _ATTRIBUTE.size : place + length]
        place += (length + 3) & ~3
    return b""
