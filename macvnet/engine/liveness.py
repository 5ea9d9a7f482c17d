"""Whether a sandbox recorded earlier still lives, and what to do with the endpoints of dead ones.

Dead means: recorded in another boot, or the nsid that macvnet gave the
namespace is gone. A PID, an inode or a cookie proves nothing. Where the
namespace had a number before, the next one may be given the same: then it lives
as long as its process or its link is found there.
"""

from __future__ import annotations

import time

from macvnet import keys
from macvnet.drivers import driver
from macvnet.engine import endpoint_link
from macvnet.engine.context import Context
from macvnet.engine.lookup import endpoint as recorded_endpoint
from macvnet.engine.lookup import endpoints_of_sandbox
from macvnet.engine.recording import forget
from macvnet.errors import MacvnetError
from macvnet.kernel import links, nsid
from macvnet.kernel.namespaces import Namespace
from macvnet.model import JOINED, RESERVED, RETURNING, Endpoint, Network
from macvnet.store import Reader, Transaction

DYING_SECONDS = 2.0
"""How long a namespace may take to be gone (measured: 20 ms, more under load)."""


def alive(ctx: Context, endpoint: Endpoint) -> bool:
    """Whether an endpoint's sandbox still exists. Costs a netlink message, seldom two."""
    sandbox = endpoint.sandbox
    if sandbox.boot_id != ctx.boot_id:
        return False
    if sandbox.nsid is None:
        return True
    if not nsid.exists(ctx.netlink, sandbox.nsid):
        return False
    return nsid.is_own(sandbox.nsid) or _is_still_there(ctx, endpoint, sandbox.nsid)


def _is_still_there(ctx: Context, endpoint: Endpoint, number: int) -> bool:
    """Whether an nsid that others gave, and give again, still means the endpoint's sandbox."""
    if endpoint.state != JOINED:
        return True
    if endpoint.pid is not None:
        try:
            with Namespace.of_pid(endpoint.pid) as namespace:
                if namespace.cookie == endpoint.sandbox.cookie:
                    return True
        except MacvnetError:
            pass
    return endpoint_link.find_by_nsid(ctx, endpoint, number) is not None


def dies(ctx: Context, endpoint: Endpoint) -> bool:
    """Whether a sandbox that no process or name leads to any more is dead, or dies just now.

    The kernel takes a namespace apart some time after its last process has ended.
    All that a command waits for in this way, it waits for at the same time.
    """
    if ctx.dying_until is None:
        ctx.dying_until = time.monotonic() + DYING_SECONDS
    while alive(ctx, endpoint):
        if time.monotonic() > ctx.dying_until:
            return False
        time.sleep(0.01)
    return True


def network_of(reader: Reader, endpoint: Endpoint) -> Network | None:
    """The network of an endpoint, or None where its record is gone."""
    return reader.parsed(keys.network(endpoint.network), Network.from_json)


def members_of(reader: Reader, sandbox_key: str) -> list[tuple[Network, Endpoint]]:
    """The joined endpoints of a sandbox with their networks, in the order of their joining."""
    found = []
    for endpoint in endpoints_of_sandbox(reader, sandbox_key):
        network = network_of(reader, endpoint)
        if network is not None and endpoint.state == JOINED:
            found.append((network, endpoint))
    return found


def roll_back(ctx: Context, endpoint: Endpoint, *, durable: bool = False) -> None:
    """Undo an endpoint that a command left unfinished, or whose target no name leads to.

    First the link goes, if its namespace still lives, then the record. ``durable``
    where somebody is told that it is gone.
    """
    _clear_rules(ctx, endpoint)
    network = network_of(ctx.store, endpoint)
    if network is not None:
        kind = driver(network.driver)
        endpoint_link.remove_by_nsid(ctx, kind, endpoint)
        if network.parent is not None and endpoint.parent_mac:
            parent = links.by_name(ctx.netlink, network.parent.name)
            endpoint_link.restore_parent_mac(ctx, endpoint, parent)
    drop_host_routes(ctx, network, endpoint)

    def write(tx: Transaction) -> None:
        now = recorded_endpoint(tx, endpoint.id)
        # Meanwhile it may have come back in another sandbox, and be in use there.
        if now is not None and now.sandbox == endpoint.sandbox:
            forget(tx, network_of(tx, now), now)

    ctx.store.transact(write, durable=durable)


def drop_host_routes(ctx: Context, network: Network | None, endpoint: Endpoint) -> None:
    """Remove the host's routes to an endpoint whose addresses are about to be free."""
    if network is not None and network.shim:
        from macvnet.engine import host_routes

        host_routes.drop(ctx, network, endpoint)


def _clear_rules(ctx: Context, endpoint: Endpoint) -> None:
    if endpoint.routing.policy:
        from macvnet.engine import endpoint_routes

        endpoint_routes.clear(ctx, endpoint)


def finish_unfinished(
    ctx: Context, sandbox_key: str, found: list[Endpoint] | None = None
) -> list[Endpoint]:
    """Roll back what dead commands left in a sandbox. The caller holds the sandbox's lock.

    ``found`` is what is recorded there, where that has been read under the lock. Returns what
    is recorded there then, in the order of joining. Whoever makes an endpoint holds that lock
    until it has joined, so one that is only reserved now was left by a command that died.
    """
    if found is None:
        found = endpoints_of_sandbox(ctx.store, sandbox_key)
    if all(endpoint.state == JOINED for endpoint in found):
        return found
    for endpoint in found:
        settle(ctx, endpoint)
    return endpoints_of_sandbox(ctx.store, sandbox_key)


def settle(ctx: Context, endpoint: Endpoint, *, durable: bool = False) -> None:
    """Undo what a dead command left half done. The caller holds the lock of the sandbox.

    An endpoint that was being made goes; one that was coming back stays
    recorded, without a link, and can come back again. ``durable`` as in ``roll_back``.
    """
    if endpoint.state == RESERVED:
        roll_back(ctx, endpoint, durable=durable)
    elif endpoint.state == RETURNING:
        _clear_rules(ctx, endpoint)
        network = network_of(ctx.store, endpoint)
        if network is not None:
            endpoint_link.remove_by_nsid(ctx, driver(network.driver), endpoint)
        without = endpoint._replace(state=JOINED, ifindex=0)
        ctx.store.transact(lambda tx: _replace(tx, endpoint, without), durable=durable)


def _replace(tx: Transaction, old: Endpoint, new: Endpoint) -> None:
    if recorded_endpoint(tx, old.id) == old:
        tx.put(keys.endpoint(old.id), new.to_json())
