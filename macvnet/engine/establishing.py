"""Establishing: what seats have reserved becomes links in their targets.

Of a long list the links are made by hands, while the addresses of those that
follow are chosen: what is plain, since a hand has no state to look into. What a
hand has not done is done here, and refused here where it must be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from macvnet.engine import endpoint_link
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.joining import Joining, establish, joined, prepare, probes, put_in
from macvnet.engine.liveness import members_of
from macvnet.engine.seats import Host, Seat
from macvnet.engine.undo import Undo
from macvnet.errors import MacvnetError
from macvnet.kernel import links
from macvnet.model import JOINED, PLAIN, SLAAC, Endpoint, Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from macvnet.engine.hands import Line

SLICE = 32
"""Seats whose addresses are chosen at once, while the links of those before are made."""

Reserved = Sequence[tuple[Network, Endpoint]]
Planned = tuple[Seat, Sequence[Joining]]


def establish_seat(ctx: Context, host: Host, seat: Seat, reserved: Reserved) -> None:
    """Make the links of one seat; where the LAN is asked first, only ``tentative`` ones."""
    plans = _plans(host, seat, reserved)
    asked = _asked(ctx, seat, plans)
    if any(asked):
        members = _members(ctx, seat)
        seat.tentative = [
            prepare(ctx, plan, members, seat.at, seat.undo) if ask else plan
            for plan, ask in zip(plans, asked, strict=True)
        ]
    else:
        establish_all(ctx, seat, plans)


def establish_all(ctx: Context, seat: Seat, plans: Sequence[Joining]) -> None:
    """Make all links of one seat, and see whether its loopback link is up."""
    members = _members(ctx, seat)
    for plan in plans:
        one = establish(ctx, plan, members, seat.at, seat.undo)
        members.append((plan.network, one.endpoint))
        seat.joined.append(one)
    seat.lo_down = _lo_down(seat.at)


def establish_many(
    ctx: Context,
    host: Host,
    seats: Sequence[Seat],
    reserve: Callable[[Sequence[Seat]], Sequence[tuple[Seat, Reserved]]],
    meanwhile: Callable[[], bool] | None = None,
) -> None:
    """The same for many, each by itself: those that are refused have an ``error``.

    ``meanwhile`` as for ``connect.join``.
    """
    from macvnet.engine.hands import Hands, most

    hands = Hands(
        partial(_work, ctx), done=partial(_done, ctx), left=partial(_left, ctx), most=most()
    )
    try:
        for begin in range(0, len(seats), SLICE):
            plain: list[Planned] = []
            others: list[tuple[Seat, Reserved]] = []
            for seat, reserved in reserve(seats[begin : begin + SLICE]):
                with seat.trying():
                    plans = _plans(host, seat, reserved)
                    if _is_plain(ctx, seat, plans):
                        plain.append((seat, plans))
                    else:
                        others.append((seat, reserved))
            for seat, given in plain:
                for plan in given:
                    what = f"the link of {plan.endpoint.owner}"
                    seat.undo.push(what, partial(_remove, seat, plan))
            if plain and not hands.give(plain, meanwhile):
                for planned in plain:
                    _left(ctx, planned, False)
            for seat, reserved in others:
                with seat.trying():
                    establish_seat(ctx, host, seat, reserved)
        hands.end(meanwhile)
    finally:
        # Nobody must be at work when what there is is undone.
        hands.end(give_up=True)


def _plans(host: Host, seat: Seat, reserved: Reserved) -> list[Joining]:
    return [
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


def _asked(ctx: Context, seat: Seat, plans: Sequence[Joining]) -> list[bool]:
    """For which of them the LAN is asked first."""
    return [
        not step.wanted.request.no_probe and probes(ctx, plan)
        for step, plan in zip(seat.steps, plans, strict=True)
    ]


def _is_plain(ctx: Context, seat: Seat, plans: Sequence[Joining]) -> bool:
    """Whether it takes the kernel and nothing else."""
    return not (
        seat.recorded
        or any(
            plan.network.shim
            or plan.endpoint.routing != PLAIN
            or plan.network.link.ipv6_mode == SLAAC
            for plan in plans
        )
        or any(_asked(ctx, seat, plans))
    )


def _members(ctx: Context, seat: Seat) -> list[tuple[Network, Endpoint]]:
    return members_of(ctx.store, seat.sandbox.key) if seat.recorded else []


def _lo_down(at: Inside) -> bool:
    flags = at.netlink.flags("lo")
    return flags is not None and not flags & links.IFF_UP


def _remove(seat: Seat, plan: Joining) -> None:
    endpoint_link.remove_tagged(plan.driver, plan.endpoint, seat.at)


def _work(ctx: Context, items: Sequence[Planned], line: Line) -> None:
    """A hand's part: the links, from our sockets in the targets and one of its own here."""
    told: list[str] = []
    trace = told.append if ctx.trace else None
    with ctx.beside(trace) as other:
        for number, (seat, plans) in enumerate(items):
            if line.given_up():
                return
            told.clear()
            seat.at.netlink.tell_to(trace)
            failed: list[str] = []
            undo = Undo(failed.append)
            members: list[tuple[Network, Endpoint]] = []
            made: list[Any] = []
            try:
                for plan in plans:
                    endpoint, notes = put_in(other, plan, members, seat.at, undo)
                    members.append((plan.network, endpoint))
                    made.append([endpoint.ifname, endpoint.ifindex, endpoint.mac, notes])
                line.answer(number, [told, made, _lo_down(seat.at)])
            except MacvnetError:
                undo.back()
                if not failed:
                    line.answer(number, None)


def _done(ctx: Context, planned: Planned, answer: Any) -> None:
    """What a hand has made is the seat's."""
    seat, plans = planned
    told, made, seat.lo_down = answer
    if ctx.trace:
        for text in told:
            ctx.trace(text)
    for plan, (ifname, ifindex, mac, notes) in zip(plans, made, strict=True):
        endpoint = plan.endpoint._replace(ifname=ifname, ifindex=ifindex, mac=mac, state=JOINED)
        seat.joined.append(joined(ctx, plan, endpoint, notes, seat.at))


def _left(ctx: Context, planned: Planned, half_made: bool) -> None:
    """What no hand has made is made here."""
    seat, plans = planned
    with seat.trying():
        if half_made:
            seat.reopen(ctx)
            for plan in plans:
                _remove(seat, plan)
        establish_all(ctx, seat, plans)
