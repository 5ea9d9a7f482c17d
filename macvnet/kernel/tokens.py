"""Tokens: the lower half of the IPv6 addresses that a link makes of router advertisements.

``ip token`` of iproute2 is the same. The kernel takes one only where the link believes
routers (accept_ra) and asks for them. Attributes: linux/if_link.h.
"""

from __future__ import annotations

from macvnet import sockets
from macvnet.addresses import IPV6, Address
from macvnet.kernel.links import question
from macvnet.kernel.messages import attributes, formed, nested
from macvnet.kernel.rtnetlink import RTM_GETLINK, RTM_SETLINK, Request, Rtnetlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IFLA_AF_SPEC, IFLA_INET6_TOKEN = 26, 7
_BODY = 16


def set_token(ifindex: int, name: str, token: str) -> Request:
    """Give a link a token; :: takes it away."""

    def build(ifindex: int, token: Address) -> Any:
        from macvnet.kernel.classes import ifinfmsg

        message = ifinfmsg()
        message["index"] = ifindex
        of_ipv6 = {"attrs": [["IFLA_INET6_TOKEN", str(token)]]}
        message["attrs"] = [["IFLA_AF_SPEC", {"attrs": [["AF_INET6", of_ipv6]]}]]
        return message

    message = formed(("token",), build, {"ifindex": ifindex, "token": Address.parse(token)})
    return Request(message, RTM_SETLINK, 0, f"token set {token} dev {name}")


def token_of(netlink: Rtnetlink, ifindex: int) -> Address:
    """The link's token, :: where it has none, or is gone."""
    raw = netlink.get(question(ifindex), RTM_GETLINK)
    of_families = dict(attributes(raw, _BODY)).get(IFLA_AF_SPEC, b"") if raw else b""
    of_ipv6 = dict(nested(of_families)).get(int(sockets.AF_INET6), b"")
    packed = dict(nested(of_ipv6)).get(IFLA_INET6_TOKEN, b"")
    return Address(IPV6, int.from_bytes(packed, "big"))
