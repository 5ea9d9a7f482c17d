"""Where addresses are, from records: who has one, which comes next, what a count reads."""

from __future__ import annotations

from typing import Any

import pytest

from macvnet import keys
from macvnet.addresses import Address
from macvnet.engine import accounting, suggesting
from macvnet.errors import Conflict, Exhausted, InvalidRequest, NotFound
from macvnet.ipam.allocation import acquire
from macvnet.ipam.counting import Counts, count
from macvnet.ipam.segment import Holder
from macvnet.kernel import interfaces
from macvnet.model import CREATING, Network
from macvnet.store import Store, Transaction
from macvnet.store.backend import Row
from macvnet.store.memory import MemoryBackend
from tests.cli.fakes import endpoint
from tests.unit.test_ipam_segment import install

BOOT = "boot"
OWN = Address.parse("10.0.0.66")


class Counting(MemoryBackend):
    """Counts the rows that are read."""

    read = 0

    def scan(self, low: str, high: str, *, limit: int | None, reverse: bool) -> list[Row]:
        found = super().scan(low, high, limit=limit, reverse=reverse)
        self.read += len(found)
        return found


@pytest.fixture
def backend() -> Counting:
    return Counting()


@pytest.fixture
def store(backend: Counting, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(interfaces, "addresses", lambda: {OWN})
    return Store(backend)


def made(store: Store, name: str, *subnets: str, segment: str = "default", **more: Any) -> Network:
    network = install(store, name, *subnets, segment=segment, **more)
    store.transact(lambda tx: tx.put(keys.network(network.id), network.to_json()))
    return network


def take(store: Store, of: Network, address: str | None, owner: str) -> Address:
    """Hold an address for an endpoint whose ID is ``owner``."""
    wanted = Address.parse(address) if address else None

    def write(tx: Transaction) -> Address | None:
        found = acquire(tx, of.segment, of.name, of.pools[0], wanted, owner, {OWN})
        tx.put(keys.endpoint(owner), endpoint(of, id=owner).to_json())
        return found

    found = store.transact(write)
    assert isinstance(found, Address)
    return found


def kinds(store: Store, text: str) -> list[tuple[str, str, str | None]]:
    return [(one.kind, one.segment, one.network) for one in accounting.who(store, text, BOOT)]


def test_what_other_networks_reserve_is_reserved_and_not_used(store: Store) -> None:
    one = made(store, "one", "10.0.0.0/24", ranges=("10.0.0.0/25",), gateways=("10.0.0.1",))
    made(
        store, "two", "10.0.0.0/24", ranges=("10.0.0.128/25",),
        gateways=("10.0.0.2",), aux=("nas=10.0.0.3",),
    )  # fmt: skip
    take(store, one, None, "e1")
    (counted, other) = [each.counts for each in accounting.status(store, [one, one])]
    assert counted == other == Counts(used=1, reserved=6, excluded=128 - 1, free=122)
    assert counted.size == 256
    assert kinds(store, "10.0.0.2") == [("gateway", "default", "two")]
    assert kinds(store, "10.0.0.3") == [("auxiliary", "default", "two")]
    assert kinds(store, "10.0.0.66") == [("host", "default", "one"), ("host", "default", "two")]
    # Each of the two networks has a word of its own about it.
    assert kinds(store, "10.0.0.70") == [
        ("free", "default", "one"), ("excluded", "default", "two"),
    ]  # fmt: skip


def test_a_count_reads_no_lease_that_runs_account_for(store: Store, backend: Counting) -> None:
    big = made(store, "big", "10.0.0.0/16", gateways=("10.0.0.1",))
    for number in range(300):
        take(store, big, None, f"e{number}")
    take(store, big, "10.0.255.1", "last")
    backend.read = 0
    counted = count(store, "default", big.pools[0], [Address.parse("10.0.0.1")], [OWN])
    assert counted == Counts(301, 4, 0, (1 << 16) - 305)
    assert backend.read < 20


def test_one_address_in_several_segments(store: Store) -> None:
    left = made(store, "left", "10.0.0.0/24", segment="a/b")
    made(store, "right", "10.0.0.0/24", segment="c")
    take(store, left, "10.0.0.9", "e1")
    assert kinds(store, "10.0.0.9") == [("used", "a/b", "left"), ("free", "c", "right")]
    assert suggesting.held_addresses(store, "10.0.0.") == ["10.0.0.9"]
    assert suggesting.held_addresses(store, "10.0.1") == []


def test_since_when_is_known_within_a_boot_only(store: Store) -> None:
    lan = made(store, "lan", "10.0.0.0/24")
    take(store, lan, "10.0.0.9", "e1")
    (now,) = accounting.who(store, "10.0.0.9", BOOT)
    assert now.endpoint is not None and now.since is not None
    (later,) = accounting.who(store, "10.0.0.9", "another boot")
    assert later.since is None


def test_a_holder_that_nothing_records_is_told_as_it_is(store: Store) -> None:
    lan = made(store, "lan", "10.0.0.0/24")
    holder = Holder("f" * 64, lan.pools[0].id, lan.pools[0].subnet)
    lease = keys.lease("default", Address.parse("10.0.0.7"))
    store.transact(lambda tx: tx.create(lease, holder.to_json()))
    (place,) = accounting.who(store, "10.0.0.7", BOOT)
    assert (place.kind, place.network, place.text) == ("reserved", "lan", "endpoint ffffffffffff")


def test_next_goes_on_to_the_next_subnet_and_ends_where_all_are_full(store: Store) -> None:
    two = made(store, "two", "10.0.0.64/30", "10.0.1.0/31", "2001:db8::/127")
    # Of the first subnet's two one is the host's.
    assert [str(one.address) for one in accounting.following(store, two)] == [
        "10.0.0.65", "2001:db8::",
    ]  # fmt: skip
    take(store, two, None, "e1")
    following = accounting.following(store, two)
    assert str(following[0].address) == "10.0.1.0"
    tiny = made(store, "tiny", "10.9.0.0/32")
    take(store, tiny, None, "e2")
    with pytest.raises(Exhausted, match="no free address left"):
        accounting.following(store, tiny)


def test_next_of_what_gives_nothing_is_refused(store: Store) -> None:
    lan = made(store, "lan", "10.0.0.0/24")
    for changed in (lan._replace(config_only=True), lan._replace(state=CREATING)):
        with pytest.raises(Conflict, match="lan"):
            accounting.following(store, changed)


@pytest.mark.parametrize("text", ["", "x", "10.0.0", "10.0.0.0/24", "10.0.0.010", "fe80::1%eth0"])
def test_what_is_no_address_is_refused(store: Store, text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not an IP address"):
        accounting.who(store, text, BOOT)


def test_an_address_outside_of_all_pools_is_not_found(store: Store) -> None:
    made(store, "lan", "10.0.0.0/24")
    with pytest.raises(NotFound, match=r"10\.0\.1\.0 is in no pool"):
        accounting.who(store, "10.0.1.0", BOOT)


def test_addresses_for_the_tab_key_go_on_from_what_is_typed(store: Store) -> None:
    lan = made(store, "lan", "10.0.0.0/16")
    six = made(store, "six", "2001:db8::/64")
    for number, text in enumerate(["10.0.1.2", "10.0.12.3", "10.0.2.2"]):
        take(store, lan, text, f"e{number}")
    take(store, six, "2001:db8::42", "e9")
    assert suggesting.held_addresses(store, "10.0.1") == ["10.0.1.2", "10.0.12.3"]
    assert suggesting.held_addresses(store, "2001:") == ["2001:db8::42"]
