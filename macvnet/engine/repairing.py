"""Repairing: what ``check`` finds is mended where that is safe. Never a parent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial

from macvnet.drivers import driver
from macvnet.engine import (
    checking,
    drift,
    election,
    endpoint_link,
    host_access,
    host_differences,
    keeping,
    lookup,
    parent_search,
)
from macvnet.engine.checking import Difference
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.liveness import members_of, roll_back, settle
from macvnet.engine.parts import most_at_once
from macvnet.engine.remove import clear_abandoned
from macvnet.engine.reopening import reopened
from macvnet.engine.returning import Coming, bring_back_many
from macvnet.engine.undo import apart
from macvnet.errors import MacvnetError
from macvnet.kernel import addressing, links, nsid
from macvnet.kernel.frames import WINDOW_SECONDS
from macvnet.kernel.links import IFF_UP, LinkInfo
from macvnet.kernel.rtnetlink import NetlinkError, Request
from macvnet.model import PLAIN, Endpoint, Network
from macvnet.records import NamedTuple

RETURNING_KINDS = (checking.ENDPOINT_MISSING, checking.ENDPOINT_BACK)
"""Endpoints that come back, all of them at once."""
ROUNDS = 3
"""Looks at most: what a dead command had begun hides what is wrong with it besides."""


class Repaired(NamedTuple):
    """What was mended, and what was left (with the reason)."""

    mended: tuple[Difference, ...]
    left: tuple[tuple[Difference, str], ...]


def repair(ctx: Context, networks: Sequence[Network] | None, *, dry_run: bool) -> Repaired:
    """Mend what is safe to mend; ``dry_run`` only tells the two kinds apart."""
    if dry_run:
        return _sorted((one, _unmended(one)) for one in checking.check(ctx, networks))
    ctx.claim()
    outcomes: list[tuple[Difference, str]] = []
    seen: set[tuple[str, str, str]] = set()
    for _ in range(ROUNDS):
        found = [one for one in checking.check(ctx, networks) if _told(one) not in seen]
        seen |= set(map(_told, found))
        outcomes += _mend(ctx, found)
        if not any(one.kind == checking.UNFINISHED for one in found):
            break
        if networks is not None:
            now = (lookup.known(ctx.store, network.id) for network in networks)
            networks = [network for network in now if network is not None]
    return _sorted(outcomes)


def _told(difference: Difference) -> tuple[str, str, str]:
    return difference.kind, difference.subject, difference.text


def _sorted(outcomes: Iterable[tuple[Difference, str]]) -> Repaired:
    """Apart what is mended (without a reason) and what is left."""
    mended: list[Difference] = []
    left: list[tuple[Difference, str]] = []
    for difference, reason in outcomes:
        if reason:
            left.append((difference, reason))
        else:
            mended.append(difference)
    return Repaired(tuple(mended), tuple(left))


def _unmended(difference: Difference) -> str:
    """Why nobody mends it, or "" for what is mended."""
    if difference.kind in RETURNING_KINDS or _mender(difference) is not None:
        return ""
    return REASONS.get(difference.kind, "macvnet does not touch it")


def _mend(ctx: Context, found: Sequence[Difference]) -> list[tuple[Difference, str]]:
    """Mend each; for those that are left there is a reason."""
    reasons = list(map(_unmended, found))
    gone = [n for n, difference in enumerate(found) if difference.kind in RETURNING_KINDS]
    for number, difference in enumerate(found):
        mend = _mender(difference)
        if mend is not None:
            try:
                mend(ctx, difference)
            except MacvnetError as error:
                reasons[number] = error.message
    # Last, when what they hang on is there. The default route goes by the order of joining.
    gone.sort(key=lambda number: _about(found[number])[1].sequence)
    most = most_at_once() if gone else 1
    for begin in range(0, len(gone), most):
        if begin:
            # The rate is that of the parent, whatever part a frame belongs to.
            time.sleep(WINDOW_SECONDS)
        some = gone[begin : begin + most]
        told = _bring_back(ctx, [found[number] for number in some])
        for number, refusal in zip(some, told, strict=True):
            reasons[number] = refusal.message if refusal is not None else ""
    return list(zip(found, reasons, strict=True))


def _mender(difference: Difference) -> Callable[..., None] | None:
    network = difference.network
    if difference.kind == checking.WRONG_MODE and network is not None:
        # Where the kind has one MAC for all endpoints, it has one mode for all of them too.
        kind = driver(network.driver)
        own = kind.has_own_mac(network.link) and not kind.exclusive(network.link)
        return _in_place(_mode) if own else None
    return MENDERS.get(difference.kind)


REASONS = {
    checking.PARENT_MISSING: "a parent is never made",
    checking.PARENT_DOWN: "a parent is never changed",
    checking.PARENT_MTU: "a parent is never changed",
    host_differences.ROUTE_FOREIGN: "macvnet did not make it",
    host_differences.UNREACHABLE: "a parent is never changed",
    checking.WRONG_MODE: "the parent has it for all its links: disconnect and connect them again",
}


def _about(difference: Difference) -> tuple[Network, Endpoint]:
    if difference.network is None or difference.endpoint is None:
        raise RuntimeError(f"{difference.kind} is about no endpoint")
    return difference.network, difference.endpoint


def _finish(ctx: Context, difference: Difference) -> None:
    if difference.endpoint is not None:
        with ctx.sandbox_lock(difference.endpoint.sandbox.cookie):
            now = lookup.endpoint(ctx.store, difference.endpoint.id)
            if now is not None:
                settle(ctx, now, durable=True)
    elif difference.network is not None:
        with ctx.structure_lock():
            if ctx.store.get(f"network/{difference.network.id}") is not None:
                clear_abandoned(ctx, lookup.network(ctx.store, difference.network.id))


def _parent(ctx: Context, difference: Difference) -> None:
    """A sub-interface or dummy of macvnet's own is made again; a rename is followed."""
    if difference.network is not None:
        link = parent_search.ensure(ctx, difference.network)
        parent_search.follow(ctx, difference.network, link)


def _host_access(ctx: Context, difference: Difference) -> None:
    if difference.network is not None:
        refusal = host_access.follow(ctx, difference.network).refusal
        if refusal is not None:
            if difference.kind == host_differences.ADDRESS_MISSING:
                raise refusal
            # What this difference is about has been mended all the same.
            ctx.note_once(refusal.message)


def _set_up_made(ctx: Context, difference: Difference) -> None:
    if difference.network is not None:
        link = parent_search.ensure(ctx, difference.network)
        try:
            ctx.netlink.change(links.change(link.ifindex, link.name, flags=IFF_UP))
        except NetlinkError as error:
            raise error.during(f"set {link.name} up") from None


def _follow_lower(ctx: Context, difference: Difference) -> None:
    if difference.network is not None:
        drift.mend(ctx, parent_search.search(ctx, difference.network))


def _bring_back(ctx: Context, differences: Sequence[Difference]) -> list[MacvnetError | None]:
    """Make the links of endpoints again. The LAN is asked for all of their addresses at once."""
    outcomes: dict[int, MacvnetError | bool] = {}
    coming: dict[int, Coming] = {}
    with ExitStack() as stack:
        for number, difference in enumerate(differences):
            network, endpoint = _about(difference)
            with apart(partial(outcomes.__setitem__, number)):
                found = stack.enter_context(reopened(ctx, endpoint))
                if found.target is not None:
                    coming[number] = Coming(network, endpoint, found.target)
        done = bring_back_many(ctx, list(coming.values()))
        outcomes.update(zip(coming, done, strict=True))
    told = (outcomes.get(number) for number in range(len(differences)))
    return [one if isinstance(one, MacvnetError) else None for one in told]


def _free(ctx: Context, difference: Difference) -> None:
    _, endpoint = _about(difference)
    roll_back(ctx, endpoint, durable=True)


def _in_place(
    mend: Callable[[Inside, LinkInfo, LinkInfo | None, Difference], None],
) -> Callable[..., None]:
    """A mender that works on the endpoint's link, found and proved again under the lock."""

    def mender(ctx: Context, difference: Difference) -> None:
        network, endpoint = _about(difference)
        with ctx.sandbox_lock(endpoint.sandbox.cookie), reopened(ctx, endpoint) as found:
            if found.target is None:
                return
            at = endpoint_link.inside(ctx, found.target)
            with at.netlink:
                parent = parent_search.search(ctx, network).link
                kind = driver(network.driver)
                link = endpoint_link.find(ctx, kind, endpoint, at, parent)
                if link is not None:
                    mend(at, link, parent, difference)

    return mender


def _change(at: Inside, link: LinkInfo, request: Request) -> None:
    try:
        at.netlink.change(request)
    except NetlinkError as error:
        raise error.during(f"change {link.name}") from None


def _mac(at: Inside, link: LinkInfo, parent: LinkInfo | None, difference: Difference) -> None:
    del parent
    _, endpoint = _about(difference)
    _change(at, link, links.change(link.ifindex, link.name, address=endpoint.mac))


def _mtu(at: Inside, link: LinkInfo, parent: LinkInfo | None, difference: Difference) -> None:
    network, _ = _about(difference)
    wanted = checking.expected_mtu(network, link, parent)
    _change(at, link, links.change(link.ifindex, link.name, mtu=wanted))


def _mode(at: Inside, link: LinkInfo, parent: LinkInfo | None, difference: Difference) -> None:
    del parent
    network, endpoint = _about(difference)
    plan = driver(network.driver).plan(network.link, endpoint.mac)
    _change(at, link, links.change_kind(link, plan))


def _up(at: Inside, link: LinkInfo, parent: LinkInfo | None, difference: Difference) -> None:
    del parent, difference
    _change(at, link, links.change(link.ifindex, link.name, flags=IFF_UP))


def _addresses(at: Inside, link: LinkInfo, parent: LinkInfo | None, difference: Difference) -> None:
    """Put back what is missing; the same address with another prefix length makes way."""
    del parent
    _, endpoint = _about(difference)
    lacking = checking.missing_addresses(endpoint, link, at)
    for info in addressing.all_addresses(at.netlink):
        if info.ifindex == link.ifindex and info.address in [each.address for each in lacking]:
            _change(
                at,
                link,
                addressing.delete_address(link.ifindex, link.name, info.address, info.prefixlen),
            )
    for each in lacking:
        scope = addressing.RT_SCOPE_UNIVERSE if each.pool else addressing.RT_SCOPE_LINK
        request = addressing.add_address(
            link.ifindex, link.name, each.address, each.prefixlen, scope=scope
        )
        _change(at, link, request)


def _route(ctx: Context, difference: Difference) -> None:
    network, endpoint = _about(difference)
    with ctx.sandbox_lock(endpoint.sandbox.cookie), reopened(ctx, endpoint) as found:
        if found.target is None:
            return
        at = endpoint_link.inside(ctx, found.target)
        with at.netlink:
            _connected(ctx, at, network, endpoint)
            if endpoint.routing != PLAIN:
                from macvnet.engine import endpoint_routes

                endpoint_routes.mend(network, endpoint, at)
            members = election.standing(members_of(ctx.store, endpoint.sandbox.key), at)
            decisions = election.decide(members, election.defaults(at))
            for note in election.carry_out(decisions, at, []):
                ctx.note(note)


def _connected(ctx: Context, at: Inside, network: Network, endpoint: Endpoint) -> None:
    parent = parent_search.search(ctx, network).link
    link = endpoint_link.find(ctx, driver(network.driver), endpoint, at, parent)
    if link is None:
        return
    lacking = checking.missing_addresses(endpoint, link, at)
    for route in checking.missing_routes(endpoint, lacking, link, at):
        _change(at, link, addressing.add_route(route, link.name))


def _autoconf(at: Inside, link: LinkInfo, parent: LinkInfo | None, difference: Difference) -> None:
    from macvnet.engine import autoconf

    del parent
    network, endpoint = _about(difference)
    autoconf.mend(network, endpoint, link, at)


def _rate(at: Inside, link: LinkInfo, parent: LinkInfo | None, difference: Difference) -> None:
    from macvnet.engine import limiting

    del parent
    _, endpoint = _about(difference)
    limiting.mend(endpoint, link, at)


def _orphan(ctx: Context, difference: Difference) -> None:
    """The link is proved once more by its alias, in the namespace it was seen in."""
    if difference.orphan is None:
        return
    number, ifindex, alias = difference.orphan
    link = links.by_index(ctx.netlink, ifindex, nsid=number)
    if nsid.exists(ctx.netlink, number) and link is not None and link.alias == alias:
        ctx.netlink.change(links.delete(ifindex, link.name, nsid=number))


def _reservations(ctx: Context, difference: Difference) -> None:
    if difference.network is not None:
        keeping.mend(ctx, difference.network)


MENDERS: dict[str, Callable[..., None]] = {
    checking.UNFINISHED: _finish,
    checking.LINK_MISSING: _parent,
    checking.LINK_FOREIGN: _parent,
    checking.LINK_DOWN: _set_up_made,
    checking.LINK_MTU: _follow_lower,
    checking.PARENT_RENAMED: _parent,
    checking.ENDPOINT_DEAD: _free,
    checking.WRONG_MAC: _in_place(_mac),
    checking.WRONG_MTU: _in_place(_mtu),
    checking.DOWN: _in_place(_up),
    checking.NO_ADDRESS: _in_place(_addresses),
    checking.WRONG_ROUTE: _route,
    checking.WRONG_RULE: _route,
    checking.WRONG_SYSCTL: _in_place(_autoconf),
    checking.WRONG_TOKEN: _in_place(_autoconf),
    checking.WRONG_RATE: _in_place(_rate),
    checking.NO_RECORD: _orphan,
    checking.NOT_HELD: _reservations,
    checking.NOT_RESERVED: _reservations,
    **dict.fromkeys(host_differences.MENDED, _host_access),
}
