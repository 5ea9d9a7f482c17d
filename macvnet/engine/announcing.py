"""Announcing again: after a bond's fail-over, a switch's restart, or when a neighbour is wrong.

Knows whose addresses are announced, and who is left out and why; the frames and their
pace are ``kernel.announce``'s. Records and kernel stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from macvnet import runtimes
from macvnet.addresses import Address
from macvnet.drivers import driver
from macvnet.engine import endpoint_link, lookup, parent_search, shims
from macvnet.engine.context import Context
from macvnet.engine.joining import announcement
from macvnet.engine.liveness import dies
from macvnet.engine.reopening import DEAD, RETURNED, SAME, UNREACHABLE, reopened
from macvnet.errors import Conflict, InvalidRequest, MacvnetError, NotFound
from macvnet.kernel.announce import Item, repeat
from macvnet.kernel.links import LinkInfo
from macvnet.model import ACTIVE, JOINED, Endpoint, Network, SandboxId
from macvnet.records import NamedTuple

LEFT_OUT = {
    DEAD: "its process is gone",
    RETURNED: "it is there again, but not attached (macvnet restore)",
    UNREACHABLE: "its sandbox lives, but no process or name leads to it",
}


class Announced(NamedTuple):
    """The networks of which something was announced; and the others, with the reasons."""

    networks: tuple[Network, ...]
    failed: tuple[tuple[Network, MacvnetError], ...]


class _One(NamedTuple):
    """Something to be announced, and what it is called if that cannot be."""

    network: Network
    subject: str
    item: Item


def announce_again(
    ctx: Context,
    networks: Sequence[Network],
    containers: Sequence[str],
    report: Callable[[int, int], None],
    *,
    every: bool,
) -> Announced:
    """Announce the living endpoints of networks, all or those of some containers; and wait.

    Who is left out is a note. Raises why a network cannot be announced, or what NotFound says
    of a container that is not in it; where they are ``every`` network there is, one leaves
    the others alone, and those that never announce anything are passed over.
    """
    found: list[_One] = []
    failed: list[tuple[Network, MacvnetError]] = []
    for network in networks:
        try:
            parent = _parent(ctx, network)
            endpoints = _meant(ctx, network, containers)
        except MacvnetError as error:
            if not every:
                raise
            if not isinstance(error, InvalidRequest):
                failed.append((network, error))
            continue
        for endpoint in endpoints:
            found += _of_endpoint(ctx, network, endpoint, parent)
        if not containers:
            found += _of_shim(ctx, network, parent)
    gone = repeat([one.item for one in found], rate=ctx.settings.arp_rate, report=report)
    for number in sorted(gone):
        ctx.note(f"{found[number].subject}: its link is down or gone")
    sent = {one.network.id for number, one in enumerate(found) if number not in gone}
    return Announced(tuple(each for each in networks if each.id in sent), tuple(failed))


def _parent(ctx: Context, network: Network) -> LinkInfo:
    """The parent of a network whose endpoints are announced at all."""
    if network.config_only or network.parent is None:
        raise InvalidRequest(
            f"{network.name!r} is a configuration network, and has no endpoints", "macvnet ls"
        )
    if network.state != ACTIVE:
        raise Conflict(f"network {network.name!r} is being {network.state[:-3]}ed", "try again")
    if driver(network.driver).announces_from_parent(network.link) is None:
        raise InvalidRequest(
            f"there is no ARP in ipvlan mode {network.link.mode}, so nothing of network "
            f"{network.name!r} can be announced",
            f"macvnet doctor {network.name}",
        )
    if not network.link.announce_count:
        raise InvalidRequest(
            f"network {network.name!r} was created with "
            "com.docker.network.advertise_addr_nmsgs=0: it announces nothing",
            "announce another network, or --all",
        )
    parent = parent_search.search(ctx, network).link
    if parent is None:
        raise parent_search.missing(network.parent.name)
    return parent


def _meant(ctx: Context, network: Network, containers: Sequence[str]) -> list[Endpoint]:
    """The joined endpoints of a network, or of some containers; NotFound for one not in it."""
    if not containers:
        every = lookup.endpoints_of_network(ctx.reader, network.id)
        return [each for each in every if each.state == JOINED]
    found = []
    for container in containers:
        target = runtimes.resolve(container, ctx.reader)
        with target.namespace as namespace:
            key = SandboxId(ctx.boot_id, namespace.cookie).key
        here = lookup.endpoints_of_sandbox(ctx.reader, key)
        own = [each for each in here if each.network == network.id and each.state == JOINED]
        if not own:
            raise NotFound(
                f"{target.owner} is not connected to network {network.name!r}",
                f"macvnet connect {network.name} {target.owner}",
            )
        found += [each for each in own if each not in found]
    return found


def _of_endpoint(
    ctx: Context, network: Network, endpoint: Endpoint, parent: LinkInfo
) -> list[_One]:
    """What is announced of an endpoint; where nothing is, why not is a note."""
    subject = f"{endpoint.owner} in network {network.name}"
    kind = driver(network.driver)
    with ExitStack() as stack:
        reached = stack.enter_context(reopened(ctx, endpoint))
        if reached.fate != SAME or reached.target is None:
            fate = reached.fate
            if fate == UNREACHABLE and dies(ctx, endpoint):
                fate = DEAD
            ctx.note(f"{subject}: {LEFT_OUT[fate]}")
            return []
        at = endpoint_link.inside(ctx, reached.target)
        stack.enter_context(at.netlink)
        link = endpoint_link.find(ctx, kind, endpoint, at, parent)
        if link is None:
            name = endpoint.ifname
            ctx.note(f"{subject}: its link {name} is missing (macvnet repair {network.name})")
            return []
        item = announcement(ctx, kind, network, endpoint, parent, at)
        return [_One(network, subject, item)] if item is not None else []


def _of_shim(ctx: Context, network: Network, parent: LinkInfo) -> list[_One]:
    """The host's IPv6 address in the network. Its IPv4 address is the parent's own."""
    shim = shims.find(ctx, network) if network.shim_address else None
    if shim is None or not shims.is_user(ctx.reader, network):
        return []
    item = Item(
        namespace=ctx.namespace,
        ifindex=shim.ifindex,
        mac=shim.mac,
        addresses=(Address.parse(network.shim_address),),
        parent=parent.name,
        count=network.link.announce_count,
        interval=network.link.announce_interval,
    )
    return [_One(network, f"the host in network {network.name}", item)]
