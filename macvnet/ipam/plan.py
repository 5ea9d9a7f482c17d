"""A pool to be made, and the interval arithmetic behind it.

Knows which addresses of a subnet may be given out without being asked for;
must not know texts, stores or who holds what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from macvnet.addresses import WIDTH, Address, Interval
from macvnet.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from macvnet.model import Pool


class PoolPlan(NamedTuple):
    """A pool, and the addresses that it may give out by itself.

    ``allowed`` is sorted, disjoint, and has no two neighbours that touch: the
    ranges (or the whole subnet) less reserved addresses, gateway, auxiliary
    addresses, exclusions, and what is probably the router.
    ``exclude_texts`` are the exclusions, in canonical form.
    """

    pool: Pool
    allowed: tuple[Interval, ...]
    exclude_texts: tuple[str, ...] = ()

    @property
    def usable(self) -> int:
        """How many addresses it can give out by itself."""
        return sum(run.size for run in self.allowed)

    @property
    def first(self) -> Address | None:
        """The lowest of them."""
        return Address(self.pool.family, self.allowed[0].first) if self.allowed else None

    @property
    def last(self) -> Address | None:
        """The highest of them."""
        return Address(self.pool.family, self.allowed[-1].last) if self.allowed else None


def plan_pool(
    pool: Pool,
    *,
    excludes: Iterable[Interval] = (),
    exclude_texts: tuple[str, ...] = (),
    guess_router: bool = False,
) -> PoolPlan:
    """Decide what ``pool`` may give out by itself.

    With ``guess_router``, a pool that has neither gateway nor range keeps the
    first host address back: on most networks it is the router's.
    """
    subnet = pool.subnet
    withheld = [Interval(value, value) for value in subnet.reserved]
    withheld += [Interval(address.value, address.value) for _, address in pool.aux]
    if pool.gateway:
        withheld.append(Interval(pool.gateway.value, pool.gateway.value))
    elif guess_router and not pool.ranges and subnet.prefixlen < WIDTH[subnet.family] - 1:
        withheld.append(Interval(subnet.first + 1, subnet.first + 1))
    withheld += excludes
    allowed = subtract(merge(pool.ranges or (subnet.interval,)), merge(withheld))
    return PoolPlan(pool, tuple(allowed), exclude_texts)


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The same addresses as sorted intervals that neither overlap nor touch."""
    result: list[Interval] = []
    for interval in sorted(intervals):
        if result and interval.first <= result[-1].last + 1:
            if interval.last > result[-1].last:
                result[-1] = Interval(result[-1].first, interval.last)
        else:
            result.append(interval)
    return result


def subtract(intervals: list[Interval], holes: list[Interval]) -> list[Interval]:
    """What is in ``intervals`` and not in ``holes``; both as ``merge`` returns them."""
    result = []
    position = 0
    for first, last in intervals:
        while position < len(holes) and holes[position].last < first:
            position += 1
        begin = first
        for index in range(position, len(holes)):
            hole = holes[index]
            if hole.first > last:
                break
            if begin < hole.first:
                result.append(Interval(begin, hole.first - 1))
            begin = hole.last + 1
            position = index  # it may reach into the next interval
        if begin <= last:
            result.append(Interval(begin, last))
    return result
