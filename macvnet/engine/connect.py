"""Connecting: sandboxes get endpoints in one or several networks, each of them all or none.

What several sandboxes have in common (the host's addresses, a parent, a commit)
is done once for all of them; ``connecting_many`` cuts a long list into such parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext

from macvnet.drivers import Driver, driver
from macvnet.engine import endpoint_link, parent_search
from macvnet.engine.collecting import make_way, reclaim, sweep_some
from macvnet.engine.context import Context
from macvnet.engine.joining import Joined, Joining, establish, prepare, probes, record
from macvnet.engine.liveness import (
    alive,
    dies,
    drop_host_routes,
    finish_unfinished,
    members_of,
    roll_back,
)
from macvnet.engine.lookup import endpoint as recorded_endpoint
from macvnet.engine.lookup import endpoints_of_owner
from macvnet.engine.reopening import by_pid
from macvnet.engine.requests import Wanted, judge
from macvnet.engine.reserving import Reservation
from macvnet.engine.undo import Undo, apart
from macvnet.errors import Conflict, Exhausted, InvalidRequest, MacvnetError
from macvnet.kernel import addressing, links, nsid
from macvnet.kernel.announce import announce
from macvnet.kernel.links import LinkInfo
from macvnet.model import JOINED, Change, Endpoint, EndpointRequest, Network, SandboxId
from macvnet.records import NamedTuple
from macvnet.runtimes import Target, table
from macvnet.store import Transaction

SLICE = 32
"""Seats whose addresses are chosen at once, while the links of those before are made."""


class Connected(NamedTuple):
    """A network and the endpoint made in it (or, dry, the endpoint as it would be)."""

    network: Network
    endpoint: Endpoint
    changes: tuple[Change, ...] = ()


class Step(NamedTuple):
    """One network to connect to, judged."""

    network: Network
    driver: Driver
    wanted: Wanted


class Seat:
    """One target that is being connected: what it shall have, what it has by now.

    ``error`` is what kept it from being connected; then nothing is left of it.
    ``recorded``: whether there are endpoints in its sandbox already. ``tentative``:
    its endpoints, where the LAN is to be asked first whether their addresses are free.
    ``lo_down`` tells that the loopback link in the target is down. To be closed.
    """

    def __init__(self, ctx: Context, target: Target, steps: Sequence[Step]) -> None:
        self.target = target
        self.steps = steps
        self.undo = Undo(ctx.note)
        self.joined: list[Joined] = []
        self.tentative: list[Joining] = []
        self.error: MacvnetError | None = None
        self.lo_down = False
        self.at = endpoint_link.inside(ctx, target)
        try:
            number = nsid.assign(ctx.netlink, target.namespace)
        except BaseException:
            self.close()
            raise
        self.sandbox = SandboxId(ctx.boot_id, target.namespace.cookie, number)
        self.recorded = False

    def close(self) -> None:
        self.at.netlink.close()

    def trying(self) -> AbstractContextManager[None]:
        """What is refused inside the block ends this one's attempt, not that of the others."""
        return apart(self.refuse)

    def refuse(self, error: MacvnetError) -> None:
        """End the attempt, and undo what there is of it."""
        self.error = error
        self.give_up()

    def give_up(self) -> None:
        """Undo what there is of it."""
        self.undo.back()
        self.joined.clear()

    @property
    def connected(self) -> list[Connected]:
        return [Connected(joined.network, joined.endpoint) for joined in self.joined]


class Host:
    """What the seats of one part have in common, looked up once."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._parents: dict[str, LinkInfo] = {}
        self.addresses = {info.address for info in addressing.all_addresses(ctx.netlink)}
        """The host's own addresses: looked up at each choice, never stored."""

    def parent(self, network: Network) -> LinkInfo:
        """The parent of a network, made again where it is macvnet's own and missing."""
        found = self._parents.get(network.id)
        if found is None:
            found = parent_search.ensure(self._ctx, network)
            if not found.carrier and network.link.parent:
                self._ctx.note(f"the parent {found.name} has no carrier")
            self._parents[network.id] = found
        return found


def connect(
    ctx: Context,
    target: Target,
    wanted: Sequence[tuple[Network, EndpointRequest]],
    *,
    dry_run: bool = False,
) -> list[Connected]:
    """Connect an open target to networks, in order; announce when all have joined.

    Raises what any of them refuses, after undoing the others.
    """
    steps = judged(ctx, target, wanted)
    if dry_run:
        from macvnet.engine.foreseeing import foresee

        [foreseen] = foresee(ctx, [nullcontext((target, steps))])
        if isinstance(foreseen, MacvnetError):
            raise foreseen
        return foreseen
    ctx.claim()
    with closing(Seat(ctx, target, steps)) as seat:
        join(ctx, [seat], together=True)
        if seat.error is not None:
            raise seat.error
        if seat.lo_down:
            remark_lo_down(ctx, [target])
        return seat.connected


def remark_lo_down(ctx: Context, targets: Sequence[Target]) -> None:
    """A note about targets, at least one, whose loopback link is down: macvnet never touches it."""
    first, *others = targets
    which = f"{first.owner} and {len(others)} more" if others else str(first.owner)
    ctx.note(
        f"lo is down in {which}: programs that talk to themselves will fail "
        f"({first.enter} ip link set lo up)"
    )


def judged(
    ctx: Context, target: Target, wanted: Sequence[tuple[Network, EndpointRequest]]
) -> list[Step]:
    """What is asked for, if that can be at all. Raises what is refused."""
    refuse_host(ctx, target)
    steps = [
        Step(network, kind, judge(network, kind, request))
        for network, request in wanted
        for kind in (driver(network.driver),)
    ]
    _refuse_twice(steps)
    return steps


def join(ctx: Context, seats: Sequence[Seat], *, together: bool = False) -> None:
    """Connect seats of different sandboxes; those that are refused have an ``error``.

    That leaves the others alone, and the caller announces those that have joined.
    ``together`` is one deed: one that is refused undoes all, and they are announced
    when all have joined. Leaves nothing of any of them if it raises.
    """
    with ExitStack() as stack, Undo(ctx.note) as undo:
        stack.enter_context(ctx.sandbox_locks(seat.sandbox.cookie for seat in seats))
        for seat in seats:
            undo.push(f"what {seat.target.owner} had", seat.give_up)
            seat.recorded = bool(finish_unfinished(ctx, seat.sandbox.key))
        host = Host(ctx)
        sweep_some(ctx)
        if len(seats) > SLICE:
            _establish_alongside(ctx, host, seats)
        else:
            for seat, reserved in _reserve(ctx, host, seats):
                with seat.trying():
                    _establish(ctx, host, seat, reserved)
        if tentative := [seat for seat in seats if seat.tentative and seat.error is None]:
            from macvnet.engine import probing

            cookies = [seat.sandbox.cookie for seat in seats]
            probing.settle(ctx, tentative, host.addresses, cookies)
            for seat in tentative:
                if seat.error is None:
                    with seat.trying():
                        _establish_all(ctx, seat, seat.tentative)
        if together and any(seat.error is not None for seat in seats):
            undo.back()
        done = [joined for seat in seats for joined in seat.joined]
        record(ctx, done)
        if together:
            announce([one.item for one in done if one.item], rate=ctx.settings.arp_rate)


def refuse_host(ctx: Context, target: Target) -> None:
    """A target that is the host's own namespace would lose its network: refused."""
    if target.namespace.same_as(ctx.namespace):
        reason = "the one this command was started in"
    elif target.namespace.is_of(1):
        reason = "the host's own (that of PID 1)"
    else:
        return
    whose = f"the network namespace of {target.owner}"
    if target.owner.returns:
        # Its runtime made no namespace for it: docker calls that the network mode host.
        whose = f"{target.owner} shares the network of the host: its namespace"
    raise Conflict(
        f"{whose} is {reason}, which macvnet never changes",
        table()[target.owner.runtime].ISOLATED,
    )


def _refuse_twice(steps: Sequence[Step]) -> None:
    seen: set[str] = set()
    for step in steps:
        if step.network.id in seen:
            raise InvalidRequest(
                f"network {step.network.name!r} is named twice", "give each --network once"
            )
        seen.add(step.network.id)


def _establish_alongside(ctx: Context, host: Host, seats: Sequence[Seat]) -> None:
    """The same for many: links are made while addresses are chosen for those that follow."""
    from macvnet.engine.alongside import Alongside

    with ctx.beside() as other:

        def work(one: tuple[Seat, list[tuple[Network, Endpoint]]]) -> None:
            _establish(other, host, *one)

        making = Alongside(work)
        try:
            for begin in range(0, len(seats), SLICE):
                for one in _reserve(ctx, host, seats[begin : begin + SLICE]):
                    making.put(one)
            making.end()
        finally:
            # Nobody must be at work when what there is is undone.
            making.end(give_up=True)
    for (seat, _), error in making.refused:
        seat.refuse(error)


def _establish(
    ctx: Context,
    host: Host,
    seat: Seat,
    reserved: Sequence[tuple[Network, Endpoint]],
) -> None:
    plans = [
        Joining(
            step.driver,
            network,
            endpoint,
            host.parent(network),
            step.wanted.ifname,
            step.wanted.sysctls,
        )
        for step, (network, endpoint) in zip(seat.steps, reserved, strict=True)
    ]
    asked = [
        not step.wanted.request.no_probe and probes(ctx, plan)
        for step, plan in zip(seat.steps, plans, strict=True)
    ]
    if any(asked):
        members = _members(ctx, seat)
        seat.tentative = [
            prepare(ctx, plan, members, seat.at, seat.undo) if ask else plan
            for plan, ask in zip(plans, asked, strict=True)
        ]
    else:
        _establish_all(ctx, seat, plans)


def _members(ctx: Context, seat: Seat) -> list[tuple[Network, Endpoint]]:
    return members_of(ctx.store, seat.sandbox.key) if seat.recorded else []


def _establish_all(ctx: Context, seat: Seat, plans: Sequence[Joining]) -> None:
    members = _members(ctx, seat)
    for plan in plans:
        joined = establish(ctx, plan, members, seat.at, seat.undo)
        members.append((plan.network, joined.endpoint))
        seat.joined.append(joined)
    flags = seat.at.netlink.flags("lo")
    seat.lo_down = flags is not None and not flags & links.IFF_UP


def _reserve(
    ctx: Context, host: Host, seats: Sequence[Seat]
) -> list[tuple[Seat, list[tuple[Network, Endpoint]]]]:
    """Reserve for all seats, in as few commits as hold them; the seats that have all they ask for.

    Where a pool is exhausted, what dead sandboxes hold goes first.
    """
    asked: list[tuple[Seat, Reservation]] = []
    for seat in seats:
        with seat.trying():
            for step in seat.steps:
                parent = host.parent(step.network)
                alone = not seat.recorded
                one = reservation(ctx, host, step, seat.sandbox, seat.target, parent, alone=alone)
                for old in one.stale:
                    drop_host_routes(ctx, step.network, old)
                wanted = step.wanted
                make_way(ctx, step.network, wanted.addresses.values(), wanted.mac)
                _undo_with(ctx, seat, one)
                asked.append((seat, one))
    # Of one that was refused half-way nothing is to be reserved.
    asked = [(seat, one) for seat, one in asked if seat.error is None]
    outcomes = ctx.store.transact_each(_write, [one for _, one in asked], durable=False)
    got: dict[int, list[tuple[Network, Endpoint]]] = {id(seat): [] for seat in seats}
    for (seat, one), outcome in zip(asked, outcomes, strict=True):
        if seat.error is not None:
            continue
        with seat.trying():
            got[id(seat)].append(_had(ctx, one, outcome))
    return [(seat, got[id(seat)]) for seat in seats if seat.error is None]


def _write(tx: Transaction, one: Reservation) -> tuple[Network, Endpoint]:
    return one.write(tx)


Outcome = tuple[Network, Endpoint] | MacvnetError


def _had(ctx: Context, one: Reservation, outcome: Outcome) -> tuple[Network, Endpoint]:
    """The reserved endpoint; where the pool was full, once what is dead has made room."""
    while isinstance(outcome, Exhausted):
        if not reclaim(ctx, one.network):
            raise outcome
        [outcome] = ctx.store.transact_each(_write, [one], durable=False)
    if isinstance(outcome, MacvnetError):
        raise outcome
    return outcome


def _undo_with(ctx: Context, seat: Seat, one: Reservation) -> None:
    def unreserve() -> None:
        endpoint = recorded_endpoint(ctx.store, one.endpoint_id)
        if endpoint is not None:
            # What has been recorded as joined must not come back with the power.
            roll_back(ctx, endpoint, durable=endpoint.state == JOINED)

    seat.undo.push(f"the reservation for {seat.target.owner}", unreserve)


def _stale(ctx: Context, step: Step, sandbox: SandboxId, target: Target) -> list[Endpoint]:
    """What the owner left in the network in earlier sandboxes: its addresses come back to it."""
    return [
        old
        for old in endpoints_of_owner(ctx.reader, str(target.owner))
        if old.network == step.network.id
        and old.sandbox.key != sandbox.key
        and not _lives(ctx, old)
    ]


def _lives(ctx: Context, endpoint: Endpoint) -> bool:
    if not alive(ctx, endpoint):
        return False
    if reached := by_pid(endpoint):
        reached.namespace.close()
        return True
    return not dies(ctx, endpoint)


def reservation(
    ctx: Context,
    host: Host,
    step: Step,
    sandbox: SandboxId,
    target: Target,
    parent: LinkInfo | None,
    *,
    alone: bool = False,
) -> Reservation:
    """What is to be reserved for one step. ``parent`` is None where it has yet to be made.

    ``alone`` as for ``Reservation``.
    """
    if step.wanted.mac and parent is not None:
        _refuse_visible_mac(ctx, step.wanted.mac, parent)
    return Reservation(
        step.network,
        step.driver,
        step.wanted,
        target.owner,
        sandbox,
        target.pid,
        parent,
        ctx.installation,
        host.addresses,
        _stale(ctx, step, sandbox, target),
        alone=alone,
    )


def _refuse_visible_mac(ctx: Context, mac: str, parent: LinkInfo) -> None:
    for link in links.all_links(ctx.netlink):
        related = link.ifindex == parent.ifindex or link.lower == parent.ifindex
        if link.mac == mac and related:
            raise Conflict(
                f"the MAC {mac} is held by the link {link.name}",
                "leave --mac-address out, and a free one is chosen",
            )
