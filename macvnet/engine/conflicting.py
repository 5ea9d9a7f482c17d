"""Conflicts: addresses of living endpoints that another machine on the LAN has by now.

Looks, locks nothing and changes nothing. Asked is as before an address is used,
by the endpoint's own link; so the endpoint itself does not hear it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from macvnet.addresses import Address
from macvnet.drivers import driver
from macvnet.engine import endpoint_link, lookup, parent_search
from macvnet.engine.checking import Difference
from macvnet.engine.context import Context
from macvnet.engine.joining import Joining, asks
from macvnet.engine.parts import most_at_once
from macvnet.engine.probing import ask
from macvnet.engine.reopening import SAME, reopened
from macvnet.errors import MacvnetError
from macvnet.kernel import links
from macvnet.kernel.links import LinkInfo
from macvnet.kernel.probe import Answer, Ask, probe
from macvnet.model import ACTIVE, JOINED, Endpoint, Network

TAKEN = "address-taken"
UNASKED = "address-unasked"
PATIENCE_SECONDS = 5
"""How long the LAN is asked by who has not said that it shall be."""


def conflicts(
    ctx: Context, networks: Sequence[Network] | None, *, everywhere: bool
) -> list[Difference]:
    """Where another machine answers for an endpoint's address, or the host's in its host access.

    Of some networks, or of all. ``everywhere``: in each of them, however long it takes; a link
    that cannot be asked by is a difference then, and there is a note where a whole network
    cannot be. Else where addresses are asked for before they are used, if that does not take
    long; a note where it would.
    """
    chosen = lookup.networks(ctx.reader) if networks is None else networks
    waiting = [
        (network, endpoint, parent)
        for network in chosen
        for parent in (_parent(ctx, network) if everywhere else _usual_parent(ctx, network),)
        if parent is not None
        for endpoint in (*lookup.endpoints_of_network(ctx.reader, network.id), None)
    ]
    if not everywhere:
        waiting = _soon(ctx, waiting)
    most = most_at_once()
    found: list[Difference] = []
    for begin in range(0, len(waiting), most):
        found += _part(ctx, waiting[begin : begin + most])
    return found if everywhere else [one for one in found if one.kind != UNASKED]


Waiting = tuple[Network, Endpoint | None, LinkInfo]


def _soon(ctx: Context, waiting: Sequence[Waiting]) -> list[Waiting]:
    """Those on parents that have not more addresses than can be asked for soon; notes of others."""
    counts: dict[str, int] = {}
    for network, endpoint, parent in waiting:
        count = len(endpoint.addresses) if endpoint else bool(network.shim_address)
        counts[parent.name] = counts.get(parent.name, 0) + count
    most = PATIENCE_SECONDS * ctx.settings.arp_rate
    for name, count in counts.items():
        if count > most:
            ctx.note(
                f"{count} addresses on {name} were not asked for, which takes "
                f"{count // ctx.settings.arp_rate} s: macvnet check --probe"
            )
    return [one for one in waiting if counts[one[2].name] <= most]


def _usual_parent(ctx: Context, network: Network) -> LinkInfo | None:
    """As ``_parent``, where addresses of the network are asked for before they are used."""
    if network.config_only or network.state != ACTIVE or not network.link.parent:
        return None
    link = parent_search.search(ctx, network).link
    # That it is missing or down is a difference of its own.
    if link is None or not link.carrier:
        return None
    return link if asks(ctx, network.link, driver(network.driver), link) else None


def _parent(ctx: Context, network: Network) -> LinkInfo | None:
    """The parent of a network whose endpoints' addresses can be asked for; None for any other."""
    if network.config_only or network.state != ACTIVE or not network.link.parent:
        return None
    if not (network.shim_address or lookup.endpoints_of_network(ctx.reader, network.id)):
        return None
    if driver(network.driver).announces_from_parent(network.link) is None:
        ctx.note(
            f"nobody was asked about the addresses of network {network.name}: {network.driver} in "
            f"mode {network.link.mode} has no ARP"
        )
        return None
    link = parent_search.search(ctx, network).link
    # That it is missing or down is a difference of its own.
    if link is not None and link.up and not link.carrier:
        ctx.note_once(f"nobody was asked whether an address is taken: {link.name} has no carrier")
    return link if link is not None and link.carrier else None


def _part(ctx: Context, waiting: Sequence[Waiting]) -> Iterator[Difference]:
    with ExitStack() as stack:
        asked = [
            (network, endpoint, one)
            for network, endpoint, parent in waiting
            for one in (
                _host_asks(ctx, network, parent)
                if endpoint is None
                else _asks(ctx, network, endpoint, parent, stack)
            )
        ]
        answers = probe([one for _, _, one in asked], rate=ctx.settings.arp_rate)
    for (network, endpoint, _), answer in zip(asked, answers, strict=True):
        if endpoint is None:
            now = lookup.known(ctx.reader, network.id)
            if now is not None and now.shim_address == network.shim_address:
                yield from _host_differences(network, answer)
        # Meanwhile it may have been disconnected, or have come back elsewhere.
        elif lookup.endpoint(ctx.reader, endpoint.id) == endpoint:
            yield from _differences(network, endpoint, answer)


def _host_asks(ctx: Context, network: Network, parent: LinkInfo) -> Iterator[Ask]:
    """What is asked for the host's own IPv6 address, if it is in use."""
    from macvnet.engine import host_asking, shims

    shim = shims.find(ctx, network) if network.shim_address else None
    if shim is None or not shim.up:
        return
    own = Address.parse(network.shim_address)
    if shims.has(ctx, shim, own):
        question = host_asking.Question(network, own, shim, parent)
        # By another link in the same LAN the host answers for this one's address.
        macs = {other.mac for other in links.all_links(ctx.netlink)} - {shim.mac}
        yield host_asking.ask(ctx, question)._replace(besides=frozenset(macs))


def _host_differences(network: Network, answer: Answer) -> Iterator[Difference]:
    subject = f"network {network.name}"
    if isinstance(answer, MacvnetError):
        yield Difference(UNASKED, subject, answer.message, network)
        return
    for address, mac in answer.items():
        text = (
            f"another machine on the LAN answers for the host's address {address}, with the MAC "
            f"{mac}"
        )
        fix = f"macvnet host-access disable {network.name}, and enable it anew"
        yield Difference(TAKEN, subject, text, network, fix=fix)


def _asks(
    ctx: Context, network: Network, endpoint: Endpoint, parent: LinkInfo, stack: ExitStack
) -> Iterator[Ask]:
    """What is asked for an endpoint, if it has its link and that is up.

    Its sandbox is open as long as the stack.
    """
    if endpoint.state != JOINED or not (endpoint.addresses or endpoint.link_local):
        return
    with ExitStack() as one:
        found = one.enter_context(reopened(ctx, endpoint))
        if found.fate != SAME or found.target is None:
            return
        kind = driver(network.driver)
        at = endpoint_link.inside(ctx, found.target)
        with at.netlink:
            link = endpoint_link.find(ctx, kind, endpoint, at, parent)
            if link is None or not link.up:
                return
            # By another interface in the same LAN the container answers for this one's addresses.
            macs = {other.mac for other in links.all_links(at.netlink)}
        stack.push(one.pop_all())
        plan = Joining(kind, network, endpoint, parent, "", ())
        yield ask(ctx, plan, at)._replace(besides=frozenset(macs - {link.mac, endpoint.mac}))


def _differences(network: Network, endpoint: Endpoint, answer: Answer) -> Iterator[Difference]:
    subject = f"{endpoint.owner} in network {network.name}"
    if isinstance(answer, MacvnetError):
        yield Difference(UNASKED, subject, answer.message, network, endpoint)
        return
    for address, mac in sorted(answer.items()):
        text = f"another machine on the LAN answers for its address {address}, with the MAC {mac}"
        fix = f"macvnet disconnect {network.name} {endpoint.owner}, and connect it anew"
        yield Difference(TAKEN, subject, text, network, endpoint, fix=fix)
