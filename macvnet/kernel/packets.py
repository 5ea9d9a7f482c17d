"""Packet sockets (packet(7)): frames of one link as they are, in and out.

Knows how such a socket is bound to a link and what it lets through; must not
know what frames mean beyond the kinds it listens for.
"""

from __future__ import annotations

import fcntl
import os
import struct

from macvnet import sockets
from macvnet.kernel.frames import (
    ETH_ARP,
    ETH_IPV6,
    ICMPV6,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_IGNORE_OUTGOING = 1, 23
PACKET_MR_MULTICAST = 0
SO_ATTACH_FILTER = 26
SIOCGIFINDEX = 0x8933
RECEIVE_BYTES = 1 << 18

_LD_W, _LD_H, _LD_B, _AND, _JEQ, _RET = 0x20, 0x28, 0x30, 0x54, 0x15, 0x06
_VLAN_TAG = 0xFFFFF000 + 44  # SKF_AD_OFF + SKF_AD_VLAN_TAG, linux/filter.h
# Jumps are relative: (code, jump if true, jump if false, constant).
_ABOUT_NEIGHBOURS = (
    (_LD_W, 0, 0, _VLAN_TAG),
    (_AND, 0, 0, 0xFFF),
    (_JEQ, 0, 9, 0),
    (_LD_H, 0, 0, 12),
    (_JEQ, 6, 0, ETH_ARP),
    (_JEQ, 0, 6, ETH_IPV6),
    (_LD_B, 0, 0, 20),
    (_JEQ, 0, 4, ICMPV6),
    (_LD_B, 0, 0, 54),
    (_JEQ, 1, 0, NEIGHBOUR_SOLICITATION),
    (_JEQ, 0, 1, NEIGHBOUR_ADVERTISEMENT),
    (_RET, 0, 0, 0xFFFF),
    (_RET, 0, 0, 0),
)
"""ARP and neighbour discovery, without a VLAN tag: a parent also sees what is its VLANs'."""


def bind(opened: sockets.socket, ifindex: int, protocol: int = 0) -> None:
    """Bind a packet socket to a link; protocol 0: it receives nothing. OSError.

    By index, not by name as Python's own bind has it: names change.
    """
    from macvnet.kernel import libc

    address = struct.pack("=HHiHBB8x", sockets.AF_PACKET, sockets.htons(protocol), ifindex, 0, 0, 0)
    libc.call("bind", opened.fileno(), address, len(address))


def listening(ifindex: int, groups: Collection[bytes] = ()) -> sockets.socket:
    """A socket on a link of this thread's namespace that hears what others say about addresses.

    ``groups`` are multicast MACs to listen to besides. Not what is sent from here. OSError.
    """
    import ctypes

    opened = sockets.socket(
        sockets.AF_PACKET, sockets.SOCK_RAW | sockets.SOCK_CLOEXEC | sockets.SOCK_NONBLOCK, 0
    )
    try:
        program = b"".join(struct.pack("=HBBI", *step) for step in _ABOUT_NEIGHBOURS)
        kept = ctypes.create_string_buffer(program)
        head = struct.pack("@HP", len(_ABOUT_NEIGHBOURS), ctypes.addressof(kept))
        opened.setsockopt(sockets.SOL_SOCKET, SO_ATTACH_FILTER, head)
        opened.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, RECEIVE_BYTES)
        opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        bind(opened, ifindex, ETH_P_ALL)
        for group in groups:
            _join(opened, ifindex, group)
    except BaseException:
        opened.close()
        raise
    return opened


def join(opened: sockets.socket, name: str, group: bytes) -> None:
    """Hear what is sent to a multicast MAC on the link ``name`` of the socket's namespace. OSError.

    A link without IPv6 of its own lets nothing of it through otherwise.
    """
    answer = fcntl.ioctl(opened, SIOCGIFINDEX, struct.pack("16s24x", os.fsencode(name)))
    _join(opened, struct.unpack_from("=i", answer, 16)[0], group)


def _join(opened: sockets.socket, ifindex: int, group: bytes) -> None:
    member = struct.pack("=iHH8s", ifindex, PACKET_MR_MULTICAST, len(group), group)
    opened.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, member)
