"""Removing a network: refused while endpoints live, then the made link, the pools, the record."""

from __future__ import annotations

from macvnet import keys
from macvnet.engine import lookup, made_links
from macvnet.engine.context import Context
from macvnet.engine.liveness import alive, roll_back, settle
from macvnet.errors import Conflict, NotFound
from macvnet.ipam.installing import uninstall_pools
from macvnet.model import CREATING, JOINED, REMOVING, Change, Endpoint, MadeLink, Network
from macvnet.store import Transaction


def remove(ctx: Context, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
    """Remove the network that ``term`` means. Only living endpoints hold it up (as in Docker)."""
    if dry_run:
        network = lookup.network(ctx.reader, term)
        _refuse_living(ctx, network, lookup.endpoints_of_network(ctx.reader, network.id))
        _refuse_used_config(ctx, network)
        return changes(ctx, network)
    network = lookup.network(ctx.store, term)
    _settle(ctx, network)
    with ctx.structure_lock():
        return remove_locked(ctx, lookup.network(ctx.store, network.id))


def remove_locked(ctx: Context, network: Network) -> tuple[Change, ...]:
    """The same, for a caller that holds the structure lock."""
    _refuse_used_config(ctx, network)
    made = changes(ctx, network)
    dead = lookup.endpoints_of_network(ctx.store, network.id)
    _refuse_living(ctx, network, dead)
    for endpoint in dead:
        roll_back(ctx, endpoint)
    ctx.store.transact(lambda tx: _begin(tx, network.id), durable=False)
    finish(ctx, network)
    return made


def finish(ctx: Context, network: Network) -> None:
    """What follows once a network is marked as being removed; can be run again after a crash."""
    if network.shim:
        from macvnet.engine import host_access

        host_access.end(ctx, network.id)
    name = network.parent.name if network.parent else ""
    ours = lookup.made_link(ctx.store, name) if name else None
    if ours is not None and not ours.users:
        stays = made_links.unmake(ctx, ours)
        if stays:
            ctx.note(stays)
        ctx.store.transact(lambda tx: tx.delete(keys.made_link(name)), durable=False)
    if ctx.store.scan(keys.kept(network.id), limit=1):
        from macvnet.engine.keeping import drop_all

        drop_all(ctx, network)
    uninstall_pools(ctx.store, network.segment, network)

    def end(tx: Transaction) -> None:
        tx.delete(keys.name(network.name))
        tx.delete(keys.request(network.id))
        tx.delete(keys.network(network.id))

    ctx.store.transact(end)


def _begin(tx: Transaction, network_id: str) -> None:
    record = tx.get(keys.network(network_id))
    if record is None:
        raise NotFound("the network has just been removed by another command", "macvnet ls")
    network = Network.from_json(record)
    remaining = tx.scan(keys.endpoints_of_network(network_id), limit=1)
    if remaining:
        raise Conflict(
            f"network {network.name!r} has just got an endpoint", f"macvnet inspect {network.name}"
        )
    tx.put(keys.network(network_id), network._replace(state=REMOVING).to_json())
    if network.parent is not None:
        made_links.drop_user(tx, network.parent.name, network_id)


def _settle(ctx: Context, network: Network) -> None:
    """Roll back endpoints that dead commands left half made; wait for those at work."""
    for endpoint in lookup.endpoints_of_network(ctx.store, network.id):
        if endpoint.state != JOINED:
            with ctx.sandbox_lock(endpoint.sandbox.cookie):
                now = lookup.endpoint(ctx.store, endpoint.id)
                if now is not None:
                    settle(ctx, now)


def _refuse_living(ctx: Context, network: Network, endpoints: list[Endpoint]) -> None:
    living = [endpoint for endpoint in endpoints if alive(ctx, endpoint)]
    if living:
        names = ", ".join(f"{e.owner} ({e.ifname})" for e in living[:4])
        more = f" and {len(living) - 4} more" if len(living) > 4 else ""
        raise Conflict(
            f"network {network.name!r} has active endpoints: {names}{more}",
            f"macvnet disconnect {network.name} {living[0].owner}",
        )


def _refuse_used_config(ctx: Context, network: Network) -> None:
    if not network.config_only:
        return
    users = [n.name for n in lookup.networks(ctx.reader) if n.config_from == network.name]
    if users:
        raise Conflict(
            f"configuration network {network.name!r} is in use by {users[0]!r}",
            f"macvnet rm {' '.join(users[:4])}",
        )


def changes(ctx: Context, network: Network) -> tuple[Change, ...]:
    """What removing removes, as ``--dry-run`` prints it."""
    found = [Change("remove", "network", f"{network.name} {network.id[:12]}")]
    found += [Change("remove", "pool", str(pool.subnet)) for pool in network.pools]
    name = network.parent.name if network.parent else ""
    made: MadeLink | None = lookup.made_link(ctx.reader, name) if name else None
    if made is not None and set(made.users) <= {network.id}:
        link = made_links.find(ctx, made)
        if link is not None:
            found.append(Change("remove", "link", f"{link.name} type {made.kind}"))
    if network.shim:
        from macvnet.engine import host_access_foreseen

        found += host_access_foreseen.disabling(ctx, network)
    return tuple(found)


def clear_abandoned(ctx: Context, network: Network) -> None:
    """A network that is being created or removed while we hold the structure lock was left by

    a command that died: it is taken away.
    """
    if network.state in (CREATING, REMOVING):
        remove_locked(ctx, network)
