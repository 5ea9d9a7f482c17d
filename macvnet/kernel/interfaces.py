"""Names and addresses of this namespace's links by ioctl, for who cannot wait for pyroute2.

A Tab does not. Knows no more of a link than its name and whether it is up;
whoever needs more asks ``links``. Constants: linux/sockios.h, linux/if.h.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator

from macvnet.addresses import IPV4, IPV6, Address

SIOCGIFCONF, SIOCGIFFLAGS = 0x8912, 0x8913
IFF_UP, IFF_LOOPBACK = 0x1, 0x8
_IFREQ = 40
_IN6 = "/proc/thread-self/net/if_inet6"


def names() -> list[tuple[str, bool]]:
    """Every link but loopback, in the kernel's order, and whether it is up."""
    return [(name, up) for _, name, up, loopback in _links() if not loopback]


def links() -> dict[int, tuple[str, bool]]:
    """Every link by its ifindex: its name, and whether it is up."""
    return {ifindex: (name, up) for ifindex, name, up, _ in _links()}


def _links() -> Iterator[tuple[int, str, bool, bool]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        for ifindex, name in socket.if_nameindex():
            request = struct.pack(f"{_IFREQ}s", os.fsencode(name))
            try:
                reply = fcntl.ioctl(asked, SIOCGIFFLAGS, request)
            except OSError:  # gone since
                continue
            (flags,) = struct.unpack_from("=H", reply, 16)
            yield ifindex, name, bool(flags & IFF_UP), bool(flags & IFF_LOOPBACK)


def addresses() -> set[Address]:
    """Every address that this namespace has."""
    return _ipv4() | _ipv6()


def _ipv4() -> set[Address]:
    import array

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        length = struct.calcsize("@iP")
        # Asked without room, the kernel says how much it wants.
        (wanted, _) = struct.unpack("@iP", fcntl.ioctl(asked, SIOCGIFCONF, bytes(length)))
        room = array.array("B", bytes(wanted + 8 * _IFREQ))
        place, size = room.buffer_info()
        reply = fcntl.ioctl(asked, SIOCGIFCONF, struct.pack("@iP", size, place))
    (filled, _) = struct.unpack("@iP", reply)
    return {
        Address(IPV4, int.from_bytes(room[begin + 20 : begin + 24], "big"))
        for begin in range(0, filled, _IFREQ)
    }


def _ipv6() -> set[Address]:
    try:
        with open(_IN6, encoding="ascii") as file:
            return {Address(IPV6, int(line.split()[0], 16)) for line in file}
    except OSError:  # a kernel without IPv6
        return set()
