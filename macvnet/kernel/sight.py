"""Links as those see them who only look: rtnetlink without pyroute2, many links at once.

A link in a container is asked for by the container's nsid, from outside: nobody
enters its namespace, and nothing keeps it alive while it is looked at. Knows
the few attributes that a picture has; whoever changes a link asks ``links``.
Constants: linux/rtnetlink.h, linux/if_link.h, linux/netlink.h.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType

from macvnet import sockets
from macvnet.errors import KernelRefused, PermissionDenied
from macvnet.records import NamedTuple

RTM_GETLINK = 18
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
NLMSG_ERROR, NLMSG_DONE = 2, 3
IFLA_IFNAME, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 3, 5, 10, 18
IFLA_IFALIAS, IFLA_STATS64, IFLA_LINK_NETNSID, IFLA_TARGET_NETNSID = 20, 23, 37, 46
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_VLAN_ID = 1, 2, 1
IFF_UP, IFF_LOOPBACK, IFF_LOWER_UP = 0x1, 0x8, 0x10000
NLA_TYPE = 0x3FFF
ABSENT = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EINVAL)
"""What the kernel answers where there is no such link, or no such namespace any more."""

TOGETHER = 16
"""Questions sent at once, so that the answers fit into the socket's buffer."""
REPLY_SECONDS = 30
_ROOM = 1 << 18
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_COUNTERS = struct.Struct("=QQQQ")


class Traffic(NamedTuple):
    """What a link has received and sent since it was made, as the kernel counts it."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int


class Seen(NamedTuple):
    """A link. ``lower`` is the lower link's ifindex or 0, ``lower_here`` whether that is here."""

    ifindex: int
    name: str
    kind: str
    flags: int
    lower: int
    lower_here: bool
    master: int
    vlan_id: int | None
    alias: str
    traffic: Traffic

    @property
    def up(self) -> bool:
        return bool(self.flags & IFF_UP)

    @property
    def carrier(self) -> bool:
        return bool(self.flags & IFF_LOWER_UP)

    @property
    def loopback(self) -> bool:
        return bool(self.flags & IFF_LOOPBACK)


class Sight:
    """A socket in the namespace that this thread is in."""

    def __init__(self) -> None:
        kind = sockets.SOCK_RAW | sockets.SOCK_CLOEXEC
        self._socket = sockets.socket(sockets.AF_NETLINK, kind, sockets.NETLINK_ROUTE)
        self._socket.settimeout(REPLY_SECONDS)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Sight:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def links(self) -> list[Seen]:
        """Every link of the namespace."""
        while True:
            self._sequence += 1
            self._socket.send(_question(self._sequence, NLM_F_DUMP, 0, None))
            found, whole = self._dumped()
            if whole:
                return found

    def _dumped(self) -> tuple[list[Seen], bool]:
        """The answer to a dump, and whether nothing changed while it was given."""
        found: list[Seen] = []
        whole = True
        while True:
            for kind, flags, number, message in self._messages():
                if number != self._sequence:
                    continue
                whole = whole and not flags & NLM_F_DUMP_INTR
                if kind == NLMSG_DONE:
                    return found, whole
                if kind == NLMSG_ERROR:
                    raise _refusal(_errno(message))
                found.append(_read(message))

    def at(self, places: Sequence[tuple[int, int]]) -> list[Seen | None]:
        """The link of each (nsid, ifindex), None where there is no such link or namespace.

        PermissionDenied without CAP_NET_ADMIN.
        """
        found: list[Seen | None] = []
        for begin in range(0, len(places), TOGETHER):
            found += self._asked(places[begin : begin + TOGETHER])
        return found

    def _asked(self, places: Sequence[tuple[int, int]]) -> list[Seen | None]:
        first = self._sequence + 1
        self._sequence += len(places)
        self._socket.send(
            b"".join(
                _question(number, 0, ifindex, nsid)
                for number, (nsid, ifindex) in enumerate(places, first)
            )
        )
        found: dict[int, Seen | None] = {}
        while len(found) < len(places):
            for kind, _, number, message in self._messages():
                if number < first:
                    continue
                if kind != NLMSG_ERROR:
                    found[number] = _read(message)
                elif _errno(message) in ABSENT:
                    found[number] = None
                else:
                    raise _refusal(_errno(message))
        return [found[number] for number in range(first, first + len(places))]

    def _messages(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Kind, flags, number and body of each message of a datagram."""
        try:
            data = self._socket.recv(_ROOM)
        except TimeoutError:
            raise _refusal(errno.ETIMEDOUT) from None
        except OSError as error:
            raise _refusal(error.errno or errno.EIO) from None
        begin = 0
        while begin + _HEADER.size <= len(data):
            length, kind, flags, number, _ = _HEADER.unpack_from(data, begin)
            yield kind, flags, number, data[begin + _HEADER.size : begin + length]
            begin += (max(length, _HEADER.size) + 3) & ~3


def _question(number: int, flags: int, ifindex: int, nsid: int | None) -> bytes:
    body = _LINK.pack(0, 0, ifindex, 0, 0)
    if nsid is not None:
        body += _ATTRIBUTE.pack(8, IFLA_TARGET_NETNSID) + _NUMBER.pack(nsid)
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, RTM_GETLINK, NLM_F_REQUEST | flags, number, 0) + body


def _attributes(data: bytes, begin: int = 0) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while begin + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, begin)
        if length < _ATTRIBUTE.size:
            break
        found[kind & NLA_TYPE] = data[begin + _ATTRIBUTE.size : begin + length]
        begin += (length + 3) & ~3
    return found


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="surrogateescape")


def _number(value: bytes | None) -> int:
    return int(_NUMBER.unpack_from(value)[0]) if value else 0


def _read(message: bytes) -> Seen:
    _, _, ifindex, flags, _ = _LINK.unpack_from(message)
    found = _attributes(message, _LINK.size)
    info = _attributes(found.get(IFLA_LINKINFO, b""))
    kind = _text(info.get(IFLA_INFO_KIND, b""))
    vlan = _attributes(info.get(IFLA_INFO_DATA, b"")).get(IFLA_VLAN_ID) if kind == "vlan" else None
    counters = found.get(IFLA_STATS64, b"")
    lower = _number(found.get(IFLA_LINK))
    return Seen(
        ifindex,
        _text(found.get(IFLA_IFNAME, b"")),
        kind,
        flags,
        lower,
        IFLA_LINK_NETNSID not in found and lower not in (0, ifindex),
        _number(found.get(IFLA_MASTER)),
        struct.unpack_from("=H", vlan)[0] if vlan else None,
        _text(found.get(IFLA_IFALIAS, b"")),
        Traffic(*(_COUNTERS.unpack_from(counters) if counters else (0, 0, 0, 0))),
    )


def _errno(message: bytes) -> int:
    return -int(struct.unpack_from("=i", message)[0])


def _refusal(number: int) -> KernelRefused | PermissionDenied:
    if number in (errno.EPERM, errno.EACCES):
        return PermissionDenied(
            "the capability CAP_NET_ADMIN is missing to look at the links of containers",
            "run macvnet as root",
        )
    return KernelRefused("", number).during("look at the links of containers")
