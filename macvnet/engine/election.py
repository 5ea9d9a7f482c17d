"""Which endpoint of a sandbox has the default route: decided from values, then done.

Highest gateway priority, else who joined first; IPv4 and IPv6 decided
separately. A default route that macvnet did not make is never replaced; one of
ours that has a metric of its own may stand beside it.
"""

from __future__ import annotations

import errno

from macvnet.addresses import IPV4, IPV6
from macvnet.drivers import driver
from macvnet.engine.endpoint_link import Inside
from macvnet.errors import KernelRefused
from macvnet.kernel import addressing, links
from macvnet.kernel.addressing import ROUTE_PROTOCOL, RouteInfo
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import Endpoint, Network
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def candidate(network: Network, endpoint: Endpoint, family: int) -> RouteInfo | None:
    """The default route an endpoint offers, or None."""
    return None if endpoint.routing.no_default else outward(network, endpoint, family)


def outward(network: Network, endpoint: Endpoint, family: int) -> RouteInfo | None:
    """The way out of an endpoint's network, or None where there is none."""
    assigned = endpoint.address(family)
    if assigned is None or network.isolated:
        return None
    if driver(network.driver).routes_on_link(network.link):
        return addressing.default_route(
            family, endpoint.ifindex, None, metric=endpoint.routing.metric
        )
    if assigned.gateway is None:
        return None
    return addressing.default_route(
        family,
        endpoint.ifindex,
        assigned.gateway,
        onlink=assigned.onlink,
        metric=endpoint.routing.metric,
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


class Decision(NamedTuple):
    """What happens to the default route of one family: first ``take``, then ``put``.

    ``gainer`` is the endpoint that ``put`` goes out of; ``foreign`` the route
    that keeps it from being made.
    """

    family: int
    take: tuple[RouteInfo, ...] = ()
    put: RouteInfo | None = None
    gainer: Endpoint | None = None
    foreign: RouteInfo | None = None


def decide(
    members: Sequence[tuple[Network, Endpoint]], present: Sequence[RouteInfo], left: int = 0
) -> list[Decision]:
    """What to do so that the winners have the default routes.

    ``present`` are the target's default routes; ``left`` is the ifindex of an
    endpoint that has just gone, whose routes are macvnet's too.
    """
    made = {left, *(endpoint.ifindex for _, endpoint in members)}
    decisions = []
    for family in (IPV4, IPV6):
        best = winner(members, family)
        routes = [route for route in present if route.family == family]
        ours = [r for r in routes if r.protocol == ROUTE_PROTOCOL and r.ifindex in made]
        # A router advertisement's default has a metric of its own and stands beside ours.
        foreign = [r for r in routes if r not in ours and r.protocol != addressing.PROTOCOL_RA]
        if best is not None and best[0].routing.metric:
            # So does ours, where somebody has given it a metric.
            foreign = [r for r in foreign if r.metric == best[1].metric]
        if best is None or foreign:
            blocked = (best[0], foreign[0]) if best else (None, None)
            decision = Decision(family, tuple(ours), None, *blocked)
            if decision.take or decision.foreign:
                decisions.append(decision)
        elif not any(_same(route, best[1]) for route in ours):
            decisions.append(Decision(family, tuple(ours), best[1], best[0]))
    return decisions


def standing(
    members: Sequence[tuple[Network, Endpoint]], at: Inside, always: str = ""
) -> list[tuple[Network, Endpoint]]:
    """The members whose link is there and up, and the one with the ID ``always`` in any case.

    Somebody may have taken a link away or down: the route goes to one that can have it.
    """
    if all(endpoint.id == always for _, endpoint in members):
        return list(members)
    up = {link.ifindex for link in links.all_links(at.netlink) if link.up}
    return [
        (network, endpoint)
        for network, endpoint in members
        if endpoint.id == always or endpoint.ifindex in up
    ]


def defaults(at: Inside) -> list[RouteInfo]:
    """The target's default routes, whoever made them."""
    return [route for route in addressing.all_routes(at.netlink) if route.destination is None]


def carry_out(
    decisions: Sequence[Decision], at: Inside, taken: list[RouteInfo], joining: str = ""
) -> list[str]:
    """Do what was decided; returns notes. Routes taken away are added to ``taken`` as they go.

    KernelRefused where a route cannot be made for the endpoint ``joining``; that
    another one's cannot be made (its address is gone, say) is a note.
    """
    notes = []
    for decision in decisions:
        for route in decision.take:
            _take(at, route)
            taken.append(route)
        if decision.put is not None and decision.gainer is not None:
            try:
                _put(at, decision.put, decision.gainer.ifname)
            except KernelRefused as error:
                if decision.gainer.id == joining:
                    raise
                notes.append(f"{at.target.owner} has no default route now: {error.message}")
        elif decision.foreign is not None and decision.gainer is not None:
            notes.append(
                f"IPv{decision.family}: {at.target.owner} has a default route that macvnet did "
                f"not make ({decision.foreign.words}), so none goes out of "
                f"{decision.gainer.ifname}"
            )
    return notes


def _same(route: RouteInfo, wanted: RouteInfo) -> bool:
    its, wants = ((r.ifindex, r.gateway, r.metric) for r in (route, wanted))
    return its == wants


def _take(at: Inside, route: RouteInfo) -> None:
    try:
        at.netlink.change(addressing.delete_route(route, _device(at, route)))
    except NetlinkError as error:
        if error.errno not in (errno.ESRCH, errno.ENODEV):
            raise error.during(f"remove the route {route.words}") from None


def _put(at: Inside, route: RouteInfo, name: str) -> None:
    try:
        at.netlink.change(addressing.add_route(route, name))
    except NetlinkError as error:
        if error.errno != errno.EEXIST:
            operation = f"make the route {route.words} dev {name} in {at.target.owner}"
            raise error.during(operation) from None


def _device(at: Inside, route: RouteInfo) -> str:
    link = links.by_index(at.netlink, route.ifindex)
    return link.name if link else str(route.ifindex)


def put_back(at: Inside, routes: Sequence[RouteInfo]) -> None:
    """Undo: routes taken away are made again where their link is still there."""
    for route in routes:
        try:
            at.netlink.change(addressing.add_route(route, _device(at, route)))
        except NetlinkError:
            continue
