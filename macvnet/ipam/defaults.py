"""A subnet for a network that was given none.

Knows docker's rule since 27.0 (the lowest default pool that nobody uses); must
not know the host: routes and name servers are handed in.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from macvnet.addresses import IPV6, WIDTH, Interval, Subnet
from macvnet.errors import Exhausted
from macvnet.ipam.plan import PoolPlan, merge, plan_pool
from macvnet.ipam.segment import overlapping
from macvnet.model import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from macvnet.store import Reader


def default_subnet(
    reader: Reader,
    segment: str,
    family: int,
    default_pools: Sequence[tuple[str, int]],
    installation_id: str,
    avoid: Iterable[Subnet] = (),
) -> Subnet:
    """The lowest subnet of the default pools that overlaps no pool and nothing in ``avoid``.

    ``default_pools``: (base in canonical CIDR, prefix length of each subnet),
    of both families, in order. IPv6 without any has a /48 of its own, derived
    from the installation's id. ``avoid``: the host's routes and name servers.
    Exhausted if all are taken.
    """
    bases = [(Subnet.parse(base), length) for base, length in default_pools]
    bases = [(base, length) for base, length in bases if base.family == family]
    if not bases and family == IPV6:
        bases = [(unique_local(installation_id), 64)]
    avoided = [subnet for subnet in avoid if subnet.family == family and subnet.prefixlen]
    for base, length in bases:
        used = [entry.subnet.interval for entry in overlapping(reader, segment, base)]
        used += [subnet.interval for subnet in avoided if subnet.overlaps(base)]
        first = _lowest(base, length, merge(used))
        if first is not None:
            return Subnet(family, first, length)
    raise Exhausted(
        f"all default IPv{family} pools are in use by networks or by routes of this host",
        "--subnet ADDRESS/LENGTH, or more default pools in the configuration",
    )


def automatic_plan(pool_id: str, subnet: Subnet) -> PoolPlan:
    """The plan of a pool whose subnet macvnet chose: no gateway, no range."""
    return plan_pool(Pool(pool_id, subnet, automatic=True))


def unique_local(installation_id: str) -> Subnet:
    """The installation's own fdXX:XXXX:XXXX::/48 (RFC 4193), as docker derives its."""
    global_id = hashlib.sha256(installation_id.encode()).digest()[-5:]
    return Subnet(IPV6, int.from_bytes(b"\xfd" + global_id + bytes(10), "big"), 48)


def _lowest(base: Subnet, length: int, used: list[Interval]) -> int | None:
    """The first address of the lowest block of that length which meets nothing used."""
    size = 1 << (WIDTH[base.family] - length)
    candidate = base.first
    for first, last in used:
        if candidate + size <= first:
            break
        if last >= candidate:
            candidate = (last // size + 1) * size
    return candidate if candidate + size - 1 <= base.last else None
