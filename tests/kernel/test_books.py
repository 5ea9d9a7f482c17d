"""The lab's book-keeper: it finds fault with a state in which any one record is missing."""

from __future__ import annotations

import json

from macvnet.store import Store, open_store
from macvnet.store.backend import Operation
from macvnet.store.memory import MemoryBackend
from tests.kernel.steps import ON_ETH0, create, join
from tests.lab import Lab
from tests.lab.books import complaints

UNCOUNTED = ("meta/", "segment/")
"""What no other record depends on."""
DUAL = ("--subnet=10.1.0.0/24", "--gateway=10.1.0.1", "--subnet=2001:db8:1::/64")
RANGED = ("--subnet=10.2.0.0/24", "--ip-range=10.2.0.16/28", "--aux-address=printer=10.2.0.20")
SHARED = (*ON_ETH0, "-o", "share_parent=true")


def without(rows: dict[str, object], missing: str) -> Store:
    backend = MemoryBackend()
    for key, value in rows.items():
        if key != missing:
            backend.commit([Operation(key, json.dumps(value), 0)])
    return Store(backend)


def test_every_record_counts(lab: Lab) -> None:
    lab.host.add_address("10.1.0.250/24")
    create(lab.host, "dual", *DUAL, *SHARED, "--host-access")
    create(lab.host, "ranged", *RANGED, *SHARED)
    for target in (lab.named("web"), lab.container()):
        join(lab.host, target, "dual")
        join(lab.host, target, "ranged")
    with open_store(str(lab.state_dir), read_only=True) as store:
        rows = dict(store.scan(""))
        assert complaints(store) == []
    silent = [key for key in rows if complaints(without(rows, key)) == []]
    assert [key for key in silent if not key.startswith(UNCOUNTED)] == []
    assert len(rows) > 30
