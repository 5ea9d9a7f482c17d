"""Which parents are probed by themselves, and how long an address is another machine's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from macvnet import keys
from macvnet.addresses import Address
from macvnet.engine import collecting, probing
from macvnet.engine.joining import UNREAL_KINDS
from macvnet.errors import Exhausted
from macvnet.ipam import taken
from macvnet.ipam.allocation import acquire, acquire_any
from macvnet.ipam.segment import lease_holder
from macvnet.kernel import links
from macvnet.kernel.links import IFF_LOOPBACK, IFF_UP, LinkInfo
from macvnet.model import Network
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend
from tests.unit.test_ipam_segment import get, install

MAC = "02:00:5e:00:53:77"
SEEN = 1_000_000.5
OVER = 1_003_600


def link(
    ifindex: int, kind: str = "", *, lower: int = 0, nsid: int | None = None, master: int = 0
) -> LinkInfo:
    return LinkInfo(
        ifindex, f"l{ifindex}", kind, "02:00:5e:00:53:01", "", IFF_UP, 1500, lower, nsid, master,
        "", "", (), None, None, "", "",
    )  # fmt: skip


NIC, PORT, VETH = link(1), link(2, "dsa"), link(3, "veth", lower=9)


@pytest.mark.parametrize(
    ("asked", "others", "real"),
    [
        (NIC, [], True),
        (PORT, [], True),
        (link(9)._replace(flags=IFF_UP | IFF_LOOPBACK), [], False),
        *((link(9, kind, lower=1), [NIC], False) for kind in UNREAL_KINDS),
        (link(9, "vlan", lower=1), [NIC], True),
        (link(9, "vlan", lower=3), [NIC, VETH], False),
        # The lower link is in a namespace that cannot be seen into.
        (link(9, "vlan", lower=1, nsid=4), [VETH], True),
        (link(9, "bridge"), [NIC, VETH], False),
        (link(9, "bridge"), [VETH._replace(master=9)], False),
        (link(9, "bridge"), [VETH._replace(master=9), link(4, master=9)], True),
        (link(9, "bond"), [link(4, master=9), link(5, master=9)], True),
        # A VLAN of a bond of a NIC in a bridge, and a VLAN in a bridge that is not the NIC's.
        (
            link(9, "bridge"),
            [link(8, "vlan", lower=7, master=9), link(7, "bond"), link(6, master=7)],
            True,
        ),
        (link(9, "bridge"), [link(8, "vlan", lower=3, master=9), VETH, NIC], False),
        (link(9, "bridge"), [], False),
    ],
)
def test_a_parent_is_probed_by_itself_where_it_leads_out_of_the_machine(
    asked: LinkInfo, others: list[LinkInfo], real: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def every(netlink: object) -> list[LinkInfo]:
        calls.append(netlink)
        return [asked, *others]

    monkeypatch.setattr(links, "all_links", every)
    ctx: Any = SimpleNamespace(real_links={}, netlink=None)
    assert probing.is_real(ctx, asked) is real
    assert probing.is_real(ctx, asked) is real
    # A NIC is told by itself; for the rest the links are listed once.
    assert len(calls) == (1 if asked.kind else 0)


def test_links_that_are_each_others_lower_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = [link(7, "bridge", master=8), link(8, "bridge", master=9), link(9, "bridge", master=7)]
    monkeypatch.setattr(links, "all_links", lambda _: ring)
    ctx: Any = SimpleNamespace(real_links={}, netlink=None)
    assert not probing.is_real(ctx, ring[0])


@pytest.fixture
def store() -> Store:
    return Store(MemoryBackend())


def remember(store: Store, network: Network, text: str, now: float) -> None:
    """An endpoint gets an address, and another machine answers for it."""
    get(store, network, text)
    [pool] = network.pools
    address = Address.parse(text)
    store.transact(
        lambda tx: taken.remember(tx, "default", pool.id, pool.subnet, address, MAC, now)
    )


def rows(store: Store, prefix: str) -> int:
    return len(store.scan(prefix))


def test_an_address_is_anothers_for_an_hour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    network = install(store, "lan", "10.0.0.0/24", gateways=("10.0.0.1",))
    [pool] = network.pools
    for last in range(2, 7):
        remember(store, network, f"10.0.0.{last}", SEEN)
    remember(store, network, "10.0.0.7", SEEN + 60)
    holder = lease_holder(store, "default", Address.parse("10.0.0.2"))
    assert holder is not None and (holder.mac, holder.until) == (MAC, OVER)
    assert get(store, network) == "10.0.0.8"

    now = OVER - 0.01
    monkeypatch.setattr(collecting, "time", SimpleNamespace(time=lambda: now))
    ctx: Any = SimpleNamespace(reader=store, store=store)
    assert not collecting.expire_taken(ctx, network)
    assert not taken.due(store, pool.id, now) and taken.due(store, pool.id, OVER)
    assert get(store, network) == "10.0.0.9"

    # All that are due go, more than one commit lets go; one that was met later stays.
    now = OVER
    assert collecting.expire_taken(ctx, network)
    assert not collecting.expire_taken(ctx, network)
    assert rows(store, keys.taken(pool.id)) == 1
    assert [get(store, network) for _ in range(6)] == [
        *(f"10.0.0.{last}" for last in range(2, 7)),
        "10.0.0.10",
    ]
    now = OVER + 60
    assert collecting.expire_taken(ctx, network)
    assert get(store, network) == "10.0.0.7"
    assert rows(store, keys.taken(pool.id)) == 0


def test_what_nobody_remembers_any_more_does_not_stop_the_rest(store: Store) -> None:
    """The same address was let go at once, when it was asked for by name, and is an endpoint's."""
    network = install(store, "lan", "10.0.0.0/30", gateways=("10.0.0.1",))
    [pool] = network.pools
    address = Address.parse("10.0.0.2")
    remember(store, network, "10.0.0.2", SEEN)
    row = store.scan(keys.taken(pool.id))[0]
    with pytest.raises(Exhausted):
        store.transact(lambda tx: acquire_any(tx, "default", "lan", [pool], None, "f" * 64))
    store.transact(lambda tx: taken.let_go(tx, "default", address))
    store.transact(lambda tx: acquire(tx, "default", "lan", pool, address, "f" * 64))
    # Left by an earlier version, or by a state that was put together by hand.
    store.transact(lambda tx: tx.put(*row))
    assert store.transact(lambda tx: taken.expire(tx, "default", pool.id, OVER)) == 1
    holder = lease_holder(store, "default", address)
    assert holder is not None and holder.endpoint == "f" * 64
    assert rows(store, keys.taken(pool.id)) == 0
