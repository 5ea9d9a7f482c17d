"""A machine on the LAN that claims addresses, in ways that a kernel would not.

It sees every probe for an address of its own, and answers as it was told: with
any MAC, late, or with a probe of its own. Frames are written here by hand, so
that they do not agree with macvnet's by construction.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from ipaddress import IPv6Address, ip_address
from types import TracebackType

from tests.lab.capture import ETH_ARP, ETH_IPV6, ETH_P_ALL, decode
from tests.lab.processes import inside

ANSWER, PROBE = "answer", "probe"
OWN = "02:00:5e:00:53:76"
"""The MAC that it sends from where it claims to have another."""


def _raw(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _arp(
    to: str, by: str, mac: str, operation: int, sender: bytes, target_mac: str, target: bytes
) -> bytes:
    head = _raw(to) + _raw(by) + struct.pack("!HHHBBH", ETH_ARP, 1, 0x0800, 6, 4, operation)
    return head + _raw(mac) + sender + _raw(target_mac) + target


def _checksum(data: bytes) -> int:
    total = 0
    for word in struct.unpack(f"!{len(data) // 2}H", data):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _icmpv6(to: str, mac: str, source: bytes, group: str, body: bytes) -> bytes:
    destination = IPv6Address(group).packed
    pseudo = source + destination + struct.pack("!IBBBB", len(body), 0, 0, 0, 58)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + source + destination
    return _raw(to) + _raw(mac) + struct.pack("!H", ETH_IPV6) + header + body


class Stranger:
    """Claims ``addresses`` on a machine's link with ``mac``, ``delay`` seconds after a probe.

    ``how``: ANSWER as an owner does, PROBE as one who wants it at the same time.
    ``mac`` "": that of who asks.
    """

    def __init__(
        self,
        namespace: int,
        *addresses: str,
        mac: str = "",
        how: str = ANSWER,
        delay: float = 0.0,
        ifname: str = "eth0",
    ) -> None:
        self._addresses = {str(ip_address(address)) for address in addresses}
        self._mac, self._how, self._delay = mac, how, delay
        self._by = OWN
        with inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self._socket.bind((ifname, ETH_P_ALL))
        self._end, self._ended = os.pipe()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._end, select.POLLIN)
        while self._end not in {fd for fd, _ in poll.poll()}:
            raw, address = self._socket.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            frame = decode(raw)
            asked = frame.nd_target if frame.icmp_type == 135 else frame.arp_tpa
            if asked not in self._addresses or (frame.arp_op or 1) != 1:
                continue
            time.sleep(self._delay)
            # A frame from the asker's own MAC would get lost in the switch.
            self._by = self._mac or OWN
            self._socket.send(self._claim(asked, self._mac or frame.src, frame.src))

    def _claim(self, address: str, mac: str, asker: str) -> bytes:
        packed = ip_address(address).packed
        everybody, nobody = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
        if len(packed) == 4 and self._how == ANSWER:
            return _arp(asker, self._by, mac, 2, packed, asker, bytes(4))
        if len(packed) == 4:
            return _arp(everybody, self._by, mac, 1, bytes(4), nobody, packed)
        if self._how == ANSWER:
            body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + packed + b"\x02\x01" + _raw(mac)
            return _icmpv6("33:33:00:00:00:01", self._by, packed, "ff02::1", body)
        group = IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + packed[-3:])
        to = (b"\x33\x33\xff" + packed[-3:]).hex(":")
        body = struct.pack("!BBHI", 135, 0, 0, 0) + packed
        return _icmpv6(to, self._by, bytes(16), str(group), body)

    def stop(self) -> None:
        os.write(self._ended, b"x")
        self._thread.join()
        self._socket.close()
        os.close(self._end)
        os.close(self._ended)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
