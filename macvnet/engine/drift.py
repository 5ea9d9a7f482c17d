"""MTUs that are no longer what they were: of parents, and of links that macvnet made on the host.

The kernel lowers what hangs on a link whose MTU is lowered, and raises nothing again
(ipvlan follows both ways). An endpoint's own MTU is ``checking``'s to compare.
"""

from __future__ import annotations

from macvnet.engine import made_links
from macvnet.engine.context import Context
from macvnet.engine.parent_search import Found
from macvnet.kernel import links
from macvnet.kernel.links import LinkInfo
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import Network


def settled(ctx: Context, found: Found) -> LinkInfo | None:
    """The parent; a sub-interface of macvnet's own with the MTU that it was made with: its lower
    link's."""
    link = found.link
    if link is None or found.made is None:
        return link
    if not made_links.is_link(made_links.find(ctx, found.made), link):
        return link
    lower = links.lower_of(ctx.netlink, link)
    return link._replace(mtu=lower.mtu) if lower is not None else link


def of_made_link(link: LinkInfo, wanted: LinkInfo) -> str:
    """How the link differs from ``settled``'s; "" where it does not."""
    if link.mtu == wanted.mtu:
        return ""
    return f"its link {link.name} has the MTU {link.mtu}, not {wanted.mtu} as the link below it"


def below_network(ctx: Context, network: Network, parent: LinkInfo) -> tuple[str, str]:
    """A parent's MTU that is too low for its network by now, and what to type; "" where not."""
    wanted = network.link.mtu
    if wanted <= parent.mtu:
        return "", ""
    lower = links.lower_of(ctx.netlink, parent)
    text = f"the parent {parent.name} has the MTU {parent.mtu}, below the network's {wanted}"
    fixes = [lower.name] if lower is not None and lower.mtu < wanted else []
    return text, "; ".join(f"ip link set {name} mtu {wanted}" for name in (*fixes, parent.name))


def mend(ctx: Context, found: Found) -> None:
    """Give a sub-interface of macvnet's own the MTU of its lower link again."""
    wanted = settled(ctx, found)
    if found.link is not None and wanted is not None:
        follow(ctx, found.link, wanted)


def follow(ctx: Context, link: LinkInfo, wanted: LinkInfo) -> None:
    """Give a link that macvnet made on the host the MTU of another."""
    if link.mtu == wanted.mtu:
        return
    try:
        ctx.netlink.change(links.change(link.ifindex, link.name, mtu=wanted.mtu))
    except NetlinkError as error:
        raise error.during(f"give {link.name} the MTU {wanted.mtu}") from None
