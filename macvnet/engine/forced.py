"""``disconnect --force``: for a target whose spelling no longer leads anywhere."""

from __future__ import annotations

from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.engine.disconnect import UNOPENED, detach, removals
from macvnet.engine.liveness import roll_back
from macvnet.engine.lookup import endpoints_of_network
from macvnet.errors import Conflict, NotFound
from macvnet.model import Change, Endpoint, Network
from macvnet.text import quoted


def disconnect_forced(
    ctx: Context, term: str, container: str, *, dry_run: bool = False
) -> tuple[Change, ...]:
    """As usual; where nothing is found, ``container`` is taken as an endpoint (as Docker)."""
    try:
        return detach(ctx, container, [term], dry_run=dry_run)
    except UNOPENED:
        network = lookup.network(ctx.reader, term)
        endpoint = by_endpoint(ctx, network, container)
    if not dry_run:
        with ctx.sandbox_lock(endpoint.sandbox.cookie):
            roll_back(ctx, endpoint, durable=True)
    return removals(network, endpoint)


def by_endpoint(ctx: Context, network: Network, text: str) -> Endpoint:
    """``disconnect --force``: an endpoint by its ID, a unique prefix of it, or its owner's name.

    For a target whose spelling no longer leads anywhere. NotFound, or Conflict
    where several match.
    """
    every = endpoints_of_network(ctx.reader, network.id)
    found = [e for e in every if text in (str(e.owner), e.owner.name, e.owner.id)]
    found = found or [e for e in every if len(text) >= 4 and e.id.startswith(text)]
    if not found:
        raise NotFound(
            f"network {network.name!r} has no endpoint {quoted(text)}",
            f"macvnet inspect {network.name}",
        )
    if len(found) > 1:
        raise Conflict(
            f"{quoted(text)} is more than one endpoint of network {network.name!r}",
            f"macvnet disconnect -f {network.name} {found[0].id[:12]}",
        )
    return found[0]
