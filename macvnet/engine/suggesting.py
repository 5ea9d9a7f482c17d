"""What can be typed where: networks, containers, parents, free addresses.

For the Tab key, so everything here reads a bounded number of records however
large the state is, and asks the kernel without pyroute2. Must not change
anything, nor know what a shell is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from macvnet import keys, runtimes
from macvnet.addresses import IPV4, IPV6, Address, Interval
from macvnet.engine import lookup
from macvnet.ipam.runs import Runs
from macvnet.ipam.segment import held
from macvnet.kernel import interfaces
from macvnet.model import Network, Pool
from macvnet.records import NamedTuple
from macvnet.runtimes import Listed
from macvnet.store import Reader

NAMES = 1000
DESCRIBED = 60
ENDPOINTS = 100
OWNERS = 100
ADDRESSES = 5
HELD = 20
SEGMENTS = 100


class _Row(NamedTuple):
    name: str
    value: Any


def networks(reader: Reader, prefix: str, *, configurations: bool | None = None) -> list[Listed]:
    """Networks by name, and what each is where they are few.

    ``configurations``: only those that are --config-only, or only the others.
    """
    rows = _ends(reader, keys.name(prefix), NAMES) if _is_name(prefix) else []
    names = [_Row(key.removeprefix(keys.NAMES), value) for key, value in rows]
    if len(names) > DESCRIBED and configurations is not True:
        return [Listed(row.name) for row in names]
    if len(names) > DESCRIBED:
        # Most of all there are: together they are read faster than one by one.
        every = dict(reader.scan(keys.NETWORKS, limit=NAMES))
    else:
        every = {key: reader.get(key) for key in (keys.network(row.value["id"]) for row in names)}
    found = []
    for row in names:
        record = every.get(keys.network(row.value["id"]))
        if record and configurations in (None, record["config_only"]):
            found.append(Listed(row.name, _about(record)))
    return found


def network(reader: Reader, term: str) -> Network | None:
    """The network that a term on the line means; "" means the only one there is."""
    if term:
        return lookup.known(reader, term)
    rows = reader.scan(keys.NETWORKS, limit=2)
    return Network.from_json(rows[0][1]) if len(rows) == 1 else None


def containers(reader: Reader, typed: str, seconds: float) -> list[Listed]:
    """Containers that are there, of all runtimes; within ``seconds``."""
    return runtimes.listed(typed, reader, seconds)


def connected(reader: Reader, of: Network | None, typed: str) -> list[Listed]:
    """Whose endpoints are in a network (None: in any), whether they are still there or not."""
    members = _members(reader, of) if of else None
    found: dict[str, Listed] = {}

    def those(prefix: str) -> list[Listed]:
        every = _owners(reader, of, prefix) if members is None else members
        return [one for one in every if one.name.startswith(prefix)]

    for one in those(typed):
        found.setdefault(one.name, one)
    if typed and ":" not in typed:
        for runtime in runtimes.table():
            for one in those(f"{runtime}:{typed}"):
                name = one.name.removeprefix(f"{runtime}:")
                if runtimes.stands_alone(runtime, name):
                    found.setdefault(name, Listed(name, one.about or runtime))
    return list(found.values())


def reserved(reader: Reader, of: Network, typed: str) -> list[Listed]:
    """Who has a reservation in a network, and its addresses."""
    rows = _ends(reader, keys.kept(of.id, typed), OWNERS)
    found = [
        Listed(
            f"{record['owner']['runtime']}:{record['owner']['name']}",
            " ".join(address for _, address in record["addresses"]),
        )
        for _, record in rows
    ]
    if typed and ":" not in typed:
        for runtime in runtimes.table():
            for one in reserved(reader, of, f"{runtime}:{typed}"):
                name = one.name.removeprefix(f"{runtime}:")
                if runtimes.stands_alone(runtime, name):
                    found.append(Listed(name, one.about))
    return found


def _members(reader: Reader, of: Network) -> list[Listed] | None:
    """The owners of a network's endpoints with their addresses; None where they are many."""
    index = keys.endpoints_of_network(of.id)
    rows = reader.scan(index, limit=ENDPOINTS + 1)
    if len(rows) > ENDPOINTS:
        return None
    endpoints = (lookup.endpoint(reader, key.removeprefix(index)) for key, _ in rows)
    return [
        Listed(str(one.owner), " ".join(assigned.cidr for assigned in one.addresses))
        for one in sorted((e for e in endpoints if e), key=lambda each: each.sequence)
    ]


def _owners(reader: Reader, of: Network | None, prefix: str) -> list[Listed]:
    def joined(row: tuple[str, Any]) -> bool:
        if of is None:
            return True
        endpoint_id = row[0].rpartition("/")[2]
        return reader.get(keys.endpoints_of_network(of.id, endpoint_id)) is not None

    rows = _ends(reader, keys.owners(prefix), OWNERS, joined)
    return [Listed(name) for name in dict.fromkeys(keys.owner_in(key) for key, _ in rows)]


def _ends(
    reader: Reader,
    prefix: str,
    limit: int,
    wanted: Callable[[tuple[str, Any]], bool] = lambda row: True,
) -> list[tuple[str, Any]]:
    """The first rows under a prefix, and where there are more the last one as well.

    A shell types what all candidates begin with: since rows are in order, what the
    first and the last have in common all between them have. Nothing, where one of
    the two was not found among so many rows.
    """
    rows = reader.scan(prefix, limit=limit)
    first = list(filter(wanted, rows))
    if len(rows) < limit:
        return first
    last = next(filter(wanted, reader.scan(prefix, limit=limit // 10, reverse=True)), None)
    return [*first, last] if first and last else []


def free_addresses(reader: Reader, of: Network, family: int, typed: str) -> list[str]:
    """The next few addresses of a family that a network could give out, as texts."""
    own = interfaces.addresses()
    found: list[str] = []
    for pool in of.pools:
        if pool.family == family:
            for address in _free(reader, pool, typed):
                if len(found) == ADDRESSES:
                    return found
                if address not in own and str(address).startswith(typed):
                    found.append(str(address))
    return found


def _free(reader: Reader, pool: Pool, typed: str) -> Iterator[Address]:
    runs = Runs(reader, pool.id, pool.family)
    for part in _beginning(typed) if pool.family == IPV4 else [Interval(0, pool.subnet.last)]:
        begin, end = max(part.first, pool.subnet.first), min(part.last, pool.subnet.last)
        if begin > end:
            continue
        # The host's own, too, may be among them: a few more than are offered.
        for run in (runs.around(begin), *runs.free(begin + 1, 4 * ADDRESSES)):
            if run is not None:
                last = min(run.last, end, max(run.first, begin) + 4 * ADDRESSES)
                for value in range(max(run.first, begin), last + 1):
                    yield Address(pool.family, value)


def held_addresses(reader: Reader, typed: str) -> list[str]:
    """A few addresses that somebody has, of those whose text begins with ``typed``."""
    found: dict[str, None] = {}
    for key, _ in reader.scan(keys.SEGMENTS, limit=SEGMENTS):
        segment = keys.segment_in(key)
        for part in _beginning(typed):
            for value in held(reader, segment, IPV4, part, HELD):
                found[str(Address(IPV4, value))] = None
        for value in held(reader, segment, IPV6, Interval(0, (1 << 128) - 1), NAMES):
            text = str(Address(IPV6, value))
            if text.startswith(typed):
                found[text] = None
    return list(found)[:HELD]


def _beginning(typed: str) -> list[Interval]:
    """All IPv4 addresses whose text begins with ``typed``."""
    *whole, part = typed.split(".")
    if len(whole) > 3 or not all(_octet(text) for text in whole) or not (_octet(part) or not part):
        return []
    base = 0
    for text in whole:
        base = base << 8 | int(text)
    below = 8 * (3 - len(whole))
    octets = [(0, 255)]
    if part:
        number = int(part)
        octets = [(number * 10**more, number * 10**more + 10**more - 1) for more in (0, 1, 2)]
        octets = octets[:1] if not number else octets
    return [
        Interval((base << 8 | first) << below, ((base << 8 | min(last, 255)) + 1 << below) - 1)
        for first, last in octets
        if first <= 255
    ]


def _octet(text: str) -> bool:
    return text.isascii() and text.isdecimal() and text == str(int(text[:4])) and int(text) <= 255


def segments(reader: Reader) -> list[str]:
    """The names of address spaces."""
    rows = reader.scan(keys.SEGMENTS, limit=SEGMENTS)
    return [keys.segment_in(key) for key, _ in rows]


def parents() -> list[Listed]:
    """Links of this host that could carry a network, by name."""
    return [Listed(name, "up" if up else "down") for name, up in interfaces.names()]


def _is_name(prefix: str) -> bool:
    return "/" not in prefix and "\0" not in prefix


def _about(record: dict[str, Any]) -> str:
    """A network in a few words, from its record."""
    if record["config_only"]:
        return "settings only"
    words = [record["driver"]]
    if record["parent"] and record["link"]["parent"]:
        words.append(f"on {record['parent']['name']}")
    return " ".join([*words, *(pool["subnet"] for pool in record["pools"])])
