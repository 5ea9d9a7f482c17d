"""Planning: what a declaration lacks in the state, as steps; nothing is changed.

Everything that can speak against a step is looked for here, so that ``applying``
begins with what is expected to succeed.
"""

from __future__ import annotations

from collections.abc import Iterator

from macvnet import keys
from macvnet.declared import Declaration, Entry
from macvnet.engine import describing, keeping, lookup
from macvnet.engine.context import Context
from macvnet.engine.declaring import Source
from macvnet.engine.liveness import alive
from macvnet.engine.objecting import object_to
from macvnet.kept import Kept
from macvnet.model import Change, CreateRequest, Endpoint, Network
from macvnet.records import NamedTuple
from macvnet.store import Reader
from macvnet.text import nearest, quoted

NETWORK, RESERVATION, ENDPOINT = "network", "reservation", "endpoint"


class Plan(NamedTuple):
    """What is to be done, in this order: removals, networks, reservations, endpoints.

    ``changed`` are networks that are there with other settings, in words: no
    step leads there. ``replaced`` are the endpoints that stand in the way of
    ``endpoints``. ``stale`` are keys of what the file has made and is gone.
    """

    removed_endpoints: tuple[tuple[Network, Endpoint], ...] = ()
    removed_reservations: tuple[tuple[Network, Kept], ...] = ()
    removed_networks: tuple[Network, ...] = ()
    changed: tuple[tuple[Network, str], ...] = ()
    networks: tuple[CreateRequest, ...] = ()
    reservations: tuple[tuple[Entry, str], ...] = ()
    replaced: tuple[tuple[Network, Endpoint], ...] = ()
    endpoints: tuple[tuple[Entry, str], ...] = ()
    stale: tuple[str, ...] = ()

    def changes(self) -> Iterator[Change]:
        """The steps, a line each."""
        for network, endpoint in self.removed_endpoints:
            yield Change("remove", ENDPOINT, f"of {endpoint.owner} from network {network.name}")
        for network, kept in self.removed_reservations:
            yield keeping.change("remove", network, kept)
        for network in self.removed_networks:
            yield Change("remove", NETWORK, network.name)
        for network, text in self.changed:
            yield Change("change", NETWORK, f"{network.name}: {text}")
        for request in self.networks:
            yield Change("create", NETWORK, f"{request.name} driver {request.driver}")
        for title, entries in ((RESERVATION, self.reservations), (ENDPOINT, self.endpoints)):
            for entry, text in entries:
                yield _change(title, entry, text)


def _change(kind: str, entry: Entry, text: str) -> Change:
    asked = " ".join(filter(None, (entry.request.ip, entry.request.ip6)))
    if kind == RESERVATION:
        what = f"{asked or 'of a free address'} for {entry.container} in network {entry.network}"
    else:
        what = f"of {entry.container} in network {entry.network}" + (asked and f": {asked}")
    if text:
        return Change("change", kind, f"{what}: {text}")
    return Change("create", kind, what)


def plan(ctx: Context, source: Source, declared: Declaration, *, prune: bool) -> Plan:
    """What has to be done. InvalidRequest, naming the line, for what cannot be at all."""
    reader = ctx.reader
    there = {network.name: network for network in lookup.networks(reader)}
    wanted = {request.name: request for request in declared.networks}
    _refuse_unknown(source, declared, there, wanted)
    removals = _removals(reader, declared) if prune else Plan()
    gone = {network.name for network in removals.removed_networks}
    stands = {name: network for name, network in there.items() if name not in gone}
    made = Plan(
        *removals[:3],
        changed=tuple(
            (stands[request.name], text)
            for request in declared.networks
            if request.name in stands
            for text in describing.differences(reader, stands[request.name], request)
        ),
        # Settings come before the networks that have them.
        networks=tuple(
            request
            for request in sorted(declared.networks, key=lambda each: not each.config_only)
            if request.name not in stands
        ),
        stale=removals.stale,
    )
    made = _entries(ctx, made, declared, stands)
    object_to(ctx, source, made, stands)
    return made


def _refuse_unknown(
    source: Source,
    declared: Declaration,
    there: dict[str, Network],
    wanted: dict[str, CreateRequest],
) -> None:
    for title, entries in (
        ("reservations", declared.reservations),
        ("endpoints", declared.endpoints),
    ):
        for entry in entries:
            if entry.network not in there and entry.network not in wanted:
                guess = nearest(entry.network, [*wanted, *there])
                raise source.refuse(
                    (title, entry.place, "network"),
                    f"there is no network {quoted(entry.network)}, here or in the file",
                    f"did you mean {guess}?" if guess else "[networks.NAME]",
                )


def _entries(ctx: Context, made: Plan, declared: Declaration, stands: dict[str, Network]) -> Plan:
    reservations: list[tuple[Entry, str]] = []
    endpoints: list[tuple[Entry, str]] = []
    replaced: list[tuple[Network, Endpoint]] = []
    for entry in declared.reservations:
        network = stands.get(entry.network)
        kept = lookup.kept(ctx.reader, network.id, entry.container) if network else None
        text = ", ".join(_kept_differences(kept, entry)) if kept else ""
        if kept is None or text:
            reservations.append((entry, text))
    for entry in declared.endpoints:
        network = stands.get(entry.network)
        found = _present(ctx, network, entry.container) if network else None
        text = ", ".join(describing.endpoint_differences(found, entry.request)) if found else ""
        if network and found and text:
            replaced.append((network, found))
        if found is None or text:
            endpoints.append((entry, text))
    return made._replace(
        reservations=tuple(reservations), endpoints=tuple(endpoints), replaced=tuple(replaced)
    )


def _kept_differences(kept: Kept, entry: Entry) -> Iterator[str]:
    has = describing.reservation(kept)
    for key, mine, asked in (
        ("ip", has.ip, entry.request.ip),
        ("ip6", has.ip6, entry.request.ip6),
    ):
        if asked and asked != mine:
            yield f"{key} is {mine or 'none'}, not {asked}"


def _present(ctx: Context, network: Network, owner: str) -> Endpoint | None:
    """The owner's endpoint in a network whose sandbox lives."""
    for endpoint in lookup.endpoints_of_owner(ctx.reader, owner):
        if endpoint.network == network.id and alive(ctx, endpoint):
            return endpoint
    return None


def made_by(reader: Reader, file_id: str) -> dict[str, list[str]]:
    """What the file of that ID has made: kind to IDs."""
    found: dict[str, list[str]] = {NETWORK: [], RESERVATION: [], ENDPOINT: []}
    for key, _ in reader.scan(keys.applied(file_id)):
        _, kind, thing = keys.applied_thing(key)
        found.setdefault(kind, []).append(thing)
    return found


def _removals(reader: Reader, declared: Declaration) -> Plan:
    """What the same file has made, and does not declare any more; keys of what is gone."""
    made = made_by(reader, declared.id)
    stale: list[str] = []
    endpoints, reservations, networks = [], [], []
    names = {request.name for request in declared.networks}
    listed = {
        kind: {(entry.network, entry.container) for entry in entries}
        for kind, entries in (
            (RESERVATION, declared.reservations),
            (ENDPOINT, declared.endpoints),
        )
    }
    for thing in made[NETWORK]:
        record = reader.get(keys.network(thing))
        if record is None:
            stale.append(keys.applied(declared.id, NETWORK, thing))
        elif record["name"] not in names:
            networks.append(Network.from_json(record))
    for thing in made[RESERVATION]:
        kept = _kept_by_id(reader, thing)
        network = _network(reader, kept.network) if kept else None
        if kept is None or network is None:
            stale.append(keys.applied(declared.id, RESERVATION, thing))
        elif (network.name, str(kept.owner)) not in listed[RESERVATION]:
            reservations.append((network, kept))
    for thing in made[ENDPOINT]:
        endpoint = lookup.endpoint(reader, thing)
        network = _network(reader, endpoint.network) if endpoint else None
        if endpoint is None or network is None:
            stale.append(keys.applied(declared.id, ENDPOINT, thing))
        elif (network.name, str(endpoint.owner)) not in listed[ENDPOINT]:
            endpoints.append((network, endpoint))
    # Settings go after the networks that have them.
    networks.sort(key=lambda each: each.config_only)
    return Plan(tuple(endpoints), tuple(reservations), tuple(networks), stale=tuple(stale))


def _kept_by_id(reader: Reader, thing: str) -> Kept | None:
    """The reservation with that ID, which is its network's, its owner, and its own."""
    network_id, _, rest = thing.partition(" ")
    own, _, owner = rest.partition(" ")
    kept = lookup.kept(reader, network_id, owner)
    return kept if kept is not None and kept.id == own else None


def kept_id(kept: Kept) -> str:
    """What tells one reservation from all others."""
    return f"{kept.network} {kept.id} {kept.owner}"


def _network(reader: Reader, network_id: str) -> Network | None:
    record = reader.get(keys.network(network_id))
    return Network.from_json(record) if record else None
