"""Connecting: a sandbox gets an endpoint in one or several networks, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from macvnet.addresses import Address
from macvnet.drivers import Driver, driver
from macvnet.engine import election, endpoint_link, parent_search
from macvnet.engine.collecting import make_way, reclaim, sweep_some
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.joining import Joining, establish, refuse_overlap, routes_of
from macvnet.engine.liveness import alive, finish_unfinished, members_of, roll_back
from macvnet.engine.lookup import endpoint as recorded_endpoint
from macvnet.engine.lookup import endpoints_of_owner
from macvnet.engine.requests import Wanted, judge
from macvnet.engine.reserving import Reservation
from macvnet.engine.undo import Undo
from macvnet.errors import Conflict, Exhausted, InvalidRequest
from macvnet.kernel import addressing, links, nsid
from macvnet.kernel.addressing import RouteInfo
from macvnet.kernel.announce import Item, announce
from macvnet.kernel.links import LinkInfo
from macvnet.model import Change, Endpoint, EndpointRequest, Network, SandboxId
from macvnet.records import NamedTuple
from macvnet.runtimes import Target


class Connected(NamedTuple):
    """A network and the endpoint made in it (or, dry, the endpoint as it would be)."""

    network: Network
    endpoint: Endpoint
    changes: tuple[Change, ...] = ()


class Step(NamedTuple):
    """One network to connect to, judged."""

    network: Network
    driver: Driver
    wanted: Wanted


def connect(
    ctx: Context,
    target: Target,
    wanted: Sequence[tuple[Network, EndpointRequest]],
    *,
    dry_run: bool = False,
) -> list[Connected]:
    """Connect an open target to networks, in order; announce when all have joined.

    Raises what any of them refuses, after undoing the others.
    """
    refuse_host(ctx, target)
    steps = [
        Step(network, kind, judge(network, kind, request))
        for network, request in wanted
        for kind in (driver(network.driver),)
    ]
    _refuse_twice(steps)
    if dry_run:
        return [_foresee(ctx, target, step) for step in steps]
    ctx.claim()
    sandbox = SandboxId(
        ctx.boot_id, target.namespace.cookie, nsid.assign(ctx.netlink, target.namespace)
    )
    items: list[Item] = []
    joined: list[Connected] = []
    with ExitStack() as stack:
        stack.enter_context(ctx.sandbox_lock(sandbox.cookie))
        finish_unfinished(ctx, sandbox.key)
        at = endpoint_link.inside(ctx, target)
        stack.callback(at.netlink.close)
        with Undo(ctx.note) as undo:
            for step in steps:
                joined.append(_join(ctx, step, sandbox, at, undo, items))
            _remark(ctx, at)
            announce(items, rate=ctx.settings.arp_rate)
    return joined


def refuse_host(ctx: Context, target: Target) -> None:
    """A target that is the host's own namespace would lose its network: refused."""
    reason = ""
    if target.namespace.same_as(ctx.namespace):
        reason = "the one this command was started in"
    elif target.namespace.is_of(1):
        reason = "the host's own (that of PID 1)"
    if reason:
        raise Conflict(
            f"the network namespace of {target.owner} is {reason}, which macvnet never changes",
            "unshare --net COMMAND, or macvnet run -- COMMAND",
        )


def _refuse_twice(steps: Sequence[Step]) -> None:
    seen: set[str] = set()
    for step in steps:
        if step.network.id in seen:
            raise InvalidRequest(
                f"network {step.network.name!r} is named twice", "give each --network once"
            )
        seen.add(step.network.id)


def _join(
    ctx: Context, step: Step, sandbox: SandboxId, at: Inside, undo: Undo, items: list[Item]
) -> Connected:
    """Reserve, then establish what was reserved."""
    parent = _parent(ctx, step.network)
    reservation = _reservation(ctx, step, sandbox, at.target, parent)
    undo.push(
        f"the reservation for {at.target.owner}",
        lambda: _unreserve(ctx, reservation.endpoint_id),
    )
    network, endpoint = _reserve(ctx, step.network, reservation)
    plan = Joining(step.driver, network, endpoint, parent, step.wanted.ifname, step.wanted.sysctls)
    made, item = establish(ctx, plan, at, undo)
    undo.push(f"the record of {endpoint.owner}", lambda: _leave(ctx, at, made))
    if item is not None:
        items.append(item)
    return Connected(network, made)


def _leave(ctx: Context, at: Inside, endpoint: Endpoint) -> None:
    from macvnet.engine.disconnect import take_out

    take_out(ctx, at, endpoint, elect=True)


def _parent(ctx: Context, network: Network) -> LinkInfo:
    parent = parent_search.ensure(ctx, network)
    if not parent.carrier and network.link.parent:
        ctx.note(f"the parent {parent.name} has no carrier")
    return parent


def _reserve(ctx: Context, network: Network, reservation: Reservation) -> tuple[Network, Endpoint]:
    """Reserve; where a pool is exhausted, what dead sandboxes hold goes first."""
    wanted = reservation.wanted
    sweep_some(ctx)
    make_way(ctx, network, wanted.addresses.values(), wanted.mac)
    while True:
        try:
            return ctx.store.transact(reservation.write, durable=False)
        except Exhausted:
            if not reclaim(ctx, network):
                raise


def _unreserve(ctx: Context, endpoint_id: str) -> None:
    endpoint = recorded_endpoint(ctx.store, endpoint_id)
    if endpoint is not None:
        roll_back(ctx, endpoint)


def host_addresses(ctx: Context) -> set[Address]:
    """The host's own addresses: looked up at each choice, never stored."""
    return {info.address for info in addressing.all_addresses(ctx.netlink)}


def _stale(ctx: Context, step: Step, sandbox: SandboxId, target: Target) -> list[Endpoint]:
    """What the owner left in the network in earlier sandboxes: its addresses come back to it."""
    return [
        old
        for old in endpoints_of_owner(ctx.reader, str(target.owner))
        if old.network == step.network.id
        and old.sandbox.key != sandbox.key
        and not alive(ctx, old.sandbox)
    ]


def _reservation(
    ctx: Context, step: Step, sandbox: SandboxId, target: Target, parent: LinkInfo | None
) -> Reservation:
    if step.wanted.mac and parent is not None:
        _refuse_visible_mac(ctx, step.wanted.mac, parent)
    return Reservation(
        step.network,
        step.driver,
        step.wanted,
        target.owner,
        sandbox,
        target.pid,
        parent,
        ctx.installation,
        host_addresses(ctx),
        _stale(ctx, step, sandbox, target),
    )


def _refuse_visible_mac(ctx: Context, mac: str, parent: LinkInfo) -> None:
    for link in links.all_links(ctx.netlink):
        related = link.ifindex == parent.ifindex or link.lower == parent.ifindex
        if link.mac == mac and related:
            raise Conflict(
                f"the MAC {mac} is held by the link {link.name}",
                "leave --mac-address out, and a free one is chosen",
            )


def _remark(ctx: Context, at: Inside) -> None:
    flags = at.netlink.flags("lo")
    if flags is not None and not flags & links.IFF_UP:
        ctx.note(
            f"lo is down in {at.target.owner}: programs that talk to themselves will fail "
            f"({at.target.enter} ip link set lo up)"
        )


def changes(
    network: Network, endpoint: Endpoint, parent: str, routes: Sequence[RouteInfo]
) -> tuple[Change, ...]:
    """What connecting makes, as ``--dry-run`` prints it."""
    name = endpoint.ifname
    where = f"in {endpoint.owner}"
    found = [Change("create", "endpoint", f"of {endpoint.owner} in network {network.name}")]
    mac = f" address {endpoint.mac}" if endpoint.mac else ""
    found.append(Change("create", "link", f"{name} type {network.driver} on {parent}{mac} {where}"))
    found += [
        Change("create", "address", f"{assigned.cidr} dev {name} {where}")
        for assigned in endpoint.addresses
    ]
    found += [Change("create", "route", f"{route.words} dev {name} {where}") for route in routes]
    return tuple(found)


def _foresee(ctx: Context, target: Target, step: Step) -> Connected:
    """What connecting would make; nothing is written and no link is touched."""
    network = step.network
    assert network.parent is not None
    number = nsid.lookup(ctx.netlink, target.namespace)
    sandbox = SandboxId(ctx.boot_id, target.namespace.cookie, number)
    there = parent_search.search(ctx, network)
    parent = there.link if there.made else parent_search.ensure(ctx, network)
    reservation = _reservation(ctx, step, sandbox, target, parent)
    _, endpoint = ctx.reader.view(reservation.write)
    at = endpoint_link.inside(ctx, target)
    with at.netlink:
        members = members_of(ctx.reader, sandbox.key)
        present = routes_of(members, endpoint, at)
        refuse_overlap(network, endpoint, present, at)
        name = step.wanted.ifname or endpoint_link.lowest_free_name(at)
        endpoint = endpoint._replace(ifname=name)
        standing = election.standing([*members, (network, endpoint)], at, endpoint.id)
        decisions = election.decide(standing, [r for r in present if r.destination is None])
    routes = [d.put for d in decisions if d.put and d.gainer is endpoint]
    return Connected(network, endpoint, changes(network, endpoint, network.parent.name, routes))
