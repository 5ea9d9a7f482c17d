"""Connecting: sandboxes get endpoints in one or several networks, each of them all or none.

What several sandboxes have in common (the host's addresses, a parent, a commit)
is done once for all of them; ``connecting_many`` cuts a long list into such parts.
"""

from __future__ import annotations

from functools import partial

from macvnet.blocks import ExitStack, closing, nullcontext
from macvnet.drivers import driver
from macvnet.engine import establishing
from macvnet.engine.collecting import make_way, reclaim, sweep_some
from macvnet.engine.context import Context
from macvnet.engine.joining import record
from macvnet.engine.liveness import (
    alive,
    dies,
    drop_host_routes,
    finish_unfinished,
    roll_back,
)
from macvnet.engine.lookup import endpoint as recorded_endpoint
from macvnet.engine.lookup import endpoints_of_owner, endpoints_of_sandbox
from macvnet.engine.reopening import by_pid
from macvnet.engine.requests import judge
from macvnet.engine.reserving import Reservation
from macvnet.engine.seats import Connected, Host, Seat, Step
from macvnet.engine.undo import Undo
from macvnet.errors import Conflict, Exhausted, InvalidRequest, MacvnetError
from macvnet.kernel import links
from macvnet.kernel.announce import announce
from macvnet.kernel.links import LinkInfo
from macvnet.model import JOINED, Endpoint, EndpointRequest, Network, SandboxId
from macvnet.runtimes import Target, table
from macvnet.store import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from macvnet.engine.parts import Meanwhile


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


def join(
    ctx: Context,
    seats: Sequence[Seat],
    *,
    together: bool = False,
    meanwhile: Meanwhile | None = None,
) -> None:
    """Connect seats of different sandboxes; those that are refused have an ``error``.

    That leaves the others alone, and the caller announces those that have joined.
    ``together`` is one deed: one that is refused undoes all, and they are announced
    when all have joined. ``meanwhile`` is a piece of other work for when others are at
    work on this, and tells whether there is more. Leaves nothing of any if it raises.
    """
    with ExitStack() as stack, Undo(ctx.note) as undo:
        stack.enter_context(ctx.sandbox_locks(seat.sandbox.cookie for seat in seats))
        with ctx.store.viewing():
            members = [endpoints_of_sandbox(ctx.store, seat.sandbox.key) for seat in seats]
        for seat, found in zip(seats, members, strict=True):
            undo.push(f"what {seat.target.owner} had", seat.give_up)
            seat.recorded = bool(finish_unfinished(ctx, seat.sandbox.key, found))
        host = Host(ctx)
        sweep_some(ctx)
        if len(seats) > establishing.SLICE:
            reserve = partial(_reserve, ctx, host)
            establishing.establish_many(ctx, host, seats, reserve, meanwhile)
        else:
            for seat, reserved in _reserve(ctx, host, seats):
                with seat.trying():
                    establishing.establish_seat(ctx, host, seat, reserved)
        if tentative := [seat for seat in seats if seat.tentative and seat.error is None]:
            from macvnet.engine import probing

            cookies = [seat.sandbox.cookie for seat in seats]
            probing.settle(ctx, tentative, host.addresses, cookies)
            for seat in tentative:
                if seat.error is None:
                    with seat.trying():
                        establishing.establish_all(ctx, seat, seat.tentative)
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
    elif not ctx.in_first_namespace and target.namespace.is_like(ctx.first_namespace):
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


def _reserve(
    ctx: Context, host: Host, seats: Sequence[Seat]
) -> list[tuple[Seat, list[tuple[Network, Endpoint]]]]:
    """Reserve for all seats, in as few commits as hold them; the seats that have all they ask for.

    Where a pool is exhausted, what dead sandboxes hold goes first.
    """
    asked: list[tuple[Seat, Reservation]] = []
    with ctx.store.viewing():
        owned = [endpoints_of_owner(ctx.store, str(seat.target.owner)) for seat in seats]
    for seat, had in zip(seats, owned, strict=True):
        with seat.trying():
            for step in seat.steps:
                parent = host.parent(step.network)
                one = reservation(
                    ctx,
                    host,
                    step,
                    seat.sandbox,
                    seat.target,
                    parent,
                    had,
                    alone=not seat.recorded,
                )
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


def _stale(
    ctx: Context, step: Step, sandbox: SandboxId, owned: Sequence[Endpoint]
) -> list[Endpoint]:
    """What the owner left in the network in earlier sandboxes: its addresses come back to it."""
    return [
        old
        for old in owned
        if old.network == step.network.id
        and old.sandbox.key != sandbox.key
        and not _lives(ctx, old)
    ]


def _lives(ctx: Context, endpoint: Endpoint) -> bool:
    if reached := by_pid(ctx, endpoint):
        reached.namespace.close()
        return True
    return alive(ctx, endpoint) and not dies(ctx, endpoint)


def reservation(
    ctx: Context,
    host: Host,
    step: Step,
    sandbox: SandboxId,
    target: Target,
    parent: LinkInfo | None,
    owned: Sequence[Endpoint],
    *,
    alone: bool = False,
) -> Reservation:
    """What is to be reserved for one step. ``parent`` is None where it has yet to be made.

    ``owned`` are all endpoints that are recorded for the target's owner.

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
        _stale(ctx, step, sandbox, owned),
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
