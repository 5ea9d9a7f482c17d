"""Diagnosing: which facts to gather for a word, and what they come to.

Changes nothing. A question is a frame on the LAN, though: gateways and routers are asked
for a network, a parent or a container that is named, never for all. Only ``active``
makes a link, in a namespace that ends with this process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from macvnet import doctor, runtimes
from macvnet.addresses import IPV4, IPV6, Address
from macvnet.doctor.facts import Facts, Gateway, Parent, Routers, Target, Use
from macvnet.doctor.findings import Finding
from macvnet.drivers import driver
from macvnet.engine import endpoint_link, lookup, observing, parent_search, refusals
from macvnet.engine.context import Context
from macvnet.engine.observing import Observer
from macvnet.engine.reopening import SAME, reopened
from macvnet.errors import Conflict, NotFound
from macvnet.kernel import arp, trial
from macvnet.kernel.arp import Question
from macvnet.kernel.namespaces import Namespace
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import ACTIVE, JOINED, SLAAC, Endpoint, Network, SandboxId
from macvnet.records import NamedTuple
from macvnet.surroundings import machine
from macvnet.text import nearest, quoted

NOBODY = Address(IPV6, 0)
"""The address of a question that is about no address."""
WARNING = (
    "a link with a MAC of its own is made on {} for a moment: a switch with port security may shut "
    "the port"
)


class _Asking(NamedTuple):
    """A gateway to ask for a use, and by which links: Questions, or None."""

    use: Use
    address: Address
    by_endpoint: Question | None
    by_parent: Question | None
    below: Question | None
    active: bool


def diagnose(ctx: Context, word: str, *, active: bool = False, root: str = "/") -> list[Finding]:
    """What stands in the way of a network, a parent or a container; "" is all networks.

    ``active`` tries a MAC of its own on the parent. NotFound for a word that is none of
    the three, Conflict where the active test has nothing to work with.
    """
    with ExitStack() as held:
        found = _Look(ctx, held, Observer(ctx, root))
        found.take(word)
        if active:
            found.try_macs()
        answers = arp.ask([q for one in found.asking for q in _questions(one)])
        facts = Facts(
            machine.look(root, found.kinds()),
            tuple(found.uses),
            tuple(found.targets),
            _answered(found.asking, answers),
            _advertised(found.soliciting),
            asked=bool(word),
        )
    return doctor.examine(facts)


class _Look:
    """What is gathered for one command; namespaces stay open on ``held``."""

    def __init__(self, ctx: Context, held: ExitStack, observer: Observer) -> None:
        self._ctx = ctx
        self._held = held
        self._observer = observer
        self.uses: list[Use] = []
        self.targets: list[Target] = []
        self.asking: list[_Asking] = []
        self.soliciting: list[tuple[Use, list[Question]]] = []
        self.limited = False

    def kinds(self) -> tuple[str, ...]:
        """The kinds of link and qdisc that the uses need."""
        wanted = ["macvlan"] if not self.uses else []
        for use in self.uses:
            wanted.append(driver(use.driver).NAME)
            if use.parent.vlan_id:
                wanted.append("vlan")
            elif use.network and not use.options.parent:
                wanted.append("dummy")
        if self.limited:
            wanted.append("tbf")
        return tuple(dict.fromkeys(wanted))

    def take(self, word: str) -> None:
        """The network, the parent or the container that ``word`` means, in this order."""
        if not word:
            for each in lookup.networks(self._ctx.reader):
                self._network(each, None, ask=False)
            return
        network = lookup.known(self._ctx.reader, word)
        if network is not None:
            self._network(network, None, ask=True)
        elif self._is_parent(word):
            self._parent(word)
        else:
            self._container(word)

    def _is_parent(self, word: str) -> bool:
        base, dot, digits = word.rpartition(".")
        if runtimes.spelled(word) is not None:
            return False
        known = self._observer.link
        return known(word) is not None or bool(dot and digits.isdecimal() and known(base))

    def _parent(self, name: str) -> None:
        use = observing.use_without_network(self._observer.named(name))
        self.uses.append(use)
        for _, gateway in use.parent.subnets:
            if gateway is not None and use.parent.link is not None:
                by_parent = Question(None, use.parent.link.name, use.parent.link.mac, gateway)
                self.asking.append(_Asking(use, gateway, None, by_parent, None, active=False))

    def _network(self, network: Network, only: str | None, *, ask: bool) -> None:
        """A network with all its endpoints, or only those of one owner."""
        if network.config_only or network.state != ACTIVE or network.parent is None:
            return
        endpoints = lookup.endpoints_of_network(self._ctx.reader, network.id)
        found = parent_search.search(self._ctx, network)
        if found.link is not None:
            parent = self._observer.of_link(found.link)
        else:
            parent = self._observer.named(network.parent.name)
        use = observing.use_of(network, parent, endpoints)
        self.limited = self.limited or any(each.rate for each in endpoints)
        self.uses.append(use)
        first: Question | None = None
        for endpoint in endpoints:
            if only is not None and str(endpoint.owner) != only:
                continue
            asks = self._endpoint(network, endpoint, ask=ask and first is None)
            first = first or asks
        if ask:
            self._gateways(network, use, first)
            if network.link.ipv6_mode == SLAAC:
                self._routers(network, use, first)

    def _endpoint(self, network: Network, endpoint: Endpoint, *, ask: bool) -> Question | None:
        """Look into its target; with ``ask``, the question that its link can put."""
        if endpoint.state != JOINED:
            return None
        with reopened(self._ctx, endpoint) as found:
            if found.fate != SAME or found.target is None:
                return None
            self.targets.append(observing.target_of(self._ctx, found.target, [(network, endpoint)]))
            if not ask or driver(network.driver).announces_from_parent(network.link) is not False:
                return None
            at = endpoint_link.inside(self._ctx, found.target)
            with at.netlink:
                link = endpoint_link.find(self._ctx, driver(network.driver), endpoint, at, None)
            if link is None or not link.up or not link.carrier:
                return None
            opened = found.target.namespace
            kept = self._held.enter_context(Namespace(os.dup(opened.fd), opened.origin))
            return Question(kept, link.name, link.mac, Address(IPV4, 0))

    def _gateways(self, network: Network, use: Use, first: Question | None) -> None:
        if network.isolated or driver(network.driver).announces_from_parent(network.link) is None:
            return  # no default route, or no ARP
        exclusive = driver(network.driver).exclusive(network.link)
        for pool in network.pools:
            if pool.gateway is None:
                continue
            by_endpoint = first._replace(address=pool.gateway) if first else None
            # Where nobody is connected, only a parent asks that is somebody on that LAN.
            may = bool(use.members or use.parent.subnets) and not (exclusive and first)
            by_parent = _by_parent(use.parent, pool.gateway) if may else None
            # One that another gateway on the VLAN disproves would be said all the same.
            below = self._below(use.parent) if pool.family == IPV4 else None
            asking = _Asking(use, pool.gateway, by_endpoint, by_parent, below, active=False)
            self.asking.append(asking)

    def _routers(self, network: Network, use: Use, first: Question | None) -> None:
        """As for a gateway: by the endpoint, and by a parent that is somebody on that LAN."""
        exclusive = driver(network.driver).exclusive(network.link)
        may = bool(use.members or use.parent.subnets) and not (exclusive and first)
        by_parent = _by_parent(use.parent, NOBODY) if may else None
        asked = [question for question in (first, by_parent) if question is not None]
        if asked:
            self.soliciting.append((use, asked))

    def _below(self, parent: Parent) -> Question | None:
        """The default gateway of the link below a VLAN, if the host has one there."""
        if parent.lower is None or not parent.lower.carrier:
            return None
        lower = self._observer.of_link(parent.lower)
        for subnet, gateway in lower.subnets:
            if gateway is not None and subnet.family == IPV4:
                return Question(None, parent.lower.name, parent.lower.mac, gateway)
        return None

    def _container(self, word: str) -> None:
        reader = self._ctx.reader
        try:
            opened = runtimes.resolve(word, reader)
        except NotFound:
            if runtimes.spelled(word) is not None or ":" in word:
                raise
            known = [network.name for network in lookup.networks(reader)]
            guess = nearest(word, [*known, *(link.name for link in self._observer.every)])
            raise NotFound(
                f"there is no network, parent or container {quoted(word)}",
                guess or "macvnet ls; ip -br link",
            ) from None
        with opened.namespace:
            sandbox = SandboxId(self._ctx.boot_id, opened.namespace.cookie)
            joined = lookup.endpoints_of_sandbox(reader, sandbox.key)
            if not joined:
                self.targets.append(observing.target_of(self._ctx, opened, []))
        for network_id in dict.fromkeys(endpoint.network for endpoint in joined):
            network = lookup.known(reader, network_id)
            owner = next(str(e.owner) for e in joined if e.network == network_id)
            if network is not None:
                self._network(network, owner, ask=True)

    def try_macs(self) -> None:
        """A throw-away macvlan on each parent asks its gateway, and the parent beside it."""
        asking = []
        made: dict[int, Question] = {}
        for one in self.asking:
            link = one.use.parent.link
            if link is None or driver(one.use.driver).NAME != "macvlan":
                continue
            if link.ifindex not in made:
                self._ctx.note(WARNING.format(link.name))
            try:
                by = made.get(link.ifindex) or self._held.enter_context(
                    trial.macvlan(self._ctx.netlink, link)
                )
            except NetlinkError as error:
                why = refusals.endpoint_refused(
                    self._ctx, error, driver("macvlan"), one.use.options, link, "the trial"
                )
                self._ctx.note(f"the MAC could not be tried on {link.name}: {why.message}")
                asking.append(one)
                continue
            made[link.ifindex] = by
            by_parent = one.by_parent or _by_parent(one.use.parent, one.address)
            by_trial = by._replace(address=one.address)
            asking.append(one._replace(by_endpoint=by_trial, by_parent=by_parent, active=True))
        if not asking:
            raise Conflict(
                "there is no gateway to try a MAC with: --active needs a macvlan network with a "
                "gateway, or a parent with a default route",
                "macvnet doctor --active NETWORK",
            )
        self.asking = asking


def _by_parent(parent: Parent, address: Address) -> Question | None:
    link = parent.link
    if link is None or not link.up or not link.carrier:
        return None
    return Question(None, link.name, link.mac, address)


def _questions(one: _Asking) -> list[Question]:
    return [q for q in (one.by_endpoint, one.by_parent, one.below) if q is not None]


def _advertised(soliciting: Sequence[tuple[Use, Sequence[Question]]]) -> tuple[Routers, ...]:
    """Who is heard by the endpoint or by the parent: either proves that there is a router."""
    if not soliciting:
        return ()
    from macvnet.kernel import routers

    answers = iter(routers.ask([question for _, asked in soliciting for question in asked]))
    found = []
    for use, asked in soliciting:
        got = [answer for _, answer in zip(asked, answers, strict=False)]
        heard = tuple((one.mac, one.prefixes) for answer in got for one in answer or ())
        if any(answer is not None for answer in got):
            found.append(Routers(use.subject, use.parent.name, heard))
    return tuple(found)


def _answered(
    asking: Sequence[_Asking], answers: Sequence[tuple[str, ...] | None]
) -> tuple[Gateway, ...]:
    left = iter(answers)

    def take(question: Question | None) -> tuple[str, ...] | None:
        return next(left) if question is not None else None

    found = []
    for one in asking:
        by_endpoint, by_parent, below = map(take, (one.by_endpoint, one.by_parent, one.below))
        parent = one.use.parent
        found.append(
            Gateway(
                one.use.subject,
                one.address,
                parent.name,
                one.use.driver,
                by_endpoint,
                by_parent,
                parent.vlan_id,
                parent.lower.name if parent.lower else "",
                None if below is None else bool(below),
                one.active,
            )
        )
    return tuple(found)
