"""Disconnecting: the endpoint leaves, its addresses are free, the next default route takes over.

The link goes first and the record after it: what a crash leaves in between is a
record of a link that is gone, never an address that is free and still in use.
"""

from __future__ import annotations

from collections.abc import Sequence

from macvnet import keys, runtimes
from macvnet.drivers import driver
from macvnet.engine import election, endpoint_link, lookup
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.liveness import finish_unfinished, members_of, network_of, roll_back
from macvnet.engine.lookup import endpoints_of_owner, endpoints_of_sandbox
from macvnet.engine.recording import forget
from macvnet.errors import KernelRefused, NotFound
from macvnet.kernel import links
from macvnet.kernel.links import LinkInfo
from macvnet.model import Change, Endpoint, Network, Owner, SandboxId
from macvnet.runtimes import Target
from macvnet.store import Transaction
from macvnet.text import quoted


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
    ctx.store.transact(lambda tx: forget_if_there(tx, endpoint))
    if elect:
        elect_heirs(ctx, at, endpoint.sandbox.key, endpoint.ifindex)


def parent_of(ctx: Context, network: Network) -> LinkInfo | None:
    """The link that has the name of the network's parent, if there is one."""
    name = network.parent.name if network.parent else ""
    return links.by_name(ctx.netlink, name) if name else None


def forget_if_there(tx: Transaction, endpoint: Endpoint) -> None:
    """Release what an endpoint holds, unless somebody else has done so."""
    if tx.get(keys.endpoint(endpoint.id)) is not None:
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
        finish_unfinished(ctx, key)
        with endpoint_link.inside(ctx, target).netlink as netlink:
            at = Inside(target, netlink)
            for network in networks:
                for endpoint in endpoints_meant(ctx, key, target.owner, network):
                    changes += removals(network, endpoint)
                    if endpoint.sandbox.key == key:
                        take_out(ctx, at, endpoint, elect=True)
                    else:
                        roll_back(ctx, endpoint, durable=True)
    return tuple(changes)


def endpoints_meant(ctx: Context, key: str, owner: Owner, network: Network) -> list[Endpoint]:
    """The endpoints meant: the sandbox's own, else what the owner left in an earlier sandbox."""
    here = [e for e in endpoints_of_sandbox(ctx.reader, key) if e.network == network.id]
    earlier = [e for e in endpoints_of_owner(ctx.reader, str(owner)) if e.network == network.id]
    found = here or earlier
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
    except NotFound:
        owner = recorded_owner(ctx, container)
        if owner is None:
            raise
        networks = [lookup.network(store, term) for term in terms]
        found = endpoints_of_owner(store, str(owner))
        networks = networks or _networks_of(ctx, found)
        return disconnect_vanished(ctx, owner, networks, dry_run=dry_run)
    with target.namespace:
        return detach_target(ctx, target, terms, dry_run=dry_run)


def detach_target(
    ctx: Context, target: Target, terms: Sequence[str], *, dry_run: bool = False
) -> tuple[Change, ...]:
    """The same for an open target. NotFound if it is in no network at all."""
    networks = [lookup.network(ctx.reader, term) for term in terms]
    if not networks:
        key = SandboxId(ctx.boot_id, target.namespace.cookie).key
        found = endpoints_of_sandbox(ctx.reader, key)
        found += endpoints_of_owner(ctx.reader, str(target.owner))
        networks = _networks_of(ctx, found)
        if not networks:
            raise NotFound(f"{target.owner} is connected to no network", "macvnet ls")
    return disconnect_target(ctx, target, networks, dry_run=dry_run)


def recorded_owner(ctx: Context, container: str) -> Owner | None:
    """Whose endpoints a spelling means whose target is gone; None where nothing is recorded."""
    try:
        owners = [runtimes.owner_of(container, ctx.reader)]
    except NotFound:
        # A bare word that no runtime knows any more may be one that one of them knew.
        owners = [Owner(name, container) for name in runtimes.table()]
    for owner in owners:
        if endpoints_of_owner(ctx.reader, str(owner)):
            return owner
    return None


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
    return tuple(found)
