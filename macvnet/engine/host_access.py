"""Host access: the host and the endpoints of a network reach each other, both ways.

Knows in which order it is recorded, made, mended and taken away. A network has
it while it is a user of the shim that its record names; a record that names a
shim without being a user of it is one whose host access a command was taking
away when it died.
"""

from __future__ import annotations

from collections.abc import Sequence

from macvnet import keys
from macvnet.addresses import IPV4, Address
from macvnet.drivers import Driver, driver
from macvnet.engine import (
    host_access_foreseen,
    host_asking,
    host_routes,
    lookup,
    made_links,
    parent_search,
    shims,
)
from macvnet.engine.context import Context
from macvnet.engine.host_asking import Question
from macvnet.engine.host_differences import look
from macvnet.engine.liveness import alive
from macvnet.engine.undo import Undo
from macvnet.errors import Conflict, InvalidRequest, MacvnetError, NotFound
from macvnet.ipam import host_lease
from macvnet.kernel import addressing, sysctl
from macvnet.kernel.addressing import RouteInfo
from macvnet.kernel.links import LinkInfo
from macvnet.model import ACTIVE, JOINED, Change, Endpoint, Network
from macvnet.records import NamedTuple
from macvnet.store import Transaction

MODE = "bridge"
ROUNDS = 10
"""Addresses that are tried for the host, one after the other (RFC 5227, MAX_CONFLICTS)."""


def judge(kind: Driver, network: Network, parent: str, own: Sequence[Address]) -> None:
    """Refuse where host and endpoints cannot reach each other. ``own``: the parent's addresses."""
    if kind.NAME != "macvlan":
        raise InvalidRequest(
            "host access needs the driver macvlan: what an ipvlan endpoint sends to the host "
            "arrives on the parent, and never on a link beside it without an address of its own",
            "-d macvlan, or reach the host through the LAN's router",
        )
    if network.link.mode != MODE:
        raise InvalidRequest(
            f"host access needs macvlan mode {MODE}: in mode {network.link.mode} the kernel lets "
            "no other link of the parent reach an endpoint",
            f"-o macvlan_mode={MODE}",
        )
    if not network.pools:
        raise InvalidRequest(
            f"host access needs addresses to make routes to, and network {network.name!r} gives "
            "none",
            "leave --ipam-driver null out",
        )
    for pool in network.pools:
        if pool.family == IPV4 and host_routes.source_in(pool.subnet, own) is None:
            has = f"has only {', '.join(map(str, own))}" if own else "has no address"
            raise Conflict(
                f"host access needs an address of the host in {pool.subnet}, and the parent "
                f"{parent} {has}",
                f"ip address add ADDRESS/{pool.subnet.prefixlen} dev {parent}",
            )


def enable(ctx: Context, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
    """Give a network host access, for all that is connected to it too."""
    network = lookup.network(ctx.reader, term)
    if dry_run:
        if shims.is_user(ctx.reader, network):
            return ()
        parent = _judged(ctx, network)
        return host_access_foreseen.enabling(ctx, network, parent)
    ctx.claim()
    with Undo(ctx.note) as undo:
        with ctx.structure_lock():
            network = lookup.network(ctx.store, network.id)
            if network.shim and not shims.is_user(ctx.store, network):
                end(ctx, network.id)
                network = lookup.network(ctx.store, network.id)
            if network.shim:
                ctx.note(f"network {network.name!r} has host access already")
            else:
                parent = _judged(ctx, network)
                undo.push(f"host access of {network.name}", lambda: _withdraw(ctx, network.id))
                begin(ctx, network, parent)
        make(ctx, network.id)
        ctx.store.sync()
    return ()


def _withdraw(ctx: Context, network_id: str) -> None:
    with ctx.structure_lock():
        end(ctx, network_id)


def disable(ctx: Context, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
    """Take host access away: routes, address, and the shim where no other network uses it."""
    network = lookup.network(ctx.reader, term)
    if dry_run:
        return host_access_foreseen.disabling(ctx, network)
    ctx.claim()
    with ctx.structure_lock():
        network = lookup.network(ctx.store, network.id)
        if not network.shim:
            ctx.note(f"network {network.name!r} has no host access")
        end(ctx, network.id)
        ctx.store.sync()
    return ()


def _judged(ctx: Context, network: Network) -> LinkInfo:
    """The parent of a network that can have host access."""
    if network.config_only or network.parent is None:
        raise InvalidRequest(
            f"{network.name!r} is a configuration network, host access belongs to the network "
            "made from it",
            "macvnet ls",
        )
    if network.state != ACTIVE:
        raise Conflict(f"network {network.name!r} is being {network.state[:-3]}ed", "try again")
    parent = parent_search.search(ctx, network).link
    if parent is None:
        raise parent_search.missing(network.parent.name)
    own = host_routes.host_addresses(ctx, parent.ifindex)
    judge(driver(network.driver), network, parent.name, own)
    return parent


def begin(ctx: Context, network: Network, parent: LinkInfo) -> Network:
    """Record host access, for ``make``; the network as recorded. Needs the structure lock."""
    made = shims.intended(ctx, ctx.store, parent, network.id)
    avoid = _avoided(ctx)

    def write(tx: Transaction) -> Network:
        record = tx.get(keys.network(network.id))
        if record is None:
            raise NotFound("the network has just been removed", "macvnet ls")
        now = Network.from_json(record)
        address = host_lease.hold(tx, now, avoid=avoid)
        now = now._replace(shim=made.name, shim_address=str(address or ""))
        tx.put(keys.made_link(made.name), made.to_json())
        tx.put(keys.network(now.id), now.to_json())
        return now

    recorded = ctx.store.transact(write, durable=False)
    if sysctl.read("ipv4", "all", "arp_ignore") not in (None, "0"):
        ctx.note(
            "net.ipv4.conf.all.arp_ignore keeps the host from answering its containers: they will "
            "not find it (sysctl -w net.ipv4.conf.all.arp_ignore=0)"
        )
    return recorded


def _avoided(ctx: Context) -> set[Address]:
    """What the host itself has is not given out by choice."""
    return {info.address for info in addressing.all_addresses(ctx.netlink)}


def end(ctx: Context, network_id: str) -> None:
    """Take a network's host access away, also one half made. Needs the structure lock.

    The network stops being a user first, so that nobody makes a route any more;
    its record forgets the shim last.
    """

    def leave(tx: Transaction) -> Network | None:
        record = tx.get(keys.network(network_id))
        network = Network.from_json(record) if record is not None else None
        if network is not None and network.shim:
            made_links.drop_user(tx, network.shim, network_id)
        return network

    network = ctx.store.transact(leave, durable=False)
    if network is None or not network.shim:
        return
    own = [Address.parse(network.shim_address)] if network.shim_address else []
    made = lookup.made_link(ctx.store, network.shim)
    link = made_links.find(ctx, made) if made is not None else None
    stays = ""
    if made is not None and link is not None and not made.users:
        stays = shims.unmake(ctx, link, own)
        if stays:
            ctx.note(stays)
    if made is not None and link is not None and (made.users or stays):
        for endpoint in lookup.endpoints_of_network(ctx.store, network_id):
            host_routes.drop(ctx, network, endpoint)
        others = [other for other in shims.users(ctx.store, made) if other.shim_address]
        for address in own:
            shims.unaddress(ctx, link, address, last=not others)

    def forget(tx: Transaction) -> None:
        record = tx.get(keys.network(network_id))
        if record is not None:
            now = Network.from_json(record)._replace(shim="", shim_address="")
            tx.put(keys.network(network_id), now.to_json())
        for address in own:
            host_lease.release(tx, network, address)
        shims.forget_if_unused(tx, network.shim)

    ctx.store.transact(forget, durable=False)


class Settled(NamedTuple):
    """What had to be done: whether the link was made, and the addresses that routes lead to.

    ``question`` is what has to be asked before the rest can be done; ``refusal`` why
    the host's own IPv6 address is left out, and ``mac`` who has it.
    """

    link: bool = False
    made: tuple[Address, ...] = ()
    removed: tuple[Address, ...] = ()
    question: Question | None = None
    refusal: MacvnetError | None = None
    mac: str = ""


def make(ctx: Context, network_id: str) -> None:
    """Make what is recorded. The host gets another IPv6 address where one is taken."""
    for _ in range(ROUNDS):
        done = _follow(ctx, network_id)
        if done.refusal is None:
            return
        if done.question is None or not done.mac:
            raise done.refusal
        with ctx.structure_lock():
            host_asking.move(ctx, done.question, done.mac, _avoided(ctx))
    raise Conflict(
        f"{ROUNDS} addresses one after the other are used on the LAN by other machines",
        "-o probe=off, if it is a router that answers for all of them",
    )


def follow(ctx: Context, network: Network) -> Settled:
    """Make again what a network's host access lacks: after a boot, or when addresses have changed.

    Nothing is done where the parent is missing. An IPv6 address that another machine
    has by now is left out.
    """
    return _follow(ctx, network.id) if network.shim else Settled()


def _follow(ctx: Context, network_id: str) -> Settled:
    """Before the host's IPv6 address is put on the shim the LAN is asked, and no lock is held."""
    first = _locked(ctx, network_id, None)
    if first.question is None:
        return first
    try:
        mac = host_asking.holder(ctx, first.question)
    except MacvnetError as error:
        return first._replace(refusal=error)
    if mac:
        return first._replace(refusal=host_asking.refusal(first.question, mac), mac=mac)
    then = _locked(ctx, network_id, first.question.address)
    return Settled(first.link or then.link, first.made + then.made, first.removed + then.removed)


def _locked(ctx: Context, network_id: str, free: Address | None) -> Settled:
    """Settle what is recorded now."""
    with ctx.structure_lock():
        record = ctx.store.get(keys.network(network_id))
        network = Network.from_json(record) if record is not None else None
        if network is None or not network.shim:
            return Settled()
        if not shims.is_user(ctx.store, network):
            end(ctx, network_id)
            return Settled()
        return _settle(ctx, network, free)


def _settle(ctx: Context, network: Network, free: Address | None) -> Settled:
    """Make what is missing, remove what is too much. ``free``: what nobody else has, as asked."""
    parent = parent_search.search(ctx, network).link
    if parent is None:
        return Settled()
    before = shims.find(ctx, network)
    shim = shims.ensure(ctx, network, parent)
    if shim is None:
        return Settled()
    question = None
    if network.shim_address:
        own = Address.parse(network.shim_address)
        sure = own == free or shims.has(ctx, shim, own)
        if not sure and host_asking.needed(ctx, network, parent):
            question = Question(network, own, shim, parent)
        else:
            shims.address(ctx, shim, [own])
    routes = look(ctx, network, parent, shim, _coming(ctx, network))
    for route in routes.left:
        host_routes.remove(ctx, route, shim)
    for route in routes.missing:
        host_routes.add(ctx, route, shim)
    for route in routes.foreign:
        ctx.note_once(f"the host has {host_routes.foreign(route)}, which stays")
    for text in routes.unreachable:
        ctx.note_once(text)
    made = before is None or before.ifindex != shim.ifindex
    return Settled(made, _ends(routes.missing), _ends(routes.left), question)


def _ends(routes: Sequence[RouteInfo]) -> tuple[Address, ...]:
    return tuple(route.destination for route in routes if route.destination is not None)


def _coming(ctx: Context, network: Network) -> list[Endpoint]:
    """The endpoints that shall have routes, those that commands are making included."""
    every = lookup.endpoints_of_network(ctx.store, network.id)
    return [each for each in every if each.state != JOINED or alive(ctx, each)]
