"""Releasing: what a container held that has ended, told by its runtime and by nobody else.

Unlike disconnecting, no runtime is asked: it is the one who waits for us.
"""

from __future__ import annotations

from collections.abc import Sequence

from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.engine.disconnect import earlier, recorded_owner, removals
from macvnet.engine.liveness import network_of, roll_back
from macvnet.engine.lookup import endpoints_of_owner
from macvnet.engine.reopening import by_pid
from macvnet.model import Change, Endpoint, Owner


def release(ctx: Context, owner: Owner, terms: Sequence[str]) -> tuple[Change, ...]:
    """Free what an ended container holds in networks; () where that is nothing.

    Another one that has its name, or its ID, by now keeps what it has: its process lives.
    """
    networks = {found.id for term in terms if (found := lookup.known(ctx.reader, term))}
    changes: list[Change] = []
    for endpoint in _recorded(ctx, owner):
        if endpoint.network not in networks:
            continue
        if living := by_pid(ctx, endpoint):
            living.namespace.close()
            continue
        with ctx.sandbox_lock(endpoint.sandbox.cookie):
            network = network_of(ctx.store, endpoint)
            roll_back(ctx, endpoint, durable=True)
        if network is not None:
            changes += removals(network, endpoint)
    return tuple(changes)


def _recorded(ctx: Context, owner: Owner) -> list[Endpoint]:
    found = earlier(ctx, owner)
    if found or not owner.id:
        return found
    # It may have another name than when it was connected.
    former = recorded_owner(ctx, f"{owner.runtime}:{owner.id}")
    every = endpoints_of_owner(ctx.reader, str(former)) if former else []
    return [endpoint for endpoint in every if endpoint.owner.id == owner.id]
