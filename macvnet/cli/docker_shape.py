"""A network in docker's JSON shapes (Docker 29), with what Docker does not know beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from macvnet import rates
from macvnet.addresses import IPV4, IPV6
from macvnet.cli.filters import shown_driver
from macvnet.model import JOINED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from macvnet.engine import Engine
    from macvnet.kept import Kept
    from macvnet.kernel.learned import Learned
    from macvnet.model import Endpoint, Network, Pool

SATURATED = (1 << 64) - 1
DOCKERS = ("docker", "podman")
"""Runtimes whose containers are named here as docker itself names them."""
SCHEMA = 1
"""Grows when a key below ``Macvnet`` changes meaning or type, or goes (docs/compatibility.md)."""


def listed(network: Network, shown_id: str) -> dict[str, str]:
    """A row of ``ls --format json``: everything is text there."""
    return {
        "CreatedAt": _created_at(network.created),
        "Driver": shown_driver(network),
        "ID": shown_id,
        "IPv4": _word(network.ipv4),
        "IPv6": _word(network.ipv6),
        "Internal": _word(network.internal),
        "Labels": ",".join(sorted(f"{key}={value}" for key, value in network.labels.items())),
        "Name": network.name,
        "Scope": "local",
    }


def _word(value: bool) -> str:
    return "true" if value else "false"


def _created_at(text: str) -> str:
    """RFC 3339 in UTC, as Go writes a time: no trailing zeros, the zone twice."""
    date, _, clock = text.removesuffix("Z").removesuffix("+00:00").partition("T")
    if "." in clock:
        clock = clock.rstrip("0").rstrip(".")
    return f"{date} {clock} +0000 UTC"


def inspected(engine: Engine, network: Network) -> dict[str, Any]:
    """An element of ``inspect``'s array. The order of the keys is docker's."""
    endpoints = engine.endpoints(network)
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": shown_driver(network),
        "EnableIPv4": network.ipv4,
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": network.ipam_driver,
            "Options": _sorted(network.ipam_options),
            "Config": [_config(pool) for pool in _docker_order(network.pools)],
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Options": _sorted(network.options),
        "Labels": _sorted(network.labels),
        "Containers": _sorted(
            {
                _container_key(one): _container(one)
                for one in endpoints
                if one.state == JOINED and engine.present(one)
            }
        ),
        "Status": {"IPAM": {"Subnets": _usage(engine, network)}},
        "Macvnet": _beyond(engine, network, endpoints),
    }


def _sorted(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items()))


def _docker_order(pools: Sequence[Pool]) -> list[Pool]:
    """IPv4 before IPv6, but a subnet that nobody asked for last."""
    return sorted(pools, key=lambda pool: (pool.automatic, pool.family))


def _config(pool: Pool) -> dict[str, Any]:
    config: dict[str, Any] = {"Subnet": str(pool.subnet)}
    if pool.range_texts:
        config["IPRange"] = pool.range_texts[0]
    if pool.gateway is not None:
        config["Gateway"] = str(pool.gateway)
    if pool.aux:
        config["AuxiliaryAddresses"] = _sorted({name: str(ip) for name, ip in pool.aux})
    return config


def _container_key(endpoint: Endpoint) -> str:
    """The container's ID as docker and podman have it; for others docker's key without one."""
    owner = endpoint.owner
    return owner.id if owner.runtime in DOCKERS and owner.id else f"ep-{endpoint.id}"


def _container(endpoint: Endpoint) -> dict[str, str]:
    owner = endpoint.owner
    ipv4, ipv6 = endpoint.address(IPV4), endpoint.address(IPV6)
    return {
        "Name": owner.name if owner.runtime in DOCKERS else str(owner),
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac,
        "IPv4Address": ipv4.cidr if ipv4 else "",
        "IPv6Address": ipv6.cidr if ipv6 else "",
    }


def _usage(engine: Engine, network: Network) -> dict[str, Any]:
    from macvnet.ipam import allocation

    counters: dict[str, Any] = {}
    for pool in () if network.config_only else network.pools:
        usage = allocation.usage(engine.reader, network.segment, pool)
        counters[str(pool.subnet)] = {
            "IPsInUse": min(usage.in_use, SATURATED),
            "DynamicIPsAvailable": min(usage.available, SATURATED),
        }
    return _sorted(counters)


def _beyond(engine: Engine, network: Network, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    parent = network.parent
    learnt = engine.learned(network, endpoints)
    return {
        "Schema": SCHEMA,
        "State": network.state,
        "Segment": network.segment,
        "Parent": {
            "Requested": parent.requested if parent else network.link.parent,
            "Effective": parent.name if parent else "",
        },
        "Mode": network.link.mode,
        "Flag": network.link.flag,
        "MTU": network.link.mtu,
        "IPv6Mode": network.link.ipv6_mode,
        "RouterRoutes": [
            {"Destination": str(route.subnet), "Via": str(route.via or "")}
            for route in engine.router_routes(network)
        ],
        "HostAccess": {"Interface": network.shim, "IPv6Address": network.shim_address},
        "Exclude": engine.excluded(network),
        "Pools": [
            {
                "Subnet": str(pool.subnet),
                "IPRanges": list(pool.range_texts),
                "Automatic": pool.automatic,
                "OnLink": pool.onlink,
            }
            for pool in _docker_order(network.pools)
        ],
        "Endpoints": [
            _endpoint(one, engine.present(one), learnt.get(one.id, ())) for one in endpoints
        ],
        "Reservations": [_reservation(one) for one in engine.reservations(network)],
    }


def _reservation(kept: Kept) -> dict[str, Any]:
    return {
        "Target": str(kept.owner),
        "Addresses": [str(address) for _, address in kept.addresses],
    }


def _endpoint(endpoint: Endpoint, present: bool, learnt: Sequence[Learned]) -> dict[str, Any]:
    return {
        "ID": endpoint.id,
        "Target": str(endpoint.owner),
        "ContainerID": endpoint.owner.id,
        "PID": endpoint.pid or 0,
        "State": endpoint.state,
        "Present": present,
        "Interface": endpoint.ifname,
        "MacAddress": endpoint.mac,
        "Addresses": [
            {
                "Address": assigned.cidr,
                "Gateway": str(assigned.gateway) if assigned.gateway else "",
                "Requested": assigned.explicit,
            }
            for assigned in endpoint.addresses
        ],
        "IPv6Token": endpoint.ip6_token,
        "Learned": [
            {"Address": one.cidr, "State": one.state, "ValidSeconds": one.valid} for one in learnt
        ],
        "Rate": rates.written(endpoint.rate),
        "GwPriority": endpoint.gw_priority,
        "DefaultRoute": not endpoint.routing.no_default,
        "Metric": endpoint.routing.metric,
        "Routes": list(endpoint.routing.routes),
        "PolicyRoutes": endpoint.routing.policy,
        "PolicyTable": endpoint.routing.table,
        "Aliases": list(endpoint.aliases),
        "LinkLocalIPs": list(endpoint.link_local),
        "DriverOpts": _sorted(endpoint.driver_options),
    }
