"""Whatever is typed, a plan or a refusal comes out, and a plan keeps its promises."""

from __future__ import annotations

import itertools
import string

from hypothesis import example, given, settings
from hypothesis import strategies as st

from macvnet.addresses import Address, Interval, Subnet
from macvnet.errors import InvalidRequest, MacvnetError
from macvnet.ipam.pairing import plan_pools
from macvnet.ipam.parsing import parse_address, parse_block, parse_subnet
from macvnet.ipam.plan import merge, subtract
from macvnet.model import CreateRequest, Pool

values4 = st.integers(0, 2**32 - 1).map(lambda value: str(Address(4, value)))
values6 = st.integers(0, 2**128 - 1).map(lambda value: str(Address(6, value)))
near = st.integers(0, 511).map(lambda value: str(Address(4, 0x0A000000 + value)))
near6 = st.integers(0, 511).map(lambda value: str(Address(6, (0x20010DB8 << 96) + value)))
addresses = values4 | values6 | near | near6
cidrs = st.tuples(addresses, st.integers(-1, 129)).map(lambda pair: f"{pair[0]}/{pair[1]}")
dashes = st.tuples(addresses, addresses).map("-".join)
junk = st.text(max_size=30) | st.text(string.hexdigits + ".:/-=%, ", max_size=40)
words = addresses | cidrs | dashes | junk | st.just("1" * 5000) | st.just("\ud800\x1b[0m\0")
lists = st.lists(words, max_size=4).map(tuple)
subnets = st.lists(
    st.sampled_from(("10.0.0.0/24", "10.0.1.0/25", "2001:db8::/120", "10.0.1.128/32")) | words,
    max_size=4,
).map(tuple)


def is_fit_to_print(error: MacvnetError) -> bool:
    texts = (error.message, error.hint or "-")
    return all(text.isprintable() and 0 < len(text) < 2000 for text in texts)


@settings(max_examples=400, deadline=None)
@given(subnets, lists, lists, lists, lists, st.booleans(), st.booleans(), st.booleans())
@example(("::/0",), (), (), (), (), True, True, False)
@example(("10.0.0.0/24",), (), (), ("=",), ("-",), True, True, False)
def test_any_options_give_plans_or_a_refusal(
    subnets: tuple[str, ...],
    gateways: tuple[str, ...],
    ranges: tuple[str, ...],
    aux: tuple[str, ...],
    excludes: tuple[str, ...],
    real_parent: bool,
    onlink: bool,
    internal: bool,
) -> None:
    ids = itertools.count()
    request = CreateRequest(
        "net",
        subnets=subnets,
        gateways=gateways,
        ip_ranges=ranges,
        aux_addresses=aux,
        excludes=excludes,
        internal=internal,
    )
    try:
        plans = plan_pools(request, lambda: str(next(ids)), real_parent=real_parent, onlink=onlink)
    except InvalidRequest as error:
        assert is_fit_to_print(error)
        return
    assert [str(plan.pool.subnet) for plan in plans] == [str(parse_subnet(s)) for s in subnets]
    assert sum(plan.pool.gateway is not None for plan in plans) == len(gateways)
    assert sum(len(plan.pool.ranges) for plan in plans) == len(ranges)
    assert sum(len(plan.pool.aux) for plan in plans) == len(aux)
    assert sum(len(plan.exclude_texts) for plan in plans) == len(excludes)
    for plan in plans:
        pool = plan.pool
        assert Pool.from_json(pool.to_json()) == pool
        withheld = {value for _, (_, value) in pool.aux} | set(pool.subnet.reserved)
        if pool.gateway:
            withheld.add(pool.gateway.value)
            assert pool.onlink is not pool.subnet.holds(pool.gateway)
        for run in plan.allowed:
            assert pool.subnet.first <= run.first <= run.last <= pool.subnet.last
            assert not any(value in run for value in withheld)
        assert list(plan.allowed) == merge(plan.allowed)


@settings(max_examples=400, deadline=None)
@given(words)
def test_what_is_read_is_canonical(text: str) -> None:
    try:
        address = parse_address(text, "address", "--ip")
        assert parse_address(str(address), "address", "--ip") == address
        assert Address.parse(str(address)) == address
    except InvalidRequest as error:
        assert is_fit_to_print(error)
    try:
        subnet = parse_subnet(text)
        assert parse_subnet(str(subnet)) == subnet == Subnet.parse(str(subnet))
    except InvalidRequest as error:
        assert is_fit_to_print(error)
    try:
        block = parse_block(text, "exclusion", "--exclude", single=True)
        assert parse_block(block.text, "exclusion", "--exclude", single=True) == block
    except InvalidRequest as error:
        assert is_fit_to_print(error)


small = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda p: Interval(p[0], p[0] + p[1])),
    max_size=8,
)


def members(intervals: list[Interval]) -> set[int]:
    return {value for interval in intervals for value in range(interval.first, interval.last + 1)}


@given(small, small)
def test_interval_arithmetic_is_that_of_sets(one: list[Interval], two: list[Interval]) -> None:
    assert members(merge(one)) == members(one)
    difference = subtract(merge(one), merge(two))
    assert members(difference) == members(one) - members(two)
    assert difference == merge(difference)
