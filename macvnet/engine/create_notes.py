"""What ``create`` remarks on: nothing of it is wrong, all of it surprises somebody."""

from __future__ import annotations

from macvnet.engine import router_routes
from macvnet.engine.parents import Prospect
from macvnet.model import ON, Network


def notes_for(
    network: Network, prospect: Prospect | None, sharers: tuple[Network, ...]
) -> list[str]:
    """One sentence for each, in the order of importance."""
    if prospect is None:
        return []
    if not network.link.parent:
        note = (
            f"no -o parent was given: the endpoints of {network.name} reach each other through "
            f"the link {prospect.name}, and nothing else; they get no default route"
        )
        return [note]
    notes = []
    if sharers:
        names = ", ".join(repr(other.name) for other in sharers)
        notes.append(
            f"networks on one parent are one layer 2 segment, {network.name!r} is not isolated "
            f"from {names}"
        )
    if network.internal:
        notes.append(
            f"endpoints of the internal network {network.name!r} get no default route; layer 2 "
            f"on {prospect.name} stays within their reach"
        )
    if not network.pools:
        return notes
    if network.link.probe == ON and _routed_on_link(network):
        notes.append(
            f"ipvlan in mode {network.link.mode} has no ARP: with -o probe=on too, nobody is asked "
            "whether an address is taken"
        )
    notes += _subnet_notes(network, prospect)
    if not network.internal:
        notes += _router_notes(network, prospect)
        notes += _gateway_notes(network)
    return notes


def _subnet_notes(network: Network, prospect: Prospect) -> list[str]:
    own = prospect.own_subnets()
    addresses = [str(subnet) for subnet, _ in own]
    inside = any(
        pool.subnet.holds(info.address) for info in prospect.addresses for pool in network.pools
    )
    if own and not inside:
        note = (
            f"the parent {prospect.name} is in {', '.join(addresses)}, and no --subnet contains "
            "an address of it: is this the right LAN?"
        )
        return [note]
    return []


def _gateway_notes(network: Network) -> list[str]:
    notes = []
    without = [
        pool for pool in network.pools if pool.gateway is None and not _routed_on_link(network)
    ]
    if without:
        subnets = ", ".join(str(pool.subnet) for pool in without)
        notes.append(f"without --gateway for {subnets} there is no default route")
    ranged = [pool for pool in network.pools if not pool.ranges and pool.family == 4]
    if ranged:
        subnets = ", ".join(str(pool.subnet) for pool in ranged)
        notes.append(
            f"without --ip-range for {subnets} addresses may come out of the range that the "
            "router's DHCP server gives out"
        )
    return notes


def _router_notes(network: Network, prospect: Prospect) -> list[str]:
    """Nobody answers ARP for these addresses: whoever shall reach them needs a route."""
    return [
        f"{subnet} is reached through this host alone; the router needs: "
        f"ip route add {subnet} via {via or f'an address of this host on {prospect.name}'}"
        for subnet, via in router_routes.needed(network, prospect.addresses)
    ]


def _routed_on_link(network: Network) -> bool:
    return network.driver == "ipvlan" and network.link.mode != "l2"
