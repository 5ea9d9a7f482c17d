"""Which addresses of a network are asked for, when somebody asks the LAN for all of them.

Knows what is worth asking for in a subnet that is too large for that; must not
know how it is asked, or who answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from macvnet.addresses import IPV6, Address, Interval
from macvnet.errors import InvalidRequest
from macvnet.ipam.plan import merge, subtract
from macvnet.ipam.runs import Runs
from macvnet.records import NamedTuple
from macvnet.text import quoted

if TYPE_CHECKING:
    from macvnet.model import Network, Pool
    from macvnet.store import Reader

MOST_IPV6 = 256
"""So many addresses of a range of IPv6 are asked for one by one."""
NEXT = 32
"""Of a larger one, so many of those that are given out next."""


class Stretch(NamedTuple):
    """Addresses of one family that follow each other."""

    family: int
    interval: Interval

    def __str__(self) -> str:
        first, last = (Address(self.family, value) for value in self.interval)
        return str(first) if first == last else f"{first}-{last}"


class Chosen(NamedTuple):
    """What is asked for; ``sampled`` are the pools of which that is only what matters most."""

    stretches: tuple[Stretch, ...]
    sampled: tuple[Pool, ...] = ()

    @property
    def total(self) -> int:
        """How many addresses they are."""
        return sum(stretch.interval.size for stretch in self.stretches)

    def addresses(self) -> Iterator[Address]:
        """One after the other."""
        for family, interval in self.stretches:
            for value in range(interval.first, interval.last + 1):
                yield Address(family, value)

    def holds(self, address: Address) -> bool:
        """Whether it is one of them."""
        return any(f == address.family and address.value in run for f, run in self.stretches)


def of_ranges(network: Network, texts: Sequence[str]) -> Chosen:
    """The addresses of ranges as they are typed: CIDR, START-END, or one address.

    InvalidRequest for one that is malformed, or in no subnet of the network.
    """
    from macvnet.ipam.parsing import parse_block

    found = []
    for text in texts:
        block = parse_block(text, "range", "--range", single=True)
        pool = next(
            (
                one
                for one in network.pools
                if one.family == block.family
                and one.subnet.first <= block.interval.first
                and block.interval.last <= one.subnet.last
            ),
            None,
        )
        if pool is None:
            subnets = ", ".join(str(one.subnet) for one in network.pools)
            raise InvalidRequest(
                f"range {quoted(text)} is in no subnet of network {quoted(network.name)}",
                f"--range with addresses of {subnets}",
            )
        found.append((pool, [block.interval]))
    return Chosen(_joined(found))


def of_network(reader: Reader, network: Network, held: Iterable[Address]) -> Chosen:
    """What a network gives out by itself, and ``held`` of it, which may be elsewhere.

    Of a large range of IPv6: ``held``, gateway and auxiliary addresses, and those that
    are given out next.
    """
    found, sampled = [], []
    holding = list(held)
    for pool in sorted(network.pools, key=lambda each: each.family):
        ranged = list(pool.ranges) or [pool.subnet.interval]
        if pool.family == IPV6 and sum(each.size for each in ranged) > MOST_IPV6:
            sampled.append(pool)
            known = [address for _, address in pool.aux]
            known += [pool.gateway] if pool.gateway else []
            ranged = [Interval(a.value, a.value) for a in known if pool.subnet.holds(a)]
            ranged += _next(reader, pool)
        ranged += [Interval(a.value, a.value) for a in holding if pool.subnet.holds(a)]
        found.append((pool, ranged))
    return Chosen(_joined(found), tuple(sampled))


def _next(reader: Reader, pool: Pool) -> Iterator[Interval]:
    left = NEXT
    for run in Runs(reader, pool.id, pool.family).free(limit=NEXT):
        if left > 0:
            yield Interval(run.first, min(run.last, run.first + left - 1))
            left -= run.size


def _joined(found: Iterable[tuple[Pool, Sequence[Interval]]]) -> tuple[Stretch, ...]:
    """Each address once, and none that no machine can have."""
    intervals: dict[int, list[Interval]] = {}
    barred: dict[int, list[Interval]] = {}
    for pool, some in found:
        intervals.setdefault(pool.family, []).extend(some)
        nobody = [Interval(value, value) for value in pool.subnet.reserved]
        barred.setdefault(pool.family, []).extend(nobody)
    return tuple(
        Stretch(family, interval)
        for family, some in sorted(intervals.items())
        for interval in subtract(merge(some), merge(barred[family]))
    )
