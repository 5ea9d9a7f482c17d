"""Files of apply: what is written is read as it was, what is exported is no difference."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from macvnet import keys, option_keys, rules
from macvnet.addresses import Address
from macvnet.declared import (
    ENDPOINT_KEYS,
    FLAG,
    LIST,
    NETWORK_KEYS,
    TABLE,
    Declaration,
    Entry,
    duplicates,
    written,
)
from macvnet.engine.declaring import Source, read
from macvnet.engine.describing import describe, differences, endpoint_differences
from macvnet.engine.lookup import endpoints_of_network
from macvnet.engine.recording import remember
from macvnet.errors import InvalidRequest, MacvnetError
from macvnet.ipam import pairing
from macvnet.kept import Kept
from macvnet.model import (
    ACTIVE,
    JOINED,
    Assigned,
    CreateRequest,
    Endpoint,
    EndpointRequest,
    LinkOptions,
    Network,
    Owner,
    Routing,
    SandboxId,
)
from macvnet.store import Store, Transaction
from macvnet.store.memory import MemoryBackend

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
WORDS = TEXTS.filter(lambda text: text and "=" not in text)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,8}", fullmatch=True).filter(
    lambda name: name not in rules.PREDEFINED
)
TABLES = st.dictionaries(WORDS, TEXTS, max_size=3).map(
    lambda found: tuple(f"{key}={value}" for key, value in sorted(found.items()))
)
OPTIONS = st.dictionaries(st.sampled_from(option_keys.COMMON), TEXTS, max_size=3).map(
    lambda found: tuple(f"{key}={value}" for key, value in sorted(found.items()))
)
"""Those that every driver has: others are refused."""
LISTS = st.lists(TEXTS, max_size=3).map(tuple)
LAST = st.integers(2, 250)
COUNTS = st.integers(0, 3)


def values(kind: str) -> st.SearchStrategy[Any]:
    return {TABLE: TABLES, LIST: LISTS, FLAG: st.booleans()}.get(kind, TEXTS)


REQUESTS = st.fixed_dictionaries(
    {},
    optional={field: values(kind) for field, kind in NETWORK_KEYS.values()} | {"options": OPTIONS},
)
ENTRIES = st.builds(
    Entry,
    NAMES,
    NAMES.map("netns:{}".format),
    st.builds(
        EndpointRequest,
        ip=st.just("") | LAST.map("192.0.2.{}".format),
        ip6=st.just("") | LAST.map("2001:db8::{:x}".format),
        mac=st.just("") | LAST.map("02:00:00:00:00:{:02x}".format),
        ifname=st.just("") | st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        gw_priority=st.integers(-5, 5),
        aliases=LISTS,
        driver_options=TABLES,
        link_local=LISTS,
        no_default_route=st.booleans(),
        metric=st.integers(0, 5),
        routes=LISTS,
        policy_routes=st.booleans(),
        ip6_token=st.just("") | LAST.map("::{:x}".format),
        rate=st.sampled_from(["", "10mbit", "1.5GBPS"]),
    ),
)


@st.composite
def declarations(draw: st.DrawFn) -> Declaration:
    fields = draw(st.dictionaries(NAMES, REQUESTS, max_size=3))
    entries = draw(st.lists(ENTRIES, max_size=4))
    again = {id(entry) for _, entry in duplicates(entries)}
    addresses: set[tuple[str, str]] = set()
    chosen: list[Entry] = []
    for entry in entries:
        own = {(entry.network, text) for text in (entry.request.ip, entry.request.ip6) if text}
        if id(entry) not in again and not own & addresses:
            addresses |= own
            chosen.append(entry._replace(place=len(chosen)))
    return Declaration(
        draw(st.just("") | NAMES),
        tuple(CreateRequest(name, **given) for name, given in fields.items()),
        (),
        tuple(chosen),
    )


@given(declarations())
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_as_it_was(declared: Declaration) -> None:
    assert read(Source("file", written(declared))) == declared


KEYS = st.sampled_from(
    ["id", "networks", "reservations", "endpoints", *NETWORK_KEYS, *ENDPOINT_KEYS]
)
PIECES = st.one_of(
    KEYS,
    st.sampled_from(["[", "]", "[[", "]]", "{", "}", "=", ",", ".", "\n", '"', "'", "#", "true"]),
    st.sampled_from(["1", "-1e9", "nan", "1979-05-27", "[networks.a]\n", "[[endpoints]]\n"]),
    st.sampled_from(['network = "a"\n', 'container = "netns:a"\n', 'ip = "192.0.2.1"\n']),
    TEXTS,
)


@given(st.lists(PIECES, max_size=25).map(" ".join))
@example("networks = " + "[" * 5000)
@example("[[endpoints]]\ngw_priority = " + "9" * 5000)
@example("endpoints = [1]")
@example("networks = {a = 1}")
@example('[networks."\\u001b[31m"]')
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_declaration_or_is_refused(text: str) -> None:
    try:
        found = read(Source("file", text))
    except InvalidRequest as error:
        assert error.message.startswith("'file'")
    else:
        assert read(Source("file", written(found))) == found


BLOCKS = ("10.0.0.0/24", "10.0.1.0/24", "2001:db8:1::/64", "2001:db8:2::/64")


@st.composite
def states(draw: st.DrawFn) -> Store:
    """Networks as create records them, with what is reserved and connected in them."""
    store = Store(MemoryBackend())
    for number, name in enumerate(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))):
        subnets = tuple(draw(st.lists(st.sampled_from(BLOCKS), unique=True, max_size=3)))
        bases = [text.partition("/")[0].removesuffix("0") for text in subnets]
        request = CreateRequest(
            name,
            draw(st.sampled_from(["macvlan", "ipvlan"])),
            subnets,
            gateways=tuple(f"{base}1" for base in bases if draw(st.booleans())),
            ip_ranges=tuple(f"{base}10-{base}60" for base in bases if draw(st.booleans())),
            aux_addresses=tuple(f"a{base}={base}9" for base in bases if draw(st.booleans())),
            excludes=tuple(f"{base}20" for base in bases if draw(st.booleans())),
            options=draw(OPTIONS),
            labels=draw(TABLES),
            internal=draw(st.booleans()),
            ipv6=draw(st.sampled_from([None, True])),
            ipam_driver="default" if subnets else "null",
        )
        with contextlib.suppress(MacvnetError):
            store.transact(partial(record, number=number, request=request, count=draw(COUNTS)))
    return store


def record(tx: Transaction, number: int, request: CreateRequest, count: int) -> None:
    plans = pairing.plan_pools(request, rules.Counter(f"{number}"), real_parent=True)
    pools = tuple(plan.pool for plan in plans)
    network = Network(
        f"{number:064x}", request.name, request.driver, f"{number}", ACTIVE,
        any(p.family == 4 for p in pools), any(p.family == 6 for p in pools),
        request.internal, False, False, "", rules.split_pairs(request.options, "-o"),
        rules.split_pairs(request.labels, "-l"), request.ipam_driver, {}, "default",
        LinkOptions(), None, pools,
    )  # fmt: skip
    tx.put(keys.network(network.id), network.to_json())
    tx.put(keys.request(network.id), request._asdict())
    for place in range(count):
        owner = Owner("netns", f"web{place}", returns=place < 2)
        held = [(pool, Address(pool.family, pool.subnet.first + 70 + place)) for pool in pools]
        addresses = {address.family: (pool, address) for pool, address in held}
        if owner.returns and pools:
            kept = Kept(network.id, owner, tuple((p.id, a) for p, a in addresses.values()), "x")
            tx.put(keys.kept(*kept.claim), kept.to_json())
        assigned = tuple(
            Assigned(p.id, a, p.subnet.prefixlen, p.gateway, False, False)
            for p, a in addresses.values()
        )
        remember(tx, Endpoint(
            f"{number}{place}".rjust(64, "0"), network.id, "", JOINED, owner,
            SandboxId("boot", place), None, f"eth{number}", 1, "02:00:00:00:00:01", assigned, place,
            gw_priority=place - 1, explicit_mac=place == 1, rate=place * 1_500_000,
            routing=Routing(place == 1, place, ("10.0.0.0/8=192.0.2.1",) * (place % 2), place > 1),
        ))  # fmt: skip


@given(states())
@settings(max_examples=100, deadline=None)
def test_what_is_exported_says_all_and_is_no_difference(store: Store) -> None:
    networks = [Network.from_json(data) for _, data in store.scan(keys.NETWORKS)]
    described = describe(store, networks)
    declared = read(Source("file", written(described.declared)))
    requests = {request.name: request for request in declared.networks}
    assert set(requests) == {network.name for network in networks}
    left_out = 0
    for network in networks:
        assert list(differences(store, network, requests[network.name])) == []
        plans = pairing.plan_pools(
            requests[network.name], rules.Counter(str(int(network.id, 16))), real_parent=True
        )
        assert tuple(plan.pool for plan in plans) == network.pools
        for endpoint in endpoints_of_network(store, network.id):
            if not endpoint.owner.returns:
                left_out += 1
                continue
            [entry] = [
                one
                for one in declared.endpoints
                if (one.network, one.container) == (network.name, str(endpoint.owner))
            ]
            assert list(endpoint_differences(endpoint, entry.request)) == []
            assert entry.request.mac == (endpoint.mac if endpoint.explicit_mac else "")
    assert left_out == described.left_out
    assert len(declared.reservations) == len(store.scan("kept/"))


@given(states(), st.sampled_from(["gateways", "options", "labels", "internal", "subnets"]))
@settings(max_examples=60, deadline=None)
def test_what_is_changed_is_a_difference(store: Store, field: str) -> None:
    for _, data in store.scan(keys.NETWORKS):
        network = Network.from_json(data)
        [request] = describe(store, [network]).declared.networks
        value: Any = not request.internal if field == "internal" else ("new=192.0.2.99",)
        if field in ("subnets", "gateways"):
            value = ("192.0.2.99/32",) if field == "subnets" else ("192.0.2.99",)
        changed = request._replace(**{field: value})
        words = {"gateways": "gateway", "options": "opt", "labels": "label", "subnets": "subnet"}
        found = list(differences(store, network, changed))
        assert any(text.startswith(words.get(field, field)) for text in found)
