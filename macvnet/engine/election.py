"""Which endpoint of a sandbox has the default route: decided from values, then done.

Highest gateway priority, else who joined first; IPv4 and IPv6 decided
separately. A default route that macvnet did not make is never replaced.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from macvnet.addresses import IPV4, IPV6
from macvnet.drivers import driver
from macvnet.engine.endpoint_link import Inside
from macvnet.errors import KernelRefused
from macvnet.kernel import addressing
from macvnet.kernel.addressing import ROUTE_PROTOCOL, RouteInfo
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import Endpoint, Network


def candidate(network: Network, endpoint: Endpoint, family: int) -> RouteInfo | None:
    """The default route an endpoint offers, or None."""
    assigned = endpoint.address(family)
    if assigned is None or network.isolated:
        return None
    if driver(network.driver).routes_on_link(network.link):
        return addressing.default_route(family, endpoint.ifindex, None)
    if assigned.gateway is None:
        return None
    return addressing.default_route(
        family, endpoint.ifindex, assigned.gateway, onlink=assigned.onlink
    )


def winner(
    members: Sequence[tuple[Network, Endpoint]], family: int
) -> tuple[Endpoint, RouteInfo] | None:
    """Who gets the default route of a family, and which it is."""
    offers = [
        (endpoint, route)
        for network, endpoint in members
        if (route := candidate(network, endpoint, family)) is not None
    ]
    return min(offers, key=lambda o: (-o[0].gw_priority, o[0].sequence), default=None)


def elect(
    members: Sequence[tuple[Network, Endpoint]], at: Inside, made: set[int]
) -> tuple[list[str], list[RouteInfo]]:
    """Make the target's default routes those of the winners.

    ``made`` are the ifindexes of macvnet's own endpoints there. Returns notes,
    and the routes that were taken away (to put back, should the caller fail).
    """
    notes: list[str] = []
    removed: list[RouteInfo] = []
    names = {endpoint.ifindex: endpoint.ifname for _, endpoint in members}
    defaults = [route for route in addressing.all_routes(at.netlink) if route.destination is None]
    for family in (IPV4, IPV6):
        best = winner(members, family)
        present = [route for route in defaults if route.family == family]
        ours = [r for r in present if r.protocol == ROUTE_PROTOCOL and r.ifindex in made]
        # A router advertisement's default has a metric of its own and stands beside ours.
        foreign = [r for r in present if r not in ours and r.protocol != addressing.PROTOCOL_RA]
        wanted = best[1] if best and not foreign else None
        if wanted is not None and any(_same(route, wanted) for route in ours):
            continue
        for route in ours:
            _take(at, route, names.get(route.ifindex, str(route.ifindex)))
            removed.append(route)
        if best and foreign:
            notes.append(
                f"IPv{family}: {at.target.owner} has a default route that macvnet did not make "
                f"({foreign[0].words}), so none goes out of {best[0].ifname}"
            )
        elif wanted is not None and best is not None:
            _put(at, wanted, best[0].ifname)
    return notes, removed


def _same(route: RouteInfo, wanted: RouteInfo) -> bool:
    return (route.ifindex, route.gateway) == (wanted.ifindex, wanted.gateway)


def _take(at: Inside, route: RouteInfo, name: str) -> None:
    try:
        at.netlink.change(addressing.delete_route(route, name))
    except NetlinkError as error:
        if error.errno not in (errno.ESRCH, errno.ENODEV):
            raise KernelRefused(
                f"remove the route {route.words} dev {name}", error.errno, error.text
            ) from None


def _put(at: Inside, route: RouteInfo, name: str) -> None:
    try:
        at.netlink.change(addressing.add_route(route, name))
    except NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise KernelRefused(
                f"make the route {route.words} dev {name} in {at.target.owner}",
                error.errno,
                error.text,
            ) from None


def put_back(at: Inside, routes: Sequence[RouteInfo]) -> None:
    """Undo: routes taken away are made again where their link is still there."""
    for route in routes:
        try:
            at.netlink.change(addressing.add_route(route, str(route.ifindex)))
        except NetlinkError:
            continue
