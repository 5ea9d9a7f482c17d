"""A store against a dictionary, and under several processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from macvnet import keys
from macvnet.addresses import Address, Interval, Subnet
from macvnet.ipam.allocation import usage
from macvnet.ipam.installing import install_pools
from macvnet.ipam.plan import plan_pool
from macvnet.model import Pool
from macvnet.store import KeyTaken, Store, Transaction, open_store
from macvnet.store.memory import MemoryBackend

if TYPE_CHECKING:
    from pathlib import Path

names = st.sampled_from(["a", "a/", "a/1", "a/2", "a/10", "b", "b/1", "ü", ""])
values = st.none() | st.integers() | st.text(max_size=3)
steps = st.lists(
    st.tuples(st.just("put"), names.filter(bool), values)
    | st.tuples(st.just("delete"), names.filter(bool), st.none())
    | st.tuples(st.just("erase"), names.filter(bool), st.none())
    | st.tuples(st.just("create"), names.filter(bool), values)
    | st.tuples(st.just("create fresh"), names.filter(bool), values)
    | st.tuples(st.just("get"), names, st.none())
    | st.tuples(
        st.just("scan"),
        names,
        st.tuples(st.none() | names, st.none() | st.integers(0, 4), st.booleans()),
    ),
    max_size=12,
)


def naive_scan(model: dict[str, Any], prefix: str, how: tuple[Any, ...]) -> list[tuple[str, Any]]:
    start, limit, reverse = how
    found = sorted((k for k in model if k.startswith(prefix)), reverse=reverse)
    if start is not None:
        found = [k for k in found if (k <= start if reverse else k >= start)]
    return [(k, model[k]) for k in found[:limit]]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(steps, st.booleans()), max_size=4))
def test_transactions_read_as_a_dictionary_would(history: list[tuple[Any, bool]]) -> None:
    store = Store(MemoryBackend())
    model: dict[str, Any] = {}

    class Stop(Exception):
        pass

    for sequence, aborted in history:
        draft: dict[str, Any] = {}

        def change(tx: Transaction, sequence: Any = sequence, aborted: bool = aborted) -> None:
            draft.clear()  # noqa: B023  # the call ends before the next round of the loop
            draft.update(model)  # noqa: B023
            apply(tx, draft, sequence)  # noqa: B023
            if aborted:
                raise Stop

        try:
            store.transact(change)
            model = dict(draft)
        except Stop:
            pass
        assert store.scan("") == sorted(model.items())


def apply(tx: Transaction, draft: dict[str, Any], sequence: Any) -> None:
    for verb, key, argument in sequence:
        if verb == "put":
            tx.put(key, argument)
            draft[key] = argument
        elif verb in ("delete", "erase"):
            (tx.delete if verb == "delete" else tx.erase)(key)
            draft.pop(key, None)
        elif verb.startswith("create"):
            if draft.get(key) is not None:
                with pytest.raises(KeyTaken):
                    tx.create(key, argument)
            elif verb == "create" or key not in draft:
                # A null and nothing are the same to who asks, but not to who did not look.
                (tx.create if verb == "create" else tx.create_fresh)(key, argument)
                draft[key] = argument
        elif verb == "get":
            value = draft.get(key)
            assert tx.parsed(key, lambda value: [value]) == (None if value is None else [value])
            assert tx.get(key) == draft.get(key)
        else:
            start, limit, reverse = argument
            got = tx.scan(key, start=start, limit=limit, reverse=reverse)
            assert got == naive_scan(draft, key, argument)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=10))
def test_a_change_overtaken_by_others_is_made_anew(overtakers: list[int]) -> None:
    backend = MemoryBackend()
    store, other = Store(backend), Store(backend)

    def overtake(amount: int) -> None:
        other.transact(lambda tx: tx.put("n", (tx.get("n") or 0) + amount))

    for amount in overtakers:
        backend.before_commit += [partial(overtake, amount), lambda: None]
    store.transact(lambda tx: tx.put("n", (tx.get("n") or 0) + 1000))
    assert store.get("n") == 1000 + sum(overtakers)


WORKER = """
import json, random, sys
from macvnet.ipam.allocation import acquire, release
from macvnet.model import Pool
from macvnet.store import open_store
store = open_store(sys.argv[1])
name = sys.argv[2]
pools = [Pool.from_json(data) for data in json.loads(sys.argv[3])]
chance = random.Random(name)
held = []
def count(tx):
    tx.put("count", (tx.get("count") or 0) + 1)
for number in range(60):
    pool = chance.choice(pools)
    def take(tx):
        count(tx)
        return acquire(tx, "default", "net", pool, None, name)
    def give(tx):
        count(tx)
        release(tx, "default", address, name)
    if held and chance.random() < 0.45:
        address = held.pop(chance.randrange(len(held)))
        store.transact(give)
    else:
        held.append(store.transact(take))
    store.close()
print(json.dumps([str(address) for address in held]))
"""


def test_eight_processes_give_no_address_twice_and_lose_no_update(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    pools = [
        Pool("one", Subnet.parse("10.0.0.0/16"), ranges=(Subnet.parse("10.0.0.0/23").interval,)),
        Pool("two", Subnet.parse("10.0.0.0/16"), ranges=(Subnet.parse("10.0.0.64/26").interval,)),
    ]
    with open_store(state) as store:
        for pool in pools:
            install_pools(store, "default", pool.id, pool.id, [plan_pool(pool)])
    workers = []
    for number in range(8):
        arguments = [state, f"worker{number}", json.dumps([pool.to_json() for pool in pools])]
        workers.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, *arguments],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        )
    outputs = [worker.communicate(timeout=100)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8
    held = Counter(address for output in outputs for address in json.loads(output))
    store = open_store(state, read_only=True)
    assert store.get("count") == 8 * 60
    assert max(held.values()) == 1
    leases = [key.rpartition("/4")[2] for key, _ in store.scan(keys.leases("default", 4))]
    assert leases == sorted(Address.parse(address).key for address in held)
    for pool in pools:
        values = {Address.parse(address).value for address in held}
        free = sum(
            value not in values for run in plan_pool(pool).allowed for value in range_of(run)
        )
        assert usage(store, "default", pool).available == free


def range_of(run: Interval) -> range:
    return range(run.first, run.last + 1)
