"""How many addresses of a pool are used, reserved, excluded and free, in exact numbers.

Knows that free runs are the allowed ones less every lease, so that what is held
in the allowed part is a subtraction; only what is held outside of it is read.
Must not know who holds an address beyond the kind of its holder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from macvnet import keys
from macvnet.addresses import Address, Interval, sort_key
from macvnet.ipam.plan import subtract
from macvnet.ipam.runs import Runs
from macvnet.ipam.segment import Holder, lease_holder
from macvnet.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from macvnet.model import Pool
    from macvnet.store import Reader

PAGE = 1000


class Counts(NamedTuple):
    """The addresses of a subnet, each counted once.

    ``used`` are held by endpoints. ``reserved`` are gateways, auxiliary
    addresses, what is kept for containers that do not have it now, what
    ``Subnet.reserved`` names, and the host's own where those are asked for.
    ``excluded`` are given out on request only, ``free`` ones by
    themselves.
    """

    used: int
    reserved: int
    excluded: int
    free: int

    @property
    def size(self) -> int:
        return self.used + self.reserved + self.excluded + self.free


def count(
    reader: Reader,
    segment: str,
    pool: Pool,
    claims: Iterable[Address] = (),
    own: Iterable[Address] = (),
) -> Counts:
    """Count a pool's addresses; the leases that its runs account for are not read.

    ``claims`` are addresses of the segment that may be held without an endpoint;
    any that is not among them counts as used where it could be given out by
    itself. ``own`` are the host's, which are never given out.
    """
    subnet = pool.subnet
    runs = Runs(reader, pool.id, pool.family)
    allowed = runs.allowed()
    free = sum(run.size for run in runs.free())
    used = sum(run.size for run in allowed) - free
    reserved = set(subnet.reserved)
    for address in claims:
        if subnet.holds(address) and runs.is_allowed(address.value):
            holder = lease_holder(reader, segment, address)
            if holder and not holder.endpoint and address.value not in reserved:
                used -= 1
                reserved.add(address.value)
    for value, holder in _outside(reader, segment, pool, allowed):
        if holder.endpoint:
            used += 1
            reserved.discard(value)
        else:
            reserved.add(value)
    for address in own:
        if subnet.holds(address) and lease_holder(reader, segment, address) is None:
            reserved.add(address.value)
            free -= runs.is_free(address.value)
    excluded = subnet.interval.size - used - len(reserved) - free
    return Counts(used, len(reserved), excluded, free)


def _outside(
    reader: Reader, segment: str, pool: Pool, allowed: list[Interval]
) -> Iterator[tuple[int, Holder]]:
    """Who holds what in the subnet and not in the allowed runs."""
    prefix = keys.leases(segment, pool.family)
    for gap in subtract([pool.subnet.interval], allowed):
        begin: int | None = gap.first
        while begin is not None and begin <= gap.last:
            start = prefix + sort_key(pool.family, begin)
            page = reader.scan(prefix, start=start, limit=min(gap.last - begin + 1, PAGE))
            begin = None
            for key, record in page:
                value = int(key[len(prefix) :], 16)
                if value > gap.last:
                    break
                yield value, Holder.from_json(record)
                begin = value + 1
