"""A document of ``engine.exporting`` becomes a state: all of it or nothing.

Whoever wrote the file is not believed. Its shape is checked first, the texts
are judged as ``create`` judges them, and pools, leases and indexes are made
anew from them in a scratch store, which then becomes the state in one commit.
No link is taken for macvnet's own because a file says so.
"""

from __future__ import annotations

import json
from typing import Any

from macvnet import keys, rates, rules, runtimes, shapes
from macvnet.addresses import Address
from macvnet.drivers import driver
from macvnet.engine import autoconf, endpoint_routes
from macvnet.engine.context import Context
from macvnet.engine.exporting import FORMAT, SCHEMA
from macvnet.engine.recording import remember
from macvnet.errors import Conflict, InvalidRequest, MacvnetError
from macvnet.ipam import allocation, defaults, host_lease, pairing
from macvnet.ipam.installing import install_pools
from macvnet.ipam.plan import PoolPlan
from macvnet.ipam.segment import lease_holder
from macvnet.kept import Kept
from macvnet.model import (
    ACTIVE,
    JOINED,
    STATIC,
    Change,
    CreateRequest,
    Endpoint,
    EndpointRequest,
    MadeLink,
    Network,
    Routing,
)
from macvnet.records import NamedTuple
from macvnet.shapes import Mapping, Maybe
from macvnet.store import KeyTaken, Store, Transaction
from macvnet.store.memory import MemoryBackend
from macvnet.text import quoted

_PARENT = {
    "name": str,
    "requested": str,
    "ifindex": int,
    "mac": str,
    "boot_id": str,
    "permanent_mac": str,
}
_POOL = {
    "id": str,
    "subnet": str,
    "gateway": Maybe(str),
    "ranges": [[str]],
    "range_texts": [str],
    "aux": Mapping(str),
    "onlink": bool,
    "automatic": bool,
}
_LINK_OPTIONS = {
    **dict.fromkeys(("parent", "mode", "flag", "segment"), str),
    **dict.fromkeys(("share_parent", "passthru_force", "onlink", "watch"), bool),
    "mtu": int,
    "announce_count": int,
    "announce_interval": float,
    "probe": str,
    "probe_interval": float,
    "ipv6_mode": str,
}
_NETWORK = {
    **dict.fromkeys(("id", "name", "driver", "created", "state", "config_from"), str),
    **dict.fromkeys(("ipv4", "ipv6", "internal", "attachable", "config_only"), bool),
    **dict.fromkeys(("ipam_driver", "segment"), str),
    **dict.fromkeys(("options", "labels", "ipam_options"), Mapping(str)),
    "link": _LINK_OPTIONS,
    "parent": Maybe(_PARENT),
    "pools": [_POOL],
    "excluded": int,
    "shim": str,
    "shim_address": str,
}
_LISTS = (
    "subnets",
    "gateways",
    "ip_ranges",
    "aux_addresses",
    "excludes",
    "options",
    "labels",
    "ipam_options",
)
_REQUEST = {
    **dict.fromkeys(("name", "driver", "ipam_driver", "config_from", "scope"), str),
    **{key: [str] for key in _LISTS},
    **dict.fromkeys(("internal", "config_only", "attachable", "host_access"), bool),
    **dict.fromkeys(("ipv4", "ipv6"), Maybe(bool)),
}
_ASSIGNED = {
    **dict.fromkeys(("pool", "address"), str),
    "prefixlen": int,
    "gateway": Maybe(str),
    **dict.fromkeys(("onlink", "explicit"), bool),
}
_ROUTING = {
    **dict.fromkeys(("no_default", "policy"), bool),
    **dict.fromkeys(("metric", "table"), int),
    "routes": [str],
}
_ENDPOINT = {
    **dict.fromkeys(("id", "network", "host_id", "state", "ifname", "mac"), str),
    **dict.fromkeys(("parent_mac", "mac_scope"), str),
    "owner": {"runtime": str, "name": str, "id": str, "returns": bool},
    "sandbox": {"boot_id": str, "cookie": int, "nsid": Maybe(int)},
    "pid": Maybe(int),
    **dict.fromkeys(("ifindex", "sequence", "gw_priority"), int),
    "addresses": [_ASSIGNED],
    "aliases": [str],
    "link_local": [str],
    "driver_options": Mapping(str),
    "explicit_mac": bool,
    "dead_since": float,
    "routing": _ROUTING,
    "ip6_token": str,
    "rate": int,
}
_KEPT = {"id": str, "network": str, "owner": {"runtime": str, "name": str}, "addresses": [[str]]}
_MADE = {"name": str, "kind": str, "lower_name": str, "vlan_id": int}
SHAPE = {
    **dict.fromkeys(("format", "macvnet", "exported", "installation"), str),
    "schema": int,
    "host": {"boot_id": str, "cookie": int},
    "networks": [{"record": _NETWORK, "request": _REQUEST}],
    "links": [_MADE],
    "endpoints": [_ENDPOINT],
    "reservations": [_KEPT],
    "applied": [[str]],
}
_AGAIN = "macvnet state export >FILE, on the host that it comes from"
LARGEST = 1 << 28


class Imported(NamedTuple):
    """What the document holds, and what it makes."""

    networks: tuple[Network, ...]
    endpoints: tuple[Endpoint, ...]
    changes: tuple[Change, ...]


def import_(ctx: Context, text: str, *, dry_run: bool = False) -> Imported:
    """Make the document the state. Conflict where there are networks already.

    InvalidRequest, naming the place, for a document that is damaged, of another
    kind, or contradicts itself; nothing is then changed.
    """
    document = _parsed(text)
    here = {"boot_id": ctx.boot_id, "cookie": ctx.netlink.cookie}
    scratch = Store(MemoryBackend())
    if document["installation"]:
        _put(scratch, keys.META_INSTALLATION, {"id": _hexadecimal(document["installation"], 32)})
    networks = [_network(scratch, item) for item in document["networks"]]
    for item in document["links"]:
        _intend(scratch, item, networks)
    for network in networks:
        if network.shim and scratch.get(keys.made_link(network.shim)) is None:
            where = f"network {quoted(network.name)} of the document"
            raise InvalidRequest(f"{where} has no link for its host access", _AGAIN)
    by_id = {network.id: network for network in networks}
    for item in document["reservations"]:
        _keep(scratch, item, by_id)
    for item in document["applied"]:
        _made_by_file(scratch, item)
    same = document["host"] == here
    endpoints = [_endpoint(scratch, item, by_id, same) for item in document["endpoints"]]
    if dry_run:
        _refuse_networks(ctx.reader)
    else:
        ctx.claim()
        _refuse_networks(ctx.store)
        try:
            ctx.store.fill(scratch, apart_from=(keys.META, keys.SEGMENTS))
        except KeyTaken:
            raise _not_empty() from None
    return Imported(tuple(networks), tuple(endpoints), tuple(_changes(networks, endpoints)))


def _parsed(text: str) -> Any:
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidRequest("the document is nested too deeply", _AGAIN) from None
    except ValueError as error:
        raise InvalidRequest(f"the document is not JSON: {str(error)[:200]}", _AGAIN) from None
    found = document if isinstance(document, dict) else {}
    if found.get("format") != FORMAT:
        raise InvalidRequest("the document is not a state that macvnet has exported", _AGAIN)
    if found.get("schema") != SCHEMA:
        raise InvalidRequest(
            f"the document has schema {quoted(found.get('schema'))}, this macvnet knows {SCHEMA}",
            "import it with the macvnet that wrote it",
        )
    shapes.check(document, SHAPE, "")
    return document


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _hexadecimal(text: str, length: int) -> str:
    if len(text) != length or not set(text) <= set("0123456789abcdef"):
        raise InvalidRequest(f"{quoted(text)} is not {length} hexadecimal digits", _AGAIN)
    return text


def _put(scratch: Store, key: str, value: Any) -> None:
    """KeyTaken where two things in the document claim the same."""
    scratch.transact(lambda tx: tx.create(key, value))


def _network(scratch: Store, item: dict[str, Any]) -> Network:
    record = item["record"]
    name = record["name"]
    rules.check_name(name)
    where = f"network {quoted(name)} of the document"
    _hexadecimal(record["id"], 64)
    typed: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in item["request"].items()
    }
    request = CreateRequest(**typed)
    try:
        network = Network.from_json(record)
    except (ValueError, TypeError) as error:
        raise InvalidRequest(f"{where} is damaged: {str(error)[:200]}", _AGAIN) from None
    if network.state != ACTIVE or request.name != name:
        raise InvalidRequest(f"{where} is damaged: its parts contradict each other", _AGAIN)
    try:
        if not network.config_only:
            _judge_driver(network)
        plans = _plans(network, request)
        if not network.config_only:
            install_pools(scratch, network.segment, network.id, name, plans)
            _hold_for_host(scratch, network)
        _put(scratch, keys.name(name), {"id": network.id})
        _put(scratch, keys.network(network.id), network.to_json())
        _put(scratch, keys.request(network.id), request._asdict())
    except KeyTaken:
        raise InvalidRequest(f"{where} is in it twice", _AGAIN) from None
    except MacvnetError as error:
        raise InvalidRequest(f"{where}: {error.message}", _AGAIN) from None
    return network


def _hold_for_host(scratch: Store, network: Network) -> None:
    if not network.shim:
        return
    kind = network.driver, network.link.mode
    wanted = Address.parse(network.shim_address) if network.shim_address else None
    held = scratch.transact(lambda tx: host_lease.hold(tx, network, wanted))
    if kind != ("macvlan", "bridge") or held != wanted:
        raise InvalidRequest("its host access is damaged", _AGAIN)


def _judge_driver(network: Network) -> None:
    """What the link shall be is what the driver reads from ``-o`` words, and nothing else."""
    kind = driver(network.driver)
    if network.parent is None or kind.parse(kind.words(network.link)) != network.link:
        raise InvalidRequest("no driver has such options for its link", _AGAIN)
    if network.link.ipv6_mode != STATIC:
        subnets = [str(pool.subnet) for pool in network.pools]
        autoconf.judge(kind, network, subnets, network.ipv6)


def _plans(network: Network, request: CreateRequest) -> tuple[PoolPlan, ...]:
    """The pools made anew from what was typed; they must be the recorded ones."""
    counter = rules.Counter(network.id[:16])
    real = bool(network.link.parent) and not network.internal
    typed = request._replace(
        ipv4=None if request.ipv4 is False and not request.subnets else request.ipv4
    )
    plans: list[PoolPlan] = []
    if request.subnets and network.ipam_driver != "null":
        plans += pairing.plan_pools(
            typed,
            counter,
            real_parent=real and not network.config_only,
            onlink=network.link.onlink or network.config_only,
        )
    plans += [
        defaults.automatic_plan(counter(), pool.subnet) for pool in network.pools if pool.automatic
    ]
    if tuple(plan.pool for plan in plans) != network.pools:
        raise InvalidRequest("its pools are not those of its --subnet and --gateway", _AGAIN)
    return tuple(plans)


def _intend(scratch: Store, item: dict[str, Any], networks: list[Network]) -> None:
    """A link that macvnet is to make where it is missing; one that is there is not its own."""
    users = tuple(
        network.id
        for network in networks
        if network.parent is not None
        and item["name"] == (network.shim if item["kind"] == "macvlan" else network.parent.name)
    )
    good = item["kind"] in ("vlan", "dummy", "macvlan") and users
    if not good or rules.interface_name_problem(item["name"]):
        raise InvalidRequest(f"link {quoted(item['name'])} of the document is damaged", _AGAIN)
    lower = not rules.interface_name_problem(item["lower_name"]) or item["kind"] == "dummy"
    if not lower or (item["kind"] == "vlan" and not 1 <= item["vlan_id"] <= 4094):
        raise InvalidRequest(f"link {quoted(item['name'])} of the document is damaged", _AGAIN)
    made = MadeLink(
        item["name"], item["kind"], "", item["lower_name"], 0, item["vlan_id"], 0, "", users
    )
    scratch.transact(lambda tx: tx.put(keys.made_link(made.name), made.to_json()))


def _endpoint(
    scratch: Store, item: dict[str, Any], networks: dict[str, Network], same: bool
) -> Endpoint:
    owner = item["owner"]
    where = f"the endpoint of {quoted(owner['runtime'] + ':' + owner['name'])} in the document"
    _hexadecimal(item["id"], 64)
    network = networks.get(item["network"])
    if network is None or owner["runtime"] not in runtimes.table() or item["state"] != JOINED:
        raise InvalidRequest(f"{where} is damaged: it is in no network of it", _AGAIN)
    runtimes.table()[owner["runtime"]].owner(owner["name"])
    if item["mac"]:
        rules.check_mac(item["mac"])
    rules.check_interface_name(item["ifname"])
    try:
        endpoint = Endpoint.from_json(item)
    except (ValueError, TypeError) as error:
        raise InvalidRequest(f"{where} is damaged: {str(error)[:200]}", _AGAIN) from None
    if not same:
        # Numbers of another host or boot mean something else here.
        endpoint = endpoint._replace(
            sandbox=endpoint.sandbox._replace(boot_id="", nsid=None), pid=None, ifindex=0
        )
    try:
        _judge_routing(network, endpoint.routing)
        _judge_token(network, endpoint.ip6_token)
        _judge_rate(endpoint.rate)
        scratch.transact(lambda tx: _record(tx, network, endpoint))
    except KeyTaken:
        raise InvalidRequest(f"{where} has what another one has too", _AGAIN) from None
    except MacvnetError as error:
        raise InvalidRequest(f"{where}: {error.message}", _AGAIN) from None
    return endpoint


def _judge_routing(network: Network, routing: Routing) -> None:
    """What ``connect`` would record for the same words, with a table of those there are."""
    asked = EndpointRequest(
        no_default_route=routing.no_default,
        metric=routing.metric,
        routes=routing.routes,
        policy_routes=routing.policy,
    )
    judged = endpoint_routes.judge(network, asked)._replace(table=routing.table)
    if judged != routing or routing.table not in (0, *endpoint_routes.TABLES):
        raise InvalidRequest("its routes are none that connect makes", _AGAIN)


def _judge_token(network: Network, token: str) -> None:
    if token and autoconf.judge_token(network, token) != token:
        raise InvalidRequest("its token is none that connect gives", _AGAIN)


def _judge_rate(rate: int) -> None:
    if not rates.is_recorded(rate):
        raise InvalidRequest("its rate is none that connect gives", _AGAIN)


def _made_by_file(scratch: Store, item: list[str]) -> None:
    """What a file of ``apply`` has made: nothing comes of it unless that has just this ID."""
    if len(item) != 3 or "/" in item[0] + item[1]:
        raise InvalidRequest("what the document says of applied files is damaged", _AGAIN)
    scratch.transact(lambda tx: tx.put(keys.applied(*item), {}))


def _keep(scratch: Store, item: dict[str, Any], networks: dict[str, Network]) -> None:
    spelled = f"{item['owner']['runtime']}:{item['owner']['name']}"
    where = f"the reservation for {quoted(spelled)} in the document"
    network = networks.get(item["network"])
    good = network is not None and item["owner"]["runtime"] in runtimes.table()
    if network is None or not good or not all(len(pair) == 2 for pair in item["addresses"]):
        raise InvalidRequest(f"{where} is damaged: it is in no network of it", _AGAIN)
    owner = runtimes.table()[item["owner"]["runtime"]].owner(item["owner"]["name"])
    try:
        kept = Kept.from_json(item)
        scratch.transact(lambda tx: _record_kept(tx, network, kept))
    except ValueError as error:
        raise InvalidRequest(f"{where} is damaged: {str(error)[:200]}", _AGAIN) from None
    except KeyTaken:
        raise InvalidRequest(f"{where} has what another one has too", _AGAIN) from None
    except MacvnetError as error:
        raise InvalidRequest(f"{where}: {error.message}", _AGAIN) from None
    if not owner.returns or {p.family for p in network.pools} != {
        address.family for _, address in kept.addresses
    }:
        raise InvalidRequest(f"{where} is damaged: it is none that can be made", _AGAIN)


def _record_kept(tx: Transaction, network: Network, kept: Kept) -> None:
    for pool_id, address in kept.addresses:
        pool = next((pool for pool in network.pools if pool.id == pool_id), None)
        if pool is None:
            raise Conflict(f"the address {address} is of no pool of its network")
        allocation.acquire(tx, network.segment, network.name, pool, address, "", (), kept.claim)
    tx.create(keys.kept(network.id, str(kept.owner)), kept.to_json())


def _record(tx: Transaction, network: Network, endpoint: Endpoint) -> None:
    for assigned in endpoint.addresses:
        pool = next((pool for pool in network.pools if pool.id == assigned.pool), None)
        if pool is None or assigned.prefixlen != pool.subnet.prefixlen:
            raise Conflict(f"the address {assigned.cidr} is of no pool of its network")
        wanted: Address = assigned.address
        holder = lease_holder(tx, network.segment, wanted)
        # Whose it is under another name by now may have the address that is kept for that name.
        own = holder is not None and holder.kept is not None and holder.kept[0] == network.id
        kept = holder.kept if holder is not None and own else None
        allocation.acquire(tx, network.segment, network.name, pool, wanted, endpoint.id, (), kept)
    if endpoint.mac and driver(network.driver).has_own_mac(network.link):
        tx.create(keys.mac(endpoint.mac_scope, endpoint.mac), {"endpoint": endpoint.id})
    if endpoint.ip6_token:
        tx.create(keys.token(endpoint.mac_scope, endpoint.ip6_token), {"endpoint": endpoint.id})
    if tx.get(keys.endpoint(endpoint.id)) is not None:
        raise KeyTaken(keys.endpoint(endpoint.id))
    remember(tx, endpoint)


def _refuse_networks(store: Store) -> None:
    if store.scan(keys.NETWORKS, limit=1):
        raise _not_empty()


def _not_empty() -> Conflict:
    return Conflict(
        "the state has networks already, and an import does not mix with them",
        "--state-dir DIR names a new one; or macvnet rm each network first",
    )


def _changes(networks: list[Network], endpoints: list[Endpoint]) -> list[Change]:
    found = [Change("create", "network", f"{each.name} driver {each.driver}") for each in networks]
    names = {network.id: network.name for network in networks}
    found += [
        Change("create", "endpoint", f"of {each.owner} in network {names[each.network]}")
        for each in endpoints
    ]
    return found
