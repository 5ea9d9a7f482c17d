"""The floor: bare rtnetlink messages for macvlan links, encoded beforehand.

An endpoint's messages need no look-up: its link has an interface number that is
chosen here, and its namespace is named by a process. Knows rtnetlink(7) and
nothing of macvnet, so that no mistake of macvnet's can hide in the floor.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 17, 20, 24
ACKNOWLEDGED, MADE = 0x5, 0x605
IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO, IFLA_NET_NS_PID = 1, 3, 5, 18, 19
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_MACVLAN_MODE, MODE_BRIDGE = 1, 2, 1, 4
IFF_UP = 1
CLONE_NEWNET = 0x40000000
IFINDEX = 4242
NAME = b"mv0"
_libc = ctypes.CDLL(None, use_errno=True)


class Messages(NamedTuple):
    """What one endpoint takes: ``host`` is sent in the host's namespace, the rest in its own."""

    path: str
    host: bytes
    inside: tuple[bytes, ...]
    delete: bytes


def endpoint(pid: int, parent: int, number: int, base: IPv4Address, length: int) -> Messages:
    """The messages for endpoint ``number`` of the namespace of process ``pid``."""
    address = (base + number).packed
    mac = bytes((0x02, 0xF1, *number.to_bytes(4, "big")))
    data = _attribute(IFLA_MACVLAN_MODE, struct.pack("=I", MODE_BRIDGE))
    kind = _attribute(IFLA_INFO_KIND, b"macvlan\0") + _attribute(IFLA_INFO_DATA, data)
    attributes = (
        _attribute(IFLA_IFNAME, NAME + b"\0")
        + _attribute(IFLA_LINK, struct.pack("=i", parent))
        + _attribute(IFLA_NET_NS_PID, struct.pack("=i", pid))
        + _attribute(IFLA_ADDRESS, mac)
        + _attribute(IFLA_LINKINFO, kind)
    )
    link = _message(RTM_NEWLINK, MADE, _link(0, 0) + attributes)
    local = _attribute(2, address) + _attribute(1, address)
    addr = _message(RTM_NEWADDR, MADE, struct.pack("=BBBBi", 2, length, 0, 0, IFINDEX) + local)
    up = _message(RTM_NEWLINK, ACKNOWLEDGED, _link(IFF_UP, IFF_UP))
    gateway = _attribute(5, base.packed) + _attribute(4, struct.pack("=i", IFINDEX))
    head = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0)
    route = _message(RTM_NEWROUTE, MADE, head + gateway)
    delete = _message(RTM_DELLINK, ACKNOWLEDGED, _link(0, 0))
    return Messages(f"/proc/{pid}/ns/net", link, (addr, up, route), delete)


def _link(flags: int, change: int) -> bytes:
    return struct.pack("=BxHiII", 0, 0, IFINDEX, flags, change)


def _attribute(kind: int, data: bytes) -> bytes:
    padding = b"\0" * (-len(data) % 4)
    return struct.pack("=HH", len(data) + 4, kind) + data + padding


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def ask(sock: socket.socket, message: bytes) -> None:
    """Send one and wait for its acknowledgement. OSError with the kernel's errno."""
    sock.send(message)
    answer = sock.recv(4096)
    number = struct.unpack_from("=i", answer, 16)[0]
    if number:
        raise OSError(-number, os.strerror(-number))


def open_socket() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.bind((0, 0))
    return sock


class Replay:
    """The floor in Python, in this process. Attach, then detach, always in this order."""

    def __init__(self, endpoints: Sequence[Messages]) -> None:
        self._endpoints = endpoints

    def attach(self) -> float:
        """Seconds for all of them, one after the other: the kernel makes one link at a time."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        began = time.perf_counter()
        with open_socket() as host:
            for messages in self._endpoints:
                ask(host, messages.host)
                with _socket_in(messages.path, back) as inside:
                    for message in messages.inside:
                        ask(inside, message)
        wall = time.perf_counter() - began
        os.close(back)
        return wall

    def detach(self, threads: int) -> float:
        """Seconds for all of them, ``threads`` at a time: the kernel waits for RCU each time."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        def delete(part: Sequence[Messages]) -> None:
            for messages in part:
                with _socket_in(messages.path, back) as inside:
                    ask(inside, messages.delete)

        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            parts = [self._endpoints[start::threads] for start in range(threads)]
            for done in [pool.submit(delete, part) for part in parts if part]:
                done.result()
        wall = time.perf_counter() - began
        os.close(back)
        return wall


def _socket_in(path: str, back: int) -> socket.socket:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(fd)
        try:
            return open_socket()
        finally:
            _enter(back)
    finally:
        os.close(fd)


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def write(path: Path, endpoints: Sequence[Messages]) -> None:
    """The messages in a file, as floor.c reads them: for each a length and the bytes."""
    with path.open("wb") as file:
        for messages in endpoints:
            parts = (messages.path.encode(), messages.host, b"".join(messages.inside))
            for part in (*parts, messages.delete):
                file.write(struct.pack("=I", len(part)) + part)
