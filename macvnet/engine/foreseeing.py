"""What connecting would make: nothing is written, and no link is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from macvnet.engine import election, endpoint_link, parent_search
from macvnet.engine.connect import reservation
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.joining import refuse_overlap, routes_of
from macvnet.engine.liveness import members_of
from macvnet.engine.lookup import endpoints_of_owner
from macvnet.engine.seats import Connected, Host, Step
from macvnet.errors import MacvnetError
from macvnet.kernel import nsid
from macvnet.kernel.addressing import RouteInfo
from macvnet.model import PLAIN, SLAAC, Change, Endpoint, Network, SandboxId
from macvnet.runtimes import Target
from macvnet.store import Transaction

Opener = AbstractContextManager[tuple[Target, Sequence[Step]]]


def foresee(ctx: Context, openers: Iterable[Opener]) -> list[list[Connected] | MacvnetError]:
    """What each target would get after those before it, or why it would get nothing.

    Each is opened when its turn comes: there may be more than files can be open.
    """
    host = Host(ctx)
    foreseen: list[list[Connected] | MacvnetError] = []

    def view(tx: Transaction) -> None:
        for opener in openers:
            try:
                with tx.attempt(), opener as (target, steps), _open(ctx, target) as at:
                    foreseen.append(_one(ctx, tx, host, at, steps))
            except MacvnetError as error:
                foreseen.append(error)

    ctx.reader.view(view)
    return foreseen


@contextmanager
def _open(ctx: Context, target: Target) -> Iterator[Inside]:
    at = endpoint_link.inside(ctx, target)
    with at.netlink:
        yield at


def _one(
    ctx: Context, tx: Transaction, host: Host, at: Inside, steps: Sequence[Step]
) -> list[Connected]:
    number = nsid.lookup(ctx.netlink, at.target.namespace)
    sandbox = SandboxId(ctx.boot_id, at.target.namespace.cookie, number)
    members = members_of(tx, sandbox.key)
    names: set[str] = set()
    return [_step(ctx, tx, host, at, step, sandbox, members, names) for step in steps]


def _step(
    ctx: Context,
    tx: Transaction,
    host: Host,
    at: Inside,
    step: Step,
    sandbox: SandboxId,
    members: list[tuple[Network, Endpoint]],
    names: set[str],
) -> Connected:
    network = step.network
    assert network.parent is not None
    there = parent_search.search(ctx, network)
    parent = there.link if there.made else host.parent(network)
    owned = endpoints_of_owner(tx, str(at.target.owner))
    _, endpoint = reservation(ctx, host, step, sandbox, at.target, parent, owned).write(tx)
    present = routes_of(members, endpoint, at)
    refuse_overlap(network, endpoint, present, at)
    name = step.wanted.ifname or endpoint_link.lowest_free_name(at, names)
    names.add(name)
    endpoint = endpoint._replace(ifname=name)
    standing = election.standing([*members, (network, endpoint)], at, endpoint.id)
    decisions = election.decide(standing, [r for r in present if r.destination is None])
    routes = [d.put for d in decisions if d.put and d.gainer is endpoint]
    made = changes(network, endpoint, network.parent.name, routes)
    if network.shim and parent is not None:
        from macvnet.engine.host_access_foreseen import connecting

        made += connecting(ctx, network, endpoint, parent)
    if endpoint.routing != PLAIN:
        from macvnet.engine import endpoint_routes

        made += endpoint_routes.foresee(network, endpoint, at)
    if endpoint.rate:
        from macvnet.engine import limiting

        made += (limiting.foresee(endpoint),)
    return Connected(network, endpoint, made)


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
    if network.link.ipv6_mode == SLAAC:
        found.append(made_itself(endpoint))
    found += [Change("create", "route", f"{route.words} dev {name} {where}") for route in routes]
    return tuple(found)


def made_itself(endpoint: Endpoint) -> Change:
    """The addresses that an endpoint of a slaac network makes when a router advertises."""
    token = f" with the token {endpoint.ip6_token}" if endpoint.ip6_token else ""
    where = f"dev {endpoint.ifname} in {endpoint.owner}"
    return Change("create", "address", f"of the prefix that a router advertises{token} {where}")
