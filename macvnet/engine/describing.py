"""Describing: what is recorded, as a declaration; and how two descriptions of a network differ.

What macvnet chose is described as if it had been asked for, so that the
declaration makes the same again: subnets, addresses, names of interfaces. Not so
MACs: they are each installation's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from macvnet import keys, rates, rules
from macvnet.addresses import IPV4, IPV6, Address, Subnet
from macvnet.declared import NETWORK_KEYS, Declaration, Entry, pair, pairs
from macvnet.drivers.options import ENABLE_IPV4, ENABLE_IPV6
from macvnet.engine import lookup
from macvnet.kept import Kept
from macvnet.model import (
    ACTIVE,
    JOINED,
    RETURNING,
    SLAAC,
    CreateRequest,
    Endpoint,
    EndpointRequest,
    Network,
)
from macvnet.records import NamedTuple
from macvnet.store import Reader

ADDRESSES = ("subnets", "gateways", "ip_ranges", "aux_addresses", "excludes")
INHERITED = (*ADDRESSES, "options", "labels", "ipam_options")
"""What a network made with --config-from has from the other one."""


class Described(NamedTuple):
    """What there is, and how many endpoints are left out: of processes without a lasting name."""

    declared: Declaration
    left_out: int


def describe(reader: Reader, networks: Sequence[Network]) -> Described:
    """The declaration of networks, what is reserved in them, and who is connected."""
    chosen = sorted(
        (each for each in networks if each.state == ACTIVE),
        # Settings before the networks that take them.
        key=lambda each: (not each.config_only, each.created, each.id),
    )
    reservations: list[Entry] = []
    endpoints: list[tuple[int, Entry]] = []
    left_out = 0
    for network in chosen:
        for kept in lookup.kept_in_network(reader, network.id):
            reservations.append(Entry(network.name, str(kept.owner), reservation(kept)))
        for one in lookup.endpoints_of_network(reader, network.id):
            if one.state not in (JOINED, RETURNING):
                continue
            if one.owner.returns:
                entry = Entry(network.name, str(one.owner), endpoint(one))
                endpoints.append((one.sequence, entry))
            else:
                left_out += 1
    # The order of their joining, by which default routes are elected.
    endpoints.sort(key=lambda each: each[0])
    declared = Declaration(
        "",
        tuple(request(reader, network) for network in chosen),
        tuple(reservations),
        tuple(entry for _, entry in endpoints),
    )
    return Described(declared, left_out)


def request(reader: Reader, network: Network) -> CreateRequest:
    """What creates the same network again."""
    stored = reader.get(keys.request(network.id)) or {"name": network.name}
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()
    }
    # Host access comes and goes after the network was created.
    typed = CreateRequest(**fields)._replace(scope="", host_access=bool(network.shim))
    if network.config_from:
        empty: dict[str, Any] = dict.fromkeys(INHERITED, ())
        return typed._replace(**empty, ipv4=None, ipv6=None)
    automatic = tuple(str(pool.subnet) for pool in network.pools if pool.automatic)
    return typed._replace(
        subnets=(*typed.subnets, *automatic),
        aux_addresses=tuple(f"{k}={v}" for k, v in map(pair, typed.aux_addresses)),
        options=pairs(network.options),
        labels=pairs(network.labels),
        ipam_options=pairs(network.ipam_options),
    )


def reservation(kept: Kept) -> EndpointRequest:
    """What reserves the same addresses."""
    ip, ip6 = kept.address(IPV4), kept.address(IPV6)
    return EndpointRequest(ip=str(ip) if ip else "", ip6=str(ip6) if ip6 else "")


def endpoint(of: Endpoint) -> EndpointRequest:
    """What connects a container in the same way."""
    ip, ip6 = of.address(IPV4), of.address(IPV6)
    return EndpointRequest(
        ip=str(ip.address) if ip else "",
        ip6=str(ip6.address) if ip6 else "",
        mac=of.mac if of.explicit_mac else "",
        ifname=of.ifname,
        gw_priority=of.gw_priority,
        aliases=of.aliases,
        driver_options=pairs(of.driver_options),
        link_local=of.link_local,
        no_default_route=of.routing.no_default,
        metric=of.routing.metric,
        routes=of.routing.routes,
        policy_routes=of.routing.policy,
        ip6_token=of.ip6_token,
        rate=rates.written(of.rate),
    )


def differences(reader: Reader, network: Network, wanted: CreateRequest) -> Iterator[str]:
    """Where a network is another one than what is wanted, in the file's words."""
    there = _facts(request(reader, network))
    asked = _facts(wanted)
    automatic = {str(pool.subnet) for pool in network.pools if pool.automatic}
    if there["subnet"] - automatic <= asked["subnet"] <= there["subnet"]:
        # What macvnet chose once it need not be told.
        asked["subnet"] = there["subnet"]
    for key in there:
        if there[key] != asked[key]:
            yield f"{key} is {_shown(there[key])}, not {_shown(asked[key])}"


def subnets(asked: CreateRequest) -> list[Subnet]:
    """The subnets that a request names and can be read."""
    found = []
    for text in asked.subnets:
        try:
            found.append(Subnet.parse(_plain(text)))
        except ValueError:
            continue
    return found


def endpoint_differences(there: Endpoint, wanted: EndpointRequest) -> Iterator[str]:
    """Where an endpoint is another one than what is wanted; what is not said may be anything."""
    ip, ip6 = there.address(IPV4), there.address(IPV6)
    options = pairs(rules.split_pairs(wanted.driver_options, "driver_opt"))
    for key, has, asked in (
        ("ip", str(ip.address) if ip else "none", wanted.ip),
        ("ip6", str(ip6.address) if ip6 else "none", wanted.ip6),
        ("mac_address", there.mac, wanted.mac),
        ("ifname", there.ifname, wanted.ifname),
        ("gw_priority", there.gw_priority, wanted.gw_priority),
        ("alias", there.aliases, wanted.aliases),
        ("driver_opt", pairs(there.driver_options), options),
        ("link_local_ip", there.link_local, wanted.link_local),
        ("no_default_route", there.routing.no_default, wanted.no_default_route),
        ("metric", there.routing.metric, wanted.metric),
        ("route", there.routing.routes, _routes(wanted)),
        ("policy_routes", there.routing.policy, wanted.policy_routes),
        ("ip6_token", there.ip6_token, _token(wanted.ip6_token)),
        ("rate", rates.written(there.rate) or "none", rates.spelled(wanted.rate)),
    ):
        if asked and has != asked:
            yield f"{key} is {_shown(has)}, not {_shown(asked)}"


def _token(text: str) -> str:
    try:
        return rules.token_text(Address.parse(text)) if text else ""
    except ValueError:
        return text


def _routes(asked: EndpointRequest) -> tuple[str, ...]:
    if not asked.routes:
        return ()
    from macvnet.engine import endpoint_routes

    return tuple(endpoint_routes.canonical(text) for text in asked.routes)


def _facts(asked: CreateRequest) -> dict[str, Any]:
    """What a request comes to: without order, spelling, and what is said twice."""
    facts: dict[str, Any] = {}
    for key, (field, _) in NETWORK_KEYS.items():
        value = getattr(asked, field)
        if field in ADDRESSES:
            facts[key] = frozenset(_plain(text) for text in value)
        elif isinstance(value, tuple):
            facts[key] = frozenset(rules.split_pairs(value, key).items())
        else:
            facts[key] = value
    options = rules.split_pairs(asked.options, "opt")
    families = {6 if ":" in text else 4 for text in asked.subnets}
    for key, option, typed, implied in (
        ("ipv4", ENABLE_IPV4, asked.ipv4, 4 in families or not families),
        ("ipv6", ENABLE_IPV6, asked.ipv6, 6 in families or options.get("ipv6_mode") == SLAAC),
    ):
        said = options[option] == "true" if typed is None and option in options else typed
        # A network made of another one's settings says nothing of its own.
        facts[key] = None if asked.config_from else implied if said is None else said
    facts["driver"] = None if asked.config_only else asked.driver
    return facts


def _plain(text: str) -> str:
    """One spelling of an address, a subnet, a range, or NAME=ADDRESS."""
    name, equals, rest = text.strip().rpartition("=")
    return name + equals + "-".join(_address(part.strip()) for part in rest.split("-"))


def _address(text: str) -> str:
    base, slash, length = text.partition("/")
    try:
        return str(Subnet.parse(text) if slash else Address.parse(base))
    except ValueError:
        return base + slash + length


def _shown(value: Any) -> str:
    if value is True or value is False or value is None:
        return "not said" if value is None else str(value).lower()
    if isinstance(value, frozenset):
        items = ("=".join(one) if isinstance(one, tuple) else one for one in value)
        return ", ".join(sorted(items)) or "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return str(value)
