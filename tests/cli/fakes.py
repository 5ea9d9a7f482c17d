"""An engine without kernel or files: records what it is asked, answers from memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from macvnet.addresses import Address, Subnet
from macvnet.declared import Declaration
from macvnet.doctor.findings import Finding
from macvnet.engine.accounting import Next, Place, PoolCounts
from macvnet.engine.announcing import Announced
from macvnet.engine.checking import ENDPOINT_MISSING, PARENT_DOWN, Difference
from macvnet.engine.declaring import Source
from macvnet.engine.describing import Described
from macvnet.engine.following import Act
from macvnet.engine.importing import Imported
from macvnet.engine.overview import UP, Branch, Carried, Leaf
from macvnet.engine.planning import Plan
from macvnet.engine.repairing import Repaired
from macvnet.engine.restoring import Made, Restored
from macvnet.engine.router_routes import RouterRoute
from macvnet.engine.scanning import Stranger
from macvnet.engine.traffic import Counted, Look
from macvnet.engine.watching import Report
from macvnet.errors import Conflict, MacvnetError, NotFound
from macvnet.ipam.counting import Counts
from macvnet.kept import Kept
from macvnet.kernel.learned import Learned
from macvnet.kernel.sight import Seen, Traffic
from macvnet.model import (
    ACTIVE,
    JOINED,
    Assigned,
    Change,
    CreateRequest,
    Endpoint,
    EndpointRequest,
    LinkOptions,
    Network,
    Owner,
    Parent,
    Pool,
    SandboxId,
)
from macvnet.settings import Settings

CREATED = "2026-11-24T02:26:04.084005330Z"


class Created(NamedTuple):
    network: Network
    changes: tuple[Change, ...]


class Connected(NamedTuple):
    network: Network
    endpoint: Endpoint
    changes: tuple[Change, ...]


class EmptyStore:
    """Holds nothing."""

    def get(self, key: str) -> None:
        return None

    def parsed(self, key: str, parse: Callable[[Any], Any]) -> None:
        return None

    def scan(self, prefix: str, **bounds: Any) -> list[tuple[str, Any]]:
        return []


def network(name: str, number: int = 1, **changed: Any) -> Network:
    """A network on eth0 whose ID begins with its number."""
    values: dict[str, Any] = {
        "id": f"{number:02x}" * 32,
        "name": name,
        "driver": "macvlan",
        "created": CREATED,
        "state": ACTIVE,
        "ipv4": True,
        "ipv6": True,
        "internal": False,
        "attachable": False,
        "config_only": False,
        "config_from": "",
        "options": {"parent": "eth0"},
        "labels": {"env": "test", "a": ""},
        "ipam_driver": "default",
        "ipam_options": {},
        "segment": "default",
        "link": LinkOptions(parent="eth0", mode="bridge"),
        "parent": Parent("eth0", "lan0", 3, "02:00:00:00:00:01", "boot"),
        "pools": (
            Pool("p6", Subnet.parse("2001:db8::/64")),
            Pool(
                "p4",
                Subnet.parse("192.0.2.0/24"),
                gateway=Address.parse("192.0.2.1"),
                range_texts=("192.0.2.128/26", "192.0.2.10-192.0.2.19"),
                aux=(("nas", Address.parse("192.0.2.9")),),
            ),
        ),
    }
    return Network(**{**values, **changed})


def endpoint(of: Network, number: int = 1, **changed: Any) -> Endpoint:
    """An endpoint with an address of each family."""
    values: dict[str, Any] = {
        "id": f"{0xE0 + number:02x}" * 32,
        "network": of.id,
        "host_id": "host",
        "state": JOINED,
        "owner": Owner("netns", "web"),
        "sandbox": SandboxId("boot", 7),
        "pid": None,
        "ifname": f"eth{number - 1}",
        "ifindex": 2,
        "mac": "4a:11:6b:03:9e:42",
        "addresses": (
            Assigned(
                "p4", Address.parse("192.0.2.10"), 24, Address.parse("192.0.2.1"), False, True
            ),
            Assigned("p6", Address.parse("2001:db8::2"), 64, None, False, False),
        ),
        "sequence": number,
    }
    return Endpoint(**{**values, **changed})


def seen(name: str, **changed: Any) -> Seen:
    """A link that is up."""
    link = Seen(3, name, "", 0x10001, 0, False, 0, None, "", Traffic(0, 0, 0, 0))
    return link._replace(**changed)


class Looks:
    """Three looks at traffic, a second between them, long ago; then somebody types Ctrl-C."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = endpoints
        self.number = 0
        self.closed = False

    def look(self) -> Look:
        self.number += 1
        if self.number > 3:
            raise KeyboardInterrupt
        return Look(
            self.number - 100.0,
            {
                one.id: Counted(
                    one,
                    "lan",
                    one.ifindex,
                    Traffic(*(self.number * place * count for count in (2, 1, 250, 125))),
                )
                for place, one in enumerate(self.endpoints, 1)
            },
        )

    def close(self) -> None:
        self.closed = True


class FakeScan:
    """Finds what it is told; ``ended_by`` comes after three of seven frames."""

    total = 7

    def __init__(self, strangers: list[Stranger], ended_by: BaseException | None) -> None:
        self.done = 0
        self.changes = [Change("ask", "address", "192.0.2.1-192.0.2.7 on eth0")]
        self._strangers = strangers
        self._ended_by = ended_by

    def run(self, report: Callable[[int, int], None]) -> None:
        while self.done < self.total:
            self.done += 1
            report(self.done, self.total)
            if self.done == 3 and self._ended_by is not None:
                raise self._ended_by

    def found(self) -> list[Stranger]:
        return self._strangers


class FakeEngine:
    """Stands in for Engine; ``asked`` has every changing call in order."""

    def __init__(self, *networks: Network) -> None:
        self.known = list(networks)
        self.joined: dict[str, list[Endpoint]] = {}
        self.kept: dict[str, dict[str, Kept]] = {}
        self.asked: list[tuple[Any, ...]] = []
        self.reader = EmptyStore()
        self.settings = Settings()
        self.busy: set[str] = set()
        self.trace: Callable[[str], None] | None = None
        self.fail: BaseException | None = None
        self.differs = False
        self.gone: set[str] = set()
        self.learnt: dict[str, tuple[Learned, ...]] = {}
        self.places: list[Place] = []
        self.strangers: list[Stranger] = []
        self.conflicts: list[Difference] = []
        self.pending: tuple[str, ...] = ()
        self.acts: list[Act] = []
        self.ended_by: BaseException | None = None
        self.failed: tuple[tuple[str, MacvnetError], ...] = ()

    def __call__(
        self,
        settings: Settings,
        *,
        note: Callable[[str], None],
        trace: Callable[[str], None] | None = None,
    ) -> FakeEngine:
        self.settings, self.note, self.trace = settings, note, trace
        if self.fail is not None:
            raise self.fail
        return self

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def create(self, request: CreateRequest, *, dry_run: bool = False) -> Created:
        self.asked.append(("create", request, dry_run))
        if self.trace:
            self.trace("ip link add eth0.50")
        changes = (Change("create", "network", request.name), Change("create", "link", "eth0.50"))
        return Created(network(request.name), changes)

    def remove(self, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
        found = self.network(term)
        if found.name in self.busy:
            raise Conflict(f"network '{found.name}' has endpoints", "macvnet disconnect")
        self.asked.append(("remove", term, dry_run))
        if not dry_run:
            self.known.remove(found)
        return (Change("remove", "network", found.name),)

    def enable_host_access(self, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
        self.asked.append(("enable host access", self.network(term).name, dry_run))
        return (Change("create", "link", "mvh-eth0 type macvlan on eth0"),)

    def disable_host_access(self, term: str, *, dry_run: bool = False) -> tuple[Change, ...]:
        self.asked.append(("disable host access", self.network(term).name, dry_run))
        return (Change("remove", "link", "mvh-eth0 type macvlan"),)

    def announce(
        self,
        terms: Sequence[str],
        containers: Sequence[str] = (),
        *,
        report: Callable[[int, int], None],
    ) -> Announced:
        chosen = [self.network(term) for term in terms] or self.known
        self.asked.append(("announce", [one.name for one in chosen], tuple(containers)))
        report(1, 1)
        refused = Conflict("the parent 'eth0' is missing", "ip -br link")
        done = tuple(one for one in chosen if one.name not in self.busy)
        return Announced(done, tuple((one, refused) for one in chosen if one.name in self.busy))

    def network(self, term: str) -> Network:
        for one in self.known:
            if term in (one.name, one.id):
                return one
        raise NotFound(f"network '{term}' does not exist", "macvnet ls")

    def export(self) -> dict[str, Any]:
        return {"networks": [one.name for one in self.known]}

    def import_(self, text: str, *, dry_run: bool = False) -> Imported:
        self.asked.append(("import", text, dry_run))
        return Imported((), (), ())

    def networks(self) -> list[Network]:
        return list(self.known)

    def present(self, endpoint: Endpoint) -> bool:
        return endpoint.id not in self.gone

    def only_network(self) -> Network:
        if not self.known:
            raise NotFound("there is no network to attach to", "macvnet create")
        if len(self.known) > 1:
            raise Conflict("there are 2 networks: lan, v50", "--network lan")
        return self.known[0]

    def endpoints(self, of: Network) -> list[Endpoint]:
        return sorted(self.joined.get(of.id, []), key=lambda one: one.sequence)

    def learned(self, of: Network, endpoints: Sequence[Endpoint]) -> dict[str, tuple[Learned, ...]]:
        return self.learnt

    def router_routes(self, of: Network) -> list[RouterRoute]:
        if of.link.mode != "l3":
            return []
        return [RouterRoute(pool.subnet, pool.gateway) for pool in of.pools]

    def excluded(self, of: Network) -> list[str]:
        return ["192.0.2.130"]

    def prunable(self, *, dry_run: bool = False) -> list[Network]:
        return [one for one in self.known if not self.endpoints(one) and not one.config_only]

    def connect(
        self, term: str, container: str, request: EndpointRequest, *, dry_run: bool = False
    ) -> Connected:
        self.asked.append(("connect", term, container, request, dry_run))
        found = self.network(term)
        return Connected(found, endpoint(found), (Change("create", "endpoint", container),))

    def disconnect(
        self, term: str, container: str, *, force: bool = False, dry_run: bool = False
    ) -> tuple[Change, ...]:
        self.asked.append(("disconnect", term, container, force, dry_run))
        return ()

    def attach(
        self,
        container: str,
        wanted: Sequence[tuple[str, EndpointRequest]],
        *,
        dry_run: bool = False,
    ) -> list[Connected]:
        self.asked.append(("attach", container, tuple(wanted), dry_run))
        return [
            Connected(one, endpoint(one, number), (Change("create", "endpoint", one.name),))
            for number, one in enumerate(map(self.network, [term for term, _ in wanted]), 1)
        ]

    def reservations(self, of: Network) -> list[Kept]:
        return list(self.kept.get(of.id, {}).values())

    def reserve(
        self, term: str, container: str, ip: str = "", ip6: str = "", *, dry_run: bool = False
    ) -> tuple[Kept, Change]:
        self.asked.append(("reserve", term, container, ip, ip6, dry_run))
        found = self.network(term)
        runtime, _, name = container.rpartition(":")
        texts = (ip or "192.0.2.20", ip6 or "2001:db8::20")
        addresses = tuple((text[:3], Address.parse(text)) for text in texts)
        kept = Kept(found.id, Owner(runtime or "netns", name), addresses)
        if not dry_run:
            self.kept.setdefault(found.id, {})[str(kept.owner)] = kept
        return kept, Change("create", "reservation", f"for {kept.owner}")

    def unreserve(self, term: str, container: str, *, dry_run: bool = False) -> Change:
        self.asked.append(("unreserve", term, container, dry_run))
        if container not in self.kept.get(self.network(term).id, {}):
            raise NotFound(f"nothing is reserved for '{container}'", "macvnet inspect")
        return Change("remove", "reservation", f"for {container}")

    def describe(self, terms: Sequence[str] = ()) -> Described:
        chosen = [self.network(term) for term in terms] or self.known
        return Described(Declaration("", tuple(CreateRequest(one.name) for one in chosen)), 2)

    def plan(self, source: Source, declared: Declaration, *, prune: bool = False) -> Plan:
        names = {one.name for one in self.known}
        lost = [one for one in self.known if prune and one.name not in str(declared.networks)]
        return Plan(
            removed_networks=tuple(lost),
            changed=tuple((one, "gateway is 1, not 2") for one in self.known if self.differs),
            networks=tuple(one for one in declared.networks if one.name not in names),
        )

    def refuse_changed(self, plan: Plan) -> None:
        if plan.changed:
            raise Conflict("network 'lan' is there with other settings", "macvnet rm lan")

    def apply(
        self, file_id: str, plan: Plan, report: Callable[[str, MacvnetError | None], None]
    ) -> None:
        self.asked.append(("apply", file_id, [one.name for one in plan.networks]))
        for one in plan.networks:
            bad = one.name in self.busy
            report(f"network {one.name}", Conflict("it is there", "macvnet ls") if bad else None)

    def connect_many(
        self,
        asked: Sequence[tuple[str, Sequence[tuple[str, EndpointRequest]]]],
        report: Callable[[int, Any], None],
        *,
        atomic: bool = False,
        dry_run: bool = False,
    ) -> None:
        for number, (container, wanted) in enumerate(asked):
            try:
                report(number, self.attach(container, wanted, dry_run=dry_run))
            except MacvnetError as error:
                report(number, error)

    def disconnect_many(
        self,
        terms: Sequence[str],
        containers: Sequence[str | Endpoint],
        report: Callable[[int, Any], None],
        *,
        force: bool = False,
        atomic: bool = False,
        dry_run: bool = False,
    ) -> None:
        for number, container in enumerate(containers):
            report(number, self.detach(str(container), terms, dry_run=dry_run))

    def detach(
        self, container: str, terms: Sequence[str], *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        self.asked.append(("detach", container, tuple(terms), dry_run))
        return (Change("remove", "endpoint", container),)

    def ipam_status(self, terms: Sequence[str] = ()) -> list[PoolCounts]:
        chosen = [self.network(term) for term in terms] or self.known
        counts = {4: Counts(3, 5, 124, 124), 6: Counts(1, 1, 0, (1 << 64) - 2)}
        return [PoolCounts(one, pool, counts[pool.family]) for one in chosen for pool in one.pools]

    def who(self, address: str) -> list[Place]:
        found = list(self.places)
        if not found:
            raise NotFound(f"the address {address} is in no pool", "macvnet ipam status")
        return found

    def scan(self, term: str, ranges: Sequence[str] = ()) -> FakeScan:
        self.asked.append(("scan", self.network(term).name, tuple(ranges)))
        return FakeScan(self.strangers, self.ended_by)

    def overview(self, *, everything: bool = False) -> list[Branch]:
        leaves = {
            one.id: tuple(Leaf(each, UP) for each in self.endpoints(one)) for one in self.known
        }
        carried = tuple(Carried(one, leaves[one.id]) for one in self.known)
        roots = [Branch("eth0", seen("eth0"), False, (), carried, ())] if carried else []
        return roots + [Branch("lan1", seen("lan1"), False, (), (), ())] * everything

    def watcher(self, terms: Sequence[str] = ()) -> Looks:
        chosen = [self.network(term) for term in terms] or self.known
        return Looks([one for network in chosen for one in self.endpoints(network)])

    def following(self, term: str) -> list[Next]:
        found = self.network(term)
        return [Next(pool, Address(pool.family, pool.subnet.first + 7)) for pool in found.pools]

    def _differences(self, terms: Sequence[str]) -> list[Difference]:
        chosen = [self.network(term) for term in terms] or self.known
        if not self.differs:
            return []
        return [
            Difference(kind, f"network {one.name}", text, one, endpoint(one) if held else None)
            for one in chosen
            for kind, text, held in (
                (ENDPOINT_MISSING, "its link eth0 is missing", True),
                (PARENT_DOWN, "the parent eth0 is down", False),
            )
        ]

    def check(self, terms: Sequence[str] = (), *, probe: bool | None = None) -> list[Difference]:
        self.asked.append(("check", tuple(terms), probe))
        return self._differences(terms) + self.conflicts * bool(probe)

    def diagnose(self, word: str, *, active: bool = False) -> list[Finding]:
        self.asked.append(("diagnose", word, active))
        if word:
            self.network(word)
        evidence = "nobody answers for the gateway 192.0.2.1 on eth0\x1b"
        found = Finding("gateway-silent", f"network {word}", evidence, "arping -I eth0 192.0.2.1")
        return [found] if self.differs else []

    def repair(self, terms: Sequence[str] = (), *, dry_run: bool = False) -> Repaired:
        self.asked.append(("repair", tuple(terms), dry_run))
        found = self._differences(terms)
        left = tuple((one, "a parent is never changed") for one in found if one.endpoint is None)
        return Repaired(tuple(one for one in found if one.endpoint), left)

    def restore(
        self,
        *,
        wait: float = 0.0,
        dry_run: bool = False,
        report: Callable[[int, int], None] | None = None,
    ) -> Restored:
        self.asked.append(("restore", wait, dry_run))
        if dry_run:
            return Restored((), self.pending, (), (Change("create", "link", "eth0.50"),))
        return Restored((Made("lan", "eth0.50"),), self.pending, self.failed)

    def watch(self, report: Report) -> None:
        self.asked.append(("watch",))
        for act in self.acts:
            report.act(act)
        report.burst(0.0)
        if self.ended_by is not None:
            raise self.ended_by

    def collect(self, *, grace: float | None = None, dry_run: bool = False) -> tuple[Change, ...]:
        self.asked.append(("collect", grace, dry_run))
        return (Change("remove", "endpoint", "of pid:7 from network lan"),)
