"""Establishing: what seats have reserved becomes links in their targets.

Of a long list the links are made by hands, while the addresses of those that
follow are chosen: what is plain, since a hand has no state to look into. What a
hand has not done is done here, and refused here where it must be.
"""

from __future__ import annotations

from functools import partial

from macvnet.blocks import Callable, Iterator, Sequence, contextmanager
from macvnet.engine import endpoint_link
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.joining import Joining, establish, joined, prepare, probes, put_in
from macvnet.engine.liveness import members_of
from macvnet.engine.seats import Host, Seat
from macvnet.engine.undo import Undo, apart
from macvnet.errors import MacvnetError
from macvnet.kernel import links
from macvnet.model import JOINED, PLAIN, SLAAC, Endpoint, Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from macvnet.engine.hands import Given, Line
    from macvnet.engine.parts import Meanwhile

SLICE, SMALLEST = 32, 8
"""Seats whose addresses are chosen at once, while the links of those before are made."""

MANY = 64
"""Seats whose reservations are long enough for the disk to begin with them before the end."""

Reserved = Sequence[tuple[Network, Endpoint]]


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
    meanwhile: Meanwhile | None = None,
) -> None:
    """The same for many, each by itself: those that are refused have an ``error``.

    ``meanwhile`` as for ``connect.join``.
    """
    many = _Many(ctx, host, seats)
    numbers = {id(seat): number for number, seat in enumerate(seats)}
    begin = 0
    try:
        while begin < len(seats):
            end = begin + _slice(len(seats) - begin, many.workers)
            plain: list[int] = []
            others: list[tuple[Seat, Reserved]] = []
            for seat, reserved in reserve(seats[begin:end]):
                with seat.trying():
                    if many.takes(numbers[id(seat)], reserved):
                        plain.append(numbers[id(seat)])
                    else:
                        others.append((seat, reserved))
            many.make(plain, meanwhile)
            for seat, reserved in others:
                with seat.trying():
                    establish_seat(ctx, host, seat, reserved)
            begin = end
        if len(seats) >= MANY:
            # Of what is on its way now, little is left when it is to be durable.
            ctx.store.begin_sync()
        many.end(meanwhile)
    finally:
        # Nobody must be at work when what there is is undone.
        many.end(give_up=True)


class _Many:
    """The links of seats, made by hands, and by us where these are busy.

    A hand is as old as the first of them, and has to be told what was reserved since.
    """

    def __init__(self, ctx: Context, host: Host, seats: Sequence[Seat]) -> None:
        from macvnet.engine.hands import Hands, most

        self.workers = most() + 1
        self._ctx = ctx
        self._host = host
        self._seats = seats
        self._plans: dict[int, Sequence[Joining]] = {}
        self._hands = Hands(
            seats, self._work, done=self._done, left=self._left, most=self.workers - 1
        )
        for step in {step.network.id: step for seat in seats for step in seat.steps}.values():
            # A hand cannot look for it. What is refused is so again, to whom it belongs.
            with apart(lambda error: None):
                host.parent(step.network)

    def takes(self, number: int, reserved: Reserved) -> bool:
        """Whether the links of a seat can be made so. Raises what is refused."""
        seat = self._seats[number]
        plans = _plans(self._host, seat, reserved)
        if not _is_plain(self._ctx, seat, plans):
            return False
        self._plans[number] = plans
        return True

    def make(self, numbers: Sequence[int], meanwhile: Meanwhile | None) -> None:
        """Make the links of these."""
        for number in numbers:
            seat = self._seats[number]
            for plan in self._plans[number]:
                what = f"the link of {plan.endpoint.owner}"
                seat.undo.push(what, partial(_remove, seat, plan))
        said = {number: [plan.endpoint for plan in self._plans[number]] for number in numbers}
        if numbers and not self._hands.give(said, meanwhile):
            for number in numbers:
                self._left(number, False)

    def end(self, meanwhile: Meanwhile | None = None, *, give_up: bool = False) -> None:
        """As ``Hands.end``."""
        self._hands.end(meanwhile, give_up=give_up)

    @contextmanager
    def _work(self, line: Line) -> Iterator[Callable[[Given[Seat]], None]]:
        """A hand's part: the links, from our sockets in the targets and one of its own here."""
        told: list[str] = []
        trace = told.append if self._ctx.trace else None

        def make(given: Given[Seat]) -> None:
            for number, seat, endpoints in given:
                if line.given_up():
                    return
                told.clear()
                seat.at.netlink.tell_to(trace)
                reserved = [
                    (step.network, Endpoint.from_lists(values))
                    for step, values in zip(seat.steps, endpoints, strict=True)
                ]
                line.answer(number, self._made(other, seat, reserved, told))

        with self._ctx.beside(trace) as other:
            yield make

    def _made(
        self, other: Context, seat: Seat, reserved: Reserved, told: list[str]
    ) -> list[Any] | None:
        failed: list[str] = []
        undo = Undo(failed.append)
        members: list[tuple[Network, Endpoint]] = []
        made: list[Any] = []
        try:
            for plan in _plans(self._host, seat, reserved):
                endpoint, notes = put_in(other, plan, members, seat.at, undo)
                members.append((plan.network, endpoint))
                made.append([endpoint.ifname, endpoint.ifindex, endpoint.mac, notes])
            return [told, made, _lo_down(seat.at)]
        except MacvnetError:
            undo.back()
            if failed:
                # Half made, which nobody but us can tell: as if we had died.
                raise
            return None

    def _done(self, number: int, answer: Any) -> None:
        """What a hand has made is the seat's."""
        seat = self._seats[number]
        told, made, seat.lo_down = answer
        self._ctx.retrace(told)
        for plan, (ifname, ifindex, mac, notes) in zip(self._plans[number], made, strict=True):
            endpoint = plan.endpoint._replace(ifname=ifname, ifindex=ifindex, mac=mac, state=JOINED)
            seat.joined.append(joined(self._ctx, plan, endpoint, notes, seat.at))

    def _left(self, number: int, half_made: bool) -> None:
        """What no hand has made is made here."""
        seat, plans = self._seats[number], self._plans[number]
        with seat.trying():
            if half_made:
                seat.reopen(self._ctx)
                for plan in plans:
                    _remove(seat, plan)
            establish_all(self._ctx, seat, plans)


def _slice(left: int, workers: int) -> int:
    """How many of those that are left are next: fewer in the end, so that all end together."""
    return max(SMALLEST, min(SLICE, left // (2 * workers)))


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
    """Whether it takes the kernel and nothing else, and the networks are as they were found."""
    return not (
        seat.recorded
        or any(plan.network != step.network for plan, step in zip(plans, seat.steps, strict=True))
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
