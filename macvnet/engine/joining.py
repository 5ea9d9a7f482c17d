"""Joining: a reserved endpoint becomes a link in its sandbox, configured and recorded.

The same for one that is new and for one that comes back after a reboot.
"""

from __future__ import annotations

from macvnet import keys
from macvnet.addresses import WIDTH
from macvnet.drivers import Driver
from macvnet.engine import election, endpoint_link
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.parent_search import as_parent
from macvnet.engine.undo import Undo
from macvnet.errors import Conflict
from macvnet.kernel import addressing, links
from macvnet.kernel.addressing import ROUTE_PROTOCOL, RouteInfo
from macvnet.kernel.announce import Item
from macvnet.kernel.links import LinkInfo
from macvnet.model import AUTO, JOINED, OFF, PLAIN, Endpoint, LinkOptions, Network, Parent
from macvnet.records import NamedTuple
from macvnet.store import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

UNREAL_KINDS = ("veth", "dummy", "macvlan", "macvtap", "ipvlan", "ipvtap", "tun", "vxlan", "ifb")
"""Kinds of links that lead no further than this machine, or through something else of its."""


class Joining(NamedTuple):
    """A reserved endpoint, and what its link is to be. ``ifname`` "": the next ethN.

    ``awake``: the link is there and up, without addresses (``prepare``).
    """

    driver: Driver
    network: Network
    endpoint: Endpoint
    parent: LinkInfo
    ifname: str
    sysctls: tuple[tuple[str, str, str], ...]
    awake: bool = False


class Joined(NamedTuple):
    """An endpoint whose link is there, as it is to be recorded.

    ``parent`` is the network's as it was seen; ``item`` what is to be announced.
    """

    network: Network
    endpoint: Endpoint
    parent: Parent
    item: Item | None
    notes: Sequence[str]


def probes(ctx: Context, plan: Joining) -> bool:
    """Whether the LAN is asked for the endpoint's addresses before they are used.

    "auto": where the parent is a real link, and not something between namespaces.
    """
    if not (plan.endpoint.addresses or plan.endpoint.link_local):
        return False
    return asks(ctx, plan.network.link, plan.driver, plan.parent)


def asks(ctx: Context, link: LinkOptions, kind: Driver, parent: LinkInfo) -> bool:
    """The same for any address of a network with these options, on ``parent``."""
    if link.probe == OFF or kind.announces_from_parent(link) is None:
        return False
    if link.probe == AUTO and parent.kind in UNREAL_KINDS:
        return False
    from macvnet.engine import probing

    if link.probe == AUTO and not probing.is_real(ctx, parent):
        return False
    if not parent.carrier:
        ctx.note_once(f"nobody was asked whether an address is taken: {parent.name} has no carrier")
        return False
    return True


def prepare(
    ctx: Context,
    plan: Joining,
    members: Sequence[tuple[Network, Endpoint]],
    at: Inside,
    undo: Undo,
) -> Joining:
    """Make the link and set it up without addresses, so that they can be asked for from it."""
    routes = routes_of(members, plan.endpoint, at)
    refuse_overlap(plan.network, plan.endpoint, routes, at)
    made = _make(ctx, plan, at, undo)
    endpoint_link.wake(plan.network, made, made.ifname, at)
    return plan._replace(endpoint=made, awake=True)


def _make(ctx: Context, plan: Joining, at: Inside, undo: Undo) -> Endpoint:
    """The endpoint with its link made."""
    endpoint = plan.endpoint
    # Before it is made: a signal may come when it is there and nobody has been told.
    undo.push(
        f"the link of {endpoint.owner}",
        lambda: endpoint_link.remove_tagged(plan.driver, endpoint, at),
    )
    ifindex, name = endpoint_link.make(
        ctx, plan.driver, plan.network, endpoint, plan.parent, plan.ifname, at
    )
    return endpoint._replace(
        ifname=name, ifindex=ifindex, mac=endpoint.mac or plan.parent.mac, state=JOINED
    )


def establish(
    ctx: Context,
    plan: Joining,
    members: Sequence[tuple[Network, Endpoint]],
    at: Inside,
    undo: Undo,
) -> Joined:
    """Make the link, configure it, elect the default route among it and ``members``.

    It has not joined until it is recorded, by ``record``.
    """
    return joined(ctx, plan, *put_in(ctx, plan, members, at, undo), at)


def put_in(
    ctx: Context,
    plan: Joining,
    members: Sequence[tuple[Network, Endpoint]],
    at: Inside,
    undo: Undo,
) -> tuple[Endpoint, list[str]]:
    """The kernel's part of ``establish``: the endpoint as it is then, and notes.

    Without host access, and with plain routes, it needs the host's socket of ``ctx`` alone.
    """
    network, endpoint = plan.network, plan.endpoint
    routes = routes_of(members, endpoint, at)
    refuse_overlap(network, endpoint, routes, at)
    made = endpoint if plan.awake else _make(ctx, plan, at, undo)
    endpoint_link.configure(network, made, made.ifname, plan.sysctls, at, awake=plan.awake)
    defaults = [route for route in routes if route.destination is None]
    notes = _elect(members, (network, made), defaults, at, undo)
    if network.shim:
        from macvnet.engine import host_routes

        host_routes.put(ctx, network, made, plan.parent)
    if endpoint.routing != PLAIN:
        from macvnet.engine import endpoint_routes

        made = endpoint_routes.apply(network, made, at, undo)
    if endpoint.rate:
        from macvnet.engine import limiting

        limiting.apply(made, at)
    return made, notes


def joined(ctx: Context, plan: Joining, made: Endpoint, notes: Sequence[str], at: Inside) -> Joined:
    """What is to be recorded of an endpoint that has been put in, and announced."""
    assert plan.network.parent is not None
    parent = as_parent(ctx, plan.network.parent, plan.parent)
    item = announcement(ctx, plan.driver, plan.network, made, plan.parent, at)
    return Joined(plan.network, made, parent, item, notes)


def record(ctx: Context, joined: Sequence[Joined]) -> None:
    """Write that endpoints have joined; when this returns they survive a loss of power."""
    ctx.store.transact_each(_record, joined)
    for one in joined:
        for note in one.notes:
            ctx.note(note)


def _record(tx: Transaction, one: Joined) -> None:
    tx.put(keys.endpoint(one.endpoint.id), one.endpoint.to_json())
    if one.parent != one.network.parent:
        record = tx.get(keys.network(one.network.id))
        if record is not None:
            now = Network.from_json(record)._replace(parent=one.parent)
            tx.put(keys.network(one.network.id), now.to_json())


def routes_of(
    members: Sequence[tuple[Network, Endpoint]], endpoint: Endpoint, at: Inside
) -> list[RouteInfo]:
    """The target's routes, of the families that somebody in it has an address of."""
    families = {
        assigned.address.family
        for each in (endpoint, *(member for _, member in members))
        for assigned in each.addresses
    }
    return addressing.all_routes(at.netlink, sorted(families)) if families else []


def refuse_overlap(
    network: Network, endpoint: Endpoint, routes: Sequence[RouteInfo], at: Inside
) -> None:
    """Docker's rule: no subnet that is routed inside the target already."""
    for route in routes:
        if route.destination is None:
            continue
        for assigned in endpoint.addresses:
            if assigned.address.family != route.family:
                continue
            if route.protocol == ROUTE_PROTOCOL and route.prefixlen < assigned.prefixlen:
                # A --route of another endpoint: a wider one, that the subnet is an exception of.
                continue
            shift = WIDTH[route.family] - min(assigned.prefixlen, route.prefixlen)
            if assigned.address.value >> shift == route.destination.value >> shift:
                link = links.by_index(at.netlink, route.ifindex)
                raise Conflict(
                    f"the subnet of {assigned.cidr} conflicts with the route {route.words} that "
                    f"{at.target.owner} has through {link.name if link else route.ifindex}",
                    f"macvnet disconnect the other network, or leave {network.name} out",
                )


def _elect(
    members: Sequence[tuple[Network, Endpoint]],
    joining: tuple[Network, Endpoint],
    defaults: Sequence[RouteInfo],
    at: Inside,
    undo: Undo,
) -> list[str]:
    endpoint_id = joining[1].id
    standing = election.standing([*members, joining], at, endpoint_id)
    taken: list[RouteInfo] = []
    undo.push("the default route", lambda: election.put_back(at, taken))
    return election.carry_out(election.decide(standing, defaults), at, taken, endpoint_id)


def announcement(
    ctx: Context, kind: Driver, network: Network, endpoint: Endpoint, parent: LinkInfo, at: Inside
) -> Item | None:
    from_parent = kind.announces_from_parent(network.link)
    if from_parent is None or not endpoint.addresses or not network.link.announce_count:
        return None
    return Item(
        namespace=ctx.namespace if from_parent else at.target.namespace,
        ifindex=parent.ifindex if from_parent else endpoint.ifindex,
        mac=parent.mac if from_parent else endpoint.mac,
        addresses=tuple(assigned.address for assigned in endpoint.addresses),
        parent=parent.name,
        count=network.link.announce_count,
        interval=network.link.announce_interval,
        endpoint=(at.target.namespace, endpoint.ifindex) if from_parent else None,
    )
