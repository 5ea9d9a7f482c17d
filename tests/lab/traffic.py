"""Traffic: echo requests, TCP conversations, router advertisements.

Plain sockets made inside a namespace and used from outside, so that a test
needs no program started for it and can wait for milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv6Network, ip_address

from tests.lab.processes import inside

ANSWER_WITHIN = 3.0
SILENT_FOR = 0.7
SO_BINDTODEVICE = 25
_identifiers = iter(range(os.getpid() & 0xFFF, 1 << 40))


def _family(address: str) -> socket.AddressFamily:
    version = ip_address(address.partition("%")[0]).version
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(
    namespace: int,
    address: str,
    *,
    within: float = ANSWER_WITHIN,
    source: str | None = None,
    device: str | None = None,
    size: int = 24,
    fragment: bool = True,
) -> bool:
    """True as soon as an echo request is answered, False if none was in ``within`` seconds.

    ``size`` is that of the payload in bytes; with ``fragment=False`` it must fit the MTU.
    """
    family = _family(address)
    v4 = family == socket.AF_INET
    protocol = socket.IPPROTO_ICMP if v4 else socket.IPPROTO_ICMPV6
    identifier = next(_identifiers) & 0xFFFF
    with contextlib.ExitStack() as stack:
        with inside(namespace):
            sock = stack.enter_context(socket.socket(family, socket.SOCK_RAW, protocol))
            if device:
                sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode() + b"\0")
            if source:
                sock.bind((source, 0))
            try:
                target = socket.getaddrinfo(address, 0, family)[0][4]
            except OSError:
                return False
        if not fragment and v4:
            sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        deadline = time.monotonic() + within
        sequence = 0
        while (left := deadline - time.monotonic()) > 0:
            sequence += 1
            with contextlib.suppress(OSError):
                sock.sendto(_echo(v4, identifier, sequence, size), target)
            if _answered(sock, v4, identifier, min(left, 0.25)):
                return True
    return False


def _echo(v4: bool, identifier: int, sequence: int, size: int) -> bytes:
    kind = 8 if v4 else 128
    body = struct.pack("!HH", identifier, sequence & 0xFFFF) + b"m" * size
    head = struct.pack("!BBH", kind, 0, 0)
    if v4:
        head = struct.pack("!BBH", kind, 0, _checksum(head + body))
    return head + body


def _answered(sock: socket.socket, v4: bool, identifier: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            return False
        try:
            data = sock.recv(65536)
        except OSError:
            time.sleep(0.01)
            continue
        if v4:
            data = data[(data[0] & 15) * 4 :]
        kind, _, _, answered = struct.unpack("!BBHH", data[:6])
        if kind == (0 if v4 else 129) and answered == identifier:
            return True
    return False


class TcpServer:
    """Tells every caller the address it is seen under; ``peers`` keeps them."""

    def __init__(self, namespace: int, address: str, port: int) -> None:
        self.peers: list[str] = []
        with inside(namespace):
            self._socket = socket.socket(_family(address), socket.SOCK_STREAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((address, port))
        self._socket.listen()
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"tcp-{port}")
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                conversation, peer = self._socket.accept()
            except OSError:
                return
            with conversation:
                self.peers.append(peer[0])
                with contextlib.suppress(OSError):
                    conversation.sendall(peer[0].encode())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def __enter__(self) -> TcpServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tcp_connect(
    namespace: int, address: str, port: int, *, within: float = ANSWER_WITHIN
) -> str | None:
    """The address the server sees us under, or None if no connection came about."""
    with inside(namespace):
        sock = socket.socket(_family(address), socket.SOCK_STREAM)
    with sock:
        sock.settimeout(within)
        try:
            sock.connect((address, port))
            return sock.recv(100).decode() or None
        except OSError:
            return None


def router_advertisement(
    mac: str, prefix: str | None, *, lifetime: int = 1800, valid: int = 3600
) -> bytes:
    """The ICMPv6 body of an advertisement (RFC 4861 4.2); times in seconds."""
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0)
    body += b"\x01\x01" + bytes.fromhex(mac.replace(":", ""))
    if prefix:
        network = IPv6Network(prefix)
        body += struct.pack("!BBBBIII", 3, 4, network.prefixlen, 0xC0, valid, valid, 0)
        body += network.network_address.packed
    return body


@contextlib.contextmanager
def advertising(
    namespace: int,
    ifname: str,
    mac: str,
    prefix: str | None,
    *,
    lifetime: int = 1800,
    every: float = 0.3,
) -> Iterator[None]:
    """A router that advertises itself and ``prefix`` on a link inside the block."""
    message = router_advertisement(mac, prefix, lifetime=lifetime)
    with inside(namespace):
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        index = socket.if_nametoindex(ifname)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    end = threading.Event()

    def send() -> None:
        while True:
            # Refused until the link-local address has passed duplicate detection.
            with contextlib.suppress(OSError):
                sock.sendto(message, ("ff02::1", 0, 0, index))
            if end.wait(every):
                return

    thread = threading.Thread(target=send, daemon=True, name=f"radv-{ifname}")
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        sock.close()
