"""What networks that share a segment owe each other."""

from __future__ import annotations

import pytest

from macvnet.addresses import Address, Subnet
from macvnet.errors import Conflict, Exhausted, InvalidRequest
from macvnet.ipam.allocation import acquire, acquire_any, next_free, release
from macvnet.ipam.defaults import automatic_plan, default_subnet, unique_local
from macvnet.ipam.installing import install_pools, uninstall_pools
from macvnet.ipam.pairing import plan_pools
from macvnet.ipam.plan import PoolPlan
from macvnet.ipam.segment import lease_holder
from macvnet.model import ACTIVE, CreateRequest, LinkOptions, Network, Pool
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend

DEFAULTS = (("10.0.0.0/14", 16), ("192.168.0.0/23", 24))


@pytest.fixture
def store() -> Store:
    return Store(MemoryBackend())


def install(
    store: Store,
    name: str,
    *subnets: str,
    ranges: tuple[str, ...] = (),
    gateways: tuple[str, ...] = (),
    aux: tuple[str, ...] = (),
    segment: str = "default",
) -> Network:
    request = CreateRequest(
        name, subnets=subnets, ip_ranges=ranges, gateways=gateways, aux_addresses=aux
    )
    ids = iter(range(100))
    plans = plan_pools(request, lambda: f"{name}{next(ids)}", real_parent=False, onlink=True)
    return install_plans(store, name, plans, segment)


def install_plans(
    store: Store, name: str, plans: tuple[PoolPlan, ...], segment: str = "default"
) -> Network:
    network = Network(
        f"id-{name}", name, "macvlan", "", ACTIVE, True, False, False, False, False,
        "", {}, {}, "default", {}, segment, LinkOptions(), None, tuple(p.pool for p in plans),
    )  # fmt: skip
    install_pools(store, segment, network.id, name, plans)
    return network


def get(
    store: Store, network: Network, wanted: str | None = None, endpoint: str = "e" * 64
) -> str | None:
    address = Address.parse(wanted) if wanted else None
    pool = network.pools[0]
    found = store.transact(
        lambda tx: acquire(tx, network.segment, network.name, pool, address, endpoint)
    )
    return str(found) if found else None


def test_an_overlap_names_the_other_network(store: Store) -> None:
    install(store, "one", "10.0.0.0/16")
    for subnet in ("10.0.0.0/16", "10.0.5.0/24", "10.0.0.0/8"):
        with pytest.raises(Conflict) as caught:
            install(store, "two", subnet, ranges=(subnet,))
        assert caught.value.message == f"subnet '{subnet}' overlaps 10.0.0.0/16 of network 'one'"
        assert "-o segment=" in (caught.value.hint or "")
    install(store, "three", "10.0.0.0/16", segment="other")


def test_sharers_with_ranges_never_give_an_address_twice(store: Store) -> None:
    one = install(store, "one", "10.0.0.0/24", ranges=("10.0.0.8/30",), gateways=("10.0.0.1",))
    two = install(store, "two", "10.0.0.0/16", ranges=("10.0.0.8/29",), gateways=("10.0.0.1",))
    assert [get(store, one), get(store, two), get(store, one)] == [
        "10.0.0.8", "10.0.0.9", "10.0.0.10",
    ]  # fmt: skip
    with pytest.raises(Conflict, match="held by the gateway of network 'one'"):
        get(store, two, "10.0.0.1")
    uninstall_pools(store, "default", two)
    with pytest.raises(Conflict, match="gateway of network 'one'"):
        get(store, one, "10.0.0.1")


def test_a_held_address_cannot_become_a_gateway(store: Store) -> None:
    one = install(store, "one", "10.0.0.0/24", ranges=("10.0.0.8/30",))
    get(store, one, "10.0.0.1")
    before = store.scan("")
    claims: tuple[dict[str, tuple[str, ...]], ...] = (
        {"gateways": ("10.0.0.1",)},
        {"aux": ("a=10.0.0.1",)},
    )
    for claim in claims:
        with pytest.raises(
            Conflict, match=r"address '10\.0\.0\.1' cannot become an? .*endpoint ee"
        ):
            install(
                store,
                "two",
                "10.0.0.0/24",
                ranges=("10.0.0.64/26",),
                gateways=claim.get("gateways", ()),
                aux=claim.get("aux", ()),
            )
    assert store.scan("") == before


def test_a_gateway_outside_its_subnet_is_not_given_out_by_others(store: Store) -> None:
    two = install(store, "two", "10.9.9.0/24")
    one = install(store, "one", "10.0.0.0/24", gateways=("10.9.9.1",))
    assert get(store, two) == "10.9.9.2"
    uninstall_pools(store, "default", one)
    assert get(store, two) == "10.9.9.1"


def test_a_pool_made_later_knows_what_is_held_already(store: Store) -> None:
    one = install(store, "one", "10.0.0.0/24", gateways=("10.9.9.1",))
    two = install(store, "two", "10.9.9.0/24")
    assert get(store, two) == "10.9.9.2"
    uninstall_pools(store, "default", one)
    assert get(store, two) == "10.9.9.1"


def test_a_link_local_gateway_is_nobodys(store: Store) -> None:
    install(store, "one", "2001:db8::/64", gateways=("fe80::1",))
    install(store, "two", "2001:db8:1::/64", gateways=("fe80::1",))
    assert lease_holder(store, "default", Address.parse("fe80::1")) is None


def test_explicit_addresses_are_refused_with_their_reason(store: Store) -> None:
    one = install(store, "one", "10.0.0.0/24", gateways=("10.0.0.1",), aux=("printer=10.0.0.9",))
    get(store, one, "10.0.0.5", "feedbeef" * 8)
    for wanted, reason in (
        ("10.0.0.0", "is the network address of 10.0.0.0/24"),
        ("10.0.0.255", "is the broadcast address of 10.0.0.0/24"),
        ("10.0.0.1", "is in use, it is held by the gateway of network 'one'"),
        ("10.0.0.9", "held by the auxiliary address 'printer' of network 'one'"),
        ("10.0.0.5", "held by endpoint feedbeeffeed"),
    ):
        with pytest.raises(Conflict, match=f"address '{wanted}' .*{reason}|{reason}"):
            get(store, one, wanted)
    with pytest.raises(InvalidRequest, match=r"'10\.0\.1\.1' is not in"):
        get(store, one, "10.0.1.1")
    with pytest.raises(Conflict, match="in use by this host"):
        store.transact(
            lambda tx: acquire(
                tx, "default", "one", one.pools[0], Address.parse("10.0.0.7"), "e",
                lambda address: str(address) == "10.0.0.7",
            )
        )  # fmt: skip


def test_a_full_pool_gives_none_and_several_are_used_in_order(store: Store) -> None:
    one = install(store, "one", "10.0.9.0/31", "10.0.0.0/31", gateways=("10.0.9.0",))

    def take(wanted: str | None = None) -> str:
        address = Address.parse(wanted) if wanted else None
        return str(
            store.transact(lambda tx: acquire_any(tx, "default", "one", one.pools, address, "e"))[1]
        )

    assert [take(), take(), take()] == ["10.0.9.1", "10.0.0.0", "10.0.0.1"]
    assert get(store, one) is None
    with pytest.raises(Exhausted, match=r"no free address left in 10\.0\.9\.0/31, 10\.0\.0\.0/31"):
        take()
    with pytest.raises(InvalidRequest, match="in no subnet of network 'one'"):
        take("10.5.5.5")
    with pytest.raises(Conflict):
        take("10.0.0.1")


def test_the_whole_address_space_is_no_special_case(store: Store) -> None:
    one = install(store, "one", "128.0.0.0/1")
    assert get(store, one, "255.255.255.254") == "255.255.255.254"
    store.transact(lambda tx: release(tx, "default", Address.parse("255.255.255.254"), "e" * 64))
    two = install(store, "two", "8000::/1")
    top = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    assert get(store, two, top) == top
    store.transact(lambda tx: release(tx, "default", Address.parse(top), "e" * 64))
    assert str(next_free(store, two.pools[0])) == "8000::1"


def test_many_runs_and_reservations_are_installed_in_bounded_commits(store: Store) -> None:
    aux = tuple(f"10.0.{n >> 7}.{n % 128 * 2 + 1}" for n in range(600))
    one = install(store, "one", "10.0.0.0/16", aux=aux)
    assert get(store, one) == "10.0.0.2"
    store.transact(lambda tx: release(tx, "default", Address.parse("10.0.0.2"), "e" * 64))
    uninstall_pools(store, "default", one)
    assert [key for key, _ in store.scan("")] == ["segment/default"]


def test_more_sharers_than_a_commit_can_hold_are_refused(store: Store) -> None:
    for number in range(17):
        install(store, f"n{number}", "10.0.0.0/24", ranges=("10.0.0.0/25",))
    with pytest.raises(Conflict, match="16 are supported"):
        install(store, "last", "10.0.0.0/24", ranges=("10.0.0.0/25",))
    install(store, "elsewhere", "10.0.0.0/24", ranges=("10.0.0.128/25",))


def test_default_pools_are_the_lowest_that_nobody_uses(store: Store) -> None:
    def choose(*avoid: str) -> str:
        avoided = [Subnet.parse(text) for text in avoid]
        return str(default_subnet(store, "default", 4, DEFAULTS, "id", avoided))

    assert choose() == "10.0.0.0/16"
    install_plans(store, "a", (automatic_plan("a0", Subnet.parse("10.0.0.0/16")),))
    assert choose() == "10.1.0.0/16"
    assert choose("10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32") == "10.2.0.0/16"
    assert choose("10.1.2.0/24", "10.2.0.0/15") == "192.168.0.0/24"
    install(store, "b", "192.168.0.0/25")
    assert choose("10.0.0.0/8") == "192.168.1.0/24"
    with pytest.raises(Exhausted) as caught:
        choose("10.0.0.0/8", "192.168.1.0/30")
    assert "--subnet" in (caught.value.hint or "")


def test_default_ipv6_pools_are_the_installations_own(store: Store) -> None:
    own = unique_local("some installation")
    assert own != unique_local("another installation")
    assert (own.prefixlen, str(own)[:2]) == (48, "fd")
    first = default_subnet(store, "default", 6, DEFAULTS, "some installation")
    assert (first.first, first.prefixlen) == (own.first, 64)
    install_plans(store, "a", (automatic_plan("a0", first),))
    second = default_subnet(store, "default", 6, DEFAULTS, "some installation")
    assert second.first == first.last + 1
    configured = default_subnet(store, "default", 6, (("fd00::/56", 64),), "some installation")
    assert str(configured) == "fd00::/64"


def test_an_address_of_a_network_being_removed_is_not_given(store: Store) -> None:
    one = install(store, "one", "10.0.0.0/24")
    uninstall_pools(store, "default", one)
    with pytest.raises(Conflict, match="is being removed"):
        get(store, one)


def test_an_address_held_through_a_pool_that_is_gone_returns_to_the_others(store: Store) -> None:
    one = install(store, "one", "10.0.0.0/24", ranges=("10.0.0.8/30",))
    two = install(store, "two", "10.0.0.0/24", ranges=("10.0.0.8/30",))
    assert get(store, one) == "10.0.0.8"
    uninstall_pools(store, "default", one)
    assert get(store, two) == "10.0.0.9"
    store.transact(lambda tx: release(tx, "default", Address.parse("10.0.0.8"), "e" * 64))
    assert get(store, two) == "10.0.0.8"


def test_values_survive_the_store() -> None:
    pool = Pool("p", Subnet.parse("10.0.0.0/24"), aux=(("a", Address.parse("10.0.0.9")),))
    assert Pool.from_json(pool.to_json()) == pool
