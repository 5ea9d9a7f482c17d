"""Collecting: what dead sandboxes hold is given back, each kind in its time.

A bare PID's endpoint is garbage as soon as its sandbox is dead. A target that
can come back by name keeps its lease for a grace time, counted from when its
death was first seen, and never less than until ``restore`` has run in this boot.
"""

from __future__ import annotations

import time
from functools import partial

from macvnet import chance, keys
from macvnet.addresses import Address
from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.engine.liveness import alive, network_of, roll_back
from macvnet.ipam.segment import lease_holder
from macvnet.kernel import nsid
from macvnet.model import Change, Endpoint, Network
from macvnet.store import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SAMPLE = 32
"""How many endpoints of bare PIDs a connect looks at: so few that it costs next to nothing."""


def restored(ctx: Context) -> bool:
    """Whether ``restore`` has run in this boot, or there was nothing before this boot."""
    known = ctx.reader.get(keys.META_RESTORED) or {}
    return known.get("boot_id") == ctx.boot_id


def kept(ctx: Context, endpoint: Endpoint, grace: float) -> bool:
    """Whether a dead endpoint's lease is still kept for its return. ``grace`` in seconds."""
    if not endpoint.owner.returns:
        return False
    if endpoint.sandbox.boot_id != ctx.boot_id and not restored(ctx):
        return True
    return not endpoint.dead_since or time.time() - endpoint.dead_since < grace


def needed(ctx: Context, endpoint: Endpoint, *, dry_run: bool) -> bool:
    """Whether an endpoint lives, or its lease is kept. A death first seen now is recorded."""
    if alive(ctx, endpoint):
        return True
    return kept(ctx, _seen(ctx, endpoint, dry_run=dry_run), ctx.settings.grace)


def _seen(ctx: Context, endpoint: Endpoint, *, dry_run: bool) -> Endpoint:
    """The dead endpoint with the time of its death."""
    if dry_run:
        return endpoint._replace(dead_since=endpoint.dead_since or time.time())
    return see_death(ctx, endpoint)


def see_death(ctx: Context, endpoint: Endpoint) -> Endpoint:
    """Record when the sandbox was first seen dead; forget it where it lives."""
    since = 0.0 if alive(ctx, endpoint) else endpoint.dead_since or time.time()
    if since == endpoint.dead_since:
        return endpoint

    def write(tx: Transaction) -> Endpoint:
        now = lookup.endpoint(tx, endpoint.id)
        if now is None or now.sandbox != endpoint.sandbox:
            return endpoint
        seen = now._replace(dead_since=since)
        tx.put(keys.endpoint(endpoint.id), seen.to_json())
        return seen

    return ctx.store.transact(write, durable=False)


def collect(ctx: Context, *, grace: float | None, dry_run: bool) -> tuple[Change, ...]:
    """Free what dead sandboxes hold. ``grace`` in seconds; None: as configured."""
    from macvnet.engine.disconnect import removals

    limit = ctx.settings.grace if grace is None else grace
    changes: list[Change] = []
    dead: list[Endpoint] = []
    for _, record in ctx.reader.scan(keys.ENDPOINTS):
        endpoint = Endpoint.from_json(record)
        if alive(ctx, endpoint):
            if endpoint.dead_since and not dry_run:
                see_death(ctx, endpoint)
            continue
        if kept(ctx, _seen(ctx, endpoint, dry_run=dry_run), limit):
            continue
        network = network_of(ctx.reader, endpoint)
        if network is not None:
            changes += removals(network, endpoint)
        dead.append(endpoint)
    if not dry_run:
        for network in lookup.networks(ctx.reader):
            expire_taken(ctx, network)
        for endpoint in dead:
            # What is synced last is synced with all before it.
            roll_back(ctx, endpoint, durable=endpoint is dead[-1])
    return tuple(changes)


def sweep_some(ctx: Context) -> None:
    """Look at a few endpoints of bare PIDs, from a random place on, and free the dead ones.

    Each connect does, so that what processes leave behind is found soon
    although nothing runs in the background.
    """
    prefix = keys.endpoints_of_owner("pid:").rstrip("/")
    start = f"{prefix}{chance.below(9) + 1}{chance.below(10)}"
    rows = ctx.reader.scan(prefix, start=start, limit=SAMPLE)
    if len(rows) < SAMPLE:
        rows += ctx.reader.scan(prefix, limit=SAMPLE - len(rows))
    proofs = {key.rpartition("/")[2]: proof for key, proof in rows}
    asked = {p["nsid"] for p in proofs.values() if p["boot_id"] == ctx.boot_id}
    living = nsid.living(ctx.netlink, sorted(asked - {None}))
    for endpoint_id, proof in proofs.items():
        if proof["boot_id"] == ctx.boot_id and _is_proved(proof["nsid"], living):
            continue
        endpoint = lookup.endpoint(ctx.reader, endpoint_id)
        if endpoint is not None and not alive(ctx, endpoint):
            roll_back(ctx, endpoint)


def _is_proved(number: int | None, living: Collection[int]) -> bool:
    return number is None or (number in living and nsid.is_own(number))


def make_way(ctx: Context, network: Network, addresses: Iterable[Address], mac: str) -> None:
    """Free what is asked for by name (an address, a MAC) where its holder is dead for good."""
    holders = [lease_holder(ctx.reader, network.segment, address) for address in addresses]
    held = {holder.endpoint for holder in holders if holder is not None}
    if mac and network.parent is not None:
        held.add((ctx.reader.get(keys.mac(network.parent.name, mac)) or {}).get("endpoint", ""))
    for endpoint_id in sorted(held - {""}):
        endpoint = lookup.endpoint(ctx.reader, endpoint_id)
        if endpoint is None or alive(ctx, endpoint):
            continue
        if not kept(ctx, see_death(ctx, endpoint), ctx.settings.grace):
            roll_back(ctx, endpoint)


def reclaim(ctx: Context, network: Network) -> bool:
    """A pool is exhausted: free the endpoint that has been dead longest; False if there is none.

    Before that, what others on the LAN were seen to have long ago. Bare PIDs first, then
    dynamic leases of what may come back; never a lease that was asked for, and none of
    an earlier boot before ``restore`` has run.
    """
    if expire_taken(ctx, network):
        return True
    dead = []
    for endpoint in _in_segment(ctx, network):
        if alive(ctx, endpoint):
            continue
        returns = endpoint.owner.returns
        asked = any(
            assigned.explicit or _is_kept(ctx, network, assigned.address)
            for assigned in endpoint.addresses
        )
        waiting = endpoint.sandbox.boot_id != ctx.boot_id and not restored(ctx)
        if returns and (asked or waiting):
            continue
        dead.append((returns, see_death(ctx, endpoint)))
    if not dead:
        return False
    _, longest = min(dead, key=lambda each: (each[0], each[1].dead_since, each[1].sequence))
    ctx.note(f"the lease of {longest.owner}, which is gone, was freed for another")
    roll_back(ctx, longest)
    return True


def _is_kept(ctx: Context, network: Network, address: Address) -> bool:
    """Whether an address is reserved: it would not become free."""
    holder = lease_holder(ctx.reader, network.segment, address)
    return holder is not None and holder.kept is not None


def expire_taken(ctx: Context, network: Network) -> bool:
    """Let go of addresses that have been remembered long enough as another machine's; if any."""
    found = False
    for pool in network.pools:
        if not ctx.reader.scan(keys.taken(pool.id), limit=1):
            continue
        from macvnet.ipam import taken

        expire = partial(taken.expire, segment=network.segment, pool=pool.id, now=time.time())
        while taken.due(ctx.reader, pool.id, time.time()):
            found = bool(ctx.store.transact(expire, durable=False)) or found
    return found


def _in_segment(ctx: Context, network: Network) -> list[Endpoint]:
    """The endpoints whose addresses could be given out in ``network``."""
    found = []
    for other in lookup.networks(ctx.reader):
        meets = other.segment == network.segment and any(
            mine.subnet.overlaps(theirs.subnet) for mine in network.pools for theirs in other.pools
        )
        if meets:
            found += lookup.endpoints_of_network(ctx.reader, other.id)
    return found
