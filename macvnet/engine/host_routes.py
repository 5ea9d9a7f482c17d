"""The host's routes to endpoints of networks with host access.

One for each address, /32 or /128, out of the parent's shim: IPv4 with the host's
own address as the source, IPv6 with the one that is reserved on the shim. All
have macvnet's protocol number, and no other is touched.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

from macvnet.addresses import IPV4, WIDTH, Address, Subnet
from macvnet.engine import shims
from macvnet.engine.context import Context
from macvnet.errors import KernelRefused
from macvnet.kernel import addressing
from macvnet.kernel.addressing import (
    IPV6_METRIC,
    ROUTE_PROTOCOL,
    RT_SCOPE_LINK,
    RT_SCOPE_UNIVERSE,
    AddressInfo,
    RouteInfo,
)
from macvnet.kernel.links import LinkInfo
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import Assigned, Endpoint, Network


def host_addresses(ctx: Context, ifindex: int) -> list[Address]:
    """The IPv4 addresses that a parent has, in the kernel's order."""
    return of_host(addressing.all_addresses(ctx.netlink), ifindex)


def of_host(every: Iterable[AddressInfo], ifindex: int) -> list[Address]:
    """The same, of addresses that have been read."""
    return [
        info.address
        for info in every
        if info.ifindex == ifindex
        and info.address.family == IPV4
        and info.scope == RT_SCOPE_UNIVERSE
    ]


def source_in(subnet: Subnet, own: Sequence[Address]) -> Address | None:
    """The host's address that those in a subnet find without a router, or None."""
    return next((address for address in own if subnet.holds(address)), None)


def wanted(
    network: Network, assigned: Assigned, ifindex: int, own: Sequence[Address]
) -> RouteInfo | None:
    """The route to one address out of the shim; None where the host has no address for it.

    ``own`` are the parent's IPv4 addresses.
    """
    family = assigned.address.family
    if family == IPV4:
        pool = next((p for p in network.pools if p.id == assigned.pool), None)
        source = source_in(pool.subnet, own) if pool else None
        scope, metric = RT_SCOPE_LINK, 0
    else:
        source = Address.parse(network.shim_address) if network.shim_address else None
        scope, metric = RT_SCOPE_UNIVERSE, IPV6_METRIC
    if source is None:
        return None
    return RouteInfo(
        family,
        assigned.address,
        WIDTH[family],
        ifindex,
        None,
        ROUTE_PROTOCOL,
        metric,
        scope,
        source=source,
    )


def put(ctx: Context, network: Network, endpoint: Endpoint, parent: LinkInfo) -> None:
    """Make the host's routes to an endpoint that is joining, where its network has host access."""
    shim = shims.ready(ctx, network, parent) if network.shim else None
    if shim is None:
        return
    every = addressing.all_addresses(ctx.netlink)
    own = of_host(every, parent.ifindex)
    reaches = reaching(network, every, shim.ifindex)
    for assigned in endpoint.addresses:
        route = wanted(reaches, assigned, shim.ifindex, own)
        if route is None:
            ctx.note_once(unreachable(network, parent.name, assigned.address))
        else:
            add(ctx, route, shim)
    # Whoever takes host access away has said so before removing routes.
    if not shims.is_user(ctx.store, network):
        drop(ctx, network, endpoint)


def reaching(network: Network, every: Iterable[AddressInfo], shim: int) -> Network:
    """The network without the host's IPv6 address, where the shim has not got that (yet).

    Whoever puts it there makes the routes too, which the kernel takes from nobody before.
    """
    held = {str(info.address) for info in every if info.ifindex == shim}
    return network if network.shim_address in held else network._replace(shim_address="")


def unreachable(network: Network, parent: str, address: Address) -> str:
    """That there is no route to an address and to its neighbours, and why."""
    subnet = next((pool.subnet for pool in network.pools if pool.subnet.holds(address)), address)
    if address.family == IPV4:
        why = f"the parent {parent} has no address in {subnet}"
        return f"{why}, so the host does not reach the containers in it"
    return (
        f"the link {network.shim} lacks the host's address, so the host does not reach the "
        f"containers in {subnet}"
    )


def add(ctx: Context, route: RouteInfo, shim: LinkInfo) -> None:
    """Make a route. What was made with another source is replaced, what others made stays."""
    request = addressing.add_route(route, shim.name)
    try:
        ctx.netlink.change(request)
        return
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return  # the shim has just gone, and its routes with it
        if error.errno != errno.EEXIST:
            raise _refused("make", route, shim, error) from None
    in_the_way = next(
        (r for r in addressing.all_routes(ctx.netlink, (route.family,)) if same_place(r, route)),
        None,
    )
    if in_the_way is None or in_the_way == route:
        return
    if not is_own(in_the_way, shim.ifindex):
        ctx.note_once(f"the host has {foreign(in_the_way)}, which stays")
        return
    remove(ctx, in_the_way, shim)
    try:
        ctx.netlink.change(request)
    except NetlinkError as error:
        if error.errno not in (errno.ENODEV, errno.EEXIST):
            raise _refused("make", route, shim, error) from None


def same_place(one: RouteInfo, other: RouteInfo) -> bool:
    """Whether the kernel has room for one of the two only."""
    return (one.destination, one.prefixlen, one.metric) == (
        other.destination,
        other.prefixlen,
        other.metric,
    )


def is_own(route: RouteInfo, ifindex: int) -> bool:
    """Whether macvnet made a route out of the shim with that ifindex."""
    return route.protocol == ROUTE_PROTOCOL and route.ifindex == ifindex


def foreign(route: RouteInfo) -> str:
    """A route that somebody else made, in words."""
    return f"a route {route.words} that macvnet did not make (protocol {route.protocol})"


def drop(ctx: Context, network: Network, endpoint: Endpoint) -> None:
    """Remove the host's routes to an endpoint that leaves; fine where there are none.

    Before its addresses are free: the next one to have them has routes of its own.
    """
    shim = shims.find(ctx, network) if network.shim else None
    if shim is None:
        return
    for assigned in endpoint.addresses:
        v4 = assigned.address.family == IPV4
        route = RouteInfo(
            assigned.address.family,
            assigned.address,
            WIDTH[assigned.address.family],
            shim.ifindex,
            None,
            ROUTE_PROTOCOL,
            0 if v4 else IPV6_METRIC,
            RT_SCOPE_LINK if v4 else RT_SCOPE_UNIVERSE,
        )
        remove(ctx, route, shim)


def remove(ctx: Context, route: RouteInfo, shim: LinkInfo) -> None:
    """Remove a route of macvnet's out of the shim; fine where it is gone."""
    try:
        ctx.netlink.change(addressing.delete_route(route, shim.name))
    except NetlinkError as error:
        if error.errno not in (errno.ESRCH, errno.ENODEV):
            raise _refused("remove", route, shim, error) from None


def _refused(verb: str, route: RouteInfo, shim: LinkInfo, error: NetlinkError) -> KernelRefused:
    what = f"{verb} the route {route.words} dev {shim.name} on the host"
    return error.during(what, f"ip route show dev {shim.name}")
