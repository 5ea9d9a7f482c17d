"""Addresses and routes of a namespace: reading them, and the requests that change them."""

from __future__ import annotations

import struct

from macvnet import sockets
from macvnet.addresses import IPV4, IPV6, WIDTH, Address
from macvnet.kernel.messages import HEADER, attributes, formed, number
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

ROUTE_PROTOCOL = 109
"""The protocol id of every route that macvnet makes ('m'); it touches no other."""

PROTOCOL_KERNEL = 2
"""RTPROT_KERNEL: routes that the kernel makes with an address."""

PROTOCOL_RA = 9
"""RTPROT_RA: routes that the kernel learned from router advertisements."""

IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD = 0x02
RT_TABLE_MAIN, RT_TABLE_COMPAT = 254, 252
RTN_UNICAST = 1
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST = 0, 253, 254
RTNH_F_ONLINK = 4
IPV6_METRIC = 1024
IPV6_CONNECTED_METRIC = 256

_IFADDRMSG = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
"""struct rtmsg: family, two lengths, tos, table, protocol, scope, type, flags."""
_RTM_TABLE, _RTM_TYPE = HEADER + 4, HEADER + 7
_NEXT_HOP = struct.Struct("=HBBi")
"""struct rtnexthop: length, flags, hops, ifindex; attributes follow."""
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7
RTA_MULTIPATH, RTA_TABLE = 9, 15

_FAMILY = {IPV4: sockets.AF_INET, IPV6: sockets.AF_INET6}
_FROM_AF = {sockets.AF_INET: IPV4, sockets.AF_INET6: IPV6}


class AddressInfo(NamedTuple):
    """An address on a link; ``scope`` is the kernel's number (0 global, 253 link, 254 host)."""

    ifindex: int
    address: Address
    prefixlen: int
    scope: int
    flags: int


def all_addresses(netlink: Rtnetlink) -> list[AddressInfo]:
    """Every address of the namespace. A host can have thousands: read straight from the bytes."""
    found = []
    for raw in netlink.dump("ifaddrmsg", RTM_GETADDR):
        family, prefixlen, flags, scope, index = _IFADDRMSG.unpack_from(raw, HEADER)
        if family not in _FROM_AF:
            continue
        values = dict(attributes(raw, _IFADDRMSG.size))
        packed = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
        if packed:
            more = values.get(IFA_FLAGS)
            found.append(
                AddressInfo(
                    index,
                    Address(_FROM_AF[family], int.from_bytes(packed, "big")),
                    prefixlen,
                    scope,
                    number(more) if more else flags,
                )
            )
    return found


def add_address(
    ifindex: int, name: str, address: Address, prefixlen: int, *, scope: int = RT_SCOPE_UNIVERSE
) -> Request:
    """Put an address on a link; IPv4 with the subnet's broadcast, IPv6 nodad (as Docker does)."""
    values = {"IFA_LOCAL": address, "IFA_ADDRESS": address}
    words = ""
    if address.family == IPV4:
        if prefixlen < 31:
            last = Address(IPV4, address.value | ((1 << (32 - prefixlen)) - 1))
            values["IFA_BROADCAST"] = last
            words = f" broadcast {last}"
    else:
        words = " nodad"

    message = _address_message(ifindex, address.family, prefixlen, scope, values)
    command = f"address add {address}/{prefixlen} dev {name}{words}"
    return Request(message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, command)


def delete_address(ifindex: int, name: str, address: Address, prefixlen: int) -> Request:
    """Take an address off a link."""
    values = {"IFA_LOCAL": address, "IFA_ADDRESS": address}
    message = _address_message(ifindex, address.family, prefixlen, 0, values, flags=0)
    return Request(message, RTM_DELADDR, 0, f"address delete {address}/{prefixlen} dev {name}")


def _address_message(
    ifindex: int,
    family: int,
    prefixlen: int,
    scope: int,
    values: dict[str, Address],
    *,
    flags: int = IFA_F_NODAD,
) -> bytes:
    flags = flags if family == IPV6 else 0

    def build(ifindex: int, **attributes: Address) -> Any:
        from macvnet.kernel.classes import ifaddrmsg

        message = ifaddrmsg()
        message["family"] = int(_FAMILY[family])
        message["prefixlen"] = prefixlen
        message["index"] = ifindex
        message["scope"] = scope
        message["attrs"] = [[name, str(value)] for name, value in attributes.items()]
        if flags:
            message["attrs"].append(["IFA_FLAGS", flags])
        return message

    # Without the ifindex, which is put in place as a value.
    body = _IFADDRMSG.pack(int(_FAMILY[family]), prefixlen, 0, scope, 0)[:4]
    return formed(("address", flags), build, {"ifindex": ifindex, **values}, body)


class RouteInfo(NamedTuple):
    """A unicast route. ``destination`` None: the default route of its table.

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
    table: int = RT_TABLE_MAIN

    @property
    def words(self) -> str:
        """The route as ``ip route`` would be given it, without the device."""
        target = f"{self.destination}/{self.prefixlen}" if self.destination else "default"
        parts = [target]
        if self.gateway:
            parts.append(f"via {self.gateway}")
        if self.table != RT_TABLE_MAIN:
            parts.append(f"table {self.table}")
        return " ".join(parts)


def all_routes(
    netlink: Rtnetlink, families: Sequence[int] = (IPV4, IPV6), *, every_table: bool = False
) -> list[RouteInfo]:
    """Every unicast route of the main table (or of every table)."""

    def wanted(raw: bytes) -> bool:
        # A table above 255 is an attribute, and the byte says RT_TABLE_COMPAT.
        return raw[_RTM_TYPE] == RTN_UNICAST and (
            every_table or raw[_RTM_TABLE] in (RT_TABLE_MAIN, RT_TABLE_COMPAT)
        )

    return [
        route
        for family in families
        for raw in netlink.dump("rtmsg", RTM_GETROUTE, family=int(_FAMILY[family]), keep=wanted)
        for route in _read(family, raw)
        if every_table or route.table == RT_TABLE_MAIN
    ]


def _read(family: int, raw: bytes) -> list[RouteInfo]:
    """The routes of one RTM_NEWROUTE: one for each next hop."""
    _, length, _, _, table, protocol, scope, _, flags = _RTMSG.unpack_from(raw, HEADER)
    values = dict(attributes(raw, _RTMSG.size))

    def address(kind: int) -> Address | None:
        packed = values.get(kind)
        return Address(family, int.from_bytes(packed, "big")) if packed else None

    return [
        RouteInfo(
            family,
            address(RTA_DST),
            length,
            ifindex,
            address(RTA_GATEWAY),
            protocol,
            number(values.get(RTA_PRIORITY)),
            scope,
            bool(flags & RTNH_F_ONLINK),
            address(RTA_PREFSRC),
            number(values.get(RTA_TABLE)) or table,
        )
        for ifindex in _next_hops(values.get(RTA_MULTIPATH, b"")) or [number(values.get(RTA_OIF))]
    ]


def _next_hops(raw: bytes) -> list[int]:
    """The ifindex of each."""
    found = []
    offset = 0
    while offset + _NEXT_HOP.size <= len(raw):
        length, _, _, ifindex = _NEXT_HOP.unpack_from(raw, offset)
        if length < _NEXT_HOP.size:
            break
        found.append(ifindex)
        offset += (length + 3) & ~3
    return found


def default_route(
    family: int, ifindex: int, gateway: Address | None, *, onlink: bool = False, metric: int = 0
) -> RouteInfo:
    """The default route that macvnet makes: via a gateway, or on-link (ipvlan l3)."""
    scope = RT_SCOPE_LINK if gateway is None and family == IPV4 else RT_SCOPE_UNIVERSE
    metric = metric or (IPV6_METRIC if family == IPV6 else 0)
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


def _route_message(route: RouteInfo) -> bytes:
    numbers = {"RTA_OIF": route.ifindex}
    if route.metric:
        numbers["RTA_PRIORITY"] = route.metric
    own_table = route.table != RT_TABLE_MAIN
    if own_table:
        numbers["RTA_TABLE"] = route.table
    named = {
        "RTA_DST": route.destination,
        "RTA_GATEWAY": route.gateway,
        "RTA_PREFSRC": route.source,
    }
    addresses = {name: address for name, address in named.items() if address}

    fields = {
        "family": int(_FAMILY[route.family]),
        "dst_len": route.prefixlen,
        "table": RT_TABLE_COMPAT if own_table else RT_TABLE_MAIN,
        "proto": route.protocol,
        "scope": route.scope,
        "type": RTN_UNICAST,
        "flags": RTNH_F_ONLINK if route.onlink else 0,
    }

    def build(**attributes: Any) -> Any:
        from macvnet.kernel.classes import rtmsg

        message = rtmsg()
        for name, value in fields.items():
            message[name] = value
        message["attrs"] = [
            [name, value if name in numbers else str(value)] for name, value in attributes.items()
        ]
        return message

    family, length, *others = fields.values()
    body = _RTMSG.pack(family, length, 0, 0, *others)
    return formed(("route",), build, {**addresses, **numbers}, body)


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
