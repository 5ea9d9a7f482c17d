"""Returning: an endpoint whose link is gone gets it back, with its address, MAC and name."""

from __future__ import annotations

import time
from contextlib import ExitStack

from macvnet import keys
from macvnet.drivers import driver
from macvnet.engine import endpoint_link, lookup, parent_search
from macvnet.engine.connect import refuse_host
from macvnet.engine.context import Context
from macvnet.engine.joining import Joining, establish, prepare, probes, record
from macvnet.engine.liveness import alive, finish_unfinished, members_of
from macvnet.engine.requests import SYSCTLS_OPTION, endpoint_sysctls
from macvnet.engine.undo import Undo
from macvnet.errors import Conflict
from macvnet.kernel import links, nsid
from macvnet.kernel.announce import announce
from macvnet.model import RETURNING, Endpoint, Network, SandboxId
from macvnet.runtimes import Target
from macvnet.store import Transaction


def bring_back(ctx: Context, network: Network, endpoint: Endpoint, target: Target) -> bool:
    """Make the endpoint's link again in its target's sandbox, new or still the same.

    False if somebody else has done so, or has taken the endpoint away. What
    fails leaves the endpoint recorded as it was: its lease is not lost.
    """
    refuse_host(ctx, target)
    ctx.claim()
    kind = driver(network.driver)
    sandbox = SandboxId(
        ctx.boot_id, target.namespace.cookie, nsid.assign(ctx.netlink, target.namespace)
    )
    parent = parent_search.ensure(ctx, network)
    with ExitStack() as stack:
        stack.enter_context(ctx.sandbox_lock(sandbox.cookie))
        finish_unfinished(ctx, sandbox.key)
        now = lookup.endpoint(ctx.store, endpoint.id)
        if now is None or now != endpoint:
            return False
        _refuse_second(ctx, network, endpoint, target, sandbox.key)
        at = endpoint_link.inside(ctx, target)
        stack.callback(at.netlink.close)
        if endpoint.sandbox.key == sandbox.key:
            if endpoint_link.find(ctx, kind, endpoint, at, parent) is not None:
                return False
        elif alive(ctx, endpoint):
            raise Conflict(
                f"the former sandbox of {endpoint.owner} still lives, and has its address",
                f"macvnet disconnect {network.name} {endpoint.owner}",
            )
        with Undo(ctx.note) as undo:
            undo.push(f"the record of {endpoint.owner}", lambda: _rebind(ctx, endpoint))
            coming = endpoint._replace(
                state=RETURNING,
                # Another container of that name may have come, or the same under another name.
                owner=target.owner,
                sandbox=sandbox,
                pid=target.pid,
                ifindex=0,
                sequence=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
                dead_since=0.0,
            )
            _rebind(ctx, coming)
            plan = Joining(
                kind,
                network,
                coming,
                parent,
                _free_name(ctx, endpoint, at),
                endpoint_sysctls(endpoint.driver_options.get(SYSCTLS_OPTION, "")),
            )
            members = members_of(ctx.store, sandbox.key)
            if probes(ctx, plan):
                from macvnet.engine.probing import refuse_taken

                plan = prepare(ctx, plan, members, at, undo)
                refuse_taken(ctx, plan, at)
            joined = establish(ctx, plan, members, at, undo)
            record(ctx, [joined])
            announce([joined.item] if joined.item else [], rate=ctx.settings.arp_rate)
    return True


def _refuse_second(
    ctx: Context, network: Network, endpoint: Endpoint, target: Target, sandbox_key: str
) -> None:
    """Meanwhile somebody may have connected the target anew, under another name."""
    for other in lookup.endpoints_of_sandbox(ctx.store, sandbox_key):
        if other.network == network.id and other.id != endpoint.id:
            raise Conflict(
                f"{target.owner}, which {endpoint.owner} was, is connected to network "
                f"{network.name!r} already, as {other.ifname}",
                f"macvnet disconnect -f {network.name} {endpoint.id[:12]}",
            )


def _free_name(ctx: Context, endpoint: Endpoint, at: endpoint_link.Inside) -> str:
    """Its former name, unless something else is called so by now."""
    if links.by_name(at.netlink, endpoint.ifname) is None:
        return endpoint.ifname
    ctx.note(
        f"{at.target.owner} has an interface {endpoint.ifname} of its own now, so the endpoint "
        "gets another name"
    )
    return ""


def _rebind(ctx: Context, record: Endpoint) -> None:
    """Write an endpoint with its sandbox, moving the index from the one it was in."""

    def write(tx: Transaction) -> None:
        now = lookup.endpoint(tx, record.id)
        if now is None:
            raise Conflict(f"{record.owner} has just been disconnected", "macvnet ls")
        if now.owner != record.owner:
            former, own = keys.endpoints_of_owner(str(now.owner), record.id), str(record.owner)
            proof = tx.get(former)
            tx.delete(former)
            tx.put(keys.endpoints_of_owner(own, record.id), proof)
        if now.sandbox.key != record.sandbox.key:
            tx.delete(keys.endpoints_of_sandbox(now.sandbox.key, record.id))
            tx.put(keys.endpoints_of_sandbox(record.sandbox.key, record.id), {})
        tx.put(keys.endpoint(record.id), record.to_json())

    ctx.store.transact(write, durable=False)
