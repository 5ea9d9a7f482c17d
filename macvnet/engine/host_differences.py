"""What a network's host access lacks on the host, or has too much: found, not mended.

Knows the kinds of differences; must not know how one is mended, which is ``host_access``'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from macvnet.addresses import IPV4, Address
from macvnet.engine import host_routes, lookup, shims
from macvnet.engine.context import Context
from macvnet.engine.liveness import alive
from macvnet.ipam.segment import lease_holder
from macvnet.kernel import addressing
from macvnet.kernel.addressing import RouteInfo
from macvnet.kernel.links import LinkInfo
from macvnet.model import JOINED, Endpoint, Network

LINK_MISSING = "host-link-missing"
LINK_CHANGED = "host-link-changed"
ADDRESS_MISSING = "host-address-missing"
ROUTE_MISSING = "host-route-missing"
ROUTE_LEFT = "host-route-left"
ROUTE_FOREIGN = "host-route-foreign"
UNREACHABLE = "host-unreachable"
UNFINISHED = "host-access-unfinished"
MENDED = (LINK_MISSING, LINK_CHANGED, ADDRESS_MISSING, ROUTE_MISSING, ROUTE_LEFT, UNFINISHED)
"""The kinds that ``host_access.follow`` mends (docs/reference/state.md)."""


class Routes:
    """What the host has, against what a network's endpoints need."""

    def __init__(self) -> None:
        self.missing: list[RouteInfo] = []
        self.left: list[RouteInfo] = []
        self.foreign: list[RouteInfo] = []
        self.unreachable: list[str] = []


def look(
    ctx: Context,
    network: Network,
    parent: LinkInfo,
    shim: LinkInfo,
    endpoints: Sequence[Endpoint],
) -> Routes:
    own = host_routes.host_addresses(ctx, parent.ifindex)
    present = addressing.all_routes(ctx.netlink)
    at = {(each.destination, each.prefixlen, each.metric): each for each in present}
    found = Routes()
    reaching = host_routes.reaching(network, addressing.all_addresses(ctx.netlink), shim.ifindex)
    for endpoint in endpoints:
        for assigned in endpoint.addresses:
            route = host_routes.wanted(reaching, assigned, shim.ifindex, own)
            if route is None:
                text = host_routes.unreachable(network, parent.name, assigned.address)
                # One for a subnet, however many endpoints there are in it.
                if assigned.address.family == IPV4 and text not in found.unreachable:
                    found.unreachable.append(text)
                continue
            there = at.get((route.destination, route.prefixlen, route.metric))
            if there is None:
                found.missing.append(route)
            elif not host_routes.is_own(there, shim.ifindex):
                found.foreign.append(there)
            elif there.source != route.source:
                found.left.append(there)
                found.missing.append(route)
    for route in present:
        mine = host_routes.is_own(route, shim.ifindex) and any(
            route.destination is not None and pool.subnet.holds(route.destination)
            for pool in network.pools
        )
        if mine and not _held(ctx, network, route):
            found.left.append(route)
    return found


def _held(ctx: Context, network: Network, route: RouteInfo) -> bool:
    """Whether an endpoint has the address that a route leads to."""
    assert route.destination is not None
    holder = lease_holder(ctx.reader, network.segment, route.destination)
    return holder is not None and bool(holder.endpoint)


def differences(ctx: Context, network: Network, parent: LinkInfo) -> Iterator[tuple[str, str]]:
    """What a network's host access lacks, or has too much: kind and words."""
    if not network.shim:
        return
    if not shims.is_user(ctx.reader, network):
        yield UNFINISHED, "a command died while it took host access away"
        return
    shim = shims.find(ctx, network)
    if shim is None or shim.lower != parent.ifindex:
        yield LINK_MISSING, f"its link {network.shim} for host access is missing"
        return
    if not shim.up:
        yield LINK_CHANGED, f"the link {shim.name} is down"
    if shim.mtu != parent.mtu:
        yield LINK_CHANGED, f"the link {shim.name} has the MTU {shim.mtu}, not {parent.mtu}"
    for family, key, value in shims.unquiet(shim):
        yield LINK_CHANGED, f"net.{family}.conf.{shim.name}.{key} is not {value}"
    if network.shim_address:
        address = Address.parse(network.shim_address)
        if not shims.has(ctx, shim, address):
            yield ADDRESS_MISSING, f"the link {shim.name} lacks the host's address {address}"
    joined = [e for e in lookup.endpoints_of_network(ctx.reader, network.id) if e.state == JOINED]
    routes = look(ctx, network, parent, shim, [each for each in joined if alive(ctx, each)])
    for route in routes.missing:
        source = f"dev {shim.name} src {route.source}"
        yield ROUTE_MISSING, f"the host's route {route.words} {source} is missing"
    gone = {route.destination for route in routes.missing}
    for route in routes.left:
        if route.destination not in gone:
            yield ROUTE_LEFT, f"the host has a route {route.words} dev {shim.name} to nobody"
    for route in routes.foreign:
        yield ROUTE_FOREIGN, f"the host has {host_routes.foreign(route)}"
    for text in routes.unreachable:
        yield UNREACHABLE, text
