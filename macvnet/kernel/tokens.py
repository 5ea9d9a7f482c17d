"""Tokens: the lower half of the IPv6 addresses that a link makes of router advertisements.

``ip token`` of iproute2 is the same. The kernel takes one only where the link believes
routers (accept_ra) and asks for them. Attributes: linux/if_link.h.
"""

from __future__ import annotations

import struct

from macvnet import sockets
from macvnet.addresses import IPV6, Address
from macvnet.kernel.messages import attributes, ifinfmsg
from macvnet.kernel.rtnetlink import RTM_GETLINK, RTM_SETLINK, Request, Rtnetlink

IFLA_AF_SPEC, IFLA_INET6_TOKEN = 26, 7
NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")


def set_token(ifindex: int, name: str, token: str) -> Request:
    """Give a link a token; :: takes it away."""
    own = _attribute(IFLA_INET6_TOKEN, Address.parse(token).packed)
    spec = _attribute(IFLA_AF_SPEC | NESTED, _attribute(int(sockets.AF_INET6) | NESTED, own))
    body = _LINK.pack(0, 0, ifindex, 0, 0) + spec
    message = _HEADER.pack(_HEADER.size + len(body), 0, 0, 0, 0) + body
    return Request(message, RTM_SETLINK, 0, f"token set {token} dev {name}")


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def token_of(netlink: Rtnetlink, ifindex: int) -> Address:
    """The link's token, :: where it has none, or is gone."""
    for raw in netlink.raw_dump(ifinfmsg, RTM_GETLINK):
        if _LINK.unpack_from(raw, _HEADER.size)[2] == ifindex:
            of_families = dict(attributes(raw, _LINK.size)).get(IFLA_AF_SPEC, b"")
            of_ipv6 = _inside(of_families).get(int(sockets.AF_INET6), b"")
            packed = _inside(of_ipv6).get(IFLA_INET6_TOKEN, b"")
            return Address(IPV6, int.from_bytes(packed, "big"))
    return Address(IPV6, 0)


def _inside(nested: bytes) -> dict[int, bytes]:
    return dict(attributes(bytes(_HEADER.size) + nested, 0))
