"""Collecting: what dead sandboxes hold is given back, each kind in its time.

A bare PID's endpoint is garbage as soon as its sandbox is dead. A target that
can come back by name keeps its lease for a grace time, counted from when its
death was first seen, and never less than until ``restore`` has run in this boot.
"""

from __future__ import annotations

import time

from macvnet import chance, keys
from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.engine.disconnect import removals
from macvnet.engine.liveness import alive, network_of, roll_back
from macvnet.model import Change, Endpoint, Network
from macvnet.store import Transaction

SAMPLE = 8
"""How many endpoints of bare PIDs a connect looks at: so few that it costs nothing."""


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


def see_death(ctx: Context, endpoint: Endpoint) -> Endpoint:
    """Record when the sandbox was first seen dead; forget it where it lives."""
    since = 0.0 if alive(ctx, endpoint.sandbox) else endpoint.dead_since or time.time()
    if since == endpoint.dead_since:
        return endpoint

    def write(tx: Transaction) -> Endpoint:
        now = lookup.endpoint(tx, endpoint.id)
        if now is None or now.sandbox != endpoint.sandbox:
            return endpoint
        seen = now._replace(dead_since=since)
        tx.put(keys.endpoint(endpoint.id), seen.to_json())
        return seen

    return ctx.store.transact(write)


def collect(ctx: Context, *, grace: float | None, dry_run: bool) -> tuple[Change, ...]:
    """Free what dead sandboxes hold. ``grace`` in seconds; None: as configured."""
    limit = ctx.settings.grace if grace is None else grace
    changes: list[Change] = []
    for _, record in ctx.reader.scan(keys.ENDPOINTS):
        endpoint = Endpoint.from_json(record)
        if alive(ctx, endpoint.sandbox):
            if endpoint.dead_since and not dry_run:
                see_death(ctx, endpoint)
            continue
        seen = endpoint._replace(dead_since=endpoint.dead_since or time.time())
        if not dry_run:
            seen = see_death(ctx, endpoint)
        if kept(ctx, seen, limit):
            continue
        network = network_of(ctx.reader, endpoint)
        if network is not None:
            changes += removals(network, endpoint)
        if not dry_run:
            roll_back(ctx, endpoint)
    return tuple(changes)


def sweep_some(ctx: Context) -> None:
    """Look at a few endpoints of bare PIDs, from a random place on, and free the dead ones.

    Each connect does, so that what processes leave behind is found soon
    although nothing runs in the background.
    """
    prefix = keys.endpoints_of_owner("pid:").rstrip("/")
    start = f"{prefix}{chance.below(9) + 1}{chance.below(10)}"
    found = ctx.reader.scan(prefix, start=start, limit=SAMPLE)
    if len(found) < SAMPLE:
        found += ctx.reader.scan(prefix, limit=SAMPLE - len(found))
    for endpoint_id in dict.fromkeys(key.rpartition("/")[2] for key, _ in found):
        endpoint = lookup.endpoint(ctx.reader, endpoint_id)
        if endpoint is not None and not alive(ctx, endpoint.sandbox):
            roll_back(ctx, endpoint)


def reclaim(ctx: Context, network: Network) -> bool:
    """A pool is exhausted: free the endpoint that has been dead longest; False if there is none.

    Bare PIDs first, then dynamic leases of what may come back; never a lease
    that was asked for, and none of an earlier boot before ``restore`` has run.
    """
    dead = []
    for endpoint in _in_segment(ctx, network):
        if alive(ctx, endpoint.sandbox):
            continue
        returns = endpoint.owner.returns
        asked = any(assigned.explicit for assigned in endpoint.addresses)
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
