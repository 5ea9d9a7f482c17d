"""Frames about who has an address, as bytes: ARP and neighbour discovery; and how they are paced.

Pure. Knows how such frames are written and read (RFC 826, 5227, 4861, 4862);
must not know sockets, networks or records.
"""

from __future__ import annotations

import struct
from collections import deque

from macvnet.addresses import IPV4, IPV6, WIDTH, Address, Subnet
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

BROADCAST = b"\xff" * 6
ALL_NODES_MAC = bytes.fromhex("333300000001")
ALL_ROUTERS_MAC = bytes.fromhex("333300000002")
ALL_ROUTERS = bytes.fromhex("ff020000000000000000000000000002")
ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")
ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD
ICMPV6 = 58
ARP_REQUEST = 1
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134
NEIGHBOUR_SOLICITATION = 135
NEIGHBOUR_ADVERTISEMENT = 136
OVERRIDE = 0x20000000
TARGET_LINK_LAYER = 2
PREFIX_INFORMATION, AUTONOMOUS = 3, 0x40
NONCE = 14
NONCE_BYTES = 6
HOP_LIMIT = 255
SHORTEST = 60
"""Bytes of the shortest Ethernet frame: what is shorter is padded on its way."""

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_IPV4 = (1, 0x0800, 6, 4)

WINDOW_SECONDS = 1.05
"""Time in which at most ``rate`` frames go out: a little over a second, since the
switch that counts them has a clock and a jitter of its own."""


class Due(NamedTuple):
    """A frame of item number ``item`` that may go out ``delay`` seconds after the first of all.

    ``parent`` names what the rate is counted for.
    """

    delay: float
    item: int
    frame: bytes
    parent: str


class Advertisement(NamedTuple):
    """What a router says of itself. ``mac`` is the frame's sender's.

    ``prefixes`` are those that others may make addresses of.
    """

    mac: str
    router: Address
    prefixes: tuple[Subnet, ...]


class Claim(NamedTuple):
    """Somebody says that an address is theirs, or is about to be."""

    address: Address
    mac: str


def paced(wanted: Iterable[Due], rate: int) -> list[Due]:
    """Every frame with the time it goes out at, in order: at most ``rate`` in a window per parent.

    None goes out before it is due; of one parent, in the order in which they are due.
    """
    recent: dict[str, deque[float]] = {}
    planned = []
    for due in sorted(wanted, key=lambda each: each.delay):
        sent = recent.setdefault(due.parent, deque(maxlen=max(1, rate)))
        at = max(due.delay, sent[-1]) if sent else due.delay
        if len(sent) == sent.maxlen:
            at = max(at, sent[0] + WINDOW_SECONDS)
        sent.append(at)
        planned.append(due._replace(delay=at))
    planned.sort(key=lambda each: each.delay)
    return planned


def mac_bytes(mac: str) -> bytes | None:
    """The six bytes of a MAC as Linux writes it; None where it is none."""
    try:
        raw = bytes.fromhex(mac.replace(":", ""))
    except ValueError:
        return None
    return raw if len(raw) == 6 else None


def gratuitous_arp(mac: bytes, address: Address) -> bytes:
    """An ARP announcement (RFC 5227 2.3) in the form that Docker 29 sends: a request."""
    return _arp(mac, address.packed, address.packed)


def arp_probe(mac: bytes, address: Address, nonce: bytes) -> bytes:
    """An ARP probe (RFC 5227 2.1.1): a request from 0.0.0.0.

    ``nonce`` is in the padding, where nobody looks but who sent it: so a probe of our
    own that a switch sends back is told from that of a machine with the same MAC.
    """
    return (_arp(mac, bytes(4), address.packed) + nonce).ljust(SHORTEST, b"\0")


def _arp(mac: bytes, sender: bytes, target: bytes) -> bytes:
    packet = _ARP.pack(*_ETHERNET_IPV4, ARP_REQUEST, mac, sender, bytes(6), target)
    return BROADCAST + mac + struct.pack("!H", ETH_ARP) + packet


def unsolicited_na(mac: bytes, address: Address) -> bytes:
    """An unsolicited neighbour advertisement to all nodes (RFC 4861 7.2.6), override set."""
    option = struct.pack("!BB", TARGET_LINK_LAYER, 1) + mac
    body = struct.pack("!I", OVERRIDE) + address.packed + option
    return _icmpv6(ALL_NODES_MAC, mac, address.packed, ALL_NODES, NEIGHBOUR_ADVERTISEMENT, body)


def neighbour_solicitation(mac: bytes, address: Address, nonce: bytes) -> bytes:
    """A solicitation from :: that asks who has an address (RFC 4862 5.4.2), with a nonce.

    The nonce (NONCE_BYTES of it) is that of RFC 7527: by it one's own is known again.
    """
    group = solicited_node(address)
    option = struct.pack("!BB", NONCE, 1) + nonce
    body = bytes(4) + address.packed + option
    return _icmpv6(multicast_mac(group), mac, bytes(16), group, NEIGHBOUR_SOLICITATION, body)


def router_solicitation(mac: bytes) -> bytes:
    """A solicitation from :: that asks all routers to advertise (RFC 4861 6.3.7)."""
    return _icmpv6(ALL_ROUTERS_MAC, mac, bytes(16), ALL_ROUTERS, ROUTER_SOLICITATION, bytes(4))


def advertisement(frame: bytes) -> Advertisement | None:
    """What a router advertisement (RFC 4861 4.2, 4.6.2) says; None for any other frame."""
    if len(frame) < 70 or frame[12:14] != ETH_IPV6.to_bytes(2, "big") or frame[20] != ICMPV6:
        return None
    if frame[21] != HOP_LIMIT or frame[54] != ROUTER_ADVERTISEMENT:
        return None
    prefixes = []
    at = 70
    while at + 8 <= len(frame) and frame[at + 1]:
        option = frame[at : at + 8 * frame[at + 1]]
        if option[0] == PREFIX_INFORMATION and len(option) == 32 and option[2] <= WIDTH[IPV6]:
            shift = WIDTH[IPV6] - option[2]
            first = int.from_bytes(option[16:], "big") >> shift << shift
            if option[3] & AUTONOMOUS and any(option[4:8]):
                prefixes.append(Subnet(IPV6, first, option[2]))
        at += 8 * frame[at + 1]
    return Advertisement(frame[6:12].hex(":"), _address(IPV6, frame[22:38]), tuple(prefixes))


def solicited_node(address: Address) -> bytes:
    """The group that whoever has an IPv6 address listens to (RFC 4291 2.7.1)."""
    return SOLICITED_NODE + address.packed[-3:]


def multicast_mac(group: bytes) -> bytes:
    """The MAC that an IPv6 group is sent to (RFC 2464 7)."""
    return b"\x33\x33" + group[-4:]


def _icmpv6(
    to_mac: bytes, mac: bytes, source: bytes, destination: bytes, kind: int, body: bytes
) -> bytes:
    length = 4 + len(body)
    pseudo = source + destination + struct.pack("!II", length, ICMPV6)
    head = struct.pack("!BB", kind, 0)
    checksum = _checksum(pseudo + head + b"\0\0" + body)
    header = struct.pack("!IHBB", 6 << 28, length, ICMPV6, HOP_LIMIT) + source + destination
    frame = to_mac + mac + struct.pack("!H", ETH_IPV6) + header
    return frame + head + struct.pack("!H", checksum) + body


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes; 0 is sent as it is."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def claim(frame: bytes) -> Claim | None:
    """Whose address a frame says it is: an answer, an announcement, or a probe; else None.

    Whatever the sender's MAC: it may be ours and another machine's too.
    """
    kind = frame[12:14]
    if kind == ETH_ARP.to_bytes(2, "big"):
        return _arp_claim(frame)
    if kind == ETH_IPV6.to_bytes(2, "big"):
        return _nd_claim(frame)
    return None


def _arp_claim(frame: bytes) -> Claim | None:
    if len(frame) < 14 + _ARP.size:
        return None
    *shape, operation, sender_mac, sender, _, target = _ARP.unpack_from(frame, 14)
    if tuple(shape) != _ETHERNET_IPV4:
        return None
    if any(sender):
        return Claim(_address(IPV4, sender), sender_mac.hex(":"))
    if operation == ARP_REQUEST and any(target):
        return Claim(_address(IPV4, target), sender_mac.hex(":"))
    return None


def _nd_claim(frame: bytes) -> Claim | None:
    if len(frame) < 78 or frame[20] != ICMPV6 or frame[21] != HOP_LIMIT:
        return None
    target, mac = _address(IPV6, frame[62:78]), frame[6:12]
    if frame[54] == NEIGHBOUR_SOLICITATION and not any(frame[22:38]):
        return Claim(target, mac.hex(":"))
    if frame[54] != NEIGHBOUR_ADVERTISEMENT:
        return None
    if frame[78:80] == bytes((TARGET_LINK_LAYER, 1)) and len(frame) >= 86:
        mac = frame[80:86]
    return Claim(target, mac.hex(":"))


def _address(family: int, raw: bytes) -> Address:
    return Address(family, int.from_bytes(raw, "big"))
