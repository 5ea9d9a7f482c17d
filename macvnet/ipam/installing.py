"""Bringing a network's pools into its segment, and taking them out again.

Knows Docker's rule of overlap and in which order the books are changed, so
that a crash between two commits leaves what ``uninstall_pools`` removes. Must
not know networks beyond id, name and pools.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from macvnet import keys
from macvnet.addresses import Address, Interval, Subnet
from macvnet.errors import Conflict
from macvnet.ipam import taken
from macvnet.ipam.allocation import give_back, take
from macvnet.ipam.plan import PoolPlan, subtract
from macvnet.ipam.runs import OpenRuns
from macvnet.ipam.segment import (
    AUXILIARY,
    GATEWAY,
    Holder,
    Neighbour,
    PoolEntry,
    Reservation,
    containing,
    held,
    lease_holder,
    overlapping,
    pool_entry,
)
from macvnet.store import MAX_OPERATIONS, Reader, Store, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from macvnet.model import Network, Pool

# Taking one address out of the free runs costs 2 operations for each pool that
# can give it out; an endpoint with one address of each family must fit into a
# commit with room for its own records.
MOST_SHARING = 16
MOST_OVERLAPPING = 96
_ROOM = 2 * MOST_SHARING + 4

T = TypeVar("T")


def check_pools(reader: Reader, segment: str, network_id: str, plans: Sequence[PoolPlan]) -> None:
    """Conflict if the pools cannot be in the segment; reads only (for ``--dry-run``)."""
    for plan in plans:
        _neighbours(reader, segment, network_id, plan.pool)
        for address, reservation in _reservations(plan.pool, network_id, ""):
            _check_reservable(reader, segment, address, reservation)


def check_beside(pool: Pool, other: Pool, network_name: str) -> None:
    """Conflict if a pool cannot be in a segment with another network's, neither installed yet.

    A subnet that macvnet chooses is chosen beside what is installed by then.
    """
    if pool.automatic or other.automatic:
        return
    if pool.subnet.overlaps(other.subnet) and not (_hull(pool) and _hull(other)):
        raise _overlap(pool, other.subnet, network_name)


def held_from_the_start(network: Network, address: Address) -> str:
    """What of a network that is yet to be made will hold an address; "" where nothing will."""
    for pool in network.pools:
        for reserved, reservation in _reservations(pool, network.id, network.name):
            if reserved == address:
                return str(reservation)
    return ""


def install_pools(
    store: Store,
    segment: str,
    network_id: str,
    network_name: str,
    plans: Sequence[PoolPlan],
) -> None:
    """Bring pools into a segment, in commits of bounded size.

    Conflict, before anything is written, when a subnet overlaps another
    network's (unless both have an ip range), or an endpoint holds the gateway
    or an auxiliary address. Whatever else interrupts it, ``uninstall_pools``
    removes what is there.
    """

    def register(tx: Transaction, plan: PoolPlan) -> None:
        _register(tx, segment, network_id, network_name, plan.pool)

    def reserve(tx: Transaction, item: tuple[Pool, Address, Reservation]) -> None:
        _reserve(tx, segment, *item)

    store.view(lambda tx: check_pools(tx, segment, network_id, plans))
    _in_chunks(store, plans, register, room=MOST_OVERLAPPING + 2)
    reservations = [
        (plan.pool, address, reservation)
        for plan in plans
        for address, reservation in _reservations(plan.pool, network_id, network_name)
    ]
    _in_chunks(store, reservations, reserve, room=_ROOM)
    for plan in plans:
        _write_runs(store, segment, plan)


def uninstall_pools(store: Store, segment: str, network: Network) -> None:
    """Take a network's pools out of its segment; what is gone already is passed over.

    Addresses that it reserved alone go back to the pools that overlap.
    """

    def unreserve(tx: Transaction, item: tuple[Pool, Address, Reservation]) -> None:
        _unreserve(tx, segment, network.id, item[0], item[1])

    def unregister(tx: Transaction, pool: Pool) -> None:
        _unregister(tx, segment, pool)

    for pool in network.pools:
        if store.scan(keys.taken(pool.id), limit=1):
            forget = partial(taken.expire, segment=segment, pool=pool.id, now=None)
            while store.transact(forget, durable=False):
                pass
        while store.transact(partial(_forget_runs, pool=pool), durable=False):
            pass
    reservations = [
        (pool, address, reservation)
        for pool in network.pools
        for address, reservation in _reservations(pool, network.id, network.name)
    ]
    _in_chunks(store, reservations, unreserve, room=_ROOM)
    _in_chunks(store, network.pools, unregister, room=MOST_OVERLAPPING + 2)


def _forget_runs(tx: Transaction, pool: Pool) -> bool:
    return OpenRuns(tx, pool.id, pool.family).forget(MAX_OPERATIONS)


def _in_chunks(
    store: Store,
    items: Sequence[T],
    apply: Callable[[Transaction, T], None],
    *,
    room: int,
) -> None:
    """Apply to each item, as many in one commit as fit; one takes ``room`` at most."""
    position = 0

    def chunk(tx: Transaction) -> int:
        reached = position
        while reached < len(items) and (reached == position or tx.size + room <= MAX_OPERATIONS):
            apply(tx, items[reached])
            reached += 1
        return reached

    while position < len(items):
        position = store.transact(chunk, durable=False)


def _hull(pool: Pool) -> Interval | None:
    if not pool.ranges:
        return None
    return Interval(min(r.first for r in pool.ranges), max(r.last for r in pool.ranges))


def _neighbours(reader: Reader, segment: str, network_id: str, pool: Pool) -> list[PoolEntry]:
    """The pools that overlap; Conflict if they must not."""
    found = [e for e in overlapping(reader, segment, pool.subnet) if e.id != pool.id]
    hull = _hull(pool)
    for entry in found:
        if hull and entry.ranged and entry.network != network_id:
            continue
        raise _overlap(pool, entry.subnet, entry.network_name)
    sharing = [e for e in found if hull and e.ranged and _meet(hull, e.ranged)]
    if len(found) > MOST_OVERLAPPING or len(sharing) > MOST_SHARING:
        raise Conflict(
            f"subnet '{pool.subnet}' overlaps {len(found)} others, and its ip range "
            f"{len(sharing)} of theirs; {MOST_OVERLAPPING} and {MOST_SHARING} are supported",
            "choose an --ip-range that no other network has, or fewer networks on one subnet",
        )
    return found


def _overlap(pool: Pool, subnet: Subnet, network_name: str) -> Conflict:
    return Conflict(
        f"subnet '{pool.subnet}' overlaps {subnet} of network {network_name!r}",
        "choose another --subnet, give each of the two networks an --ip-range, "
        "or separate them with -o segment=NAME",
    )


def _meet(one: Interval, other: Interval) -> bool:
    return one.first <= other.last and other.first <= one.last


def _reservations(
    pool: Pool, network_id: str, network_name: str
) -> list[tuple[Address, Reservation]]:
    """What a pool reserves; a link-local gateway is every link's own, and not reserved."""
    result = [
        (address, Reservation(network_id, network_name, AUXILIARY, name))
        for name, address in pool.aux
    ]
    if pool.gateway and not (pool.onlink and _is_link_local(pool.gateway)):
        result.insert(0, (pool.gateway, Reservation(network_id, network_name, GATEWAY)))
    return result


def _is_link_local(address: Address) -> bool:
    return address.family == 6 and address.value >> 118 == 0xFE80 >> 6


def _check_reservable(
    reader: Reader, segment: str, address: Address, reservation: Reservation
) -> Holder | None:
    holder = lease_holder(reader, segment, address)
    if holder and holder.leased:
        raise Conflict(
            f"address '{address}' cannot become a {reservation.role}, {holder} holds it"
            if reservation.role == GATEWAY
            else f"address '{address}' cannot become an {reservation.role}, {holder} holds it",
            "disconnect or unreserve what has it, or choose another address",
        )
    return holder


def _register(
    tx: Transaction, segment: str, network_id: str, network_name: str, pool: Pool
) -> None:
    others = _neighbours(tx, segment, network_id, pool)
    hull = _hull(pool)
    known = tuple(Neighbour(e.id, e.subnet, e.ranged) for e in others if e.ranged)
    entry = PoolEntry(pool.id, pool.subnet, network_id, network_name, hull, known)
    tx.put(keys.pool(segment, pool.subnet, pool.id), entry.to_json())
    if hull:
        myself = Neighbour(pool.id, pool.subnet, hull)
        for other in others:
            kept = tuple(n for n in other.neighbours if n.id != pool.id)
            updated = other._replace(neighbours=(*kept, myself))
            tx.put(keys.pool(segment, other.subnet, other.id), updated.to_json())
    _count(tx, segment)


def _unregister(tx: Transaction, segment: str, pool: Pool) -> None:
    entry = pool_entry(tx, segment, pool.subnet, pool.id)
    if entry is None:
        return
    for neighbour in entry.neighbours:
        other = pool_entry(tx, segment, neighbour.subnet, neighbour.id)
        if other:
            kept = tuple(n for n in other.neighbours if n.id != pool.id)
            key = keys.pool(segment, other.subnet, other.id)
            tx.put(key, other._replace(neighbours=kept).to_json())
    tx.delete(keys.pool(segment, pool.subnet, pool.id))
    _count(tx, segment)


def _count(tx: Transaction, segment: str) -> None:
    """Make two changes to a segment's pools conflict: each must see the other's."""
    key = keys.segment(segment)
    tx.put(key, (tx.get(key) or 0) + 1)


def _reserve(
    tx: Transaction, segment: str, pool: Pool, address: Address, reservation: Reservation
) -> None:
    holder = _check_reservable(tx, segment, address, reservation)
    claims = holder.reserved if holder else ()
    if reservation not in claims:
        key = keys.lease(segment, address)
        tx.put(key, Holder(reserved=(*claims, reservation)).to_json())
    if holder:
        return
    for entry in _books(tx, segment, pool, address):
        take(tx, entry, address)


def _unreserve(
    tx: Transaction, segment: str, network_id: str, pool: Pool, address: Address
) -> None:
    holder = lease_holder(tx, segment, address)
    if holder is None or holder.leased:
        return
    kept = tuple(claim for claim in holder.reserved if claim.network != network_id)
    if kept == holder.reserved:
        return
    key = keys.lease(segment, address)
    if kept:
        tx.put(key, Holder(reserved=kept).to_json())
        return
    tx.delete(key)
    entry = pool_entry(tx, segment, pool.subnet, pool.id)
    give_back(tx, entry if pool.subnet.holds(address) else None, segment, address)


def _books(tx: Transaction, segment: str, pool: Pool, address: Address) -> list[PoolEntry]:
    """Pools through which every pool that could give ``address`` out is known."""
    if pool.subnet.holds(address):
        entry = pool_entry(tx, segment, pool.subnet, pool.id)
        return [entry] if entry else []
    return containing(tx, segment, address)


def _write_runs(store: Store, segment: str, plan: PoolPlan) -> None:
    """Write what the pool may give out, and of that what nobody holds, in one sweep.

    A run and what is free of it are written by the same commit: addresses
    taken or given back meanwhile are accounted for before or after, never not.
    """
    pool = plan.pool
    done = 0
    begin = 0

    def chunk(tx: Transaction) -> tuple[int, int]:
        runs = OpenRuns(tx, pool.id, pool.family)
        index, start = done, begin
        while index < len(plan.allowed):
            budget = (MAX_OPERATIONS - tx.size - 6) // 2
            if budget < 1:
                break
            run = Interval(max(start, plan.allowed[index].first), plan.allowed[index].last)
            taken = held(tx, segment, pool.family, run, budget)
            if len(taken) == budget:
                run = Interval(run.first, taken[-1])
            runs.add(run, subtract([run], [Interval(value, value) for value in taken]))
            if run.last < plan.allowed[index].last:
                start = run.last + 1
            else:
                index, start = index + 1, 0
        return index, start

    while done < len(plan.allowed):
        done, begin = store.transact(chunk, durable=False)
