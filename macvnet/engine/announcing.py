"""Announcing again: after a bond's fail-over, a switch's restart, or when a neighbour is wrong.

Knows whose addresses are announced, and who is left out and why; the frames and their
pace are ``kernel.announce``'s. Records and kernel stay as they are, and what is told is
what the kernel has: whoever lacks an address or has another MAC by now is not to be
sought where the records say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from macvnet import runtimes
from macvnet.addresses import IPV6, Address
from macvnet.drivers import driver
from macvnet.engine import endpoint_link, lookup, parent_search, shims
from macvnet.engine.context import Context
from macvnet.engine.joining import announcement
from macvnet.engine.liveness import dies
from macvnet.engine.reopening import DEAD, RETURNED, SAME, UNREACHABLE, reopened
from macvnet.errors import Conflict, InvalidRequest, MacvnetError, NotFound
from macvnet.kernel.addressing import RT_SCOPE_UNIVERSE, AddressInfo, all_addresses
from macvnet.kernel.announce import Item, repeat
from macvnet.kernel.learned import IFA_F_DEPRECATED, IFA_F_PERMANENT, IFA_F_TENTATIVE
from macvnet.kernel.links import LinkInfo
from macvnet.model import ACTIVE, JOINED, NULL, SLAAC, Assigned, Endpoint, Network, SandboxId
from macvnet.records import NamedTuple

UNPROVED = 0x08 | IFA_F_TENTATIVE
"""IFA_F_DADFAILED (linux/if_addr.h): another machine has the address. Or that is not yet known."""

LEFT_OUT = {
    DEAD: "its process is gone",
    RETURNED: "it is there again, but not attached",
    UNREACHABLE: "its sandbox lives, but no process or name leads to it",
}


class Announced(NamedTuple):
    """The networks of which something was announced; and the others, with the reasons."""

    networks: tuple[Network, ...]
    failed: tuple[tuple[Network, MacvnetError], ...]


MEND = {RETURNED: "macvnet restore"}
"""What to type about it."""


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

    Who is left out is a note; nothing is sent where one of ``containers`` is. Raises why a
    network or such a container cannot be announced; where they are ``every`` network there is,
    one leaves the others alone, and those that never announce anything are passed over.
    """
    found: list[_One] = []
    failed: list[tuple[Network, MacvnetError]] = []
    seen = False
    for network in networks:
        try:
            _refuse_silent(network)
            endpoints = _meant(ctx, network, containers)
            if not endpoints and not network.shim_address:
                continue
            seen = True
            parent = _parent(ctx, network)
        except MacvnetError as error:
            if not every:
                raise
            if not isinstance(error, InvalidRequest):
                failed.append((network, error))
            continue
        for endpoint in endpoints:
            found += _of_endpoint(ctx, network, endpoint, parent, named=bool(containers))
        if not containers:
            found += _of_shim(ctx, network, parent)
    if not seen and not failed:
        whose = "any network" if every else f"network {networks[0].name}"
        ctx.note(f"there is nothing of {whose} to announce")
    gone = repeat([one.item for one in found], rate=ctx.settings.arp_rate, report=report)
    for number in sorted(gone):
        ctx.note(f"{found[number].subject}: its link is down or gone")
    sent = {one.network.id for number, one in enumerate(found) if number not in gone}
    return Announced(tuple(each for each in networks if each.id in sent), tuple(failed))


def _refuse_silent(network: Network) -> None:
    """Raise why a network never announces anything, or cannot now."""
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
    if network.ipam_driver == NULL and network.link.ipv6_mode != SLAAC:
        raise InvalidRequest(
            f"the addresses in network {network.name!r} are not macvnet's, which does not know "
            "where they are",
            "arping -U, or what has given them out",
        )
    if not network.link.announce_count:
        raise InvalidRequest(
            f"network {network.name!r} was created with "
            "com.docker.network.advertise_addr_nmsgs=0: it announces nothing",
            "announce another network, or --all",
        )


def _parent(ctx: Context, network: Network) -> LinkInfo:
    """The parent, where whoever is on its LAN hears what is sent."""
    assert network.parent is not None
    parent = parent_search.search(ctx, network).link
    if parent is None:
        raise parent_search.missing(network.parent.name)
    if not (parent.up and parent.carrier):
        lacking = "has no carrier" if parent.up else "is down"
        raise Conflict(
            f"nobody would hear it: the parent {parent.name} {lacking}",
            f"ip link set {parent.name} up" if not parent.up else f"ip link show {parent.name}",
        )
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
    ctx: Context, network: Network, endpoint: Endpoint, parent: LinkInfo, *, named: bool
) -> list[_One]:
    """What is announced of an endpoint; why something is not is a note, or raised if ``named``."""
    subject = f"{endpoint.owner} in network {network.name}"
    kind = driver(network.driver)

    def mention(why: str, fix: str = "") -> None:
        ctx.note(f"{subject}: {why}" + (f" ({fix})" if fix else ""))

    def without(why: str, fix: str = "") -> None:
        if named:
            raise Conflict(f"{subject}: {why}", fix or f"macvnet check {network.name}")
        mention(why, fix)

    with ExitStack() as stack:
        reached = stack.enter_context(reopened(ctx, endpoint))
        if reached.fate != SAME or reached.target is None:
            fate = reached.fate
            if fate == UNREACHABLE and dies(ctx, endpoint):
                fate = DEAD
            without(LEFT_OUT[fate], MEND.get(fate, ""))
            return []
        at = endpoint_link.inside(ctx, reached.target)
        stack.enter_context(at.netlink)
        link = endpoint_link.find(ctx, kind, endpoint, at, parent)
        mend = f"macvnet repair {network.name}"
        if link is None:
            without(f"its link {endpoint.ifname} is missing", mend)
            return []
        if not link.up:
            without(f"its link {link.name} is down", mend)
            return []
        there = [each for each in all_addresses(at.netlink) if each.ifindex == link.ifindex]
        usable = {each.address for each in there if not each.flags & UNPROVED}
        held = [one for one in endpoint.addresses if one.address in usable]
        if network.link.ipv6_mode == SLAAC:
            held += [_learned(each) for each in there if _is_learned(each)]
        for lacking in (one for one in endpoint.addresses if one not in held):
            say = mention if held else without
            say(f"its link {link.name} lacks the address {lacking.address}", mend)
        if not held and not endpoint.addresses:
            without(f"its link {link.name} has learned no address yet")
        now = endpoint._replace(mac=link.mac, addresses=tuple(held))
        item = announcement(ctx, kind, network, now, parent, at)
        return [_One(network, subject, item)] if item is not None else []


def _is_learned(info: AddressInfo) -> bool:
    """An IPv6 address that the link has made of a router's prefix, in use and its own."""
    if info.address.family != IPV6 or info.scope != RT_SCOPE_UNIVERSE:
        return False
    return not info.flags & (UNPROVED | IFA_F_PERMANENT | IFA_F_DEPRECATED)


def _learned(info: AddressInfo) -> Assigned:
    return Assigned("", info.address, info.prefixlen, None, False, False)


def _of_shim(ctx: Context, network: Network, parent: LinkInfo) -> list[_One]:
    """The host's IPv6 address in the network. Its IPv4 address is the parent's own."""
    shim = shims.find(ctx, network) if network.shim_address else None
    if shim is None or not shims.is_user(ctx.reader, network):
        return []
    address = Address.parse(network.shim_address)
    subject = f"the host in network {network.name}"
    if not shim.up or not shims.has(ctx, shim, address):
        lacking = f"lacks the address {address}" if shim.up else "is down"
        ctx.note(f"{subject}: its link {shim.name} {lacking} (macvnet repair {network.name})")
        return []
    item = Item(
        namespace=ctx.namespace,
        ifindex=shim.ifindex,
        mac=shim.mac,
        addresses=(address,),
        parent=parent.name,
        count=network.link.announce_count,
        interval=network.link.announce_interval,
    )
    return [_One(network, subject, item)]
