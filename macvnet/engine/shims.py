"""Shims: the host's own macvlan links, through which it and its containers reach each other.

The kernel keeps a parent and the macvlans on it apart, but not two macvlans. One
shim serves all networks with host access on a parent; its record is that of a
made link. Knows how it is found, made and removed; routes are ``host_routes``'.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from macvnet import chance, keys
from macvnet.addresses import Address
from macvnet.digest import sha256
from macvnet.engine import drift, lookup, made_links
from macvnet.engine.context import Context
from macvnet.engine.parents import link_local, uppers_of
from macvnet.errors import Conflict
from macvnet.kernel import addressing, links, sysctl
from macvnet.kernel.addressing import ROUTE_PROTOCOL
from macvnet.kernel.constants import NAME_MAX
from macvnet.kernel.links import IFF_UP, LinkInfo
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import MadeLink, Network
from macvnet.store import Reader, Transaction

KIND = "macvlan"
PREFIX = "mvh-"


def is_user(reader: Reader, network: Network) -> bool:
    """Whether a network has host access, and it is not just being taken away."""
    made = lookup.made_link(reader, network.shim) if network.shim else None
    return made is not None and network.id in made.users


def users(reader: Reader, made: MadeLink) -> list[Network]:
    """The networks that have host access through a shim."""
    records = (reader.get(keys.network(user)) for user in made.users)
    return [Network.from_json(record) for record in records if record is not None]


def intended(ctx: Context, reader: Reader, parent: LinkInfo, network_id: str) -> MadeLink:
    """The record to write before the shim is made: that of the parent's shim, with one more user.

    Conflict where another link has its name.
    """
    every = [MadeLink.from_json(record) for _, record in reader.scan(keys.MADE_LINKS)]
    for made in every:
        if made.kind == KIND and _is_on(ctx, made, parent):
            others = [user for user in made.users if user != network_id]
            return made._replace(users=(*others, network_id))
    name = name_of(parent.name, {made.name for made in every})
    _refuse_foreign(ctx, name)
    return MadeLink(name, KIND, "", parent.name, 0, 0, 0, "", (network_id,))


def _is_on(ctx: Context, made: MadeLink, parent: LinkInfo) -> bool:
    if made.boot_id == ctx.boot_id and made.lower:
        return made.lower == parent.ifindex
    return made.lower_name == parent.name


def name_of(parent: str, taken: set[str]) -> str:
    """``mvh-`` and the parent's name; where that is too long or taken, and a digest of it."""
    name, attempt = PREFIX + parent, 0
    while len(name.encode()) > NAME_MAX or name in taken:
        digest = sha256(f"{parent}\0{attempt}".encode()).hexdigest()
        name = (PREFIX + digest)[:NAME_MAX]
        attempt += 1
    return name


def _refuse_foreign(ctx: Context, name: str) -> None:
    if links.by_name(ctx.netlink, name) is not None:
        raise Conflict(
            f"the link {name}, as that of host access is called, was made by somebody else",
            f"ip link set {name} name NAME",
        )


def find(ctx: Context, network: Network) -> LinkInfo | None:
    """The network's shim, if it is provably the one that macvnet made, and made whole."""
    made = lookup.made_link(ctx.reader, network.shim) if network.shim else None
    return made_links.find(ctx, made) if made is not None and made.ifindex else None


def ready(ctx: Context, network: Network, parent: LinkInfo) -> LinkInfo | None:
    """The network's shim, made again where it is missing; None where it has no host access now."""
    if not is_user(ctx.store, network):
        return None
    found = find(ctx, network)
    if found is not None and found.lower == parent.ifindex:
        return found
    with ctx.structure_lock():
        return ensure(ctx, network, parent)


def ensure(ctx: Context, network: Network, parent: LinkInfo) -> LinkInfo | None:
    """The same, up and with all its sysctls, for a caller that holds the structure lock."""
    made = lookup.made_link(ctx.store, network.shim)
    if made is None or network.id not in made.users:
        return None
    found = made_links.find(ctx, made)
    if found is not None and made.ifindex and found.lower == parent.ifindex:
        _mend(ctx, found, parent)
        return found
    if made.boot_id == ctx.boot_id:
        # Begun by a command that died, or on a parent that is another one now.
        made_links.discard(ctx, made)
    _refuse_foreign(ctx, made.name)
    again = made._replace(
        tag=f"mv{chance.token(6)}",
        lower_name=parent.name,
        lower=parent.ifindex,
        ifindex=0,
        boot_id=ctx.boot_id,
    )
    ctx.store.transact(lambda tx: tx.put(keys.made_link(made.name), again.to_json()), durable=False)
    return made_links.make(ctx, again)


def _mend(ctx: Context, link: LinkInfo, parent: LinkInfo) -> None:
    drift.follow(ctx, link, parent)
    for family, key, value in unquiet(link):
        sysctl.write(family, link.name, key, value, ctx.netlink.tell)
    if not link.up:
        try:
            ctx.netlink.change(links.change(link.ifindex, link.name, flags=IFF_UP))
        except NetlinkError as error:
            raise error.during(f"set {link.name} up", _ask(link)) from None


def unquiet(link: LinkInfo) -> list[tuple[str, str, str]]:
    """The sysctls that are not as they were set when the shim was made."""
    return [
        (family, key, value)
        for family, key, value in made_links.SHIM_SYSCTLS
        if sysctl.read(family, link.name, key) not in (None, value)
    ]


def address(ctx: Context, link: LinkInfo, wanted: Sequence[Address]) -> None:
    """Have these IPv6 addresses on the shim, and no others of macvnet's; without any, no IPv6."""
    present = addresses_on(ctx, link)
    try:
        if wanted:
            sysctl.write("ipv6", link.name, "disable_ipv6", "0", ctx.netlink.tell)
        for each in wanted:
            if each not in present:
                ctx.netlink.change(addressing.add_address(link.ifindex, link.name, each, 128))
    except NetlinkError as error:
        raise error.during(f"put an address on {link.name}", _ask(link)) from None


def unaddress(ctx: Context, link: LinkInfo, gone: Address, *, last: bool) -> None:
    """Take an IPv6 address off the shim; with the ``last`` one IPv6 is off again."""
    if gone in addresses_on(ctx, link):
        try:
            ctx.netlink.change(addressing.delete_address(link.ifindex, link.name, gone, 128))
        except NetlinkError as error:
            if error.errno not in (errno.ENODEV, errno.EADDRNOTAVAIL):
                raise error.during(f"take an address off {link.name}", _ask(link)) from None
    if last:
        sysctl.write("ipv6", link.name, "disable_ipv6", "1", ctx.netlink.tell)


def addresses_on(ctx: Context, link: LinkInfo) -> list[Address]:
    """The addresses that a link has, whoever put them there, but for the kernel's own."""
    return [
        info.address
        for info in addressing.all_addresses(ctx.netlink)
        if info.ifindex == link.ifindex and not link_local(info)
    ]


def has(ctx: Context, link: LinkInfo, address: Address) -> bool:
    """Whether the host has an address on the shim."""
    return address in addresses_on(ctx, link)


def unmake(ctx: Context, link: LinkInfo, own: Sequence[Address]) -> str:
    """Remove a shim that no network uses any more; why it stays, or "" if it is gone.

    ``own`` are the addresses that macvnet put on it. Its routes go with it.
    """
    reason = _used_by(ctx, link, own)
    if reason:
        return f"the link {link.name} stays: {reason}"
    try:
        ctx.netlink.change(links.delete(link.ifindex, link.name))
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise error.during(f"remove the link {link.name}", _ask(link)) from None
    return ""


def _ask(link: LinkInfo) -> str:
    """What to type for how a shim is now."""
    return f"ip -d address show {link.name}"


def _used_by(ctx: Context, link: LinkInfo, own: Sequence[Address]) -> str:
    """What somebody else has put on it. Macvlans on it hang on the parent in truth."""
    uppers = uppers_of(links.all_links(ctx.netlink), link.ifindex)
    if uppers:
        return f"it carries the link {uppers[0].name!r}"
    for each in addresses_on(ctx, link):
        if each not in own:
            return f"it has the address {each}"
    for route in addressing.all_routes(ctx.netlink, every_table=True):
        kernels = route.destination is not None and route.protocol == addressing.PROTOCOL_KERNEL
        if route.ifindex == link.ifindex and not kernels and route.protocol != ROUTE_PROTOCOL:
            return f"the route {route.words} goes out of it"
    return ""


def forget_if_unused(tx: Transaction, name: str) -> None:
    """Delete the record of a shim that has no user."""
    made = lookup.made_link(tx, name)
    if made is not None and not made.users:
        tx.delete(keys.made_link(name))
