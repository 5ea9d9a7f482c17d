"""Drafting a network: every word of the request judged, nothing recorded or made yet."""

from __future__ import annotations

import time

from macvnet import chance, keys, option_keys, rules
from macvnet.addresses import IPV4, IPV6, Subnet
from macvnet.drivers import Driver, driver
from macvnet.drivers.options import ENABLE_IPV4, ENABLE_IPV6, boolean
from macvnet.engine import lookup, parents
from macvnet.engine.context import Context
from macvnet.engine.parents import Prospect
from macvnet.errors import Conflict, InvalidRequest, NotFound
from macvnet.ipam import defaults, pairing
from macvnet.ipam.installing import check_pools
from macvnet.ipam.plan import PoolPlan
from macvnet.kernel import addressing
from macvnet.model import (
    CREATING,
    DEFAULT_SEGMENT,
    IPAM_DRIVERS,
    NULL,
    SLAAC,
    STATIC,
    CreateRequest,
    LinkOptions,
    Network,
    Parent,
)
from macvnet.records import NamedTuple
from macvnet.text import nearest, quoted

RESOLV_CONF = "/etc/resolv.conf"


class Draft(NamedTuple):
    """A network decided upon, not recorded yet."""

    network: Network
    request: CreateRequest
    driver: Driver | None
    plans: tuple[PoolPlan, ...]
    prospect: Prospect | None
    sharers: tuple[Network, ...]


def draft(ctx: Context, request: CreateRequest) -> Draft:
    rules.check_name(request.name)
    known = ctx.reader.get(keys.name(request.name))
    if known:
        raise Conflict(
            f"network with name {quoted(request.name)} already exists, ID {known['id'][:12]}",
            f"macvnet inspect {request.name}",
        )
    _check_scope(request)
    options = rules.split_pairs(request.options, "--opt")
    labels = rules.split_pairs(request.labels, "--label")
    rules.check_labels(labels)
    ipam_options = rules.split_pairs(request.ipam_options, "--ipam-opt")
    ipam_driver = request.ipam_driver or IPAM_DRIVERS[0]
    if ipam_driver not in IPAM_DRIVERS:
        guess = nearest(ipam_driver, IPAM_DRIVERS) or IPAM_DRIVERS[0]
        raise InvalidRequest(
            f"there is no IPAM driver {quoted(ipam_driver)}", f"--ipam-driver {guess}"
        )
    network = Network(
        id=chance.token(32),
        name=request.name,
        driver=request.driver,
        created=_now(),
        state=CREATING,
        ipv4=False,
        ipv6=False,
        internal=request.internal,
        attachable=request.attachable,
        config_only=request.config_only,
        config_from=request.config_from,
        options=options,
        labels=labels,
        ipam_driver=ipam_driver,
        ipam_options=ipam_options,
        segment=DEFAULT_SEGMENT,
        link=LinkOptions(),
        parent=None,
        pools=(),
        excluded=len(request.excludes),
    )
    if request.config_only:
        return _draft_config(ctx, request, network)
    if request.config_from:
        request, network = _inherit(ctx, request, network)
    return _draft_on_parent(ctx, request, network)


def _draft_on_parent(ctx: Context, request: CreateRequest, network: Network) -> Draft:
    kind = driver(request.driver or "macvlan")
    # A default for another driver's key does not concern this one.
    mine = (*option_keys.COMMON, *option_keys.OF_DRIVER[kind.NAME])
    options = {k: v for k, v in ctx.settings.option_defaults.items() if k in mine}
    options.update(network.options)
    link = kind.parse(options)
    if link.ipv6_mode != STATIC:
        from macvnet.engine import autoconf

        autoconf.judge(kind, network._replace(link=link), request.subnets, _wish(request, IPV6))
    prospect = parents.look(ctx, kind, link, network.id)
    parents.judge(kind, link, prospect)
    network = network._replace(driver=kind.NAME, link=link)
    sharers = _sharers(ctx, network, prospect)
    segment = share(kind, network, prospect, sharers)
    plans = _plans(ctx, request, network, prospect, segment)
    check_pools(ctx.reader, segment, network.id, plans)
    families = {plan.pool.family for plan in plans}
    network = network._replace(
        segment=segment,
        ipv4=IPV4 in families,
        ipv6=IPV6 in families
        or link.ipv6_mode == SLAAC
        or (network.ipam_driver == NULL and bool(_wish(request, IPV6))),
        pools=tuple(plan.pool for plan in plans),
        parent=Parent(prospect.name, prospect.requested, 0, "", ctx.boot_id),
    )
    if request.host_access:
        from macvnet.engine import host_access, host_routes

        at = prospect.link.ifindex if prospect.link else 0
        own = host_routes.of_host(prospect.addresses, at)
        host_access.judge(kind, network, prospect.name, own)
    if link.mtu and network.ipv6 and link.mtu < 1280:
        raise InvalidRequest(
            f"mtu {link.mtu} is below the 1280 bytes that IPv6 needs (RFC 8200)", "-o mtu=1280"
        )
    return Draft(network, request, kind, plans, prospect, tuple(sharers))


def _check_scope(request: CreateRequest) -> None:
    if request.scope not in ("", "local"):
        raise InvalidRequest(
            f"scope {quoted(request.scope)} is not supported, macvnet's networks are local",
            "--scope local",
        )
    field = next(
        (
            flag
            for flag, given in (
                ("--internal", request.internal),
                ("--attachable", request.attachable),
                ("--scope", bool(request.scope)),
                ("--host-access", request.host_access),
            )
            if given
        ),
        "",
    )
    if request.config_only and field:
        raise InvalidRequest(
            f"a configuration network holds configuration only, {field} belongs to the network "
            "made from it",
            f"give {field} together with --config-from",
        )
    if request.config_only and request.config_from:
        raise InvalidRequest(
            "a configuration network cannot depend on another configuration network",
            "leave out --config-only or --config-from",
        )


def _draft_config(ctx: Context, request: CreateRequest, network: Network) -> Draft:
    """Docker checks neither driver nor parent of a configuration; its addresses macvnet does."""
    plans = pairing.plan_pools(request, _pool_ids(network.id), real_parent=False, onlink=True)
    pools = tuple(plan.pool for plan in plans)
    families = {pool.family for pool in pools}
    drafted = network._replace(
        driver=NULL,
        ipv4=request.ipv4 is not False,
        ipv6=bool(request.ipv6) or IPV6 in families,
        pools=pools,
    )
    return Draft(drafted, request, None, (), None, ())


def refuse_own_settings(request: CreateRequest) -> None:
    """InvalidRequest where a network with ``config_from`` says what its configuration says."""
    for flag, given in (
        ("--subnet", request.subnets),
        ("--gateway", request.gateways),
        ("--ip-range", request.ip_ranges),
        ("--aux-address", request.aux_addresses),
        ("--exclude", request.excludes),
        ("--label", request.labels),
        ("--opt", request.options),
        ("--ipam-opt", request.ipam_options),
    ):
        if given:
            raise InvalidRequest(
                f"{flag} {quoted(given[0])} cannot be given where the configuration comes from "
                f"network {quoted(request.config_from)}",
                f"leave out {flag}, or --config-from",
            )


def _inherit(
    ctx: Context, request: CreateRequest, network: Network
) -> tuple[CreateRequest, Network]:
    refuse_own_settings(request)
    try:
        source = lookup.network(ctx.reader, request.config_from)
    except NotFound:
        source = None
    if source is None or not source.config_only or source.name != request.config_from:
        known = [one.name for one in lookup.networks(ctx.reader) if one.config_only]
        guess = nearest(request.config_from, known)
        raise NotFound(
            f"configuration network {quoted(request.config_from)} does not exist",
            f"--config-from {guess}"
            if guess
            else f"macvnet create --config-only {rules.corrected_name(request.config_from)}",
        )
    stored = ctx.reader.get(keys.request(source.id)) or {}
    inherited = request._replace(
        subnets=tuple(stored["subnets"]),
        gateways=tuple(stored["gateways"]),
        ip_ranges=tuple(stored["ip_ranges"]),
        aux_addresses=tuple(stored["aux_addresses"]),
        excludes=tuple(stored["excludes"]),
        ipv4=stored["ipv4"],
        ipv6=stored["ipv6"],
    )
    return inherited, network._replace(
        options=source.options,
        labels=source.labels,
        ipam_driver=source.ipam_driver,
        ipam_options=source.ipam_options,
        excluded=len(inherited.excludes),
    )


def _sharers(ctx: Context, network: Network, prospect: Prospect) -> list[Network]:
    """The networks on the same effective parent, whatever it is called now."""
    found = []
    for other in lookup.networks(ctx.reader):
        if other.parent is None or other.id == network.id:
            continue
        same_link = (
            prospect.link is not None
            and other.parent.boot_id == ctx.boot_id
            and other.parent.ifindex == prospect.link.ifindex
        )
        if other.parent.name == prospect.name or same_link:
            found.append(other)
    return found


def share(kind: Driver, network: Network, prospect: Prospect, sharers: list[Network]) -> str:
    """The segment of a network on a parent with others. Conflict where they cannot be there."""
    for other in sharers:
        where = f"network {other.name!r} is on the parent {prospect.name} already"
        if other.driver != kind.NAME:
            raise Conflict(
                f"{where} with the driver {other.driver}, and the kernel allows macvlan or "
                "ipvlan on one parent, not both",
                f"-d {other.driver}, or another -o parent",
            )
        conflict = kind.sharing_conflict(network.link, other.link)
        if conflict:
            agreeing = kind.agreeing(other.link)
            way_out = f"{agreeing} -o share_parent=true" if agreeing else "another -o parent"
            raise Conflict(f"{where}: {conflict}", way_out)
        if not network.link.share_parent:
            raise Conflict(where, "-o share_parent=true, or another -o parent")
    return _segment(network.link, sharers)


def _segment(link: LinkOptions, sharers: list[Network]) -> str:
    for other in sharers:
        if link.segment and link.segment != other.segment:
            raise Conflict(
                f"networks on one parent share one segment, and {other.name!r} is in "
                f"{quoted(other.segment)}",
                f"-o segment={other.segment}",
            )
        return other.segment
    return link.segment or DEFAULT_SEGMENT


def _wish(request: CreateRequest, family: int) -> bool | None:
    """--ipv4 or --ipv6, or docker's option of the same meaning; None where not given."""
    flag = request.ipv4 if family == IPV4 else request.ipv6
    key = ENABLE_IPV4 if family == IPV4 else ENABLE_IPV6
    options = rules.split_pairs(request.options, "--opt")
    if flag is None and key in options:
        return boolean(key, options[key])
    return flag


def _plans(
    ctx: Context, request: CreateRequest, network: Network, prospect: Prospect, segment: str
) -> tuple[PoolPlan, ...]:
    slaac = network.link.ipv6_mode == SLAAC
    wishes = {IPV4: _wish(request, IPV4), IPV6: None if slaac else _wish(request, IPV6)}
    if network.ipam_driver == NULL:
        if request.subnets:
            raise InvalidRequest(
                f"the IPAM driver null gives no addresses, so subnet {quoted(request.subnets[0])} "
                "has no use",
                "leave out --subnet, or --ipam-driver null",
            )
        return ()
    real = bool(network.link.parent)
    typed = request._replace(ipv4=wishes[IPV4], ipv6=wishes[IPV6])
    plans = list(
        pairing.plan_pools(
            typed,
            _pool_ids(network.id),
            real_parent=real and not network.internal,
            onlink=network.link.onlink,
        )
    )
    present = {plan.pool.family for plan in plans}
    if wishes[IPV4] is None:
        wishes[IPV4] = not plans
    ids = _pool_ids(network.id, len(plans))
    for family in (IPV4, IPV6):
        if family in present or not wishes[family]:
            continue
        if real:
            raise InvalidRequest(*_needs_subnet(network, prospect, family))
        subnet = defaults.default_subnet(
            ctx.reader,
            segment,
            family,
            ctx.settings.default_pools,
            ctx.installation,
            _host_subnets(ctx),
        )
        plans.append(defaults.automatic_plan(ids(), subnet))
    if not plans and not slaac:
        raise InvalidRequest(
            "a network with neither IPv4 nor IPv6 has no addresses to give", "--ipam-driver null"
        )
    return tuple(plans)


def _pool_ids(network_id: str, start: int = 0) -> rules.Counter:
    return rules.Counter(network_id[:16], start)


def _needs_subnet(network: Network, prospect: Prospect, family: int) -> tuple[str, str]:
    """The refusal, and the parent's own subnets as flags."""
    word = "a --subnet" if family == IPV4 else "an IPv6 --subnet"
    message = (
        f"the parent {prospect.name} is on a real LAN, whose subnet macvnet does not guess: "
        f"network {network.name!r} needs {word}"
    )
    flags = []
    for subnet, gateway in prospect.own_subnets():
        if subnet.family == family:
            flags.append(f"--subnet {subnet}" + (f" --gateway {gateway}" if gateway else ""))
    example = "--subnet 192.168.1.0/24" if family == IPV4 else "--subnet 2001:db8:1::/64"
    hint = " ".join(flags) if flags else f"{example} --gateway ... (those of the LAN)"
    if family == IPV4 and network.link.ipv6_mode == SLAAC:
        hint += ", or --ipv4=false"
    return message, hint


def _host_subnets(ctx: Context) -> list[Subnet]:
    """What default pools keep clear of: on-link routes and name servers (docker's rule)."""
    found = [
        Subnet(route.family, route.destination.value, route.prefixlen)
        for route in addressing.all_routes(ctx.netlink)
        if route.destination is not None
    ]
    try:
        with open(RESOLV_CONF, encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 16).splitlines()
    except OSError:
        return found
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            width = 128 if ":" in words[1] else 32
            try:
                found.append(Subnet.parse(f"{words[1].partition('%')[0]}/{width}"))
            except ValueError:
                continue
    return found


def _now() -> str:
    """RFC 3339 with nanoseconds in UTC, as Go prints it."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    fraction = f"{nanoseconds:09d}".rstrip("0")
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
