"""Leases by the thousand, written as records: a front end could not make them in the time.

Every record has the shape that the engine gives it; macvnet then works on the
state as on any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from macvnet import keys
from macvnet.addresses import Address, Interval
from macvnet.engine.reserving import derived_mac
from macvnet.ipam.plan import PoolPlan
from macvnet.ipam.runs import Runs
from macvnet.ipam.segment import Holder
from macvnet.model import JOINED, Assigned, Endpoint, Network, Owner, Pool, SandboxId
from macvnet.store import MAX_OPERATIONS, Store, Transaction

PREFIXES = (
    *("allow/", "endpoint/", "free/", "lease/", "link/", "mac/", "meta/", "name/", "network-"),
    *("network/", "owner-", "pool/", "request/", "run/", "sandbox-", "segment/"),
)


def leases(store: Store, network: Network, pool: Pool, count: int, *, whole: bool = True) -> int:
    """Give the lowest ``count`` free addresses of a pool out; how many that were.

    ``whole`` with an endpoint for each, of a container that may come back:
    ``netns:fill-NETWORK-NUMBER``. Without, the lease alone.
    """
    taken: list[Interval] = []
    missing = count
    for run in Runs(store, pool.id, pool.family).free():
        if not missing:
            break
        part = Interval(run.first, min(run.last, run.first + missing - 1))
        taken.append(part)
        missing -= part.size
    rows = list(_rows(network, pool, taken, whole))
    store.backend.load(rows, apart_from=PREFIXES)
    for start in range(0, len(taken), MAX_OPERATIONS // 3):
        store.transact(partial(_take, pool, taken[start : start + MAX_OPERATIONS // 3]))
    return count - missing


def _take(pool: Pool, taken: list[Interval], tx: Transaction) -> None:
    """Cut whole stretches off the fronts of free runs."""
    prefix = keys.free_runs(pool.id)
    for part in taken:
        key = prefix + Address(pool.family, part.first).key
        last = str(tx.get(key))
        tx.delete(key)
        if int(last, 16) > part.last:
            tx.put(prefix + Address(pool.family, part.last + 1).key, last)


def _rows(
    network: Network, pool: Pool, taken: list[Interval], whole: bool
) -> Iterator[tuple[str, str]]:
    number = 0
    for part in taken:
        for value in range(part.first, part.last + 1):
            address = Address(pool.family, value)
            # No order of theirs shall be that of the addresses.
            endpoint_id = f"{(number + 1) * 0x9E3779B97F4A7C15 % (1 << 64):016x}" * 4
            endpoint_id = endpoint_id[:48] + network.id[:16]
            holder = Holder(endpoint_id, pool.id, pool.subnet)
            yield keys.lease(network.segment, address), json.dumps(holder.to_json())
            if whole:
                yield from _endpoint_rows(network, pool, address, endpoint_id, number)
            number += 1


def _endpoint_rows(
    network: Network, pool: Pool, address: Address, endpoint_id: str, number: int
) -> Iterator[tuple[str, str]]:
    owner = Owner("netns", f"fill-{network.name}-{number}")
    scope = network.parent.name if network.parent else ""
    one = Endpoint(
        id=endpoint_id,
        network=network.id,
        host_id="fill",
        state=JOINED,
        owner=owner,
        # Of another boot: what macvnet finds after a reboot, before restore.
        sandbox=SandboxId("another-boot", number + 1, number + 1),
        pid=None,
        ifname="eth0",
        ifindex=2,
        mac=derived_mac("fill", network.name, str(owner)),
        addresses=(
            Assigned(pool.id, address, pool.subnet.prefixlen, pool.gateway, pool.onlink, False),
        ),
        sequence=number + 1,
        mac_scope=scope,
    )
    proof = json.dumps({"boot_id": one.sandbox.boot_id, "nsid": one.sandbox.nsid})
    yield keys.endpoint(endpoint_id), json.dumps(one.to_json())
    yield keys.endpoints_of_network(network.id, endpoint_id), "{}"
    yield keys.endpoints_of_sandbox(one.sandbox.key, endpoint_id), "{}"
    yield keys.endpoints_of_owner(str(owner), endpoint_id), proof
    yield keys.mac(scope, one.mac), json.dumps({"endpoint": endpoint_id})


def network_of(store: Store, name: str) -> Network:
    found = store.get(keys.name(name)) or {}
    return Network.from_json(store.get(keys.network(found["id"])) or {})


def plans_of(words: dict[str, tuple[str, ...]], stem: str) -> tuple[PoolPlan, ...]:
    """What ``create`` would make of ``subnets``, ``gateways``, ``excludes``."""
    from macvnet import rules
    from macvnet.ipam import pairing
    from macvnet.model import CreateRequest

    request = CreateRequest(
        name=stem,
        subnets=words.get("subnets", ()),
        gateways=words.get("gateways", ()),
        excludes=words.get("excludes", ()),
    )
    plans = pairing.plan_pools(request, rules.Counter(stem), real_parent=True, onlink=False)
    return tuple(plans)
