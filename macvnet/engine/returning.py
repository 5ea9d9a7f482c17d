"""Returning: an endpoint whose link is gone gets it back, with its address, MAC and name."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, ExitStack

from macvnet import keys
from macvnet.drivers import driver
from macvnet.engine import endpoint_link, lookup, parent_search
from macvnet.engine.connect import refuse_host
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.joining import Joining, establish, prepare, probes, record
from macvnet.engine.liveness import alive, finish_unfinished, members_of
from macvnet.engine.requests import SYSCTLS_OPTION, endpoint_sysctls
from macvnet.engine.undo import Undo, apart
from macvnet.errors import Conflict, MacvnetError
from macvnet.kernel import links, nsid
from macvnet.kernel.announce import Item, announce
from macvnet.kernel.links import LinkInfo
from macvnet.model import RETURNING, Endpoint, Network, SandboxId
from macvnet.records import NamedTuple
from macvnet.runtimes import Target
from macvnet.store import Transaction


class Coming(NamedTuple):
    """An endpoint that is to come back, and its target, new or still the same, open."""

    network: Network
    endpoint: Endpoint
    target: Target


def bring_back(ctx: Context, network: Network, endpoint: Endpoint, target: Target) -> bool:
    """Make the endpoint's link again in its target's sandbox, new or still the same.

    False if somebody else has done so, or has taken the endpoint away. What
    fails leaves the endpoint recorded as it was: its lease is not lost.
    """
    [outcome] = bring_back_many(ctx, [Coming(network, endpoint, target)])
    if isinstance(outcome, MacvnetError):
        raise outcome
    return outcome


def bring_back_many(ctx: Context, coming: Sequence[Coming]) -> list[bool | MacvnetError]:
    """The same for many, in order; the LAN is asked for all of their addresses at once.

    What is refused to one is its outcome, and leaves the others alone.
    """
    ctx.claim()
    returns = [_Return(ctx, one) for one in coming]
    with ExitStack() as stack, Undo(ctx.note) as undo:
        for one in returns:
            undo.push(f"the return of {one.endpoint.owner}", one.give_up)
            with one.trying():
                one.find()
        held = [one for one in returns if one.error is None]
        cookies = {one.sandbox.cookie for one in held}
        stack.enter_context(ctx.sandbox_locks(cookies))
        for key in dict.fromkeys(one.sandbox.key for one in held):
            finish_unfinished(ctx, key)
        for one in held:
            with one.trying():
                one.begin(stack)
        try:
            _ask(ctx, held, cookies)
            for one in held:
                if one.error is None and one.plan is not None:
                    with one.trying():
                        one.finish()
        finally:
            # Those that are back are, whatever happens to the rest.
            announce([one.item for one in held if one.item], rate=ctx.settings.arp_rate)
    return [one.back if one.error is None else one.error for one in returns]


def _ask(ctx: Context, returns: Sequence[_Return], cookies: Collection[int]) -> None:
    """Refuse those that have an address which is another machine's by now."""
    asked = [one for one in returns if one.error is None and one.plan and one.plan.awake]
    if not asked:
        return
    from macvnet.engine.probing import refusals

    plans = [(one.plan, one.at) for one in asked if one.plan is not None]
    for one, error in zip(asked, refusals(ctx, plans, cookies), strict=True):
        if error is not None:
            one.refuse(error)


class _Return:
    """One endpoint on its way back.

    ``error`` is what kept it from that; then nothing is left of the attempt. ``plan``
    is None where nothing is to be made; ``back`` says that it has come, and ``item``
    what is to be announced of it then.
    """

    at: Inside
    parent: LinkInfo
    sandbox: SandboxId

    def __init__(self, ctx: Context, coming: Coming) -> None:
        self.network, self.endpoint, self.target = coming
        self.error: MacvnetError | None = None
        self.plan: Joining | None = None
        self.back = False
        self.item: Item | None = None
        self._ctx = ctx
        self._undo = Undo(ctx.note)

    def trying(self) -> AbstractContextManager[None]:
        """What is refused inside the block is this one's affair."""
        return apart(self.refuse)

    def refuse(self, error: MacvnetError) -> None:
        """End the attempt, and undo what there is of it."""
        self.error = error
        self.give_up()

    def give_up(self) -> None:
        """Undo what there is of it, unless it is back."""
        if not self.back:
            self._undo.back()

    def find(self) -> None:
        """Its sandbox and parent, before any lock is held."""
        ctx = self._ctx
        refuse_host(ctx, self.target)
        number = nsid.assign(ctx.netlink, self.target.namespace)
        self.sandbox = SandboxId(ctx.boot_id, self.target.namespace.cookie, number)
        self.parent = parent_search.ensure(ctx, self.network)

    def begin(self, stack: ExitStack) -> None:
        """Record it as returning; where the LAN is to be asked, make its link."""
        ctx, network, endpoint = self._ctx, self.network, self.endpoint
        kind = driver(network.driver)
        if lookup.endpoint(ctx.store, endpoint.id) != endpoint:
            return
        _refuse_second(ctx, network, endpoint, self.target, self.sandbox.key)
        self.at = endpoint_link.inside(ctx, self.target)
        stack.callback(self.at.netlink.close)
        if endpoint.sandbox.key == self.sandbox.key:
            if endpoint_link.find(ctx, kind, endpoint, self.at, self.parent) is not None:
                return
        elif alive(ctx, endpoint):
            raise Conflict(
                f"the former sandbox of {endpoint.owner} still lives, and has its address",
                f"macvnet disconnect {network.name} {endpoint.owner}",
            )
        self._undo.push(f"the record of {endpoint.owner}", lambda: _rebind(ctx, endpoint))
        coming = endpoint._replace(
            state=RETURNING,
            # Another container of that name may have come, or the same under another name.
            owner=self.target.owner,
            sandbox=self.sandbox,
            pid=self.target.pid,
            ifindex=0,
            sequence=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            dead_since=0.0,
        )
        _rebind(ctx, coming)
        plan = Joining(
            kind,
            network,
            coming,
            self.parent,
            _free_name(ctx, endpoint, self.at),
            endpoint_sysctls(endpoint.driver_options.get(SYSCTLS_OPTION, "")),
        )
        if probes(ctx, plan):
            members = members_of(ctx.store, self.sandbox.key)
            plan = prepare(ctx, plan, members, self.at, self._undo)
        self.plan = plan

    def finish(self) -> None:
        """Make what there is not yet, and record that it is back."""
        assert self.plan is not None
        members = members_of(self._ctx.store, self.sandbox.key)
        joined = establish(self._ctx, self.plan, members, self.at, self._undo)
        record(self._ctx, [joined])
        self.back, self.item = True, joined.item


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
