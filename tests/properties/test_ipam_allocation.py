"""The books of a segment against a naive model: sets of addresses."""

from __future__ import annotations

import contextlib
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from macvnet import keys
from macvnet.addresses import Address, Interval, Subnet
from macvnet.errors import Conflict
from macvnet.ipam.allocation import acquire, keep, next_free, release, unkeep, usage
from macvnet.ipam.counting import count
from macvnet.ipam.installing import check_pools, install_pools, uninstall_pools
from macvnet.ipam.plan import PoolPlan, plan_pool
from macvnet.ipam.runs import Runs
from macvnet.ipam.segment import PoolEntry, lease_holder, overlapping, pool_entry
from macvnet.model import ACTIVE, LinkOptions, Network, Pool
from macvnet.store import Store, Transaction
from macvnet.store.memory import MemoryBackend
from macvnet.store.sqlite import SqliteBackend
from tests.bench import filling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from macvnet.store.backend import Guard, Operation, Row

SEGMENT = "default"
BASE = Address.parse("10.0.0.0").value


def network(number: int, pools: tuple[Pool, ...]) -> Network:
    return Network(
        f"n{number}", f"net{number}", "macvlan", "", ACTIVE, True, False, False, False, False,
        "", {}, {}, "default", {}, SEGMENT, LinkOptions(), None, pools,
    )  # fmt: skip


class Books(RuleBasedStateMachine):
    """Networks come and go on one /26, many of them overlapping, and so do endpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make_store()
        self.networks: dict[int, tuple[Network, list[PoolPlan]]] = {}
        self.held: dict[int, tuple[str, int]] = {}  # address: (endpoint or "", network)
        self.kept: dict[int, tuple[str, str]] = {}  # address: claim
        self.count = 0

    def make_store(self) -> Store:
        return Store(MemoryBackend())

    @rule(
        block=st.tuples(st.integers(26, 31), st.integers(0, 63)),
        bounds=st.none() | st.tuples(st.integers(0, 63), st.integers(0, 63)),
        gateway=st.none() | st.integers(0, 63),
        onlink=st.booleans(),
        aux=st.sets(st.integers(0, 63), max_size=4),
        excludes=st.sets(st.integers(0, 63), max_size=30),
        crash=st.none() | st.integers(1, 4),
    )
    def install(
        self,
        block: tuple[int, int],
        bounds: tuple[int, int] | None,
        gateway: int | None,
        onlink: bool,
        aux: set[int],
        excludes: set[int],
        crash: int | None,
    ) -> None:
        prefixlen, offset = block
        size = 1 << (32 - prefixlen)
        subnet = Subnet(4, BASE + offset // size * size, prefixlen)
        usable = [
            value for value in range(subnet.first, subnet.last + 1) if value not in subnet.reserved
        ]
        ranges: tuple[Interval, ...] = ()
        if bounds:
            first, last = sorted(subnet.first + bound % size for bound in bounds)
            ranges = (Interval(first, last),)
        router = None
        if gateway is not None and onlink:
            router = Address(4, BASE + gateway)
        elif gateway is not None:
            router = Address(4, usable[gateway % len(usable)])
        named = {usable[value % len(usable)] for value in aux} - {router.value if router else 0}
        pool = Pool(
            f"pool{self.count}",
            subnet,
            router,
            ranges,
            aux=tuple((str(value), Address(4, value)) for value in sorted(named)),
            onlink=bool(router and not subnet.holds(router)),
        )
        plan = plan_pool(pool, excludes=[Interval(BASE + n, BASE + n) for n in excludes])
        self.count += 1
        number = self.count
        others = [
            other.pool
            for net, plans in self.networks.values()
            for other in plans
            if other.pool.subnet.overlaps(subnet)
        ]
        allowed = all(other.ranges and ranges for other in others)
        claimed = named | ({router.value} if router else set())
        allowed = allowed and not any(value in self.held for value in claimed)
        record = network(number, (pool,))
        if not allowed:
            before = self.store.scan("")
            with pytest.raises(Conflict):
                self.store.view(lambda tx: check_pools(tx, SEGMENT, record.id, [plan]))
            with pytest.raises(Conflict):
                install_pools(self.store, SEGMENT, record.id, record.name, [plan])
            assert self.store.scan("") == before
        elif crash:
            self.crashing(crash, lambda: self.install_one(record, plan))
            uninstall_pools(self.store, SEGMENT, record)
        else:
            self.install_one(record, plan)
            self.networks[number] = record, [plan]

    def install_one(self, record: Network, plan: PoolPlan) -> None:
        install_pools(self.store, SEGMENT, record.id, record.name, [plan])

    def crashing(self, after: int, action: Callable[[], None]) -> None:
        left = after

        def crash(stage: str, operations: Sequence[Operation]) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

        self.store.commit_hook = crash
        with contextlib.suppress(KeyboardInterrupt):
            action()
        self.store.commit_hook = None

    @precondition(lambda self: self.networks)
    @rule(data=st.data(), crash=st.none() | st.integers(1, 4))
    def uninstall(self, data: st.DataObject, crash: int | None) -> None:
        number = data.draw(st.sampled_from(sorted(self.networks)))
        if any(holder == number for _, holder in self.held.values()):
            return
        record, _ = self.networks.pop(number)
        if crash:
            self.crashing(crash, lambda: uninstall_pools(self.store, SEGMENT, record))
        uninstall_pools(self.store, SEGMENT, record)
        before = self.store.scan("")
        uninstall_pools(self.store, SEGMENT, record)
        assert self.store.scan("") == before

    @precondition(lambda self: self.networks)
    @rule(data=st.data(), avoid=st.sets(st.integers(0, 63), max_size=10))
    def acquire_lowest(self, data: st.DataObject, avoid: set[int]) -> None:
        number = data.draw(st.sampled_from(sorted(self.networks)))
        record, (plan,) = self.networks[number]
        avoided = {Address(4, BASE + value) for value in avoid}
        free = sorted(self.free(plan) - {address.value for address in avoided})
        expected = Address(4, free[0]) if free else None
        assert next_free(self.store, plan.pool, avoided) == expected
        endpoint = f"e{len(self.held)}"
        chosen = self.store.transact(
            lambda tx: acquire(tx, SEGMENT, record.name, plan.pool, None, endpoint, avoided)
        )
        assert chosen == expected
        if chosen:
            self.held[chosen.value] = endpoint, number

    @precondition(lambda self: self.networks)
    @rule(data=st.data(), offset=st.integers(0, 63))
    def acquire_wanted(self, data: st.DataObject, offset: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.networks)))
        record, (plan,) = self.networks[number]
        subnet = plan.pool.subnet
        wanted = Address(4, subnet.first + offset % subnet.interval.size)
        if wanted.value in self.taken() or wanted.value in subnet.reserved:
            with pytest.raises(Conflict, match=str(wanted)):
                self.store.transact(
                    lambda tx: acquire(tx, SEGMENT, record.name, plan.pool, wanted, "e")
                )
            return
        chosen = self.store.transact(
            lambda tx: acquire(tx, SEGMENT, record.name, plan.pool, wanted, "explicit")
        )
        assert chosen == wanted
        self.held[wanted.value] = "explicit", number

    @rule(data=st.data())
    def release_held(self, data: st.DataObject) -> None:
        if self.held:
            value = data.draw(st.sampled_from(sorted(self.held)))
            endpoint, number = self.held.pop(value)
            if value in self.kept:
                self.held[value] = "", number
            self.store.transact(lambda tx: release(tx, SEGMENT, Address(4, value), endpoint))

    @precondition(lambda self: self.networks)
    @rule(data=st.data(), offset=st.none() | st.integers(0, 63), owner=st.sampled_from("ab"))
    def reserve(self, data: st.DataObject, offset: int | None, owner: str) -> None:
        """What is free, chosen or not; what an endpoint has; and nothing that is another's."""
        number = data.draw(st.sampled_from(sorted(self.networks)))
        record, (plan,) = self.networks[number]
        subnet = plan.pool.subnet
        claim = record.id, owner
        wanted = None
        if offset is not None:
            wanted = Address(4, subnet.first + offset % subnet.interval.size)
        if wanted and wanted.value in self.held and self.held[wanted.value][0]:
            marked = self.store.transact(lambda tx: keep(tx, SEGMENT, wanted, claim))
            assert marked == (self.kept.get(wanted.value, claim) == claim)
            self.kept.setdefault(wanted.value, claim)
            return
        taken = wanted and (wanted.value in self.taken() or wanted.value in subnet.reserved)
        own = wanted and self.kept.get(wanted.value) == claim
        if taken and not own:
            with pytest.raises(Conflict, match=str(wanted)):
                self.store.transact(
                    lambda tx: acquire(tx, SEGMENT, record.name, plan.pool, wanted, "", (), claim)
                )
            return
        free = sorted(self.free(plan))
        chosen = self.store.transact(
            lambda tx: acquire(tx, SEGMENT, record.name, plan.pool, wanted, "", (), claim)
        )
        assert chosen == (wanted or (Address(4, free[0]) if free else None))
        if chosen and not own:
            self.held[chosen.value] = "", number
            self.kept[chosen.value] = claim

    @rule(data=st.data(), own=st.booleans())
    def connect_to_what_is_reserved(self, data: st.DataObject, own: bool) -> None:
        waiting = sorted(value for value, (endpoint, _) in self.held.items() if not endpoint)
        if not waiting:
            return
        value = data.draw(st.sampled_from(waiting))
        number = self.held[value][1]
        record, (plan,) = self.networks[number]
        address = Address(4, value)
        claim = self.kept[value] if own else ("other", "owner")

        def connect(tx: Transaction) -> Address | None:
            return acquire(tx, SEGMENT, record.name, plan.pool, address, "e", (), claim)

        if own:
            assert self.store.transact(connect) == address
            self.held[value] = "e", number
        else:
            with pytest.raises(Conflict, match="the reservation for"):
                self.store.transact(connect)

    @rule(data=st.data(), own=st.booleans())
    def unreserve(self, data: st.DataObject, own: bool) -> None:
        if not self.kept:
            return
        value = data.draw(st.sampled_from(sorted(self.kept)))
        claim = self.kept[value] if own else ("other", "owner")
        self.store.transact(lambda tx: unkeep(tx, SEGMENT, Address(4, value), claim))
        if own:
            del self.kept[value]
            if not self.held[value][0]:
                del self.held[value]

    @rule(offset=st.integers(0, 63))
    def release_of_another_holder_does_nothing(self, offset: int) -> None:
        before = self.store.scan("")
        address = Address(4, BASE + offset)
        self.store.transact(lambda tx: release(tx, SEGMENT, address, "stranger"))
        assert self.store.scan("") == before

    @invariant()
    def free_runs_are_allowed_less_held_in_maximal_runs(self) -> None:
        for _, plans in self.networks.values():
            for plan in plans:
                runs = Runs(self.store, plan.pool.id, 4).free()
                values = {v for run in runs for v in range(run.first, run.last + 1)}
                assert values == self.free(plan)
                assert all(one.last + 1 < two.first for one, two in pairwise(runs))
                counted = usage(self.store, SEGMENT, plan.pool)
                subnet = plan.pool.subnet
                inside = {v for v in self.taken() | set(subnet.reserved) if v in subnet.interval}
                assert counted == (len(inside), len(values))

    @invariant()
    def counts_by_kind_are_those_of_counting_one_by_one(self) -> None:
        by_endpoints = {value for value, (endpoint, _) in self.held.items() if endpoint}
        claimed = self.taken() - by_endpoints
        own = {Address(4, BASE + 7), Address(4, BASE + 40)}
        for _, plans in self.networks.values():
            for plan in plans:
                subnet = plan.pool.subnet
                every = set(range(subnet.first, subnet.last + 1))
                used = every & by_endpoints
                hosts = {address.value for address in own}
                reserved = (every & (claimed | set(subnet.reserved) | hosts)) - used
                free = self.free(plan) - hosts
                claims = [Address(4, value) for value in claimed]
                assert count(self.store, SEGMENT, plan.pool, claims, own) == (
                    len(used), len(reserved), len(every - used - reserved - free), len(free),
                )  # fmt: skip

    @invariant()
    def every_held_address_has_its_holder(self) -> None:
        for value, (endpoint, _) in self.held.items():
            holder = lease_holder(self.store, SEGMENT, Address(4, value))
            assert holder
            assert (holder.endpoint, holder.kept) == (endpoint, self.kept.get(value))
        assert len(self.store.scan(keys.leases(SEGMENT, 4))) == len(self.taken())

    @invariant()
    def overlaps_are_found_as_by_comparing_all(self) -> None:
        everyone = [plan.pool for _, plans in self.networks.values() for plan in plans]
        for subnet in (Subnet(4, BASE + 16, 28), Subnet(4, BASE, 8), Subnet(4, BASE + 33, 32)):
            found = {entry.id for entry in overlapping(self.store, SEGMENT, subnet)}
            assert found == {pool.id for pool in everyone if pool.subnet.overlaps(subnet)}
        for pool in everyone:
            entry = pool_entry(self.store, SEGMENT, pool.subnet, pool.id)
            assert entry
            known = [neighbour.id for neighbour in entry.neighbours]
            others = [p.id for p in everyone if p.subnet.overlaps(pool.subnet) and p != pool]
            assert sorted(known) == sorted(others)

    @invariant()
    def nothing_is_left_of_networks_that_went(self) -> None:
        if not self.networks:
            assert {key for key, _ in self.store.scan("")} <= {keys.segment(SEGMENT)}

    def taken(self) -> set[int]:
        pools = [plan.pool for _, plans in self.networks.values() for plan in plans]
        claimed = {pool.gateway.value for pool in pools if pool.gateway}
        return claimed | {a.value for pool in pools for _, a in pool.aux} | set(self.held)

    def free(self, plan: PoolPlan) -> set[int]:
        allowed = {v for run in plan.allowed for v in range(run.first, run.last + 1)}
        return allowed - self.taken()


def test_overlaps_are_found_among_hundreds_of_pools() -> None:
    store = Store(MemoryBackend())
    pools = [
        Pool(f"p{prefixlen}-{n}", Subnet(4, BASE + n * (1 << (32 - prefixlen)), prefixlen),
             None, (Interval(BASE, BASE),))
        for prefixlen in (24, 26, 32)
        for n in range(min(256, 1 << (prefixlen - 22)))
    ]  # fmt: skip
    for pool in pools:
        entry = PoolEntry(pool.id, pool.subnet, "n", "net", None)
        store.transact(partial(put_entry, pool=pool, entry=entry))
    for text in ("10.0.0.0/24", "10.0.0.0/25", "10.0.0.77/32", "10.0.2.0/23", "0.0.0.0/0"):
        subnet = Subnet.parse(text)
        found = [entry.id for entry in overlapping(store, SEGMENT, subnet)]
        assert len(found) == len(set(found))
        assert set(found) == {pool.id for pool in pools if pool.subnet.overlaps(subnet)}


def put_entry(tx: Transaction, pool: Pool, entry: PoolEntry) -> None:
    tx.put(keys.pool(SEGMENT, pool.subnet, pool.id), entry.to_json())


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=250, stateful_step_count=30, deadline=None)


class Counting(SqliteBackend):
    """Counts the verbs used."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.verbs: list[str] = []

    def get(self, key: str) -> Row | None:
        self.verbs.append("get")
        return super().get(key)

    def scan(self, low: str, high: str, *, limit: int | None, reverse: bool) -> list[Row]:
        rows = super().scan(low, high, limit=limit, reverse=reverse)
        self.verbs.append(f"scan of {len(rows)}")
        return rows

    def commit(self, operations: Sequence[Operation], guards: Sequence[Guard] = ()) -> None:
        self.verbs.append(f"commit of {len(operations)}")
        super().commit(operations, guards)


def cost(directory: Path, subnet: str, leases: int, excluded: int) -> list[str]:
    """The verbs of one acquire and one release, with so many leases and exclusions."""
    backend = Counting(str(directory))
    store = Store(backend)
    pool = Pool("p", Subnet.parse(subnet))
    last = pool.subnet.last - 2
    holes = [Interval(last - 3 * n, last - 3 * n) for n in range(excluded)]
    install_pools(store, SEGMENT, "n", "net", [plan_pool(pool, excludes=holes)])
    network = cast(Network, SimpleNamespace(segment=SEGMENT, id="0" * 64))
    assert filling.leases(store, network, pool, leases, whole=False) == leases
    backend.verbs.clear()
    address = store.transact(lambda tx: acquire(tx, SEGMENT, "net", pool, None, "mine"))
    assert address
    store.transact(lambda tx: release(tx, SEGMENT, address, "mine"))
    store.close()
    return backend.verbs


def test_an_address_costs_the_same_however_many_are_held(tmp_path: Path) -> None:
    cases = [
        ("10.0.0.0/24", 10, 0),
        ("10.0.0.0/24", 200, 10),
        ("10.0.0.0/16", 10, 0),
        ("10.0.0.0/16", 10, 10000),
        ("10.0.0.0/8", 65000, 0),
        ("2001:db8::/64", 10, 0),
        ("2001:db8::/64", 5000, 10000),
    ]
    costs = {case: cost(tmp_path / str(number), *case) for number, case in enumerate(cases)}
    assert len({tuple(verbs) for verbs in costs.values()}) == 1, costs
    assert len(costs[cases[0]]) < 20
