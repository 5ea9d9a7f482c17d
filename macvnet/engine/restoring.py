"""Restoring: after a reboot, or after a parent came back, everything recorded is made again.

What is there is left alone, so a second run changes nothing. One broken network
or endpoint does not stop the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from macvnet import keys
from macvnet.drivers import driver
from macvnet.engine import checking, endpoint_link, lookup, parent_search
from macvnet.engine.collecting import see_death
from macvnet.engine.context import Context
from macvnet.engine.disconnect import removals
from macvnet.engine.host_differences import LINK_MISSING as HOST_LINK_MISSING
from macvnet.engine.joining import Joining, probes
from macvnet.engine.liveness import alive, roll_back, settle
from macvnet.engine.parts import most_at_once
from macvnet.engine.remove import clear_abandoned
from macvnet.engine.reopening import RETURNED, SAME, reopened
from macvnet.engine.returning import Coming, bring_back, bring_back_many
from macvnet.errors import MacvnetError, NotFound
from macvnet.kernel.frames import WINDOW_SECONDS
from macvnet.kernel.link_events import LinkEvents
from macvnet.kernel.links import LinkInfo
from macvnet.model import ACTIVE, JOINED, SLAAC, Change, Endpoint, Network
from macvnet.records import NamedTuple
from macvnet.store import Transaction


class Made(NamedTuple):
    """What was made again: a link of a network, or an endpoint, as it is recorded now.

    ``link`` is "" for an endpoint, which has its ``owner`` as it is called now.
    """

    network: str
    link: str = ""
    endpoint: Endpoint | None = None
    owner: str = ""

    def __str__(self) -> str:
        if self.endpoint is None:
            return f"link {self.link} for network {self.network}"
        held = " ".join(assigned.cidr for assigned in self.endpoint.addresses)
        return f"{self.owner} in network {self.network} {held}".rstrip()


class Restored(NamedTuple):
    """What a run did: made again, waiting for a parent, and failed (subject, error).

    ``changes`` is what a dry run would make; the others are empty then, but
    for what waits.
    """

    made: tuple[Made, ...]
    pending: tuple[str, ...]
    failed: tuple[tuple[str, MacvnetError], ...]
    changes: tuple[Change, ...] = ()


Report = Callable[[int, int], None]
"""Told how many networks and endpoints of how many have been looked after."""


def _untold(done: int, total: int) -> None:
    """For who does not want to know."""


def restore(ctx: Context, *, wait: float, report: Report | None = None) -> Restored:
    """Make again what is recorded and missing; wait up to ``wait`` seconds for parents."""
    ctx.claim()
    run = _Run(ctx, report or _untold)
    with LinkEvents() as events:
        run.round()
        deadline = time.monotonic() + wait
        while run.pending and events.wait(deadline - time.monotonic()):
            run.round()
    _note_run(ctx)
    return run.restored()


def restore_some(ctx: Context, endpoints: Sequence[Endpoint]) -> Restored:
    """The same for some endpoints and what carries them; waits for no parent."""
    ctx.claim()
    run = _Run(ctx, _untold)
    run.round(endpoints)
    return run.restored()


def foresee(ctx: Context) -> Restored:
    """What ``restore`` would make again now, and what it would wait for. Changes nothing."""
    found = checking.check(ctx, None)
    waiting = dict(_waiting(ctx))
    changes = [
        change
        for one in found
        if one.network is not None and one.network.id not in waiting
        for change in _foreseen(one.kind, one.network, one.endpoint)
    ]
    # Several networks can hang on one link.
    distinct = tuple(dict.fromkeys(changes))
    return Restored((), tuple(waiting.values()), (), distinct)


def _waiting(ctx: Context) -> Iterator[tuple[str, str]]:
    """The networks whose parents have to come first: ID and words."""
    for network in sorted(lookup.networks(ctx.reader), key=lambda each: each.created):
        if network.state == ACTIVE and not network.config_only:
            lacking = parent_search.lacking(ctx, network, parent_search.search(ctx, network))
            if lacking:
                yield network.id, f"network {network.name}: {lacking}"


def _foreseen(kind: str, network: Network, endpoint: Endpoint | None) -> Iterator[Change]:
    if kind == checking.LINK_MISSING and network.parent is not None:
        yield Change("create", "link", network.parent.name)
    elif kind == HOST_LINK_MISSING:
        yield Change("create", "link", network.shim)
    elif endpoint is None:
        return
    elif kind in (checking.ENDPOINT_MISSING, checking.ENDPOINT_BACK):
        where = f"in {endpoint.owner}"
        name = endpoint.ifname
        yield Change("create", "endpoint", f"of {endpoint.owner} in network {network.name}")
        yield Change("create", "link", f"{name} type {network.driver} {where}")
        for assigned in endpoint.addresses:
            yield Change("create", "address", f"{assigned.cidr} dev {name} {where}")
        if network.link.ipv6_mode == SLAAC:
            from macvnet.engine.foreseeing import made_itself

            yield made_itself(endpoint)
        if endpoint.rate:
            from macvnet.engine import limiting

            yield limiting.foresee(endpoint)
    elif kind == checking.ENDPOINT_DEAD:
        yield from removals(network, endpoint)


def _note_run(ctx: Context) -> None:
    here = {"boot_id": ctx.boot_id}
    if ctx.store.get(keys.META_RESTORED) != here:
        ctx.store.transact(lambda tx: _write_run(tx, here))


def _write_run(tx: Transaction, here: dict[str, str]) -> None:
    tx.put(keys.META_RESTORED, here)


class _Run:
    """One call of ``restore``: several rounds, each over all that is not settled.

    ``waiting`` are those that come back together, at most ``most`` of them; their targets
    are ``open``.
    """

    def __init__(self, ctx: Context, report: Report) -> None:
        self.ctx = ctx
        self.report = report
        self.made: list[Made] = []
        self.pending: list[str] = []
        self.failed: dict[str, MacvnetError] = {}
        self.waiting: list[Coming] = []
        self.open = ExitStack()
        self.most = most_at_once()

    def restored(self) -> Restored:
        return Restored(tuple(self.made), tuple(self.pending), tuple(self.failed.items()))

    def round(self, chosen: Sequence[Endpoint] | None = None) -> None:
        """Over all that is recorded, or over chosen endpoints and their networks."""
        self.pending = []
        self.failed = {}
        usable: dict[str, tuple[Network, LinkInfo]] = {}
        networks = lookup.networks(self.ctx.store)
        if chosen is not None:
            carrying = {endpoint.network for endpoint in chosen}
            networks = [network for network in networks if network.id in carrying]
        networks.sort(key=lambda each: each.created)
        endpoints = chosen
        if endpoints is None:
            every = self.ctx.store.scan(keys.ENDPOINTS)
            endpoints = [Endpoint.from_json(record) for _, record in every]
        total = len(networks) + len(endpoints)
        for done, network in enumerate(networks, 1):
            self._attempt(f"network {network.name}", partial(self._network, network, usable))
            self.report(done, total)
        # Whatever is changed reads its record once more.
        ordered = sorted(endpoints, key=lambda each: each.sequence)
        with self.open:
            for done, endpoint in enumerate(ordered, len(networks) + 1):
                if endpoint.network in usable:
                    network, parent = usable[endpoint.network]
                    subject = f"{endpoint.owner} in network {network.name}"
                    self._attempt(subject, partial(self._endpoint, network, endpoint, parent))
                self.report(done - len(self.waiting), total)
            if self.waiting:
                self._bring_back_waiting()
                self.report(total, total)

    def _attempt(self, subject: str, work: Callable[[], None]) -> None:
        try:
            work()
        except MacvnetError as error:
            self.failed[subject] = error

    def _network(self, network: Network, usable: dict[str, tuple[Network, LinkInfo]]) -> None:
        if network.config_only:
            return
        if network.state != ACTIVE:
            with self.ctx.structure_lock():
                # Whoever was removing it may have done so by now.
                now = lookup.known(self.ctx.store, network.id)
                if now is not None:
                    clear_abandoned(self.ctx, now)
            return
        before = parent_search.search(self.ctx, network)
        lacking = parent_search.lacking(self.ctx, network, before)
        if lacking:
            self.pending.append(f"network {network.name}: {lacking}")
            return
        try:
            link = parent_search.ensure(self.ctx, network)
        except NotFound as error:
            # It went between two looks, and may come again.
            self.pending.append(f"network {network.name}: {error.message}")
            return
        if before.link is None:
            self.made.append(Made(network.name, link.name))
        usable[network.id] = (parent_search.follow(self.ctx, network, link), link)
        if network.shim:
            from macvnet.engine import host_access

            done = host_access.follow(self.ctx, network)
            if done.link:
                self.made.append(Made(network.name, network.shim))
            if done.refusal is not None:
                raise done.refusal

    def _endpoint(self, network: Network, endpoint: Endpoint, parent: LinkInfo) -> None:
        if endpoint.state != JOINED:
            with self.ctx.sandbox_lock(endpoint.sandbox.cookie):
                now = lookup.endpoint(self.ctx.store, endpoint.id)
                if now is not None:
                    settle(self.ctx, now)
            endpoint = lookup.endpoint(self.ctx.store, endpoint.id) or endpoint
            if endpoint.state != JOINED:
                return
        if not endpoint.owner.returns and not alive(self.ctx, endpoint):
            roll_back(self.ctx, endpoint)
            return
        with ExitStack() as stack:
            found = stack.enter_context(reopened(self.ctx, endpoint))
            if found.target is None:
                see_death(self.ctx, endpoint)
                return
            if found.fate == SAME:
                at = endpoint_link.inside(self.ctx, found.target)
                with at.netlink:
                    kind = driver(network.driver)
                    if endpoint_link.find(self.ctx, kind, endpoint, at, parent) is not None:
                        return
            if found.fate in (SAME, RETURNED):
                coming = Coming(network, endpoint, found.target)
                if self._waits(coming, parent):
                    self.waiting.append(coming)
                    self.open.push(stack.pop_all())
                    if len(self.waiting) >= self.most:
                        self._bring_back_waiting()
                        # The rate is that of the parent, whatever part a frame belongs to.
                        time.sleep(WINDOW_SECONDS)
                elif bring_back(self.ctx, *coming):
                    self._came(coming)

    def _waits(self, coming: Coming, parent: LinkInfo) -> bool:
        """Whether it comes back together with others, so that the LAN is asked for all at once.

        So does what follows it in its sandbox: the default route goes by the order of joining.
        """
        cookie = coming.target.namespace.cookie
        if any(cookie == other.target.namespace.cookie for other in self.waiting):
            return True
        plan = Joining(
            driver(coming.network.driver), coming.network, coming.endpoint, parent, "", ()
        )
        return probes(self.ctx, plan)

    def _bring_back_waiting(self) -> None:
        waiting, self.waiting = self.waiting, []
        with self.open.pop_all():
            for coming, outcome in zip(waiting, bring_back_many(self.ctx, waiting), strict=True):
                if isinstance(outcome, MacvnetError):
                    subject = f"{coming.endpoint.owner} in network {coming.network.name}"
                    self.failed[subject] = outcome
                elif outcome:
                    self._came(coming)

    def _came(self, coming: Coming) -> None:
        now = lookup.endpoint(self.ctx.store, coming.endpoint.id) or coming.endpoint
        self.made.append(Made(coming.network.name, "", now, str(coming.target.owner)))
