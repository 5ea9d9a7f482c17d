"""A link that macvnet made on the host, and that is gone: made again, or given up.

Whoever finds another link under its name uses that as it is, and forgets that
there was one of macvnet's.
"""

from __future__ import annotations

from macvnet import chance, keys
from macvnet.engine import lookup, made_links, parents
from macvnet.engine.context import Context
from macvnet.engine.parent_search import missing
from macvnet.errors import NotFound
from macvnet.kernel import links
from macvnet.kernel.links import LinkInfo
from macvnet.text import quoted


def adopt_or_remake(ctx: Context, name: str) -> LinkInfo:
    """The link of that name as it is, or made again. The caller holds the structure lock.

    NotFound where there is none, and none can be made.
    """
    made = lookup.made_link(ctx.store, name)
    link = links.by_name(ctx.netlink, name)
    if made is None:
        if link is None:
            raise missing(name)
        return link
    if made.boot_id == ctx.boot_id and not made.ifindex:
        # A command died while it made the link: what it began has its tag as name or alias.
        made_links.discard(ctx, made)
        link = links.by_name(ctx.netlink, name)
    if link is not None:
        if not made_links.is_link(made_links.find(ctx, made), link):
            ctx.store.transact(lambda tx: tx.delete(keys.made_link(name)))
            ctx.note(
                f"the link {name} was made by somebody else since boot: it is used as it is, and "
                "macvnet will not remove it"
            )
        return link
    lower = links.by_name(ctx.netlink, made.lower_name) if made.lower_name else None
    if made.lower_name and lower is None:
        raise NotFound(
            f"the parent {quoted(name)} is missing, and so is {quoted(made.lower_name)} to make it "
            "on",
            "ip -br link",
        )
    if lower is not None:
        parents.refuse_present_vlan(links.all_links(ctx.netlink), lower, made.vlan_id)
    again = made._replace(
        tag=f"mv{chance.token(6)}",
        lower=lower.ifindex if lower else 0,
        ifindex=0,
        boot_id=ctx.boot_id,
    )
    ctx.store.transact(lambda tx: tx.put(keys.made_link(name), again.to_json()), durable=False)
    link = made_links.make(ctx, again)
    ctx.note(f"the link {name} was missing and has been made again")
    return link
