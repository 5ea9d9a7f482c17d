"""Checking: what is recorded against what the kernel has. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from macvnet import keys
from macvnet.drivers import driver
from macvnet.engine import (
    drift,
    election,
    endpoint_link,
    keeping,
    lookup,
    made_links,
    parent_search,
)
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.liveness import alive, members_of
from macvnet.engine.parent_search import Found
from macvnet.engine.reopening import RETURNED, SAME, reopened
from macvnet.kernel import addressing, links, nsid
from macvnet.kernel.addressing import RouteInfo
from macvnet.kernel.links import LinkInfo
from macvnet.model import ACTIVE, JOINED, PLAIN, STATIC, Assigned, Endpoint, Network
from macvnet.records import NamedTuple

UNFINISHED = "unfinished"
PARENT_MISSING = "parent-missing"
PARENT_RENAMED = "parent-renamed"
PARENT_DOWN = "parent-down"
LINK_MISSING = "link-missing"
LINK_FOREIGN = "link-foreign"
LINK_DOWN = "link-down"
LINK_MTU = "link-mtu"
PARENT_MTU = "parent-mtu"
ENDPOINT_MISSING = "endpoint-link-missing"
ENDPOINT_BACK = "target-back"
ENDPOINT_DEAD = "target-dead"
WRONG_MAC = "wrong-mac"
WRONG_MTU = "wrong-mtu"
WRONG_MODE = "wrong-mode"
DOWN = "endpoint-link-down"
NO_ADDRESS = "address-missing"
WRONG_ROUTE = "wrong-route"
WRONG_RULE = "wrong-rule"
WRONG_SYSCTL = "wrong-sysctl"
WRONG_TOKEN = "wrong-token"
WRONG_RATE = "wrong-rate"
NO_RECORD = "link-without-record"
NOT_HELD = "reservation-without-lease"
NOT_RESERVED = "lease-without-reservation"


class Difference(NamedTuple):
    """One difference: ``kind`` is stable, for scripts; ``text`` is for people.

    ``endpoint`` and ``network`` are what it is about, None where it is about neither.
    ``fix`` is what to type, "" for what ``repair`` mends or says.
    """

    kind: str
    subject: str
    text: str
    network: Network | None = None
    endpoint: Endpoint | None = None
    orphan: tuple[int, int, str] | None = None
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}" + (f" ({self.fix})" if self.fix else "")


def check(ctx: Context, networks: Sequence[Network] | None) -> list[Difference]:
    """The differences of some networks, or (None) of all, and links without any record."""
    chosen = lookup.networks(ctx.reader) if networks is None else networks
    found: list[Difference] = []
    for network in chosen:
        found += _network(ctx, network)
    if networks is None:
        found += _without_record(ctx)
    return found


def _network(ctx: Context, network: Network) -> Iterator[Difference]:
    subject = f"network {network.name}"
    if network.config_only:
        return
    if network.state != ACTIVE:
        yield Difference(UNFINISHED, subject, f"a command died while {network.state} it", network)
        return
    found = parent_search.search(ctx, network)
    yield from _parent(ctx, network, found)
    parent = drift.settled(ctx, found)
    if found.link is not None and parent is not None:
        yield from _drifted(ctx, network, found.link, parent)
    if network.shim and parent is not None:
        from macvnet.engine import host_differences

        for kind, text in host_differences.differences(ctx, network, parent):
            yield Difference(kind, f"network {network.name}", text, network)
    for endpoint in lookup.endpoints_of_network(ctx.reader, network.id):
        yield from _endpoint(ctx, network, endpoint, parent)
    for kept, address in keeping.unheld(ctx.reader, network):
        text = f"the address {address}, which is reserved for it, is not held"
        yield Difference(NOT_HELD, f"{kept.owner} in network {network.name}", text, network)
    for owner, address in keeping.unrecorded(ctx.reader, network):
        text = f"the address {address} is held for it, and is not reserved"
        yield Difference(NOT_RESERVED, f"{owner} in network {network.name}", text, network)


def _parent(ctx: Context, network: Network, found: Found) -> Iterator[Difference]:
    assert network.parent is not None
    subject = f"network {network.name}"
    name = network.parent.name
    if found.made is not None:
        ours = made_links.find(ctx, found.made)
        if found.link is None:
            yield Difference(LINK_MISSING, subject, f"its link {name} is missing", network)
        elif not made_links.is_link(ours, found.link):
            text = f"the link {name} is not the one that macvnet made"
            yield Difference(LINK_FOREIGN, subject, text, network)
        elif not found.link.up:
            yield Difference(LINK_DOWN, subject, f"its link {name} is down", network)
    elif found.link is None:
        yield Difference(PARENT_MISSING, subject, f"the parent {name} is missing", network)
    elif found.renamed:
        text = f"the parent {name} is called {found.link.name} now"
        yield Difference(PARENT_RENAMED, subject, text, network)
    elif not found.link.up:
        yield Difference(PARENT_DOWN, subject, f"the parent {name} is down", network)


def _drifted(
    ctx: Context, network: Network, link: LinkInfo, parent: LinkInfo
) -> Iterator[Difference]:
    subject = f"network {network.name}"
    if text := drift.of_made_link(link, parent):
        yield Difference(LINK_MTU, subject, text, network)
    text, fix = drift.below_network(ctx, network, parent)
    if text:
        yield Difference(PARENT_MTU, subject, text, network, fix=fix)


def _endpoint(
    ctx: Context, network: Network, endpoint: Endpoint, parent: LinkInfo | None
) -> Iterator[Difference]:
    subject = f"{endpoint.owner} in network {network.name}"
    if endpoint.state != JOINED:
        text = f"its endpoint is {endpoint.state} by a command at work, or by one that died"
        yield Difference(UNFINISHED, subject, text, network, endpoint)
        return
    with reopened(ctx, endpoint) as found:
        if found.fate == RETURNED:
            text = "it is there again, but not attached"
            yield Difference(ENDPOINT_BACK, subject, text, network, endpoint)
        elif found.fate == SAME and found.target is not None:
            at = endpoint_link.inside(ctx, found.target)
            with at.netlink:
                yield from _inside(ctx, network, endpoint, parent, at)
        elif not endpoint.owner.returns and not alive(ctx, endpoint):
            text = "its process is gone, and its lease can be freed"
            yield Difference(ENDPOINT_DEAD, subject, text, network, endpoint)


def _inside(
    ctx: Context, network: Network, endpoint: Endpoint, parent: LinkInfo | None, at: Inside
) -> Iterator[Difference]:
    subject = f"{endpoint.owner} in network {network.name}"

    def difference(kind: str, text: str) -> Difference:
        return Difference(kind, subject, text, network, endpoint)

    link = endpoint_link.find(ctx, driver(network.driver), endpoint, at, parent)
    if link is None:
        yield difference(ENDPOINT_MISSING, f"its link {endpoint.ifname} is missing")
        return
    if endpoint.mac and link.mac != endpoint.mac:
        yield difference(WRONG_MAC, f"{link.name} has the MAC {link.mac}, not {endpoint.mac}")
    expected = expected_mtu(network, link, parent)
    if link.mtu != expected:
        yield difference(WRONG_MTU, f"{link.name} has the MTU {link.mtu}, not {expected}")
    if link.mode != network.link.mode or link.flag != network.link.flag:
        shown = " ".join(word for word in (link.mode, link.flag) if word)
        wanted = " ".join(word for word in (network.link.mode, network.link.flag) if word)
        yield difference(WRONG_MODE, f"{link.name} is in mode {shown}, not {wanted}")
    if not link.up:
        yield difference(DOWN, f"{link.name} is down")
    lacking = missing_addresses(endpoint, link, at)
    for assigned in lacking:
        yield difference(NO_ADDRESS, f"{link.name} lacks the address {assigned.cidr}")
    for route in missing_routes(endpoint, lacking, link, at) if link.up else ():
        yield difference(WRONG_ROUTE, f"the route {route.words} is missing")
    if endpoint.routing != PLAIN:
        from macvnet.engine import endpoint_routes

        gone = endpoint_routes.missing(network, endpoint, at)
        for route in gone.routes:
            yield difference(WRONG_ROUTE, f"the route {route.words} is missing")
        for rule in gone.rules:
            yield difference(WRONG_RULE, f"the rule {rule.words} is missing")
    if network.link.ipv6_mode != STATIC:
        from macvnet.engine import autoconf

        for text in autoconf.changed(network, endpoint, link, at):
            yield difference(WRONG_SYSCTL, text)
        if autoconf.lost_token(endpoint, link, at):
            yield difference(WRONG_TOKEN, f"{link.name} lacks the token {endpoint.ip6_token}")
    if endpoint.rate:
        from macvnet.engine import limiting

        if text := limiting.difference(endpoint, link, at):
            yield difference(WRONG_RATE, text)
    members = election.standing(members_of(ctx.reader, endpoint.sandbox.key), at, endpoint.id)
    for decision in election.decide(members, election.defaults(at)):
        if decision.put is not None and decision.gainer == endpoint:
            yield difference(WRONG_ROUTE, f"the route {decision.put.words} is missing")


def expected_mtu(network: Network, link: LinkInfo, parent: LinkInfo | None) -> int:
    """The network's MTU in bytes, else the parent's; never above that."""
    limit = parent.mtu if parent else link.mtu
    return min(network.link.mtu or limit, limit)


def missing_addresses(endpoint: Endpoint, link: LinkInfo, at: Inside) -> list[Assigned]:
    """The recorded addresses that the link lacks, or has with another prefix length."""
    everything = addressing.all_addresses(at.netlink)
    present = {(i.address, i.prefixlen) for i in everything if i.ifindex == link.ifindex}
    recorded = [*endpoint.addresses, *map(Assigned.link_local, endpoint.link_local)]
    return [each for each in recorded if (each.address, each.prefixlen) not in present]


def missing_routes(
    endpoint: Endpoint, lacking: Sequence[Assigned], link: LinkInfo, at: Inside
) -> list[RouteInfo]:
    """The connected routes that the link's addresses came with and that are gone."""
    present = {
        (route.destination, route.prefixlen)
        for route in addressing.all_routes(at.netlink)
        if route.ifindex == link.ifindex
    }
    routes = [
        addressing.connected_route(link.ifindex, each.address, each.prefixlen)
        for each in endpoint.addresses
        if each not in lacking
    ]
    return [r for r in routes if r is not None and (r.destination, r.prefixlen) not in present]


def _without_record(ctx: Context) -> Iterator[Difference]:
    """Links of this installation that no record knows, in any namespace it has numbered."""
    prefix = f"macvnet:{ctx.installation[:12]}:"
    for number in nsid.numbers(ctx.netlink):
        for link in links.all_links(ctx.netlink, nsid=number):
            if not ctx.installation or not link.alias.startswith(prefix):
                continue
            endpoint_id = link.alias[len(prefix) :]
            if "/" not in endpoint_id and ctx.reader.get(keys.endpoint(endpoint_id)) is None:
                yield Difference(
                    NO_RECORD,
                    f"link {link.name}",
                    f"it is macvnet's, in the namespace with nsid {number}, but nothing records it",
                    orphan=(number, link.ifindex, link.alias),
                )
