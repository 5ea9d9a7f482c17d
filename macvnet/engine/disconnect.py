"""Disconnecting: the endpoint leaves, its addresses are free, the next default route takes over.

The link goes first and the record after it: what a crash leaves in between is a
record of a link that is gone, never an address that is free and still in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from macvnet import keys, runtimes
from macvnet.drivers import driver
from macvnet.engine import election, endpoint_link, lookup
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.liveness import (
    alive,
    drop_host_routes,
    finish_unfinished,
    members_of,
    network_of,
    roll_back,
)
from macvnet.engine.lookup import endpoints_of_owner, endpoints_of_sandbox
from macvnet.engine.recording import forget
from macvnet.engine.reopening import by_pid
from macvnet.errors import Conflict, KernelRefused, NotFound, RuntimeUnavailable
from macvnet.kernel import links
from macvnet.kernel.links import LinkInfo
from macvnet.model import Change, Endpoint, Network, Owner, SandboxId
from macvnet.runtimes import NoSandbox, Target
from macvnet.store import Transaction
from macvnet.text import quoted

UNOPENED = (NotFound, NoSandbox, RuntimeUnavailable)
"""Why a spelling leads to no sandbox now; what is recorded under it can be freed all the same."""
SHORTEST_ID = 4
"""How many digits say which recorded container is meant."""


def take_out(ctx: Context, at: Inside, endpoint: Endpoint, *, elect: bool) -> None:
    """Remove a joined endpoint from an open target. The caller holds the sandbox's lock."""
    network = network_of(ctx.store, endpoint)
    if network is not None:
        parent = parent_of(ctx, network)
        link = endpoint_link.find(ctx, driver(network.driver), endpoint, at, parent)
        if link is not None and endpoint.parent_mac:
            # The parent gets its MAC back when the link is really gone.
            endpoint_link.remove(link, at)
        elif link is not None:
            endpoint_link.remove_soon(ctx, link, at)
        endpoint_link.restore_parent_mac(ctx, endpoint, parent)
        drop_host_routes(ctx, network, endpoint)
    take_rules(at, endpoint)
    ctx.store.transact(lambda tx: forget_if_there(tx, endpoint))
    if elect:
        elect_heirs(ctx, at, endpoint.sandbox.key, endpoint.ifindex)


def take_rules(at: Inside, endpoint: Endpoint) -> None:
    """Remove the endpoint's rules: unlike its routes they stay when its link goes."""
    if endpoint.routing.policy:
        from macvnet.engine import endpoint_routes

        endpoint_routes.remove(endpoint, at)


def parent_of(ctx: Context, network: Network) -> LinkInfo | None:
    """The link that has the name of the network's parent, if there is one."""
    name = network.parent.name if network.parent else ""
    return links.by_name(ctx.netlink, name) if name else None


def forget_if_there(tx: Transaction, endpoint: Endpoint) -> None:
    """Release what an endpoint holds, unless somebody else has done so."""
    if lookup.endpoint(tx, endpoint.id) is not None:
        forget(tx, network_of(tx, endpoint), endpoint)


def elect_heirs(ctx: Context, at: Inside, sandbox_key: str, left: int) -> None:
    """The endpoint has left already; that its heir cannot have the route is worth a note."""
    members = election.standing(members_of(ctx.store, sandbox_key), at)
    decisions = election.decide(members, election.defaults(at), left)
    try:
        notes = election.carry_out(decisions, at, [])
    except KernelRefused as error:
        notes = [f"{at.target.owner} has another default route than it should: {error.message}"]
    for note in notes:
        ctx.note(note)


def disconnect_target(
    ctx: Context, target: Target, networks: Sequence[Network], *, dry_run: bool = False
) -> tuple[Change, ...]:
    """Take an open target out of networks; NotFound if it is in one of them not at all."""
    key = SandboxId(ctx.boot_id, target.namespace.cookie).key
    changes: list[Change] = []
    if dry_run:
        for network in networks:
            for endpoint in endpoints_meant(ctx, key, target.owner, network):
                changes += removals(network, endpoint)
        return tuple(changes)
    ctx.claim()
    with ctx.sandbox_lock(target.namespace.cookie):
        recorded = finish_unfinished(ctx, key)
        with endpoint_link.inside(ctx, target).netlink as netlink:
            at = Inside(target, netlink)
            for network in networks:
                for endpoint in endpoints_meant(ctx, key, target.owner, network, recorded):
                    changes += removals(network, endpoint)
                    if endpoint.sandbox.key == key:
                        take_out(ctx, at, endpoint, elect=True)
                    else:
                        roll_back(ctx, endpoint, durable=True)
    return tuple(changes)


def endpoints_meant(
    ctx: Context,
    key: str,
    owner: Owner,
    network: Network,
    recorded: Sequence[Endpoint] | None = None,
) -> list[Endpoint]:
    """The endpoints meant: the sandbox's own, else what the owner left in an earlier sandbox.

    ``recorded`` are the sandbox's, where they have been read.
    """
    if recorded is None:
        recorded = endpoints_of_sandbox(ctx.reader, key)
    here = [e for e in recorded if e.network == network.id]
    found = here or [e for e in earlier(ctx, owner) if e.network == network.id]
    if not found:
        raise NotFound(
            f"{owner} is not connected to network {network.name!r}",
            f"macvnet inspect {network.name}",
        )
    return found


def left_behind(ctx: Context, owner: Owner, network: Network) -> list[Endpoint]:
    """The endpoints that a target which is gone has in a network; NotFound if there are none."""
    found = [e for e in endpoints_of_owner(ctx.reader, str(owner)) if e.network == network.id]
    if not found:
        raise NotFound(
            f"there is no container {quoted(str(owner))}, and nothing of it is recorded in "
            f"network {network.name!r}",
            f"macvnet inspect {network.name}",
        )
    return found


def earlier(ctx: Context, owner: Owner) -> list[Endpoint]:
    """What is recorded under an owner's name, but for what another container lives with.

    That one was called so when it was connected, and has another name now.
    """

    def is_anothers(endpoint: Endpoint) -> bool:
        ids = (owner.id, endpoint.owner.id)
        return all(map(runtimes.is_drawn_by_lot, ids)) and ids[0] != ids[1]

    every = endpoints_of_owner(ctx.reader, str(owner))
    return [e for e in every if not (is_anothers(e) and alive(ctx, e))]


def disconnect_vanished(
    ctx: Context, owner: Owner, networks: Sequence[Network], *, dry_run: bool = False
) -> tuple[Change, ...]:
    """Free what a target left behind that no name leads to any more.

    NotFound if nothing is recorded for it.
    """
    changes: list[Change] = []
    for network in networks:
        for endpoint in left_behind(ctx, owner, network):
            changes += removals(network, endpoint)
            if not dry_run:
                with ctx.sandbox_lock(endpoint.sandbox.cookie):
                    roll_back(ctx, endpoint, durable=True)
    return tuple(changes)


def detach(
    ctx: Context, container: str, terms: Sequence[str], *, dry_run: bool = False
) -> tuple[Change, ...]:
    """Disconnect a container as the user names it; without terms from all its networks."""
    store = ctx.reader if dry_run else ctx.store
    try:
        target = runtimes.resolve(container, store)
    except UNOPENED:
        owner = recorded_owner(ctx, container)
        if owner is None:
            raise
        found = endpoints_of_owner(store, str(owner))
        if found_open := reached(ctx, found):
            with found_open.namespace:
                return detach_target(ctx, found_open, terms, dry_run=dry_run)
        networks = [lookup.network(store, term) for term in terms]
        networks = networks or _networks_of(ctx, found)
        return disconnect_vanished(ctx, owner, networks, dry_run=dry_run)
    with target.namespace:
        return detach_target(ctx, target, terms, dry_run=dry_run)


def reached(ctx: Context, endpoints: Sequence[Endpoint]) -> Target | None:
    """Their sandbox, where a runtime that is silent is all that hides it."""
    opened = (by_pid(ctx, endpoint) for endpoint in endpoints)
    return next((target for target in opened if target is not None), None)


def detach_target(
    ctx: Context, target: Target, terms: Sequence[str], *, dry_run: bool = False
) -> tuple[Change, ...]:
    """The same for an open target. NotFound if it is in no network at all."""
    networks = [lookup.network(ctx.reader, term) for term in terms]
    if not networks:
        key = SandboxId(ctx.boot_id, target.namespace.cookie).key
        found = endpoints_of_sandbox(ctx.reader, key)
        found += earlier(ctx, target.owner)
        networks = _networks_of(ctx, found)
        if not networks:
            raise NotFound(f"{target.owner} is connected to no network", "macvnet ls")
    return disconnect_target(ctx, target, networks, dry_run=dry_run)


def recorded_owner(ctx: Context, container: str) -> Owner | None:
    """Whose endpoints a spelling means that leads to no sandbox; None where nothing is recorded."""
    try:
        owners = [kind.owner(name) for kind, name in runtimes.split(container, ctx.reader)]
    except NotFound:
        # A bare word that no runtime knows any more may be one that one of them knew.
        owners = [Owner(name, container) for name in runtimes.table()]
    for owner in owners:
        if endpoints_of_owner(ctx.reader, str(owner)):
            return owner
    # What was typed may be an ID, or its beginning.
    found = {one for owner in owners for one in _owners_by_id(ctx, owner)}
    if len(found) > 1:
        raise Conflict(
            f"{quoted(container)} is the ID of several containers that are recorded",
            " or ".join(sorted(map(str, found))),
        )
    return found.pop() if found else None


def _owners_by_id(ctx: Context, typed: Owner) -> Iterator[Owner]:
    """The recorded owners whose ID is the name that was typed, or begins so."""
    if typed.runtime in runtimes.WITHOUT_ID:
        return
    for key, _ in ctx.reader.scan(keys.owners(f"{typed.runtime}:")):
        endpoint = lookup.endpoint(ctx.reader, key.rpartition("/")[2])
        if endpoint is not None:
            owner = endpoint.owner
            begins = len(typed.name) >= SHORTEST_ID and owner.id.startswith(typed.name)
            if owner.id == typed.name or (runtimes.is_drawn_by_lot(owner.id) and begins):
                yield owner._replace(id="")


def _networks_of(ctx: Context, endpoints: Sequence[Endpoint]) -> list[Network]:
    found = {e.network: network_of(ctx.reader, e) for e in endpoints}
    return [network for network in found.values() if network is not None]


def removals(network: Network, endpoint: Endpoint) -> tuple[Change, ...]:
    """What disconnecting removes, as ``--dry-run`` prints it."""
    where = f"in {endpoint.owner}"
    found = [Change("remove", "endpoint", f"of {endpoint.owner} from network {network.name}")]
    found.append(Change("remove", "link", f"{endpoint.ifname} {where}"))
    found += [
        Change("remove", "address", f"{assigned.cidr} dev {endpoint.ifname} {where}")
        for assigned in endpoint.addresses
    ]
    if network.shim:
        from macvnet.engine.host_access_foreseen import disconnecting

        found += disconnecting(network, endpoint)
    if endpoint.routing.policy:
        table = f"lookup {endpoint.routing.table} {where}"
        found += [
            Change("remove", "rule", f"from {assigned.address} {table}")
            for assigned in endpoint.addresses
        ]
    return tuple(found)
