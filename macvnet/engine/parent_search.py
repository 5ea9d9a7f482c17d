"""Finding a network's parent again: after a rename, a driver reload, a reboot.

Within one boot a link is known by its ifindex; after a boot only if the old
name is gone and exactly one link has its permanent address (IFLA_PERM_ADDRESS).
"""

from __future__ import annotations

from macvnet import keys
from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.errors import NotFound
from macvnet.kernel import links
from macvnet.kernel.links import LinkInfo
from macvnet.model import MadeLink, Network, Parent
from macvnet.records import NamedTuple
from macvnet.store import Transaction
from macvnet.text import quoted


class Found(NamedTuple):
    """A network's parent as it is now. ``renamed``: its link has another name than recorded.

    ``made`` is its record if macvnet made it; ``link`` None where it is missing.
    """

    link: LinkInfo | None
    renamed: bool
    made: MadeLink | None


def search(ctx: Context, network: Network) -> Found:
    """Look for the parent; changes nothing."""
    recorded = network.parent
    if recorded is None:
        return Found(None, False, None)
    made = lookup.made_link(ctx.reader, recorded.name)
    if made is None and recorded.boot_id == ctx.boot_id:
        # Before the name: by now another link may have that, with other neighbours behind it.
        link = links.by_index(ctx.netlink, recorded.ifindex)
        if link is not None:
            return Found(link, link.name != recorded.name, None)
    named = links.by_name(ctx.netlink, recorded.name)
    if named is not None and named.name != recorded.name:
        named = None  # an alternative name: whose link it is, it is not the parent
    if named is not None or made is not None or recorded.boot_id == ctx.boot_id:
        return Found(named, False, made)
    address = recorded.permanent_mac
    every = links.all_links(ctx.netlink) if address else []
    same = [link for link in every if link.permanent_mac == address]
    return Found(same[0], True, None) if len(same) == 1 else Found(None, False, None)


def lacking(ctx: Context, network: Network, found: Found) -> str:
    """What has to come before the parent is there or can be made, in words; "" if nothing has."""
    assert network.parent is not None
    name = network.parent.name
    if found.link is not None:
        return ""
    if found.made is None:
        return f"the parent {name} is missing"
    if not found.made.lower_name:
        return ""
    lower = links.by_name(ctx.netlink, found.made.lower_name)
    if lower is None:
        return f"the parent {name} is missing, and so is {found.made.lower_name} to make it on"
    if not lower.up:
        # A VLAN on it could not be set up.
        return f"the parent {name} is missing, and {lower.name} to make it on is down"
    return ""


def ensure(ctx: Context, network: Network) -> LinkInfo:
    """The parent as it is now, re-made if it was macvnet's own and is missing.

    A link found under the name of one that macvnet made, but not made by it
    since boot, is used as it is, and ownership is given up. NotFound where
    there is none.
    """
    assert network.parent is not None
    name = network.parent.name
    found = search(ctx, network)
    if found.made is None:
        if found.link is None:
            raise missing(name)
        return found.link
    from macvnet.engine import made_links, remaking

    ours = made_links.find(ctx, found.made)
    # Without an ifindex in its record it has been begun only: it may be down, or not quiet.
    if found.link is not None and found.made.ifindex and made_links.is_link(ours, found.link):
        return found.link
    with ctx.structure_lock():
        return remaking.adopt_or_remake(ctx, name)


def missing(name: str) -> NotFound:
    """The refusal where there is no such parent, and none to be made."""
    return NotFound(f"the parent {quoted(name)} was not found on this host", "ip -br link")


def as_parent(ctx: Context, recorded: Parent, link: LinkInfo) -> Parent:
    """The record of a parent that is ``link`` now."""
    return recorded._replace(
        name=link.name,
        ifindex=link.ifindex,
        mac=link.mac,
        permanent_mac=link.permanent_mac,
        boot_id=ctx.boot_id,
    )


def follow(ctx: Context, network: Network, link: LinkInfo) -> Network:
    """Record which link the parent is now; a new name is worth a note."""
    assert network.parent is not None
    seen = as_parent(ctx, network.parent, link)
    if seen == network.parent:
        return network
    if seen.name != network.parent.name:
        ctx.note(
            f"the parent {network.parent.name} of network {network.name} is called {seen.name} now"
        )

    def write(tx: Transaction) -> Network:
        record = tx.get(keys.network(network.id))
        if record is None:
            return network
        now = Network.from_json(record)._replace(parent=seen)
        tx.put(keys.network(network.id), now.to_json())
        return now

    return ctx.store.transact(write)
