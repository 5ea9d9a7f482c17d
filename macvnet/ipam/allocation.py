"""Choosing, holding and giving back addresses, inside a transaction.

Knows that an address has one holder in its segment, and that the lowest free
one is chosen; every step costs the same however many are held. Must not know
texts, or what an endpoint is beyond its id.
"""

from __future__ import annotations

from macvnet import keys
from macvnet.addresses import Address, Interval, Subnet
from macvnet.blocks import Callable, Container, Sequence
from macvnet.errors import Conflict, Exhausted, InvalidRequest
from macvnet.ipam.runs import OpenRuns, Runs
from macvnet.ipam.segment import (
    Holder,
    PoolEntry,
    containing,
    lease_holder,
    pool_entry,
)
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from macvnet.model import Pool
    from macvnet.store import Reader, Transaction

Avoid = Callable[[Address], bool] | Container[Address]
Claim = tuple[str, str]
"""Whose a kept address is: a network's ID and an owner."""


class Usage(NamedTuple):
    """Addresses of a subnet: in use (reserved ones too), and still free to give out."""

    in_use: int
    available: int


def acquire(
    tx: Transaction,
    segment: str,
    network_name: str,
    pool: Pool,
    wanted: Address | None,
    endpoint_id: str,
    avoid: Avoid = (),
    kept: Claim | None = None,
) -> Address | None:
    """Hold ``wanted``, or the lowest free address of the pool; None if it is full.

    ``avoid`` (a container of addresses, or a test) names those that must not
    be taken although nobody holds them, such as the host's own. Conflict when
    ``wanted`` cannot be had, InvalidRequest when it is not in the subnet.
    ``kept`` is a claim that the address is then kept under, also when the
    endpoint has left; one that is kept under it already can be had.
    """
    entry = pool_entry(tx, segment, pool.subnet, pool.id)
    if entry is None:
        raise Conflict(f"network {network_name!r} is being removed", "macvnet ls")
    avoided = _avoiding(avoid)
    run = None
    if wanted is not None:
        holder = lease_holder(tx, segment, wanted)
        if holder and kept and holder.kept == kept and not (holder.endpoint or avoided(wanted)):
            tx.put(keys.lease(segment, wanted), holder._replace(endpoint=endpoint_id).to_json())
            return wanted
        _check_wanted(pool, wanted, holder, avoided)
        chosen = wanted
    else:
        lowest = _lowest(tx, pool, avoided)
        # Not so where the store is locked; where it is not, runs may lag behind leases.
        while lowest and lease_holder(tx, segment, lowest[0]):
            OpenRuns(tx, pool.id, pool.family).take(lowest[0].value)
            lowest = _lowest(tx, pool, avoided)
        if lowest is None:
            return None
        chosen, run = lowest
    held = Holder(endpoint_id, pool.id, pool.subnet, kept=kept)
    tx.create(keys.lease(segment, chosen), held.to_json())
    take(tx, entry, chosen, run)
    return chosen


def acquire_any(
    tx: Transaction,
    segment: str,
    network_name: str,
    pools: Sequence[Pool],
    wanted: Address | None,
    endpoint_id: str,
    avoid: Avoid = (),
    kept: Claim | None = None,
) -> tuple[Pool, Address]:
    """The same over the pools of one family, in order; Exhausted when all are full."""
    subnets = ", ".join(str(pool.subnet) for pool in pools)
    if wanted is not None:
        pools = [pool for pool in pools if pool.subnet.holds(wanted)]
        if not pools:
            raise InvalidRequest(
                f"address '{wanted}' is in no subnet of network {network_name!r}",
                f"choose one in {subnets}" if subnets else f"macvnet inspect {network_name}",
            )
    for pool in pools:
        address = acquire(tx, segment, network_name, pool, wanted, endpoint_id, avoid, kept)
        if address is not None:
            return pool, address
    raise Exhausted(
        f"network {network_name!r} has no free address left in {subnets or 'any subnet'}",
        f"macvnet inspect {network_name}",
    )


def release(tx: Transaction, segment: str, address: Address, endpoint_id: str) -> None:
    """Give an address back. Nothing happens unless this endpoint holds it.

    One that is kept for an owner stays held, for that owner alone.
    """
    holder = lease_holder(tx, segment, address)
    if holder is None or holder.endpoint != endpoint_id or holder.subnet is None:
        return
    if holder.kept:
        tx.put(keys.lease(segment, address), holder._replace(endpoint="").to_json())
        return
    _end(tx, segment, address, holder.pool, holder.subnet)


def keep(tx: Transaction, segment: str, address: Address, claim: Claim) -> bool:
    """Keep an address that an endpoint holds for an owner; False where none does, or for another.

    What nobody holds is kept by ``acquire``, without an endpoint.
    """
    holder = lease_holder(tx, segment, address)
    if holder is None or not holder.endpoint or holder.kept not in (None, claim):
        return False
    tx.put(keys.lease(segment, address), holder._replace(kept=claim).to_json())
    return True


def unkeep(tx: Transaction, segment: str, address: Address, claim: Claim) -> None:
    """End a claim. The endpoint that has the address goes on; without one it is given back."""
    holder = lease_holder(tx, segment, address)
    if holder is None or holder.kept != claim or holder.subnet is None:
        return
    if holder.endpoint:
        tx.put(keys.lease(segment, address), holder._replace(kept=None).to_json())
        return
    _end(tx, segment, address, holder.pool, holder.subnet)


def _end(tx: Transaction, segment: str, address: Address, pool_id: str, subnet: Subnet) -> None:
    tx.delete(keys.lease(segment, address))
    give_back(tx, pool_entry(tx, segment, subnet, pool_id), segment, address)


def next_free(reader: Reader, pool: Pool, avoid: Avoid = ()) -> Address | None:
    """The address that ``acquire`` would choose."""
    found = _lowest(reader, pool, _avoiding(avoid))
    return found[0] if found else None


def _lowest(
    reader: Reader, pool: Pool, avoided: Callable[[Address], bool]
) -> tuple[Address, Interval] | None:
    family = pool.family
    found = Runs(reader, pool.id, family).lowest(lambda value: avoided(Address(family, value)))
    return (Address(family, found[0]), found[1]) if found else None


def usage(reader: Reader, segment: str, pool: Pool) -> Usage:
    """Count the addresses of a pool; the leases that its runs account for are not read."""
    from macvnet.ipam.counting import count

    counts = count(reader, segment, pool)
    return Usage(counts.used + counts.reserved, counts.free)


def take(tx: Transaction, entry: PoolEntry, address: Address, run: Interval | None = None) -> None:
    """Take a newly held address from every pool that could give it out.

    ``run`` is the free one of its own pool that it is in, where that has been read.
    """
    for pool_id in entry.sharing(address):
        runs = OpenRuns(tx, pool_id, address.family)
        if run is not None and pool_id == entry.id:
            runs.take_from(run, address.value)
        else:
            runs.take(address.value)


def give_back(tx: Transaction, entry: PoolEntry | None, segment: str, address: Address) -> None:
    """Return an address that nobody holds any more to every pool that may give it out.

    ``entry`` is the pool it was held through, None when that is gone.
    """
    if entry:
        sharing = entry.sharing(address)
    else:
        sharing = [other.id for other in containing(tx, segment, address)]
    for pool_id in sharing:
        OpenRuns(tx, pool_id, address.family).give(address.value)


def _check_wanted(
    pool: Pool,
    wanted: Address,
    holder: Holder | None,
    avoided: Callable[[Address], bool],
) -> None:
    subnet = pool.subnet
    if not subnet.holds(wanted):
        raise InvalidRequest(f"address '{wanted}' is not in {subnet}", f"choose one in {subnet}")
    hint = f"leave the address out, or choose another one in {subnet}"
    if wanted.value in subnet.reserved:
        kind = "broadcast" if wanted.value == subnet.broadcast else "network"
        raise Conflict(f"address '{wanted}' is the {kind} address of {subnet}", hint)
    if holder:
        raise Conflict(f"address '{wanted}' is in use, it is held by {holder}", hint)
    if avoided(wanted):
        raise Conflict(f"address '{wanted}' is in use by this host", hint)


def _avoiding(avoid: Avoid) -> Callable[[Address], bool]:
    return avoid if callable(avoid) else avoid.__contains__
