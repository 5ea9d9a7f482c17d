"""The use cases, for every front end alike.

Front ends translate words into requests and results into words; everything in
between is here, as recipes over the modules below.
"""

from __future__ import annotations

from macvnet import keys
from macvnet.blocks import Callable, Sequence
from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.errors import Conflict, MacvnetError, NotFound
from macvnet.model import SLAAC, Change, CreateRequest, Endpoint, EndpointRequest, Network, Owner
from macvnet.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from macvnet.declared import Declaration
    from macvnet.doctor.findings import Finding
    from macvnet.engine.accounting import Next, Place, PoolCounts
    from macvnet.engine.announcing import Announced
    from macvnet.engine.checking import Difference
    from macvnet.engine.connecting_many import Report as ReportConnected
    from macvnet.engine.create import Created
    from macvnet.engine.declaring import Source
    from macvnet.engine.describing import Described
    from macvnet.engine.disconnecting_many import Report as ReportDisconnected
    from macvnet.engine.importing import Imported
    from macvnet.engine.learning import Learnt
    from macvnet.engine.overview import Branch
    from macvnet.engine.planning import Plan
    from macvnet.engine.repairing import Repaired
    from macvnet.engine.restoring import Report as ReportRestored
    from macvnet.engine.restoring import Restored
    from macvnet.engine.router_routes import RouterRoute
    from macvnet.engine.scanning import Scan
    from macvnet.engine.seats import Connected
    from macvnet.engine.traffic import Watcher
    from macvnet.engine.watching import Report as ReportWatched
    from macvnet.kept import Kept
    from macvnet.runtimes import Target
    from macvnet.store import Store

Wanted = Sequence[tuple[str, EndpointRequest]]


class Engine:
    """One command's worth of work; a context manager.

    ``note`` takes sentences for the user, ``trace`` each kernel operation as
    the ``ip`` command that would do the same.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        note: Callable[[str], None],
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._ctx = Context(settings, note, trace)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the state and the kernel."""
        self._ctx.close()

    @property
    def settings(self) -> Settings:
        return self._ctx.settings

    @property
    def store(self) -> Store:
        """The state for changing."""
        return self._ctx.store

    @property
    def reader(self) -> Store:
        """The state for reading; makes nothing where there is none."""
        return self._ctx.reader

    def create(self, request: CreateRequest, *, dry_run: bool = False) -> Created:
        """Create a network."""
        from macvnet.engine.create import create

        return create(self._ctx, request, dry_run=dry_run)

    def remove(self, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
        """Remove a network. NotFound; Conflict while endpoints live."""
        from macvnet.engine.remove import remove

        return remove(self._ctx, term, dry_run=dry_run)

    def enable_host_access(self, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
        """Host and endpoints of a network reach each other from now on."""
        from macvnet.engine.host_access import enable

        return enable(self._ctx, term, dry_run=dry_run)

    def disable_host_access(self, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
        """And from now on no more; what was made for it goes."""
        from macvnet.engine.host_access import disable

        return disable(self._ctx, term, dry_run=dry_run)

    def announce(
        self,
        terms: Sequence[str],
        containers: Sequence[str] = (),
        *,
        report: Callable[[int, int], None],
    ) -> Announced:
        """Announce the living endpoints of networks again, without ``terms`` of all; and wait.

        Only those of ``containers``, where there are any. ``report`` is told how many frames
        of how many have been dealt with.
        """
        from macvnet.engine.announcing import announce_again

        every = sorted(self.networks(), key=lambda each: each.name)
        chosen = [self.network(term) for term in terms] or every
        return announce_again(self._ctx, chosen, containers, report, every=not terms)

    def network(self, term: str) -> Network:
        """The network that a term means: full ID, exact name, unique ID prefix."""
        return lookup.network(self._ctx.reader, term)

    def networks(self) -> list[Network]:
        """Every network, in no particular order."""
        return lookup.networks(self._ctx.reader)

    def endpoints(self, network: Network) -> list[Endpoint]:
        """The endpoints recorded in a network."""
        return lookup.endpoints_of_network(self._ctx.reader, network.id)

    def present(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint's target seems to be there: cheap, from /proc, no proof."""
        from macvnet.runtimes import table

        if endpoint.sandbox.boot_id != self._ctx.boot_id or endpoint.owner.runtime not in table():
            return False
        return table()[endpoint.owner.runtime].present(endpoint, self.reader)

    def learned(self, network: Network, endpoints: Sequence[Endpoint]) -> Learnt:
        """The IPv6 addresses that endpoints of a network have learned from routers, by ID."""
        if network.link.ipv6_mode != SLAAC:
            return {}
        from macvnet.engine import learning

        return learning.look(network, endpoints, self._ctx.boot_id, self.present)

    def router_routes(self, network: Network) -> list[RouterRoute]:
        """The routes that the LAN's router needs for a network, with what the parent has now."""
        from macvnet.engine import router_routes

        return router_routes.look(self._ctx, network)

    def ipam_status(self, terms: Sequence[str] = ()) -> list[PoolCounts]:
        """The pools of some networks, or of all, and how many of their addresses are what."""
        from macvnet.engine import accounting

        some = self._some(terms) or sorted(self.networks(), key=lambda each: each.name)
        return self._ctx.reader.view(lambda reader: accounting.status(reader, some))

    def who(self, address: str) -> list[Place]:
        """What an address is, in each segment that has a pool for it. NotFound."""
        from macvnet.engine import accounting

        boot_id = self._ctx.boot_id
        return self._ctx.reader.view(lambda reader: accounting.who(reader, address, boot_id))

    def following(self, term: str) -> list[Next]:
        """The addresses that the next connect would get; nothing is reserved. Exhausted."""
        from macvnet.engine import accounting

        network = self.network(term)
        return self._ctx.reader.view(lambda reader: accounting.following(reader, network))

    def scan(self, term: str, ranges: Sequence[str] = ()) -> Scan:
        """Ready to ask the LAN who has the addresses that a network gives out, or some ranges."""
        from macvnet.engine.scanning import scan

        return scan(self._ctx, self.network(term), ranges)

    def overview(self, *, everything: bool = False) -> list[Branch]:
        """The host as a tree of links, networks and endpoints; ``everything``: all links."""
        from macvnet.engine.overview import overview

        return overview(self._ctx.reader, self._ctx.boot_id, self.present, everything=everything)

    def watcher(self, terms: Sequence[str] = ()) -> Watcher:
        """What looks at the traffic of some networks' endpoints, or of all; to be closed."""
        from macvnet.engine.traffic import Watcher

        some = self._some(terms)
        chosen = None if some is None else {network.id for network in some}
        return Watcher(self._ctx.reader, self._ctx.boot_id, chosen)

    def excluded(self, network: Network) -> list[str]:
        """The --exclude texts of a network."""
        stored = self._ctx.reader.get(keys.request(network.id)) or {}
        return list(stored.get("excludes", ()))

    def check(self, terms: Sequence[str] = (), *, probe: bool | None = None) -> list[Difference]:
        """What is recorded against what the kernel has; of some networks, or of all.

        ``probe``: also against what other machines on the LAN say, or not. None: where
        addresses are asked for before they are used, if it does not take long.
        """
        from macvnet.engine.checking import check

        some = self._some(terms)
        found = check(self._ctx, some)
        if probe is not False:
            from macvnet.engine.conflicting import conflicts

            found += conflicts(self._ctx, some, everywhere=bool(probe))
        return found

    def diagnose(self, word: str, *, active: bool = False) -> list[Finding]:
        """What stands in the way of a network, parent or container; "": of any network.

        ``active`` makes a link for a moment, to try whether its MAC gets through.
        """
        from macvnet.engine.diagnosing import diagnose

        return diagnose(self._ctx, word, active=active)

    def repair(self, terms: Sequence[str] = (), *, dry_run: bool = False) -> Repaired:
        """Mend what ``check`` finds where that is safe; never a parent."""
        from macvnet.engine.repairing import repair

        return repair(self._ctx, self._some(terms), dry_run=dry_run)

    def restore(
        self, *, wait: float = 0.0, dry_run: bool = False, report: ReportRestored | None = None
    ) -> Restored:
        """Make again what is recorded and missing; ``wait`` in seconds for missing parents.

        ``report`` is told how many things of how many have been looked after.
        """
        from macvnet.engine.restoring import foresee, restore

        return foresee(self._ctx) if dry_run else restore(self._ctx, wait=wait, report=report)

    def watch(self, report: ReportWatched) -> None:
        """Follow runtimes and kernel until an exception (a signal's) ends it."""
        from macvnet.engine.watching import watch

        watch(self._ctx, report)

    def collect(self, *, grace: float | None = None, dry_run: bool = False) -> tuple[Change, ...]:
        """Free what dead sandboxes hold; ``grace`` in seconds, None: as configured."""
        from macvnet.engine.collecting import collect

        if not dry_run:
            self._ctx.claim()
        return collect(self._ctx, grace=grace, dry_run=dry_run)

    def export(self) -> dict[str, Any]:
        """The state as a document, for a backup or for another host."""
        from macvnet.engine.exporting import export

        return export(self._ctx)

    def import_(self, text: str, *, dry_run: bool = False) -> Imported:
        """An exported document becomes the state. Conflict where there are networks already."""
        from macvnet.engine.importing import import_

        return import_(self._ctx, text, dry_run=dry_run)

    def _some(self, terms: Sequence[str]) -> list[Network] | None:
        return [self.network(term) for term in terms] or None

    def prunable(self, *, dry_run: bool = False) -> list[Network]:
        """Networks that nothing is connected to, and for which no lease is kept or reserved.

        Configuration networks stay (docker's rule). Deaths seen are recorded.
        """
        from macvnet.engine.collecting import needed

        return [
            network
            for network in self.networks()
            if not network.config_only
            and not self.reservations(network)
            and not any(
                needed(self._ctx, endpoint, dry_run=dry_run) for endpoint in self.endpoints(network)
            )
        ]

    def connect(
        self, term: str, container: str, request: EndpointRequest, *, dry_run: bool = False
    ) -> Connected:
        """Connect a container to one network; the container is looked up first (as in Docker)."""
        return self.attach(container, [(term, request)], dry_run=dry_run)[0]

    def attach(self, container: str, wanted: Wanted, *, dry_run: bool = False) -> list[Connected]:
        """Connect a container to networks, all or none; without any, to the only network."""
        from macvnet.runtimes import resolve

        try:
            target = resolve(container, self._ctx.reader)
        except NotFound as error:
            from macvnet.runtimes.similar import with_guess

            raise with_guess(error, container, self._ctx.reader) from None
        with target.namespace:
            return self.attach_target(target, wanted, dry_run=dry_run)

    def attach_target(
        self, target: Target, wanted: Wanted, *, dry_run: bool = False
    ) -> list[Connected]:
        """The same for an open target."""
        from macvnet.engine.connect import connect

        found = [(lookup.network(self._ctx.reader, term), request) for term, request in wanted]
        if not found:
            found = [(self._only_network(), EndpointRequest())]
        return connect(self._ctx, target, found, dry_run=dry_run)

    def _only_network(self) -> Network:
        choices = [network for network in self.networks() if not network.config_only]
        if len(choices) == 1:
            return choices[0]
        if not choices:
            raise NotFound(
                "there is no network to attach to",
                "macvnet create -o parent=eth0 --subnet 192.168.1.0/24 --gateway 192.168.1.1 lan",
            )
        names = sorted(network.name for network in choices)
        raise Conflict(
            f"there are {len(names)} networks: {', '.join(names[:10])}"
            + (", ..." if len(names) > 10 else ""),
            f"--network {names[0]}",
        )

    def only_network(self) -> Network:
        """The only network there is; NotFound or Conflict otherwise."""
        return self._only_network()

    def disconnect(
        self, term: str, container: str, *, force: bool = False, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Disconnect a container from one network; a vanished one's record is freed.

        With ``force`` the container may also be an endpoint's ID or recorded name.
        """
        if force:
            from macvnet.engine.forced import disconnect_forced

            return disconnect_forced(self._ctx, term, container, dry_run=dry_run)
        return self.detach(container, [term], dry_run=dry_run)

    def detach(
        self, container: str, terms: Sequence[str], *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Disconnect a container from networks; without any, from all it is in."""
        from macvnet.engine.disconnect import detach

        return detach(self._ctx, container, terms, dry_run=dry_run)

    def reservations(self, network: Network) -> list[Kept]:
        """What is reserved in a network, by owner."""
        return lookup.kept_in_network(self._ctx.reader, network.id)

    def reserve(
        self, term: str, container: str, ip: str = "", ip6: str = "", *, dry_run: bool = False
    ) -> tuple[Kept, Change]:
        """Keep addresses for a container, whether it is up or not; those not given are chosen."""
        from macvnet.engine import keeping

        network = self.network(term)
        wish = keeping.judged(network, keeping.owner_of(self._ctx, container), ip, ip6)
        [outcome] = keeping.reserve(self._ctx, [wish], dry_run=dry_run)
        if isinstance(outcome, MacvnetError):
            raise outcome
        return outcome, keeping.change("create", network, outcome)

    def unreserve(self, term: str, container: str, *, dry_run: bool = False) -> Change:
        """End a reservation; NotFound where there is none."""
        from macvnet.engine import keeping

        network = self.network(term)
        owner = keeping.recorded_owner(self._ctx, network, container)
        [outcome] = keeping.unreserve(self._ctx, [(network, owner)], dry_run=dry_run)
        if isinstance(outcome, MacvnetError):
            raise outcome
        return keeping.change("remove", network, outcome)

    def describe(self, terms: Sequence[str] = ()) -> Described:
        """Networks, reservations and endpoints, of some networks or of all, as a declaration."""
        from macvnet.engine.describing import describe

        chosen = [self.network(term) for term in terms] or self.networks()
        return describe(self._ctx.reader, chosen)

    def plan(self, source: Source, declared: Declaration, *, prune: bool = False) -> Plan:
        """What the state lacks of a declaration. Nothing is changed."""
        from macvnet.engine.planning import plan

        return plan(self._ctx, source, declared, prune=prune)

    def refuse_changed(self, plan: Plan) -> None:
        """Conflict where a plan asks for networks that are there with other settings."""
        from macvnet.engine.applying import refuse_changed

        refuse_changed(plan)

    def apply(
        self, file_id: str, plan: Plan, report: Callable[[str, MacvnetError | None], None]
    ) -> None:
        """Carry out a plan; ``report`` is told of each step and its error."""
        from macvnet.engine.applying import apply

        apply(self._ctx, file_id, plan, report)

    def connect_many(
        self,
        asked: Sequence[tuple[str, Wanted]],
        report: ReportConnected,
        *,
        atomic: bool = False,
        dry_run: bool = False,
    ) -> None:
        """Connect many containers; ``report`` is told what became of each, by its number."""
        from macvnet.engine.connecting_many import Asked, connect_many

        every = [Asked(*one) for one in asked]
        connect_many(self._ctx, every, report, atomic=atomic, dry_run=dry_run)

    def disconnect_many(
        self,
        terms: Sequence[str],
        containers: Sequence[str | Endpoint],
        report: ReportDisconnected,
        *,
        force: bool = False,
        atomic: bool = False,
        dry_run: bool = False,
    ) -> None:
        """Disconnect many containers from networks, without ``terms`` from all they are in.

        ``report`` as for ``connect_many``.
        """
        from macvnet.engine.disconnecting_many import disconnect_many

        networks = [self.network(term) for term in terms]
        disconnect_many(
            self._ctx, networks, containers, report, force=force, atomic=atomic, dry_run=dry_run
        )

    def detach_target(self, target: Target, terms: Sequence[str] = ()) -> tuple[Change, ...]:
        """The same for an open target."""
        from macvnet.engine.disconnect import detach_target

        return detach_target(self._ctx, target, terms)

    def release(self, owner: Owner, terms: Sequence[str]) -> tuple[Change, ...]:
        """Free what an owner that has ended holds in networks; asks no runtime."""
        from macvnet.engine.releasing import release

        return release(self._ctx, owner, terms)
