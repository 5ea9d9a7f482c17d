"""Frames as they are on the wire of one link: sniffed, decoded, waited for.

The VLAN tag is read from the packet socket's auxiliary data (PACKET_AUXDATA,
packet(7)), where the kernel puts it, and from the frame, where a second tag is.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from types import TracebackType
from typing import NamedTuple

from tests.lab.processes import inside

ETH_P_ALL = 0x0003
ETH_ARP = 0x0806
ETH_IP = 0x0800
ETH_IPV6 = 0x86DD
TAGS = (0x8100, 0x88A8)
SOL_PACKET = 263
PACKET_AUXDATA = 8
SO_TIMESTAMPNS = 35
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6
OUTGOING = 4
BROADCAST = "ff:ff:ff:ff:ff:ff"


class Frame(NamedTuple):
    """One frame. ``vlans`` from the outside in; what does not apply is None."""

    time: float
    outgoing: bool
    src: str
    dst: str
    vlans: tuple[int, ...]
    tpids: tuple[int, ...]
    ethertype: int
    payload: bytes
    arp_op: int | None = None
    arp_sha: str | None = None
    arp_spa: str | None = None
    arp_tha: str | None = None
    arp_tpa: str | None = None
    ip_src: str | None = None
    ip_dst: str | None = None
    ttl: int | None = None
    protocol: int | None = None
    icmp_type: int | None = None
    nd_target: str | None = None
    sport: int | None = None
    dport: int | None = None

    @property
    def vlan(self) -> int | None:
        return self.vlans[0] if self.vlans else None

    @property
    def gratuitous_arp(self) -> bool:
        """An announcement of the sender's own address (RFC 5227), request or reply."""
        return self.arp_spa is not None and self.arp_spa == self.arp_tpa != "0.0.0.0"

    @property
    def unsolicited_na(self) -> bool:
        """A neighbour advertisement to all nodes (RFC 4861 7.2.6)."""
        return self.protocol == 58 and self.icmp_type == 136 and self.ip_dst == "ff02::1"

    @property
    def ping(self) -> bool:
        """An echo request, ICMP or ICMPv6."""
        return (self.protocol, self.icmp_type) in ((1, 8), (58, 128))


def _mac(raw: bytes) -> str:
    return raw.hex(":")


def _ip(raw: bytes) -> str:
    return str(ip_address(raw))


def _ports(protocol: int, body: bytes, known: dict[str, object]) -> None:
    if protocol in (6, 17) and len(body) >= 4:
        known["sport"], known["dport"] = struct.unpack("!HH", body[:4])
    elif protocol in (1, 58) and body:
        known["icmp_type"] = body[0]
        if protocol == 58 and body[0] in (135, 136) and len(body) >= 24:
            known["nd_target"] = _ip(body[8:24])


def _layers(ethertype: int, data: bytes) -> dict[str, object]:
    known: dict[str, object] = {}
    if ethertype == ETH_ARP and len(data) >= 28 and data[:6] == b"\0\1\x08\0\6\4":
        known["arp_op"] = struct.unpack("!H", data[6:8])[0]
        known["arp_sha"], known["arp_spa"] = _mac(data[8:14]), _ip(data[14:18])
        known["arp_tha"], known["arp_tpa"] = _mac(data[18:24]), _ip(data[24:28])
    elif ethertype == ETH_IP and len(data) >= 20:
        known["ip_src"], known["ip_dst"] = _ip(data[12:16]), _ip(data[16:20])
        known["ttl"], known["protocol"] = data[8], data[9]
        if struct.unpack("!H", data[6:8])[0] & 0x1FFF == 0:
            _ports(data[9], data[(data[0] & 15) * 4 :], known)
    elif ethertype == ETH_IPV6 and len(data) >= 40:
        known["ip_src"], known["ip_dst"] = _ip(data[8:24]), _ip(data[24:40])
        known["ttl"] = data[7]
        protocol, body = data[6], data[40:]
        while protocol == 0 and len(body) >= 8:  # hop-by-hop options, as MLD has
            protocol, body = body[0], body[(body[1] + 1) * 8 :]
        known["protocol"] = protocol
        _ports(protocol, body, known)
    return known


def decode(
    raw: bytes, *, tag: tuple[int, int] | None = None, at: float = 0.0, outgoing: bool = False
) -> Frame:
    """Decode an Ethernet frame; ``tag`` is the (TPID, VLAN id) the kernel took off it."""
    tpids, vlans = ([tag[0]], [tag[1]]) if tag else ([], [])
    (ethertype,) = struct.unpack("!H", raw[12:14])
    offset = 14
    while ethertype in TAGS:
        tci, inner = struct.unpack("!HH", raw[offset : offset + 4])
        tpids.append(ethertype)
        vlans.append(tci & 0xFFF)
        ethertype, offset = inner, offset + 4
    frame = Frame(
        at,
        outgoing,
        _mac(raw[6:12]),
        _mac(raw[:6]),
        tuple(vlans),
        tuple(tpids),
        ethertype,
        raw[offset:],
    )
    return frame._replace(**_layers(ethertype, raw[offset:]))  # type: ignore[arg-type]  # typed by the field names


class Capture:
    """Frames of one link of one machine from the moment it is made until ``stop``."""

    def __init__(
        self, namespace: int, ifname: str, keep: Callable[[Frame], bool] | None = None
    ) -> None:
        self._keep = keep or (lambda _: True)
        self._frames: list[Frame] = []
        self._grown = threading.Condition()
        with inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self._socket.bind((ifname, ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._end, self._ended = os.pipe()
        self._thread = threading.Thread(target=self._sniff, daemon=True, name=f"sniff-{ifname}")
        self._thread.start()

    def _sniff(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._end, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._socket.fileno() in ready:
                try:
                    self._receive()
                except OSError:
                    # The link went down or away: what has been seen stays.
                    if self._end in ready:
                        return
                    continue
            elif self._end in ready:
                return

    def _receive(self) -> None:
        raw, ancillary, _, address = self._socket.recvmsg(65536, 256)
        tag: tuple[int, int] | None = None
        at = time.time()
        for level, kind, data in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
                if status & TP_STATUS_VLAN_VALID:
                    tag = (tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100, tci & 0xFFF)
            elif level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("=qq", data[:16])
                at = seconds + nanoseconds / 1e9
        if len(raw) < 14:
            return
        frame = decode(raw, tag=tag, at=at, outgoing=address[2] == OUTGOING)
        if self._keep(frame):
            with self._grown:
                self._frames.append(frame)
                self._grown.notify_all()

    @property
    def frames(self) -> list[Frame]:
        """What has been seen so far, in order."""
        with self._grown:
            return list(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def matching(self, predicate: Callable[[Frame], bool]) -> list[Frame]:
        return [frame for frame in self.frames if predicate(frame)]

    def wait_for(
        self, predicate: Callable[[Frame], bool], timeout: float = 5, count: int = 1
    ) -> list[Frame]:
        """The matching frames, as soon as there are ``count``; AssertionError if none come."""
        deadline = time.monotonic() + timeout
        with self._grown:
            while True:
                found = [frame for frame in self._frames if predicate(frame)]
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._grown.wait(left):
                    break
        seen = "\n".join(repr(frame._replace(payload=b"")) for frame in self.frames[-20:])
        raise AssertionError(f"{len(found)} of {count} frames in {timeout} s; seen:\n{seen}")

    def stop(self) -> list[Frame]:
        """End the capture; everything seen."""
        if self._thread.is_alive():
            os.write(self._ended, b".")
            self._thread.join()
            self._socket.close()
            os.close(self._end)
            os.close(self._ended)
        return self.frames

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
