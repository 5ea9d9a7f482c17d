"""What making host access or taking it away will do, in the words of ``--dry-run``.

Knows how each step is called; must not know how one is done, or judge whether it may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from macvnet.addresses import IPV4, WIDTH, Address
from macvnet.engine import host_routes, lookup, made_links, shims
from macvnet.engine.context import Context
from macvnet.engine.liveness import alive
from macvnet.ipam import host_lease
from macvnet.kernel.links import LinkInfo
from macvnet.model import Change, Endpoint, Network


def creating(parent: str, network: Network) -> list[Change]:
    """What creating a network with host access makes, as far as that can be said before."""
    name = shims.name_of(parent, set())
    found = [Change("create", "link", f"{name} type macvlan on {parent}, for host access")]
    found += [
        Change("create", "address", f"of {pool.subnet} for the host dev {name}")
        for pool in [pool for pool in network.pools if pool.family != IPV4][:1]
    ]
    return found


def enabling(ctx: Context, network: Network, parent: LinkInfo) -> tuple[Change, ...]:
    """What enabling makes, as ``--dry-run`` prints it."""
    made = shims.intended(ctx, ctx.reader, parent, network.id)
    found = []
    if made_links.find(ctx, made) is None:
        found.append(Change("create", "link", f"{made.name} type macvlan on {parent.name}"))
    address = ctx.reader.view(lambda tx: host_lease.hold(tx, network))
    if address is not None:
        found.append(Change("create", "address", f"{address}/128 dev {made.name}"))
    own = host_routes.host_addresses(ctx, parent.ifindex)
    named = network._replace(shim=made.name, shim_address=str(address or ""))
    for endpoint in lookup.endpoints_of_network(ctx.reader, network.id):
        if alive(ctx, endpoint):
            words = route_words(named, endpoint, own)
            found += [Change("create", "route", each) for each in words]
    return tuple(found)


def route_words(network: Network, endpoint: Endpoint, own: Sequence[Address]) -> Iterator[str]:
    """The host's routes to an endpoint, in words."""
    for assigned in endpoint.addresses:
        route = host_routes.wanted(network, assigned, 0, own)
        if route is not None:
            yield f"{route.words} dev {network.shim} src {route.source} on the host"


def connecting(
    ctx: Context, network: Network, endpoint: Endpoint, parent: LinkInfo
) -> tuple[Change, ...]:
    """The host's routes that connecting an endpoint makes."""
    own = host_routes.host_addresses(ctx, parent.ifindex)
    words = route_words(network, endpoint, own)
    return tuple(Change("create", "route", each) for each in words)


def disabling(ctx: Context, network: Network) -> tuple[Change, ...]:
    """What disabling removes, as ``--dry-run`` prints it."""
    if not network.shim:
        return ()
    found = []
    for endpoint in lookup.endpoints_of_network(ctx.reader, network.id):
        found += disconnecting(network, endpoint)
    if network.shim_address:
        found.append(Change("remove", "address", f"{network.shim_address}/128 dev {network.shim}"))
    made = lookup.made_link(ctx.reader, network.shim)
    if made is not None and set(made.users) <= {network.id}:
        found.append(Change("remove", "link", f"{network.shim} type macvlan"))
    return tuple(found)


def disconnecting(network: Network, endpoint: Endpoint) -> list[Change]:
    """The host's routes that go with an endpoint."""
    if not network.shim:
        return []
    return [
        Change(
            "remove",
            "route",
            f"{each.address}/{WIDTH[each.address.family]} dev {network.shim} on the host",
        )
        for each in endpoint.addresses
    ]
