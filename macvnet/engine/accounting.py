"""Where the addresses are: what each pool has left, who has an address, which comes next.

Only looks. Reads the state and asks the kernel without pyroute2, so that it
costs what a glance costs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from macvnet import keys
from macvnet.addresses import IPV4, IPV6, Address, Subnet
from macvnet.engine import lookup
from macvnet.errors import Conflict, Exhausted, InvalidRequest, NotFound
from macvnet.ipam import allocation
from macvnet.ipam import segment as in_segment
from macvnet.ipam.counting import Counts, count
from macvnet.ipam.runs import Runs
from macvnet.ipam.segment import Holder, PoolEntry, containing, lease_holder
from macvnet.kept import Kept
from macvnet.kernel import interfaces
from macvnet.model import ACTIVE, Endpoint, Network, Pool
from macvnet.records import NamedTuple
from macvnet.store import Reader
from macvnet.text import quoted

USED, RESERVED, EXCLUDED, FREE = "used", "reserved", "excluded", "free"
GATEWAY, AUXILIARY, OWN = "gateway", "auxiliary", "host"
NETWORK, BROADCAST, ANYCAST = "network", "broadcast", "anycast"
_ROLES = {in_segment.GATEWAY: GATEWAY, in_segment.AUXILIARY: AUXILIARY}


class PoolCounts(NamedTuple):
    """A pool of a network, and how many of its addresses are what."""

    network: Network
    pool: Pool
    counts: Counts


class Place(NamedTuple):
    """What an address is in one segment.

    ``kind`` is USED, GATEWAY, AUXILIARY, RESERVED, NETWORK, BROADCAST, ANYCAST,
    OWN, EXCLUDED or FREE. ``network`` is the name of the network that it is
    held for or could be given out by, ``subnet`` of that one's pool, both
    None where they are not known. ``label`` is an auxiliary address's name,
    ``text`` who else holds it. ``since`` is when an endpoint was connected,
    None where that was in an earlier boot.
    """

    kind: str
    segment: str
    network: str | None
    subnet: Subnet | None
    label: str = ""
    text: str = ""
    endpoint: Endpoint | None = None
    since: datetime | None = None


class Next(NamedTuple):
    """The address that the next connect would get from a pool."""

    pool: Pool
    address: Address


def status(reader: Reader, networks: Sequence[Network]) -> list[PoolCounts]:
    """The pools of some networks, IPv4 first, counted."""
    own = interfaces.addresses()
    claims = _claims(reader)
    return [
        PoolCounts(
            network,
            pool,
            count(reader, network.segment, pool, claims.get(network.segment, ()), own),
        )
        for network in networks
        if not network.config_only
        for pool in sorted(network.pools, key=lambda pool: pool.family)
    ]


def _claims(reader: Reader) -> dict[str, list[Address]]:
    """Gateways, auxiliary addresses and reservations of all networks, by segment."""
    found: dict[str, list[Address]] = {}
    segments: dict[str, str] = {}
    for _, record in reader.scan(keys.NETWORKS):
        segments[record["id"]] = record["segment"]
        for pool in record["pools"]:
            texts = [*pool["aux"].values(), *filter(None, [pool["gateway"]])]
            found.setdefault(record["segment"], []).extend(map(Address.parse, texts))
    for _, record in reader.scan(keys.KEPT):
        kept = Kept.from_json(record)
        if kept.network in segments:
            found.setdefault(segments[kept.network], []).extend(a for _, a in kept.addresses)
    return found


def who(reader: Reader, text: str, boot_id: str) -> list[Place]:
    """What an address is, in each segment that has a pool for it; NotFound in none."""
    try:
        address = Address.parse(text)
    except ValueError:
        raise InvalidRequest(
            f"{quoted(text)} is not an IP address", "macvnet ipam who 192.0.2.10"
        ) from None
    own = address in interfaces.addresses()
    found: list[Place] = []
    for key, _ in reader.scan(keys.SEGMENTS):
        segment = keys.segment_in(key)
        found += _in_segment(reader, segment, address, own=own, boot_id=boot_id)
    if not found:
        raise NotFound(f"the address {address} is in no pool", "macvnet ipam status")
    return found


def _in_segment(
    reader: Reader, segment: str, address: Address, *, own: bool, boot_id: str
) -> list[Place]:
    pools = containing(reader, segment, address)
    holder = lease_holder(reader, segment, address)
    if holder is None:
        return [_unheld(reader, segment, pool, address, own=own) for pool in pools]
    endpoint = lookup.endpoint(reader, holder.endpoint) if holder.endpoint else None
    if endpoint is not None:
        record = reader.get(keys.network(endpoint.network))
        name = record["name"] if record else None
        since = _since(endpoint, boot_id)
        return [Place(USED, segment, name, holder.subnet, "", str(holder), endpoint, since)]
    return [
        Place(
            _ROLES[one.role], segment, one.network_name, _subnet_of(pools, one.network), one.label
        )
        for one in holder.reserved
    ] or [_held_by_others(segment, pools, holder)]


def _held_by_others(segment: str, pools: Sequence[PoolEntry], holder: Holder) -> Place:
    """What holds it is neither an endpoint that is recorded nor a network."""
    pool = next((one for one in pools if one.id == holder.pool), None)
    name = pool.network_name if pool else None
    return Place(RESERVED, segment, name, holder.subnet, "", str(holder))


def _subnet_of(pools: Sequence[PoolEntry], network: str) -> Subnet | None:
    return next((pool.subnet for pool in reversed(pools) if pool.network == network), None)


def _unheld(reader: Reader, segment: str, pool: PoolEntry, address: Address, *, own: bool) -> Place:
    kind = EXCLUDED
    if address.value in pool.subnet.reserved:
        kind = NETWORK if address.family == IPV4 else ANYCAST
        kind = BROADCAST if address.value == pool.subnet.broadcast else kind
    elif own:
        kind = OWN
    elif Runs(reader, pool.id, address.family).is_free(address.value):
        kind = FREE
    return Place(kind, segment, pool.network_name, pool.subnet)


def _since(endpoint: Endpoint, boot_id: str) -> datetime | None:
    """When it was connected: its sequence is the time since boot, in nanoseconds."""
    if endpoint.sandbox.boot_id != boot_id:
        return None
    ago = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - endpoint.sequence
    return datetime.now(UTC) - timedelta(microseconds=ago // 1000)


def following(reader: Reader, network: Network) -> list[Next]:
    """What the next connect would get, one address of each family; nothing is reserved.

    Conflict where nothing can be connected, Exhausted where a family is full.
    """
    if network.config_only or network.state != ACTIVE:
        what = "--config-only" if network.config_only else f"being {network.state[:-3]}ed"
        raise Conflict(f"network {quoted(network.name)} is {what}", "macvnet ls")
    own = interfaces.addresses()
    return [
        _following(reader, network, [p for p in network.pools if p.family == family], own)
        for family in (IPV4, IPV6)
        if any(pool.family == family for pool in network.pools)
    ]


def _following(reader: Reader, network: Network, pools: Sequence[Pool], own: set[Address]) -> Next:
    for pool in pools:
        address = allocation.next_free(reader, pool, own)
        if address is not None:
            return Next(pool, address)
    subnets = ", ".join(str(pool.subnet) for pool in pools)
    raise Exhausted(
        f"network {quoted(network.name)} has no free address left in {subnets}",
        f"macvnet ipam status {network.name}",
    )
