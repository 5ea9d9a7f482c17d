"""Connecting many: a long list of containers, in parts, or all of it as one.

Knows how a list is cut; what happens in a part is ``connect``'s. A container
that is refused leaves the others alone, unless all of them shall be one deed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from macvnet import runtimes
from macvnet.engine import lookup
from macvnet.engine.connect import join, judged, remark_lo_down
from macvnet.engine.context import Context
from macvnet.engine.parts import most_at_once, refuse_too_many
from macvnet.engine.seats import Connected, Seat, Step
from macvnet.engine.undo import apart
from macvnet.errors import Conflict, MacvnetError
from macvnet.kernel.announce import Item, announce
from macvnet.model import EndpointRequest, Network
from macvnet.records import NamedTuple
from macvnet.runtimes import Target

Report = Callable[[int, list[Connected] | MacvnetError], None]


class Asked(NamedTuple):
    """A container as the user names it, and the networks it shall be in; at least one."""

    container: str
    wanted: Sequence[tuple[str, EndpointRequest]]


def connect_many(
    ctx: Context, asked: Sequence[Asked], report: Report, *, atomic: bool, dry_run: bool
) -> None:
    """Connect containers, in order; ``report`` is told the number of each and what became of it.

    ``atomic``: all or none; where none, only the refused ones are reported. They
    are announced when all are done, since the pace is that of the parent. Raises
    StoreError where the state fails; what was reported stays.
    """
    if dry_run:
        _foresee(ctx, asked, report)
        return
    ctx.claim()
    if atomic:
        refuse_too_many(len(asked))
    most = len(asked) if atomic else most_at_once()
    done = _Done(ctx, report)
    try:
        begin = 0
        while begin < len(asked):
            begin += _part(ctx, asked, begin, most, done, together=atomic)
    finally:
        # Those that have joined have, whatever happened to the rest.
        if not atomic:
            announce(done.items, rate=ctx.settings.arp_rate)
    done.remark()


class _Done:
    """What has become of the list so far."""

    def __init__(self, ctx: Context, report: Report) -> None:
        self._ctx = ctx
        self._report = report
        self._lo_down: list[Target] = []
        self.items: list[Item] = []

    def add(self, number: int, seat: Seat) -> None:
        if seat.error is not None:
            self.refused(number, seat.error)
            return
        self.items += [joined.item for joined in seat.joined if joined.item]
        if seat.lo_down:
            self._lo_down.append(seat.target)
        self._report(number, seat.connected)

    def refused(self, number: int, error: MacvnetError) -> None:
        self._report(number, error)

    def remark(self) -> None:
        if self._lo_down:
            remark_lo_down(self._ctx, self._lo_down)


def _part(
    ctx: Context, asked: Sequence[Asked], begin: int, most: int, done: _Done, *, together: bool
) -> int:
    """Connect the containers from ``begin`` on, ``most`` of them at once; how many these were."""
    seats: dict[int, Seat] = {}
    refused: dict[int, MacvnetError] = {}
    taken: dict[str, Target] = {}
    networks = _Networks(ctx)
    end = begin
    with ExitStack() as stack:
        for end, one in enumerate(asked[begin : begin + most], begin):
            with apart(partial(refused.__setitem__, end)):
                target = runtimes.resolve(one.container, ctx.reader)
                stack.enter_context(target.namespace)
                seat = Seat(ctx, target, judged(ctx, target, networks.found(one.wanted)))
                stack.callback(seat.close)
                other = taken.get(seat.sandbox.key)
                if other is not None and not together:
                    # Two names of one sandbox: the second sees what became of the first.
                    break
                if other is not None:
                    raise Conflict(
                        f"{target.owner} is the sandbox of {other.owner}, which is in the list",
                        "name each container once",
                    )
                taken[seat.sandbox.key] = target
                seats[end] = seat
        else:
            end += 1
        if not (together and refused):
            join(ctx, list(seats.values()), together=together)
        for number in range(begin, end):
            if number in refused:
                done.refused(number, refused[number])
            elif seats[number].error is not None or seats[number].joined:
                done.add(number, seats[number])
    return end - begin


class _Networks:
    """The networks that a part of the list asks for, each looked up once."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._known: dict[str, Network] = {}

    def found(
        self, wanted: Sequence[tuple[str, EndpointRequest]]
    ) -> list[tuple[Network, EndpointRequest]]:
        return [(self._network(term), request) for term, request in wanted]

    def _network(self, term: str) -> Network:
        if term not in self._known:
            self._known[term] = lookup.network(self._ctx.reader, term)
        return self._known[term]


def _foresee(ctx: Context, asked: Sequence[Asked], report: Report) -> None:
    from macvnet.engine.foreseeing import foresee

    networks = _Networks(ctx)

    @contextmanager
    def opened(one: Asked) -> Iterator[tuple[Target, list[Step]]]:
        target = runtimes.resolve(one.container, ctx.reader)
        with target.namespace:
            yield target, judged(ctx, target, networks.found(one.wanted))

    for number, outcome in enumerate(foresee(ctx, [opened(one) for one in asked])):
        report(number, outcome)
