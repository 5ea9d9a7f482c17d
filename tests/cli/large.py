"""A large state, written as records: 1,000 networks, 65,000 endpoints with a lease each.

Made as a front end could not in reasonable time; every record has the shape that
the engine gives it, of the keys that completion reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from macvnet import keys
from macvnet.addresses import Address, Interval, Subnet
from macvnet.ipam.runs import OpenRuns
from macvnet.model import Assigned, Owner, Pool
from macvnet.store import Transaction, open_store
from macvnet.store.memory import MemoryBackend
from tests.cli.fakes import endpoint, network

NETWORKS = 1000
LEASES = 65_000
BIG = "big"
SUBNET = Subnet.parse("10.0.0.0/16")
SUBNET_BASE = Address(4, SUBNET.first)


def write(state_dir: Path) -> None:
    """Make the state there: ``big`` has all endpoints, the others have none."""
    networks = Transaction(MemoryBackend())
    _networks(networks)
    rows = [(operation.key, operation.text or "") for operation in networks.operations]
    with open_store(str(state_dir)) as store:
        store.backend.load([*rows, *_endpoints()], apart_from=())
        # As after a while of use: the log has been folded into the file, and begins anew.
        for boot in ("one", "two"):
            store.transact(partial(_restored, boot))


def _restored(boot: str, tx: Transaction) -> None:
    tx.put(keys.META_RESTORED, {"boot_id": boot})


def _networks(tx: Transaction) -> None:
    for number in range(NETWORKS):
        name = f"net{number:04}" if number else BIG
        first = SUBNET.first + (number << 16)
        pool = Pool(f"p{number}", Subnet(4, first, 16), gateway=Address(4, first + 1))
        one = network(name, id=f"{number:04x}" * 16, pools=(pool,))
        tx.put(keys.network(one.id), one.to_json())
        tx.put(keys.name(name), {"id": one.id})
        run = Interval(first + 2, first + 0xFFFE)
        free = run if number else Interval(first + 2 + LEASES, run.last)
        OpenRuns(tx, pool.id, 4).add(run, [free])


def _endpoints() -> Iterator[tuple[str, str]]:
    big = network(BIG, id="0000" * 16)
    shape = endpoint(
        big,
        id="ID",
        owner=Owner("netns", "NAME"),
        addresses=(Assigned("p0", SUBNET_BASE, 16, Address(4, SUBNET.first + 1), False, False),),
    )
    text = json.dumps(shape.to_json())
    for number in range(LEASES):
        name = f"c{number:05}"
        # No order of theirs shall be that of the names.
        endpoint_id = f"{number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF:016x}" * 4
        address = Address(4, SUBNET.first + 2 + number)
        own = text.replace('"ID"', f'"{endpoint_id}"').replace('"NAME"', f'"{name}"')
        yield keys.endpoint(endpoint_id), own.replace(f'"{SUBNET_BASE}"', f'"{address}"')
        yield keys.endpoints_of_network(big.id, endpoint_id), "{}"
        yield keys.endpoints_of_owner(f"netns:{name}", endpoint_id), "{}"
        holder = {"endpoint": endpoint_id, "pool": "p0", "subnet": str(SUBNET)}
        yield keys.lease("default", address), json.dumps(holder)
