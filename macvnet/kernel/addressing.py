"""Addresses and routes of a namespace: reading them, and the requests that change them."""

from __future__ import annotations

import socket
from typing import Any

from macvnet.addresses import IPV4, IPV6, WIDTH, Address
from macvnet.kernel.messages import ifaddrmsg, rtmsg
from macvnet.kernel.rtnetlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_DELADDR,
    RTM_DELROUTE,
    RTM_GETADDR,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWROUTE,
    Request,
    Rtnetlink,
)
from macvnet.records import NamedTuple

ROUTE_PROTOCOL = 109
"""The protocol id of every route that macvnet makes ('m'); it touches no other."""

PROTOCOL_KERNEL = 2
"""RTPROT_KERNEL: routes that the kernel makes with an address."""

PROTOCOL_RA = 9
"""RTPROT_RA: routes that the kernel learned from router advertisements."""

IFA_F_NODAD = 0x02
RT_TABLE_MAIN = 254
RTN_UNICAST = 1
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST = 0, 253, 254
RTNH_F_ONLINK = 4
IPV6_METRIC = 1024
IPV6_CONNECTED_METRIC = 256

_FAMILY = {IPV4: socket.AF_INET, IPV6: socket.AF_INET6}
_FROM_AF = {socket.AF_INET: IPV4, socket.AF_INET6: IPV6}


class AddressInfo(NamedTuple):
    """An address on a link; ``scope`` is the kernel's number (0 global, 253 link, 254 host)."""

    ifindex: int
    address: Address
    prefixlen: int
    scope: int
    flags: int


def all_addresses(netlink: Rtnetlink) -> list[AddressInfo]:
    """Every address of the namespace."""
    found = []
    for message in netlink.dump(ifaddrmsg, RTM_GETADDR):
        attributes = dict(message["attrs"])
        text = attributes.get("IFA_LOCAL") or attributes.get("IFA_ADDRESS")
        if message["family"] in _FROM_AF and text:
            found.append(
                AddressInfo(
                    message["index"],
                    Address.parse(text),
                    message["prefixlen"],
                    message["scope"],
                    attributes.get("IFA_FLAGS", message["flags"]),
                )
            )
    return found


def add_address(
    ifindex: int, name: str, address: Address, prefixlen: int, *, scope: int = RT_SCOPE_UNIVERSE
) -> Request:
    """Put an address on a link; IPv4 with the subnet's broadcast, IPv6 nodad (as Docker does)."""
    message = ifaddrmsg()
    message["family"] = _FAMILY[address.family]
    message["prefixlen"] = prefixlen
    message["index"] = ifindex
    message["scope"] = scope
    text = str(address)
    attributes: list[list[Any]] = [["IFA_LOCAL", text], ["IFA_ADDRESS", text]]
    words = ""
    if address.family == IPV4:
        if prefixlen < 31:
            last = address.value | ((1 << (32 - prefixlen)) - 1)
            attributes.append(["IFA_BROADCAST", str(Address(IPV4, last))])
            words = f" broadcast {Address(IPV4, last)}"
    else:
        attributes.append(["IFA_FLAGS", IFA_F_NODAD])
        words = " nodad"
    message["attrs"] = attributes
    command = f"address add {text}/{prefixlen} dev {name}{words}"
    return Request(message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, command)


def delete_address(ifindex: int, name: str, address: Address, prefixlen: int) -> Request:
    """Take an address off a link."""
    message = ifaddrmsg()
    message["family"] = _FAMILY[address.family]
    message["prefixlen"] = prefixlen
    message["index"] = ifindex
    message["attrs"] = [["IFA_LOCAL", str(address)], ["IFA_ADDRESS", str(address)]]
    return Request(message, RTM_DELADDR, 0, f"address delete {address}/{prefixlen} dev {name}")


class RouteInfo(NamedTuple):
    """A unicast route of the main table. ``destination`` None: the default route.

    ``source`` is the address that is preferred as the source of what takes the route.
    """

    family: int
    destination: Address | None
    prefixlen: int
    ifindex: int
    gateway: Address | None
    protocol: int
    metric: int
    scope: int
    onlink: bool = False
    source: Address | None = None

    @property
    def words(self) -> str:
        """The route as ``ip route`` would be given it, without the device."""
        target = f"{self.destination}/{self.prefixlen}" if self.destination else "default"
        parts = [target]
        if self.gateway:
            parts.append(f"via {self.gateway}")
        return " ".join(parts)


def all_routes(netlink: Rtnetlink, *, every_table: bool = False) -> list[RouteInfo]:
    """Every unicast route of the main table (or of every table), both families."""
    found = []
    for family in (IPV4, IPV6):
        for message in netlink.dump(rtmsg, RTM_GETROUTE, family=int(_FAMILY[family])):
            attributes = dict(message["attrs"])
            table = attributes.get("RTA_TABLE", message["table"])
            if message["type"] != RTN_UNICAST or not (every_table or table == RT_TABLE_MAIN):
                continue
            hops = attributes.get("RTA_MULTIPATH") or ()
            indexes = [hop["oif"] for hop in hops] or [attributes.get("RTA_OIF", 0)]
            gateway = attributes.get("RTA_GATEWAY")
            destination = attributes.get("RTA_DST")
            source = attributes.get("RTA_PREFSRC")
            found += [
                RouteInfo(
                    family,
                    Address.parse(destination) if destination else None,
                    message["dst_len"],
                    ifindex,
                    Address.parse(gateway) if gateway else None,
                    message["proto"],
                    attributes.get("RTA_PRIORITY", 0),
                    message["scope"],
                    bool(message["flags"] & RTNH_F_ONLINK),
                    Address.parse(source) if source else None,
                )
                for ifindex in indexes
            ]
    return found


def default_route(
    family: int, ifindex: int, gateway: Address | None, *, onlink: bool = False
) -> RouteInfo:
    """The default route that macvnet makes: via a gateway, or on-link (ipvlan l3)."""
    scope = RT_SCOPE_LINK if gateway is None and family == IPV4 else RT_SCOPE_UNIVERSE
    metric = IPV6_METRIC if family == IPV6 else 0
    return RouteInfo(family, None, 0, ifindex, gateway, ROUTE_PROTOCOL, metric, scope, onlink)


def connected_route(ifindex: int, address: Address, prefixlen: int) -> RouteInfo | None:
    """The route that the kernel makes with an address; None where it makes none (/32, /128)."""
    width = WIDTH[address.family]
    if prefixlen == width:
        return None
    shift = width - prefixlen
    subnet = Address(address.family, address.value >> shift << shift)
    if address.family == IPV4:
        scope, metric, source = RT_SCOPE_LINK, 0, address
    else:
        scope, metric, source = RT_SCOPE_UNIVERSE, IPV6_CONNECTED_METRIC, None
    return RouteInfo(
        address.family,
        subnet,
        prefixlen,
        ifindex,
        None,
        PROTOCOL_KERNEL,
        metric,
        scope,
        source=source,
    )


def _route_message(route: RouteInfo) -> Any:
    message = rtmsg()
    message["family"] = _FAMILY[route.family]
    message["dst_len"] = route.prefixlen
    message["table"] = RT_TABLE_MAIN
    message["proto"] = route.protocol
    message["scope"] = route.scope
    message["type"] = RTN_UNICAST
    attributes: list[list[Any]] = []
    if route.destination:
        attributes.append(["RTA_DST", str(route.destination)])
    if route.gateway:
        attributes.append(["RTA_GATEWAY", str(route.gateway)])
    attributes.append(["RTA_OIF", route.ifindex])
    if route.source:
        attributes.append(["RTA_PREFSRC", str(route.source)])
    if route.metric:
        attributes.append(["RTA_PRIORITY", route.metric])
    if route.onlink:
        message["flags"] = RTNH_F_ONLINK
    message["attrs"] = attributes
    return message


def _route_command(verb: str, route: RouteInfo, name: str) -> str:
    words = ["-6"] if route.family == IPV6 else []
    words += ["route", verb, route.words, "dev", name]
    words += ["onlink"] if route.onlink else []
    words += ["scope link"] if route.scope == RT_SCOPE_LINK else []
    words += [f"src {route.source}"] if route.source else []
    words += [f"metric {route.metric}"] if route.metric else []
    return " ".join([*words, "proto", str(route.protocol)])


def add_route(route: RouteInfo, name: str) -> Request:
    """Make a route; EEXIST where one with the same destination and metric is there."""
    command = _route_command("add", route, name)
    return Request(_route_message(route), RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, command)


def delete_route(route: RouteInfo, name: str) -> Request:
    """Remove exactly that route: device, gateway, metric and protocol have to match."""
    return Request(_route_message(route), RTM_DELROUTE, 0, _route_command("delete", route, name))
