"""Disconnecting many: a long list of containers, or everything that is in a network.

Knows what of it has to be seen in the state, under the locks, and in which order;
how many links go at once is ``deleting``'s to know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing

from macvnet import runtimes
from macvnet.drivers import driver
from macvnet.engine import deleting, endpoint_link, lookup
from macvnet.engine.context import Context
from macvnet.engine.deleting import Leaving, Sought
from macvnet.engine.disconnect import (
    UNOPENED,
    earlier,
    elect_heirs,
    endpoints_meant,
    forget_if_there,
    left_behind,
    parent_of,
    reached,
    recorded_owner,
    removals,
    take_rules,
)
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.forced import by_endpoint
from macvnet.engine.liveness import drop_host_routes, finish_unfinished, network_of, roll_back
from macvnet.engine.parts import Meanwhile, Part, in_parts, most_with_next, refuse_too_many
from macvnet.engine.reopening import inside_by_pid
from macvnet.errors import MacvnetError, NotFound
from macvnet.kernel.links import LinkInfo
from macvnet.model import Change, Endpoint, Network, SandboxId
from macvnet.records import NamedTuple
from macvnet.runtimes import Target
from macvnet.signals import Uninterrupted

Report = Callable[[int, tuple[Change, ...] | MacvnetError], None]
Asked = str | Endpoint
"""A container as the user names it, or an endpoint that is recorded."""


def disconnect_many(
    ctx: Context,
    networks: Sequence[Network],
    asked: Sequence[Asked],
    report: Report,
    *,
    force: bool = False,
    atomic: bool = False,
    dry_run: bool = False,
) -> None:
    """Disconnect containers from networks; ``report`` is told the number and the end of each.

    Without ``networks`` from all that they are in. ``force`` as for one.
    ``atomic``: all or none; where none, only the refused ones are reported.
    Raises StoreError where the state fails; what was reported stays.
    """
    if not dry_run:
        ctx.claim()
    if atomic:
        refuse_too_many(len(asked))
    most = len(asked) if atomic else most_with_next()
    wanted = _Wanted(networks, asked, force)
    with closing(in_parts(_Part(ctx, wanted, 0, most, set()))) as parts:
        for part, meanwhile in parts:
            part.claim()
            if not dry_run:
                part.take_out(meanwhile, together=atomic)
            part.tell(report, together=atomic)


class _Wanted(NamedTuple):
    """What a whole list is about."""

    networks: Sequence[Network]
    asked: Sequence[Asked]
    force: bool


class _Part(Part):
    """The containers that are disconnected at once. ``claimed``: the endpoints of those before."""

    def __init__(
        self, ctx: Context, wanted: _Wanted, begin: int, most: int, claimed: set[str]
    ) -> None:
        super().__init__(ctx, len(wanted.asked), begin, most)
        self._wanted = wanted
        self._claimed = claimed
        self._known: dict[str, Network | None] = {each.id: each for each in wanted.networks}
        self._parents: dict[str, LinkInfo | None] = {}
        self._leaving: dict[int, Leaving] = {}

    # -- which ------------------------------------------------------------

    def following(self) -> _Part:
        return _Part(self._ctx, self._wanted, self.end, self._most, self._claimed)

    def is_at_once(self, number: int) -> bool:
        asked = self._wanted.asked[number]
        return runtimes.is_at_once(asked if isinstance(asked, str) else str(asked.owner))

    def open_one(self, number: int) -> bool:
        self._leaving[number] = self._open(self._wanted.asked[number])
        return True

    def _open(self, asked: Asked) -> Leaving:
        if not isinstance(asked, str):
            return self._recorded(asked)
        target, at, key = None, None, ""
        try:
            target = runtimes.resolve(asked, self._ctx.reader)
        except MacvnetError as error:
            if not isinstance(error, UNOPENED):
                raise
            missing = error
            target = self._reach(asked)
        if target is not None:
            self.opened.enter_context(target.namespace)
            # Its cookie is told by the socket that is needed anyway.
            at = self._inside(target)
            key = self._key(at)
        try:
            found = self._meant(target, key) if target else self._left(asked, missing)
        except UNOPENED:
            if not self._wanted.force:
                raise
            found = [by_endpoint(self._ctx, network, asked) for network in self._wanted.networks]
        return Leaving(at, key, found)

    def _recorded(self, endpoint: Endpoint) -> Leaving:
        # The number costs nothing, and its runtime may be silent.
        at = inside_by_pid(self._ctx, endpoint)
        if at is not None:
            self.opened.enter_context(at.target.namespace)
            self.opened.callback(at.netlink.close)
        else:
            try:
                target = runtimes.reopen(endpoint.owner, self._ctx.reader)
            except MacvnetError:
                return Leaving(None, "", [endpoint])
            self.opened.enter_context(target.namespace)
            at = self._inside(target)
        return Leaving(at, self._key(at), [endpoint])

    def _key(self, at: Inside) -> str:
        return SandboxId(self._ctx.boot_id, at.target.namespace.cookie).key

    def _inside(self, target: Target) -> Inside:
        at = endpoint_link.inside(self._ctx, target)
        self.opened.callback(at.netlink.close)
        return at

    def _reach(self, container: str) -> Target | None:
        owner = recorded_owner(self._ctx, container)
        found = lookup.endpoints_of_owner(self._ctx.reader, str(owner)) if owner else []
        return reached(self._ctx, found)

    def _meant(self, target: Target, key: str) -> list[Endpoint]:
        if self._wanted.networks:
            each = (endpoints_meant(self._ctx, key, target.owner, n) for n in self._wanted.networks)
            return [endpoint for found in each for endpoint in found]
        found = lookup.endpoints_of_sandbox(self._ctx.reader, key)
        known = {endpoint.id for endpoint in found}
        owned = earlier(self._ctx, target.owner)
        found += [endpoint for endpoint in owned if endpoint.id not in known]
        if not found:
            raise NotFound(f"{target.owner} is connected to no network", "macvnet ls")
        return found

    def _left(self, container: str, missing: MacvnetError) -> list[Endpoint]:
        owner = recorded_owner(self._ctx, container)
        if owner is None:
            raise missing
        if self._wanted.networks:
            each = (left_behind(self._ctx, owner, network) for network in self._wanted.networks)
            return [endpoint for found in each for endpoint in found]
        return lookup.endpoints_of_owner(self._ctx.reader, str(owner))

    def claim(self) -> None:
        """Two names of one sandbox: what the first one takes is not there for the second."""
        for number, one in list(self._leaving.items()):
            taken = [endpoint for endpoint in one.endpoints if endpoint.id in self._claimed]
            if taken:
                network = self._network(taken[0])
                self.refused[number] = NotFound(
                    f"{taken[0].owner} is not connected to network "
                    f"{network.name if network else taken[0].network!r} any more",
                    "name each container once",
                )
                del self._leaving[number]
            else:
                self._claimed.update(endpoint.id for endpoint in one.endpoints)

    def _network(self, endpoint: Endpoint) -> Network | None:
        if endpoint.network not in self._known:
            self._known[endpoint.network] = network_of(self._ctx.reader, endpoint)
        return self._known[endpoint.network]

    # -- out --------------------------------------------------------------

    def take_out(self, meanwhile: Meanwhile, *, together: bool) -> None:
        """Disconnect all that can be; ``together`` all of them or none.

        ``meanwhile`` is done while others are at work on it.
        """
        if together and self.refused:
            return
        every = list(self._leaving.values())
        cookies = [endpoint.sandbox.cookie for one in every for endpoint in one.endpoints]
        with ExitStack() as stack:
            stack.enter_context(self._ctx.sandbox_locks(cookies))
            for one in every:
                with one.trying():
                    one.sought = self._sought(one)
            if together:
                for one in every:
                    with one.trying():
                        self._see(one, None)
                        deleting.look(self._ctx, one)
            if not (together and _refused(every)):
                # From the links to the record nothing may come between.
                stack.enter_context(Uninterrupted())
                if together:
                    deleting.delete_found(every)
                else:
                    self._delete(every, meanwhile)
            staying = together and _refused(every)
            if together and not staying:
                self._forget(every)
            if not staying:
                self._ctx.store.sync()
                self._elect_heirs([one for one in every if one.error is None])
        if staying:
            self._bring_back(every)
        for one in every:
            if one.error is not None:
                self._claimed.difference_update(endpoint.id for endpoint in one.endpoints)

    def _delete(self, every: Sequence[Leaving], meanwhile: Meanwhile) -> None:
        """Delete the links of all, each as soon as it has been looked for, then the records."""
        hands = deleting.Deleting(self._ctx, every, self._inside)

        def besides() -> bool:
            # A few at a time: each commit writes much the same pages.
            gone = hands.gone(deleting.SLICE)
            self._forget(gone)
            return bool(gone) or meanwhile()

        try:
            for begin in range(0, len(every), deleting.SLICE):
                part = range(begin, min(begin + deleting.SLICE, len(every)))
                for number, recorded in zip(part, self._recorded_in(every, part), strict=True):
                    with every[number].trying():
                        self._see(every[number], recorded)
                hands.take([number for number in part if every[number].error is None], besides)
            if len(every) >= deleting.FEW:
                self._ctx.store.begin_sync()
            hands.end(besides)
        finally:
            hands.end(give_up=True)
        self._forget(hands.gone())

    def _recorded_in(
        self, every: Sequence[Leaving], numbers: Sequence[int]
    ) -> list[list[Endpoint] | None]:
        """What is recorded in their sandboxes, in one view."""
        store, keys = self._ctx.store, [every[number].key for number in numbers]
        with store.viewing():
            return [lookup.endpoints_of_sandbox(store, key) if key else None for key in keys]

    def _see(self, one: Leaving, found: list[Endpoint] | None) -> None:
        """See again, under the lock, what is to go; ``found`` as for ``finish_unfinished``."""
        ctx = self._ctx
        if one.at is not None and one.here:
            recorded = {e.id: e for e in finish_unfinished(ctx, one.key, found)}
            # What somebody has taken away, or moved, is no error: it was to go.
            here = [recorded[e.id] for e in one.here if e.id in recorded]
            one.alone = len(here) == len(recorded)
            if here != one.here:
                one.here, one.changed = here, True
                one.sought = self._sought(one)
        one.elsewhere = [now for e in one.elsewhere if (now := self._now(e)) is not None]

    def _sought(self, one: Leaving) -> list[Sought]:
        return [
            (endpoint, driver(network.driver), self._parent(network))
            for endpoint in one.here
            if (network := self._network(endpoint)) is not None
        ]

    def _now(self, endpoint: Endpoint) -> Endpoint | None:
        """The endpoint as it is recorded now; None where it has been taken away, or moved."""
        now = lookup.endpoint(self._ctx.store, endpoint.id)
        return now if now is not None and now.sandbox == endpoint.sandbox else None

    def _parent(self, network: Network) -> LinkInfo | None:
        if network.id not in self._parents:
            self._parents[network.id] = parent_of(self._ctx, network)
        return self._parents[network.id]

    def _forget(self, every: Sequence[Leaving]) -> None:
        ctx = self._ctx
        for one in every:
            with one.trying():
                for endpoint in one.elsewhere:
                    roll_back(ctx, endpoint)
                for endpoint in one.here:
                    network = self._network(endpoint)
                    if endpoint.parent_mac and network is not None:
                        endpoint_link.restore_parent_mac(ctx, endpoint, self._parent(network))
                    drop_host_routes(ctx, network, endpoint)
                    if one.at is not None:
                        take_rules(one.at, endpoint)
        gone = [endpoint for one in every if one.error is None for endpoint in one.here]
        ctx.store.transact_each(forget_if_there, gone, durable=False)

    def _elect_heirs(self, every: Sequence[Leaving]) -> None:
        for one in every:
            if one.at is not None and one.here and not one.alone:
                for endpoint in one.here:
                    elect_heirs(self._ctx, one.at, endpoint.sandbox.key, endpoint.ifindex)

    def _bring_back(self, every: Sequence[Leaving]) -> None:
        """Undo: what is recorded still gets its link again."""
        from macvnet.engine.returning import bring_back

        for one in every:
            for endpoint in one.here:
                network = self._network(endpoint)
                if one.at is None or network is None:
                    continue
                try:
                    bring_back(self._ctx, network, endpoint, one.at.target)
                except MacvnetError as failure:
                    self._ctx.note(f"could not undo: the link of {endpoint.owner}: {failure}")

    # -- told -------------------------------------------------------------

    def tell(self, report: Report, *, together: bool) -> None:
        """Report what has become of each, in order."""
        refused = dict(self.refused)
        refused.update((n, one.error) for n, one in self._leaving.items() if one.error is not None)
        for number in sorted({*refused, *self._leaving}):
            if number in refused:
                report(number, refused[number])
            elif not (together and refused):
                report(number, self._changes(self._leaving[number]))

    def _changes(self, one: Leaving) -> tuple[Change, ...]:
        return tuple(
            change
            for endpoint in one.endpoints
            if (network := self._network(endpoint)) is not None
            for change in removals(network, endpoint)
        )


def _refused(every: Sequence[Leaving]) -> bool:
    return any(one.error is not None for one in every)
