"""Addresses that other machines on the LAN have, remembered for a while.

While it is remembered such an address is held, as if by an endpoint: so it is in
no run of free ones, and choosing costs the same however many there are. It is let
go when its time is over and somebody asks for more, and at once when it is asked
for by name. Must not know how it was learned who has it.
"""

from __future__ import annotations

from macvnet import keys
from macvnet.addresses import Address, Subnet
from macvnet.ipam.allocation import give_back, take
from macvnet.ipam.segment import Holder, PoolEntry, lease_holder, pool_entry
from macvnet.store import Reader, Transaction

SECONDS = 3600
"""How long an address is remembered as another machine's."""
SOME = 3
"""How many a transaction lets go at once: fewer operations than a commit may have."""


def remember(
    tx: Transaction,
    segment: str,
    pool: str,
    subnet: Subnet,
    address: Address,
    mac: str,
    now: float,
) -> None:
    """An address that an endpoint held becomes that of the machine with the MAC."""
    until = int(now) + SECONDS
    held = Holder(pool=pool, subnet=subnet, mac=mac, until=until)
    tx.put(keys.lease(segment, address), held.to_json())
    tx.put(keys.taken(pool, until, address), {"address": str(address)})


def notice(
    tx: Transaction, segment: str, entry: PoolEntry, address: Address, mac: str, now: float
) -> bool:
    """An address that nobody holds becomes that of the machine with the MAC, for as long from now.

    False where somebody holds it, or has got it meanwhile.
    """
    holder = lease_holder(tx, segment, address)
    if holder is None:
        take(tx, entry, address)
    elif holder.mac:
        tx.delete(keys.taken(holder.pool, holder.until, address))
    else:
        return False
    remember(tx, segment, entry.id, entry.subnet, address, mac, now)
    return True


def let_go(tx: Transaction, segment: str, address: Address) -> None:
    """Forget that another machine has an address; nothing happens where none is known to."""
    holder = lease_holder(tx, segment, address)
    if holder is None or not holder.mac or holder.subnet is None:
        return
    tx.delete(keys.lease(segment, address))
    tx.delete(keys.taken(holder.pool, holder.until, address))
    give_back(tx, pool_entry(tx, segment, holder.subnet, holder.pool), segment, address)


def due(reader: Reader, pool: str, now: float) -> bool:
    """Whether any address of the pool has been remembered long enough. One look-up."""
    first = reader.scan(keys.taken(pool), limit=1)
    return bool(first) and _until(first[0][0]) <= now


def expire(tx: Transaction, segment: str, pool: str, now: float | None) -> int:
    """Let go what is due, SOME at most; all that there is where ``now`` is None. How many."""
    gone = 0
    for key, record in tx.scan(keys.taken(pool), limit=SOME):
        until = _until(key)
        if now is not None and until > now:
            break
        address = Address.parse(record["address"])
        holder = lease_holder(tx, segment, address)
        if holder is not None and (holder.pool, holder.until) == (pool, until):
            let_go(tx, segment, address)
        tx.delete(key)
        gone += 1
    return gone


def _until(key: str) -> int:
    return int(key.split("/")[2])
