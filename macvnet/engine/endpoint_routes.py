"""The routes and rules that an endpoint asks for: ``--route``, ``--metric``, ``--policy-routes``.

Routes go with the link they are over. Rules do not, so they are removed by what
they are: macvnet's protocol, the endpoint's address, a table of ``TABLES``. The
default route of the main table is elected, in ``election``.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from macvnet.addresses import IPV4, WIDTH, Address, Subnet
from macvnet.engine import election
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside, inside
from macvnet.engine.undo import Undo
from macvnet.errors import Conflict, InvalidRequest
from macvnet.kernel import addressing, policy
from macvnet.kernel.addressing import IPV6_METRIC, ROUTE_PROTOCOL, RT_SCOPE_UNIVERSE, RouteInfo
from macvnet.kernel.policy import RuleInfo
from macvnet.kernel.rtnetlink import NetlinkError, Request
from macvnet.model import Change, Endpoint, EndpointRequest, Network, Routing
from macvnet.records import NamedTuple
from macvnet.text import quoted

TABLES = range(10900, 11900)
"""Tables, and priorities of rules, that endpoints get: below the kernel's rule for main, 32766."""

LARGEST_METRIC = (1 << 32) - 1
LINK_LOCAL = Subnet.parse("fe80::/10")
FLAG = "--route"
EXAMPLE = "--route 198.51.100.0/24=192.0.2.1"


class Routes(NamedTuple):
    """Routes and rules of an endpoint: those it shall have, or those it lacks."""

    routes: tuple[RouteInfo, ...]
    rules: tuple[RuleInfo, ...]


# -- asked for -------------------------------------------------------------


def judge(network: Network, request: EndpointRequest) -> Routing:
    """What is asked for, in one spelling. InvalidRequest where this network cannot give it."""
    if not 0 <= request.metric <= LARGEST_METRIC:
        raise InvalidRequest(
            f"--metric {request.metric} is not between 1 and {LARGEST_METRIC}", "--metric 100"
        )
    if request.policy_routes and not network.pools:
        raise InvalidRequest(
            f"network {network.name!r} gives no addresses that --policy-routes could go by",
            "leave --policy-routes out",
        )
    seen: dict[Subnet, str] = {}
    for text in request.routes:
        destination, via = _read(text)
        if destination in seen:
            raise InvalidRequest(f"there are two {FLAG} to {destination}", f"{FLAG} {text}")
        seen[destination] = f"{destination}={via}"
        if network.internal:
            raise InvalidRequest(
                f"network {network.name!r} is internal, so no route leads out of it",
                f"leave {FLAG} {quoted(text)} out",
            )
        _on_link(network, via, text)
    return Routing(
        request.no_default_route, request.metric, tuple(seen.values()), request.policy_routes
    )


def canonical(text: str) -> str:
    """The one spelling of a ``DST=VIA``; the text itself where it is none."""
    try:
        destination, via = _read(text)
    except InvalidRequest:
        return text
    return f"{destination}={via}"


def _read(text: str) -> tuple[Subnet, Address]:
    destination, equals, via = (part.strip() for part in text.partition("="))
    try:
        gateway = Address.parse(via)
    except ValueError:
        what = f"{quoted(via)} is not an address" if equals else "it has no =VIA"
        raise InvalidRequest(f"{FLAG} {quoted(text)}: {what}", EXAMPLE) from None
    base, slash, length = destination.partition("/")
    try:
        address = Address.parse(base)
    except ValueError:
        raise InvalidRequest(
            f"{FLAG} {quoted(text)}: {quoted(destination)} is not a subnet", EXAMPLE
        ) from None
    width = WIDTH[address.family]
    prefixlen = int(length) if length.isascii() and length.isdecimal() else -1
    if not slash:
        prefixlen = width
    if not 0 <= prefixlen <= width:
        raise InvalidRequest(
            f"{FLAG} {quoted(text)}: {quoted(destination)} is not a subnet", EXAMPLE
        )
    shift = width - prefixlen
    subnet = Subnet(address.family, address.value >> shift << shift, prefixlen)
    if subnet.first != address.value:
        raise InvalidRequest(
            f"{FLAG} {quoted(text)}: {destination} has host bits", f"{FLAG} {subnet}={gateway}"
        )
    if not prefixlen:
        raise InvalidRequest(
            f"{FLAG} {quoted(text)} would be a default route, which goes to the network's gateway",
            "--gw-priority 1",
        )
    if gateway.family != subnet.family:
        raise InvalidRequest(
            f"{FLAG} {quoted(text)}: {subnet} and {gateway} are of two families", EXAMPLE
        )
    return subnet, gateway


def _on_link(network: Network, via: Address, text: str) -> None:
    """InvalidRequest unless ``via`` can be reached without a router."""
    pools = [pool for pool in network.pools if pool.family == via.family]
    if not pools:
        raise InvalidRequest(
            f"{FLAG} {quoted(text)}: network {network.name!r} has no IPv{via.family} subnet",
            f"leave {FLAG} out",
        )
    near = any(pool.subnet.holds(via) or via == pool.gateway for pool in pools)
    if not near and not LINK_LOCAL.holds(via):
        gateways = [pool.gateway for pool in pools if pool.gateway]
        example = gateways[0] if gateways else Address(via.family, pools[0].subnet.first + 1)
        raise InvalidRequest(
            f"{FLAG} {quoted(text)}: {via} is not on the link of network {network.name!r}, which "
            f"is in {', '.join(str(pool.subnet) for pool in pools[:4])}",
            f"{FLAG} {text.partition('=')[0]}={example}",
        )


# -- decided ---------------------------------------------------------------


def plan(network: Network, endpoint: Endpoint) -> Routes:
    """All that the endpoint shall have; without a table chosen yet, none of what is in it."""
    asked = endpoint.routing
    routes = [route for text in asked.routes if (route := _route(endpoint, text)) is not None]
    if not asked.policy or not asked.table:
        return Routes(tuple(routes), ())
    own = []
    for held in endpoint.addresses:
        connected = addressing.connected_route(endpoint.ifindex, held.address, held.prefixlen)
        if connected is not None:
            own.append(connected._replace(protocol=ROUTE_PROTOCOL))
        outward = election.outward(network, endpoint, held.address.family)
        if outward is not None:
            own.append(outward)
    table = [route._replace(table=asked.table) for route in (*own, *routes)]
    rules = [policy.rule_for(held.address, asked.table) for held in endpoint.addresses]
    return Routes((*routes, *table), tuple(rules))


def _route(endpoint: Endpoint, text: str) -> RouteInfo | None:
    subnet, via = _read(text)
    held = endpoint.address(subnet.family)
    if held is None:
        return None
    shift = WIDTH[subnet.family] - held.prefixlen
    near = via.value >> shift == held.address.value >> shift
    return RouteInfo(
        subnet.family,
        Address(subnet.family, subnet.first),
        subnet.prefixlen,
        endpoint.ifindex,
        via,
        ROUTE_PROTOCOL,
        endpoint.routing.metric or (0 if subnet.family == IPV4 else IPV6_METRIC),
        RT_SCOPE_UNIVERSE,
        # Another subnet of the network is on the same segment, though the kernel cannot know.
        onlink=not near and not LINK_LOCAL.holds(via),
    )


def _families(endpoint: Endpoint) -> list[int]:
    return sorted({held.address.family for held in endpoint.addresses})


def _choose(endpoint: Endpoint, at: Inside) -> int:
    """The endpoint's former table if that is free, else the first that nothing refers to."""
    taken = policy.tables_in_use(at.netlink)
    for rule in policy.all_rules(at.netlink, tuple(WIDTH)):
        taken |= {rule.table, rule.priority}
    former = endpoint.routing.table
    for table in TABLES if former in (0, *taken) else (former,):
        if table not in taken:
            return table
    raise Conflict(
        f"{at.target.owner} has no routing table free from {TABLES[0]} to {TABLES[-1]}",
        "leave --policy-routes out",
    )


# -- done ------------------------------------------------------------------


def apply(network: Network, endpoint: Endpoint, at: Inside, undo: Undo) -> Endpoint:
    """Make the routes and rules of an endpoint whose link is up; with the table it got then."""
    routing = endpoint.routing
    if routing.policy:
        undo.push(f"the rules of {endpoint.owner}", lambda: remove(endpoint, at))
        # A command that was killed may have left some.
        remove(endpoint, at)
        endpoint = endpoint._replace(routing=routing._replace(table=_choose(endpoint, at)))
    put(plan(network, endpoint), endpoint.ifname, at)
    return endpoint


def put(wanted: Routes, name: str, at: Inside) -> None:
    """Make routes over the link ``name``, and then the rules that lead to them."""
    for route in wanted.routes:
        what = f"the route {route.words}"
        _change(at, addressing.add_route(route, name), f"{what} dev {name}")
    for rule in wanted.rules:
        _change(at, policy.add_rule(rule), f"the rule {rule.words}")


def _change(at: Inside, request: Request, what: str) -> None:
    try:
        at.netlink.change(request)
    except NetlinkError as error:
        if error.errno == errno.EEXIST:
            raise Conflict(
                f"{at.target.owner} has another route in the place of {what}",
                f"{at.target.enter} ip route".strip(),
            ) from None
        hint = f"macvnet doctor {at.target.owner}"
        if error.errno in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
            hint = "the kernel has no policy routing (IP_MULTIPLE_TABLES): leave it out"
        raise error.during(f"make {what} in {at.target.owner}", hint) from None


def remove(endpoint: Endpoint, at: Inside) -> None:
    """Remove the endpoint's rules; fine if there are none. Its routes go with its link."""
    addresses = {held.address for held in endpoint.addresses}
    for rule in policy.all_rules(at.netlink, _families(endpoint)):
        ours = rule.protocol == ROUTE_PROTOCOL and rule.table in TABLES
        if not ours or rule.source not in addresses or rule.prefixlen != WIDTH[rule.family]:
            continue
        try:
            at.netlink.change(policy.delete_rule(rule))
        except NetlinkError as error:
            if error.errno not in (errno.ENOENT, errno.ESRCH):
                what = f"remove the rule {rule.words} in {at.target.owner}"
                raise error.during(what, f"{at.target.enter} ip rule".strip()) from None


def clear(ctx: Context, endpoint: Endpoint) -> None:
    """The same where nobody has the sandbox open; nothing where none of its names leads to it."""
    from macvnet.engine.liveness import alive
    from macvnet.engine.reopening import SAME, reopened

    if not alive(ctx, endpoint):
        return
    with reopened(ctx, endpoint) as found:
        if found.fate == SAME and found.target is not None:
            at = inside(ctx, found.target)
            with at.netlink:
                remove(endpoint, at)


# -- looked at -------------------------------------------------------------


def missing(network: Network, endpoint: Endpoint, at: Inside) -> Routes:
    """What of the endpoint's routes and rules is not there."""
    wanted = plan(network, endpoint)
    families = _families(endpoint)
    present = {
        _essence(route) for route in addressing.all_routes(at.netlink, families, every_table=True)
    }
    rules = policy.all_rules(at.netlink, families) if wanted.rules else []
    return Routes(
        tuple(route for route in wanted.routes if _essence(route) not in present),
        tuple(rule for rule in wanted.rules if rule not in rules),
    )


def _essence(route: RouteInfo) -> Sequence[object]:
    return (
        *(route.family, route.destination, route.prefixlen),
        *(route.ifindex, route.gateway, route.metric, route.table),
    )


def mend(network: Network, endpoint: Endpoint, at: Inside) -> None:
    """Make again what is missing."""
    put(missing(network, endpoint, at), endpoint.ifname, at)


def foresee(network: Network, endpoint: Endpoint, at: Inside) -> tuple[Change, ...]:
    """What ``apply`` would make, as ``--dry-run`` prints it."""
    routing = endpoint.routing
    if routing.policy:
        endpoint = endpoint._replace(routing=routing._replace(table=_choose(endpoint, at)))
    wanted = plan(network, endpoint)
    where = f"in {endpoint.owner}"
    over = f"dev {endpoint.ifname} {where}"
    return (
        *(Change("create", "route", f"{route.words} {over}") for route in wanted.routes),
        *(Change("create", "rule", f"{rule.words} {where}") for rule in wanted.rules),
    )
