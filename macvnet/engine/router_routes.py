"""The routes that the LAN's router needs for networks whose endpoints nobody finds by ARP.

In ipvlan modes l3 and l3s the host routes to its endpoints, and is the way to them.
"""

from __future__ import annotations

from collections.abc import Iterable

from macvnet.addresses import Address, Subnet
from macvnet.drivers import driver
from macvnet.engine.context import Context
from macvnet.kernel import addressing, links
from macvnet.kernel.addressing import RT_SCOPE_UNIVERSE, AddressInfo
from macvnet.model import Network
from macvnet.records import NamedTuple


class RouterRoute(NamedTuple):
    """A subnet, and the host's address on the parent that leads to it; None where it has none."""

    subnet: Subnet
    via: Address | None


def needed(network: Network, addresses: Iterable[AddressInfo]) -> list[RouterRoute]:
    """The routes for a network, none where its endpoints answer for themselves.

    ``addresses`` are those of the parent.
    """
    if network.config_only or network.isolated:
        return []
    if not driver(network.driver).routes_on_link(network.link):
        return []
    own = [info.address for info in addresses if info.scope == RT_SCOPE_UNIVERSE]
    return [
        RouterRoute(pool.subnet, next((each for each in own if each.family == pool.family), None))
        for pool in network.pools
    ]


def look(ctx: Context, network: Network) -> list[RouterRoute]:
    """The same, with the addresses that the parent has now. Looks, and changes nothing."""
    if network.parent is None or not needed(network, ()):
        return []
    parent = links.by_name(ctx.netlink, network.parent.name)
    every = addressing.all_addresses(ctx.netlink) if parent is not None else ()
    return needed(network, (a for a in every if parent and a.ifindex == parent.ifindex))
