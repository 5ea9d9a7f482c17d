"""Connecting many: a long list of containers, in parts, or all of it as one.

Knows how a list is cut; what happens in a part is ``connect``'s. A container
that is refused leaves the others alone, unless all of them shall be one deed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from macvnet import runtimes
from macvnet.engine import lookup
from macvnet.engine.connect import join, judged, remark_lo_down
from macvnet.engine.context import Context
from macvnet.engine.parts import Meanwhile, Part, in_parts, most_with_next, refuse_too_many
from macvnet.engine.seats import Connected, Seat, Step
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
    most = len(asked) if atomic else most_with_next()
    done = _Done(ctx, report)
    try:
        with closing(in_parts(_Part(ctx, asked, 0, most, together=atomic))) as parts:
            for part, meanwhile in parts:
                part.join(meanwhile)
                part.tell(done)
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


class _Part(Part):
    """The containers that are connected at once."""

    def __init__(
        self, ctx: Context, asked: Sequence[Asked], begin: int, most: int, *, together: bool
    ) -> None:
        super().__init__(ctx, len(asked), begin, most)
        self._asked = asked
        self._together = together
        self._networks = _Networks(ctx)
        self._taken: dict[str, Target] = {}
        self._seats: dict[int, Seat] = {}

    def following(self) -> _Part:
        return _Part(self._ctx, self._asked, self.end, self._most, together=self._together)

    def is_at_once(self, number: int) -> bool:
        return runtimes.is_at_once(self._asked[number].container)

    def open_one(self, number: int) -> bool:
        ctx, one = self._ctx, self._asked[number]
        target = runtimes.resolve(one.container, ctx.reader)
        self.opened.enter_context(target.namespace)
        seat = Seat(ctx, target, judged(ctx, target, self._networks.found(one.wanted)))
        self.opened.callback(seat.close)
        other = self._taken.get(seat.sandbox.key)
        if other is not None and not self._together:
            # Two names of one sandbox: the second sees what became of the first.
            return False
        if other is not None:
            raise Conflict(
                f"{target.owner} is the sandbox of {other.owner}, which is in the list",
                "name each container once",
            )
        self._taken[seat.sandbox.key] = target
        self._seats[number] = seat
        return True

    def join(self, meanwhile: Meanwhile) -> None:
        """Connect those that are open; ``meanwhile`` is done while others are at work on it."""
        if not (self._together and self.refused):
            seats = list(self._seats.values())
            join(self._ctx, seats, together=self._together, meanwhile=meanwhile)

    def tell(self, done: _Done) -> None:
        """Report what has become of each, in order."""
        for number in range(self.begin, self.end):
            if number in self.refused:
                done.refused(number, self.refused[number])
            elif self._seats[number].error is not None or self._seats[number].joined:
                done.add(number, self._seats[number])


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
