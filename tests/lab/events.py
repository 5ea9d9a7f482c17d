"""What a namespace's kernel reports while something runs: netlink events, by kind."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

from tests.lab.processes import inside

# Links, IPv4 and IPv6 addresses, IPv4 and IPv6 routes, rules, nsids (rtnetlink.h, RTNLGRP_*).
GROUPS = (1, 5, 7, 9, 11, 8, 28)
HEADER = struct.Struct("=IHHII")
KINDS = {
    16: "link",
    17: "link gone",
    20: "address",
    21: "address gone",
    24: "route",
    25: "route gone",
    32: "rule",
    33: "rule gone",
    88: "nsid",
    89: "nsid gone",
}
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1


@contextlib.contextmanager
def changes(*namespaces: int) -> Iterator[list[str]]:
    """The kinds of event in these namespaces (descriptors), filled in when the block ends."""
    found: list[str] = []
    with contextlib.ExitStack() as stack:
        sockets = []
        for fd in namespaces:
            with inside(fd):
                opened = socket.socket(
                    socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
                )
            stack.enter_context(opened)
            opened.bind((0, 0))
            for group in GROUPS:
                opened.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
            opened.setblocking(False)
            sockets.append(opened)
        yield found
        for opened in sockets:
            found += _drained(opened)


def quiet(*namespaces: int, seconds: float = 1.0) -> bool:
    """Wait until nothing has happened there for ``seconds``; False after 30 times that."""
    for _ in range(30):
        with changes(*namespaces) as found:
            time.sleep(seconds)
        if not found:
            return True
    return False


def _drained(opened: socket.socket) -> list[str]:
    found: list[str] = []
    while True:
        try:
            data = opened.recv(1 << 16)
        except BlockingIOError:
            return found
        offset = 0
        while offset + HEADER.size <= len(data):
            length, kind, *_ = HEADER.unpack_from(data, offset)
            found.append(KINDS.get(kind, str(kind)))
            offset += (length + 3) & ~3
