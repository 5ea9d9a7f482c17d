"""Links that macvnet makes in the host's namespace: sub-interfaces, dummies and shims.

Each has a record of its own, written before the link is made; a link is removed
only if the record proves that it is the one macvnet made in this boot, and only
if nothing else uses it. Callers hold the structure lock.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from macvnet import chance, keys
from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.engine.parents import Prospect, in_use_by, link_local, uppers_of
from macvnet.errors import Conflict, KernelRefused, MacvnetError
from macvnet.kernel import addressing, links, sysctl
from macvnet.kernel.constants import VLAN_8021Q
from macvnet.kernel.links import IFF_UP, LinkInfo
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import LinkPlan, MadeLink
from macvnet.store import Transaction
from macvnet.text import quoted

SYSCTLS = (("ipv6", "accept_ra", "0"), ("ipv4", "arp_ignore", "8"))
SHIM_SYSCTLS = (
    ("ipv6", "accept_ra", "0"),
    ("ipv6", "autoconf", "0"),
    ("ipv6", "addr_gen_mode", "1"),  # IN6_ADDR_GEN_MODE_NONE: no fe80:: address
    ("ipv4", "arp_filter", "1"),
    ("ipv4", "rp_filter", "1"),
)
"""A shim answers for the host's address, but only those whom the host reaches through it.

What others send to all is the parent's to hear: with rp_filter it is not heard twice.
"""
RELEASE_SECONDS = 2.0
"""How long the kernel may take to free the macvlans of a namespace that died (measured: 20 ms)."""


def intended(ctx: Context, prospect: Prospect, network_id: str) -> MadeLink:
    """The record to write before the link that ``prospect`` lacks is made."""
    lower = prospect.lower
    return MadeLink(
        prospect.name,
        "vlan" if lower else "dummy",
        f"mv{chance.token(6)}",
        lower.name if lower else "",
        lower.ifindex if lower else 0,
        prospect.vlan_id,
        0,
        ctx.boot_id,
        (network_id,),
    )


def add_user(tx: Transaction, name: str, network_id: str) -> None:
    """Note that a network uses a link of macvnet's, if it is one."""
    made = lookup.made_link(tx, name)
    if made is not None and network_id not in made.users:
        tx.put(keys.made_link(name), made._replace(users=(*made.users, network_id)).to_json())


def drop_user(tx: Transaction, name: str, network_id: str) -> None:
    """Note that a network no longer uses a link of macvnet's."""
    made = lookup.made_link(tx, name)
    if made is not None and network_id in made.users:
        users = tuple(user for user in made.users if user != network_id)
        tx.put(keys.made_link(name), made._replace(users=users).to_json())


def plan_of(made: MadeLink, installation: str) -> LinkPlan:
    """What the kernel is asked for."""
    if made.kind == "macvlan":
        from macvnet.engine.reserving import derived_mac

        # Given at creation: udev changes what the kernel has drawn by lot.
        mac = derived_mac(installation, made.name, "host")
        return LinkPlan("macvlan", (("IFLA_MACVLAN_MODE", "bridge"),), "mode bridge", mac)
    if made.kind == "vlan":
        data = (("IFLA_VLAN_ID", made.vlan_id), ("IFLA_VLAN_PROTOCOL", VLAN_8021Q))
        return LinkPlan("vlan", data, f"id {made.vlan_id}")
    return LinkPlan("dummy")


def make(ctx: Context, made: MadeLink) -> LinkInfo:
    """Make the link as recorded, quiet on the host's side, and up.

    It is made under its tag's name and renamed with its alias set in one
    message, so that a link found later under either is certainly ours. Whatever
    fails, nothing is left.
    """
    try:
        return _make(ctx, made)
    except BaseException:
        discard(ctx, made)
        raise


def _make(ctx: Context, made: MadeLink) -> LinkInfo:
    netlink = ctx.netlink
    plan = plan_of(made, ctx.installation)
    try:
        netlink.change(links.add(plan, made.tag, lower=made.lower, lower_name=made.lower_name))
    except NetlinkError as error:
        if error.errno == errno.EEXIST and made.kind == "vlan":
            raise Conflict(
                f"VLAN {made.vlan_id} has just been made on {made.lower_name} by somebody else",
                "run the command again",
            ) from None
        from macvnet.engine import refusals

        raise refusals.made_refused(ctx, error, made) from None
    link = links.by_name(netlink, made.tag)
    if link is None:
        raise KernelRefused("", errno.ENODEV).during(f"find the link {made.tag} just made")
    try:
        _silence(made.kind, made.tag, netlink.tell)
        netlink.change(links.change(link.ifindex, made.tag, ifname=made.name, ifalias=made.tag))
        netlink.change(links.change(link.ifindex, made.name, flags=IFF_UP))
    except NetlinkError as error:
        from macvnet.engine import refusals

        raise refusals.made_refused(ctx, error, made) from None
    known = made._replace(ifindex=link.ifindex, boot_id=ctx.boot_id)
    ctx.store.transact(lambda tx: tx.put(keys.made_link(made.name), known.to_json()), durable=False)
    found = links.by_index(netlink, link.ifindex)
    return found or link


def discard(ctx: Context, made: MadeLink) -> None:
    """Remove what was begun of a link: one that has its tag as name or alias, and no user yet."""
    for name in (made.tag, made.name):
        link = links.by_name(ctx.netlink, name) if name else None
        if link is not None and made.tag and made.tag in (link.name, link.alias):
            _remove_quietly(ctx, link.ifindex, link.name)


def _silence(kind: str, name: str, tell: Callable[[str], None]) -> None:
    """No address and no route of the link's own accord, and no ARP answers for the host's.

    Links get an fe80:: address and believe routers as soon as they are up, so
    this comes before.
    """
    sysctl.write("ipv6", name, "disable_ipv6", "1", tell)
    for family, key, value in SHIM_SYSCTLS if kind == "macvlan" else SYSCTLS:
        sysctl.write(family, name, key, value, tell)


def _remove_quietly(ctx: Context, ifindex: int, name: str) -> None:
    """Undo: the error that led here is the one to report."""
    try:
        ctx.netlink.change(links.delete(ifindex, name))
    except (NetlinkError, MacvnetError):
        return


def find(ctx: Context, made: MadeLink) -> LinkInfo | None:
    """The link macvnet made, if it is still that link; None if it is gone or another one."""
    if made.boot_id != ctx.boot_id:
        return None
    link = (
        links.by_index(ctx.netlink, made.ifindex)
        if made.ifindex
        else links.by_name(ctx.netlink, made.tag) or links.by_name(ctx.netlink, made.name)
    )
    if link is None or link.kind != made.kind or link.lower_nsid is not None:
        return None
    if made.tag not in (link.alias, link.name):
        return None
    wanted = {"vlan": (made.lower, made.vlan_id), "macvlan": (made.lower, None)}.get(made.kind)
    same = wanted is None or (link.lower, link.vlan_id) == wanted
    return link if same else None


def is_link(found: LinkInfo | None, link: LinkInfo) -> bool:
    return found is not None and found.ifindex == link.ifindex


def unmake(ctx: Context, made: MadeLink) -> str:
    """Remove the link if it is macvnet's and unused; why it stays, or "" if it is gone."""
    link = find(ctx, made)
    if link is None:
        if made.boot_id == ctx.boot_id and links.by_name(ctx.netlink, made.name) is not None:
            return f"the link {made.name} is not the one that macvnet made, so it stays"
        return ""
    probe = f"mp{made.tag[2:]}"
    _discard_probe(ctx, probe, link)
    reason = _used_by(ctx, link, probe)
    if reason:
        return f"the link {link.name} stays: {reason}"
    try:
        ctx.netlink.change(links.delete(link.ifindex, link.name))
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise error.during(f"remove the link {link.name}") from None
    return ""


def _used_by(ctx: Context, link: LinkInfo, probe: str) -> str:
    every = links.all_links(ctx.netlink)
    if link.master:
        master = next((m.name for m in every if m.ifindex == link.master), str(link.master))
        return f"it is a port of {quoted(master)}"
    uppers = uppers_of(every, link.ifindex)
    if uppers:
        return f"it carries the link {quoted(uppers[0].name)}"
    for address in addressing.all_addresses(ctx.netlink):
        if address.ifindex == link.ifindex and not link_local(address):
            return f"it has the address {address.address}/{address.prefixlen}"
    for route in addressing.all_routes(ctx.netlink, every_table=True):
        if route.ifindex == link.ifindex and in_use_by(route):
            return f"the route {route.words} goes out of it"
    return _used_elsewhere(ctx, link, probe)


def _discard_probe(ctx: Context, probe: str, link: LinkInfo) -> None:
    """Remove what asked whether the link is used; a command may have died between the two."""
    found = links.by_name(ctx.netlink, probe)
    if found is not None and found.kind == "macvlan" and found.lower == link.ifindex:
        _remove_quietly(ctx, found.ifindex, probe)


def _used_elsewhere(ctx: Context, link: LinkInfo, probe: str) -> str:
    """Macvlans and ipvlans in other namespaces are seen only by what they forbid.

    A macvlan of mode passthru, left down, is refused while anything else hangs
    on the link. Only ever tried on a link of macvnet's own.
    """
    plan = LinkPlan("macvlan", (("IFLA_MACVLAN_MODE", "passthru"),), "mode passthru")
    deadline = time.monotonic() + RELEASE_SECONDS
    try:
        while True:
            try:
                ctx.netlink.change(links.add(plan, probe, lower=link.ifindex, lower_name=link.name))
            except NetlinkError as error:
                if error.errno == errno.EOPNOTSUPP:
                    return ""
                if time.monotonic() > deadline:
                    return "a macvlan or ipvlan link in another namespace is on it"
                time.sleep(0.05)
            else:
                return ""
    finally:
        _discard_probe(ctx, probe, link)
