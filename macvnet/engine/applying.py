"""Applying: the steps of a plan are carried out, each by itself; what fails leaves the others.

What a file with an ID has made is remembered under that ID, right after it is
made: a command that is killed in between leaves something that ``--prune`` spares,
never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from macvnet import keys
from macvnet.addresses import IPV4, IPV6, Address
from macvnet.declared import Entry
from macvnet.engine import keeping, lookup, planning
from macvnet.engine.connecting_many import Asked, connect_many
from macvnet.engine.context import Context
from macvnet.engine.create import create
from macvnet.engine.disconnecting_many import disconnect_many
from macvnet.engine.keeping import Wish
from macvnet.engine.planning import ENDPOINT, NETWORK, RESERVATION, Plan
from macvnet.engine.remove import remove
from macvnet.engine.seats import Connected
from macvnet.errors import Conflict, MacvnetError
from macvnet.kept import Kept
from macvnet.model import Change, Endpoint, Network
from macvnet.runtimes import table
from macvnet.store import Transaction

Report = Callable[[str, MacvnetError | None], None]
"""Is told what a step was about, and why it failed, None where it did not."""


def refuse_changed(plan: Plan) -> None:
    """Conflict where a network would have to be another one: that is for people to decide."""
    for network, text in plan.changed:
        names = " ".join(dict.fromkeys(each.name for each, _ in plan.changed))
        hint = f"macvnet rm {names}, then apply again; or macvnet export and take what is there"
        if text.startswith("host_access "):
            hint = f"macvnet host-access {'disable' if network.shim else 'enable'} {network.name}"
        raise Conflict(
            f"network {network.name!r} is there with other settings, which are never changed: "
            f"{text}",
            hint,
        )


def apply(ctx: Context, file_id: str, plan: Plan, report: Report) -> None:
    """Carry out a plan; ``report`` is told of each step. StoreError where the state fails."""
    run = _Run(ctx, file_id, report)
    run.remove(plan)
    for request in plan.networks:
        with_network = f"network {request.name}"
        try:
            made = create(ctx, request)
        except MacvnetError as error:
            report(with_network, error)
        else:
            run.remember(NETWORK, [made.network.id])
            report(with_network, None)
    run.reserve([entry for entry, text in plan.reservations], plan)
    run.connect([entry for entry, _ in plan.endpoints], plan)


class _Run:
    """One call of ``apply``."""

    def __init__(self, ctx: Context, file_id: str, report: Report) -> None:
        self.ctx = ctx
        self.file_id = file_id
        self.report = report

    def remember(self, kind: str, things: Sequence[str]) -> None:
        """Remember what the file has made."""
        if self.file_id and things:

            def write(tx: Transaction, thing: str) -> None:
                tx.put(keys.applied(self.file_id, kind, thing), {})

            self.ctx.store.transact_each(write, things)

    def remove(self, plan: Plan) -> None:
        stale = list(plan.stale)
        for network, group in _by_network(plan.removed_endpoints):
            left = self._disconnect(network, group, report_done=True)
            stale += [keys.applied(self.file_id, ENDPOINT, one.id) for one in left]
        asked = [(network, kept.owner) for network, kept in plan.removed_reservations]
        outcomes = keeping.unreserve(self.ctx, asked) if asked else []
        for (network, kept), outcome in zip(plan.removed_reservations, outcomes, strict=True):
            self._told(f"the reservation for {kept.owner} in {network.name}", outcome)
            stale.append(keys.applied(self.file_id, RESERVATION, planning.kept_id(kept)))
        for network in plan.removed_networks:
            try:
                remove(self.ctx, network.id)
            except MacvnetError as error:
                self.report(f"network {network.name}", error)
            else:
                self.report(f"network {network.name}", None)
                stale.append(keys.applied(self.file_id, NETWORK, network.id))
        if stale:
            self.ctx.store.transact_each(_forget, stale, durable=False)

    def _disconnect(
        self, network: Network, endpoints: Sequence[Endpoint], *, report_done: bool
    ) -> list[Endpoint]:
        """Those that were disconnected."""
        left: list[Endpoint] = []

        def told(number: int, outcome: Sequence[Change] | MacvnetError) -> None:
            one = endpoints[number]
            if isinstance(outcome, MacvnetError) or report_done:
                self._told(f"{one.owner} in {network.name}", outcome)
            if not isinstance(outcome, MacvnetError):
                left.append(one)

        disconnect_many(self.ctx, [network], endpoints, told, force=False, atomic=False,
                        dry_run=False)  # fmt: skip
        return left

    def _told(self, label: str, outcome: object) -> None:
        self.report(label, outcome if isinstance(outcome, MacvnetError) else None)

    def reserve(self, entries: Sequence[Entry], plan: Plan) -> None:
        wishes: list[tuple[str, Wish]] = []
        for entry in entries:
            label = f"the reservation for {entry.container} in {entry.network}"
            try:
                wishes.append((label, self._wish(entry)))
            except MacvnetError as error:
                self.report(label, error)
        outcomes = keeping.reserve(self.ctx, [wish for _, wish in wishes]) if wishes else []
        kept = [one for one in outcomes if isinstance(one, Kept)]
        self.remember(RESERVATION, [planning.kept_id(one) for one in kept])
        for (label, _), outcome in zip(wishes, outcomes, strict=True):
            self._told(label, outcome)

    def _wish(self, entry: Entry) -> Wish:
        runtime, _, name = entry.container.partition(":")
        network = lookup.network(self.ctx.store, entry.network)
        owner = table()[runtime].owner(name)
        keeping.judged(network, owner, entry.request.ip, entry.request.ip6)
        addresses = {
            family: Address.parse(text)
            for family, text in ((IPV4, entry.request.ip), (IPV6, entry.request.ip6))
            if text
        }
        return Wish(network, owner, addresses, replace=True)

    def connect(self, entries: Sequence[Entry], plan: Plan) -> None:
        for network, former in _by_network(plan.replaced):
            self._disconnect(network, former, report_done=False)
        # A container that is to be in several networks has a round for each.
        for group in _rounds(entries):
            joined: list[str] = []

            def told(
                number: int,
                outcome: list[Connected] | MacvnetError,
                group: Sequence[Entry] = group,
                joined: list[str] = joined,
            ) -> None:
                self._told(f"{group[number].container} in {group[number].network}", outcome)
                if not isinstance(outcome, MacvnetError):
                    joined += [one.endpoint.id for one in outcome]

            asked = [Asked(one.container, [(one.network, one.request)]) for one in group]
            try:
                connect_many(self.ctx, asked, told, atomic=False, dry_run=False)
            finally:
                self.remember(ENDPOINT, joined)


def _forget(tx: Transaction, key: str) -> None:
    tx.delete(key)


def _by_network(
    pairs: Iterable[tuple[Network, Endpoint]],
) -> Iterator[tuple[Network, list[Endpoint]]]:
    groups: dict[str, tuple[Network, list[Endpoint]]] = {}
    for network, endpoint in pairs:
        groups.setdefault(network.id, (network, []))[1].append(endpoint)
    yield from groups.values()


def _rounds(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    rounds: list[list[Entry]] = []
    count: dict[str, int] = {}
    for entry in entries:
        place = count[entry.container] = count.get(entry.container, -1) + 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(entry)
    yield from rounds
