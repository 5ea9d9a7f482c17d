"""The books of a state: whether its records agree with each other, every one of them.

Reads all rows and compares naively, unlike macvnet, which never reads them all.
Only for a state that no command is at work on, and after ``repair``: what a
dead command left is a disagreement too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from macvnet import keys
from macvnet.addresses import IPV4, IPV6, Address
from macvnet.ipam.segment import Holder
from macvnet.model import ACTIVE, JOINED, Endpoint, MadeLink, Network, Pool
from macvnet.store import Store

Rows = dict[str, Any]


def complaints(store: Store) -> list[str]:
    """One sentence for each disagreement; none where the books are in order."""
    rows: Rows = dict(store.scan(""))
    networks = {
        key.removeprefix(keys.NETWORKS): Network.from_json(value)
        for key, value in rows.items()
        if key.startswith(keys.NETWORKS)
    }
    endpoints = {
        key.removeprefix(keys.ENDPOINTS): Endpoint.from_json(value)
        for key, value in rows.items()
        if key.startswith(keys.ENDPOINTS)
    }
    return [
        *_networks(rows, networks),
        *_endpoints(rows, networks, endpoints),
        *_strays(rows, networks, endpoints),
        *_addresses(rows, networks, endpoints),
    ]


def _networks(rows: Rows, networks: dict[str, Network]) -> Iterator[str]:
    for identity, network in networks.items():
        if network.state != ACTIVE:
            yield f"network {network.name} is {network.state}"
        if rows.get(keys.name(network.name)) != {"id": identity}:
            yield f"the name of network {network.name} does not lead to it"
        if keys.request(identity) not in rows:
            yield f"network {network.name} has no request"
        made = rows.get(keys.made_link(network.shim)) if network.shim else None
        if network.shim and (made is None or identity not in MadeLink.from_json(made).users):
            yield f"network {network.name} is no user of {network.shim}"
        for pool in network.pools:
            if keys.pool(network.segment, pool.subnet, pool.id) not in rows:
                yield f"the pool {pool.subnet} of network {network.name} is not in its segment"
            claimed = [pool.gateway] if pool.gateway else []
            if network.shim_address:
                host = Address.parse(network.shim_address)
                claimed += [host] if pool.subnet.holds(host) else []
            for address in (*claimed, *(address for _, address in pool.aux)):
                held = rows.get(keys.lease(network.segment, address))
                claims = Holder.from_json(held).reserved if held else ()
                if identity not in [claim.network for claim in claims]:
                    yield f"network {network.name} does not hold {address}"


def _endpoints(
    rows: Rows, networks: dict[str, Network], endpoints: dict[str, Endpoint]
) -> Iterator[str]:
    for identity, endpoint in endpoints.items():
        who = f"endpoint {identity[:12]} of {endpoint.owner}"
        network = networks.get(endpoint.network)
        if endpoint.state != JOINED:
            yield f"{who} is {endpoint.state}"
        if network is None:
            yield f"{who} has no network"
            continue
        for key in (
            keys.endpoints_of_network(endpoint.network, identity),
            keys.endpoints_of_sandbox(endpoint.sandbox.key, identity),
            keys.endpoints_of_owner(str(endpoint.owner), identity),
        ):
            if key not in rows:
                yield f"{who} is not at {key}"
        for assigned in endpoint.addresses:
            held = rows.get(keys.lease(network.segment, assigned.address))
            if held is None or Holder.from_json(held).endpoint != identity:
                yield f"{who} does not hold its address {assigned.address}"
        own_mac = network.driver == "macvlan" and network.link.mode != "passthru"
        held = rows.get(keys.mac(endpoint.mac_scope, endpoint.mac))
        if own_mac and held != {"endpoint": identity}:
            yield f"{who} does not hold its MAC {endpoint.mac}"
        held = rows.get(keys.token(endpoint.mac_scope, endpoint.ip6_token))
        if endpoint.ip6_token and held != {"endpoint": identity}:
            yield f"{who} does not hold its token {endpoint.ip6_token}"


def _strays(
    rows: Rows, networks: dict[str, Network], endpoints: dict[str, Endpoint]
) -> Iterator[str]:
    """What belongs to nothing that is there."""
    pools = {pool.id for network in networks.values() for pool in network.pools}
    for key, value in rows.items():
        kind, _, rest = key.partition("/")
        if not _belongs(kind, rest, value, networks, endpoints, pools):
            yield f"{key} belongs to nothing: {value}"


def _belongs(
    kind: str,
    rest: str,
    value: Any,
    networks: dict[str, Network],
    endpoints: dict[str, Endpoint],
    pools: set[str],
) -> bool:
    match kind:
        case "name":
            return value["id"] in networks
        case "request":
            return rest in networks
        case "pool":
            return rest.rpartition("/")[2] in pools
        case "allow" | "free":
            return rest.partition("/")[0] in pools
        case "network-endpoint" | "sandbox-endpoint" | "owner-endpoint":
            return rest.rpartition("/")[2] in endpoints
        case "mac" | "token":
            return value["endpoint"] in endpoints
        case "link":
            return _used(MadeLink.from_json(value), networks)
        case "lease":
            return _leased(Holder.from_json(value), networks, endpoints)
    return kind in ("meta", "network", "endpoint", "segment", "run")


def _used(made: MadeLink, networks: dict[str, Network]) -> bool:
    users = [networks[user] for user in made.users if user in networks]
    names = {
        user.shim if made.kind == "macvlan" else user.parent.name if user.parent else ""
        for user in users
    }
    return len(users) == len(made.users) and names == {made.name}


def _leased(holder: Holder, networks: dict[str, Network], endpoints: dict[str, Endpoint]) -> bool:
    if holder.endpoint:
        return holder.endpoint in endpoints
    return all(reservation.network in networks for reservation in holder.reserved)


def _addresses(
    rows: Rows, networks: dict[str, Network], endpoints: dict[str, Endpoint]
) -> Iterator[str]:
    """No address twice in a segment, and free is what may be given out less what is held."""
    seen: dict[tuple[str, Address], str] = {}
    for endpoint in endpoints.values():
        network = networks.get(endpoint.network)
        for assigned in endpoint.addresses:
            place = (network.segment if network else "", assigned.address)
            if place in seen:
                yield f"{assigned.address} is {seen[place]}'s and {endpoint.owner}'s"
            seen[place] = str(endpoint.owner)
    for network in networks.values():
        taken = {
            family: {
                int(key.removeprefix(keys.leases(network.segment, family)), 16)
                for key in rows
                if key.startswith(keys.leases(network.segment, family))
            }
            for family in (IPV4, IPV6)
        }
        for pool in network.pools:
            yield from _free(rows, network, pool, taken[pool.family])


def _free(rows: Rows, network: Network, pool: Pool, taken: set[int]) -> Iterator[str]:
    where = f"the pool {pool.subnet} of network {network.name}"
    free = _runs(rows, keys.free_runs(pool.id))
    wanted = []
    for first, last in _runs(rows, keys.allowed_runs(pool.id)):
        begin = first
        for value in sorted(each for each in taken if first <= each <= last):
            if begin < value:
                wanted.append((begin, value - 1))
            begin = value + 1
        if begin <= last:
            wanted.append((begin, last))
    if free != wanted:
        yield f"{where} has the free runs {free}, not {wanted}"
    for one, two in pairwise(free):
        if one[1] + 1 >= two[0]:
            yield f"{where} has the free runs {one} and {two}, which meet"


def _runs(rows: Rows, prefix: str) -> list[tuple[int, int]]:
    return sorted(
        (int(key.removeprefix(prefix), 16), int(last, 16))
        for key, last in rows.items()
        if key.startswith(prefix)
    )
