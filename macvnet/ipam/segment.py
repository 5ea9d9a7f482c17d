"""What is in a segment: its pools, which of them overlap, and who holds an address.

Knows the records and how to find them without reading all of them; must not
know how pools get there (``installing``) or how an address is chosen
(``allocation``).
"""

from __future__ import annotations

from macvnet import keys
from macvnet.addresses import WIDTH, Address, Interval, Subnet, sort_key
from macvnet.records import NamedTuple
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from macvnet.store import Reader

GATEWAY = "gateway"
AUXILIARY = "auxiliary address"


class Neighbour(NamedTuple):
    """A pool that overlaps another one, and the hull of its ranges."""

    id: str
    subnet: Subnet
    ranged: Interval

    def to_json(self) -> list[str]:
        return [self.id, str(self.subnet), f"{self.ranged.first:x}", f"{self.ranged.last:x}"]

    @classmethod
    def from_json(cls, data: list[str]) -> Neighbour:
        return cls(data[0], Subnet.parse(data[1]), Interval(int(data[2], 16), int(data[3], 16)))


class PoolEntry(NamedTuple):
    """A pool as its segment sees it. ``ranged`` is None if it has no ip range."""

    id: str
    subnet: Subnet
    network: str
    network_name: str
    ranged: Interval | None
    neighbours: tuple[Neighbour, ...] = ()

    def to_json(self) -> dict[str, Any]:
        data = self._asdict()
        data["subnet"] = str(self.subnet)
        data["ranged"] = [f"{value:x}" for value in self.ranged] if self.ranged else None
        data["neighbours"] = [neighbour.to_json() for neighbour in self.neighbours]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PoolEntry:
        values = dict(data)
        values["subnet"] = Subnet.parse(data["subnet"])
        if data["ranged"]:
            values["ranged"] = Interval(*(int(text, 16) for text in data["ranged"]))
        values["neighbours"] = tuple(Neighbour.from_json(item) for item in data["neighbours"])
        return cls(**values)

    def sharing(self, address: Address) -> list[str]:
        """Ids of the pools, this one included, that might give the address out by themselves."""
        mine = [self.id] if self.subnet.holds(address) else []
        return mine + [other.id for other in self.neighbours if address.value in other.ranged]


class Reservation(NamedTuple):
    """A network's claim to an address: as gateway, or as auxiliary address ``label``."""

    network: str
    network_name: str
    role: str
    label: str = ""

    def __str__(self) -> str:
        named = f" {quoted(self.label)}" if self.label else ""
        return f"the {self.role}{named} of network {self.network_name!r}"


class Holder(NamedTuple):
    """Who holds an address: an endpoint, an owner it is kept for, the networks that reserved it,

    or another machine. ``pool`` and ``subnet`` say which pool an endpoint or an
    owner has it from, or met the machine in. ``kept`` is the claim (network's ID,
    owner) of a ``macvnet reserve``; it stays when the endpoint that has the
    address leaves. ``mac`` is that machine's, ``until`` how long it is remembered
    (seconds since the epoch).
    """

    endpoint: str = ""
    pool: str = ""
    subnet: Subnet | None = None
    reserved: tuple[Reservation, ...] = ()
    kept: tuple[str, str] | None = None
    mac: str = ""
    until: int = 0

    @property
    def leased(self) -> bool:
        """Held by an endpoint or for an owner: no network can have it as its own."""
        return bool(self.endpoint or self.kept)

    def to_json(self) -> dict[str, Any]:
        if self.leased:
            leased = {"endpoint": self.endpoint, "pool": self.pool, "subnet": str(self.subnet)}
            return {**leased, "kept": list(self.kept)} if self.kept else leased
        if self.mac:
            where = {"pool": self.pool, "subnet": str(self.subnet)}
            return {"mac": self.mac, "until": self.until, **where}
        return {"reserved": [list(reservation) for reservation in self.reserved]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Holder:
        if "endpoint" in data:
            kept = data.get("kept")
            return cls(
                data["endpoint"],
                data["pool"],
                Subnet.parse(data["subnet"]),
                kept=(kept[0], kept[1]) if kept else None,
            )
        if "mac" in data:
            subnet = Subnet.parse(data["subnet"])
            return cls("", data["pool"], subnet, mac=data["mac"], until=data["until"])
        return cls(reserved=tuple(Reservation(*item) for item in data["reserved"]))

    def __str__(self) -> str:
        if self.kept and not self.endpoint:
            return f"the reservation for {self.kept[1]}"
        if self.mac:
            return f"another machine, with the MAC {self.mac}"
        return f"endpoint {self.endpoint[:12]}" if self.endpoint else str(self.reserved[0])


def lease_holder(reader: Reader, segment: str, address: Address) -> Holder | None:
    """Who holds an address in a segment, or None. One look-up."""
    data = reader.get(keys.lease(segment, address))
    return Holder.from_json(data) if data else None


def pool_entry(reader: Reader, segment: str, subnet: Subnet, pool_id: str) -> PoolEntry | None:
    """A pool by subnet and id. One look-up."""
    return reader.parsed(keys.pool(segment, subnet, pool_id), PoolEntry.from_json)


def overlapping(reader: Reader, segment: str, subnet: Subnet) -> list[PoolEntry]:
    """All pools whose subnet equals, contains or is inside ``subnet``, lowest subnet first.

    CIDR blocks nest or are disjoint, so the containing ones are found by
    trying each shorter prefix: 33 look-ups at most for IPv4, 129 for IPv6.
    """
    found = []
    for prefixlen in range(subnet.prefixlen + 1):
        shift = WIDTH[subnet.family] - prefixlen
        wider = Subnet(subnet.family, subnet.first >> shift << shift, prefixlen)
        found += reader.scan(keys.pools(segment, wider))
    prefix = f"{keys.pools(segment)}{subnet.family}"
    width = WIDTH[subnet.family] // 4
    start = f"{prefix}{sort_key(subnet.family, subnet.first)}{subnet.prefixlen + 1:03d}/"
    while page := reader.scan(prefix, start=start, limit=100):
        inside = [
            row for row in page if int(row[0][len(prefix) : len(prefix) + width], 16) <= subnet.last
        ]
        found += inside
        if len(inside) < len(page):
            break
        start = page[-1][0] + "\0"
    return [PoolEntry.from_json(data) for _, data in found]


def containing(reader: Reader, segment: str, address: Address) -> list[PoolEntry]:
    """All pools whose subnet an address is in."""
    width = WIDTH[address.family]
    return overlapping(reader, segment, Subnet(address.family, address.value, width))


def held(reader: Reader, segment: str, family: int, run: Interval, limit: int) -> list[int]:
    """The addresses of ``run`` that somebody holds, lowest first, ``limit`` at most."""
    prefix = keys.leases(segment, family)
    found = reader.scan(prefix, start=prefix + sort_key(family, run.first), limit=limit)
    values = (int(key[len(prefix) :], 16) for key, _ in found)
    return [value for value in values if value <= run.last]
