"""A message that was filled in is, byte for byte, the one that pyroute2 would have encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from macvnet.addresses import IPV4, IPV6, WIDTH, Address
from macvnet.kernel import addressing, classes, links, messages, nsid, qdiscs, rtnetlink
from macvnet.kernel.addressing import RouteInfo
from macvnet.model import LinkPlan
from release import forms

numbers = st.integers(1, (1 << 31) - 1)
names = st.text("abcdefghijklmnopqrstuvwxyzPQRSTUVä0123456789.-_:", min_size=1, max_size=15)
macs = st.binary(min_size=6, max_size=6).map(lambda raw: ":".join(f"{byte:02x}" for byte in raw))
families = st.sampled_from([IPV4, IPV6])


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    family = draw(families)
    return Address(family, draw(st.integers(1, (1 << WIDTH[family]) - 1)))


def straight(
    shape: object, build: Callable[..., Any], values: Mapping[str, Any], body: bytes = b""
) -> bytes:
    """Encoded by pyroute2 from the values themselves, without a form."""

    def text(value: Any) -> Any:
        return value.hex(":") if isinstance(value, bytes) else value

    return classes.encode(build(**{name: text(value) for name, value in values.items()}))


def same(make: Callable[[], Any]) -> None:
    """What ``make`` gives with forms, made beforehand and made now, and without any."""
    made_beforehand = make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "forms", {})
        patch.setattr(messages, "prepared", lambda key: None)
        first, second = make(), make()
    with pytest.MonkeyPatch.context() as patch:
        for module in (addressing, links, nsid, qdiscs, rtnetlink):
            patch.setattr(module, "formed", straight)
        expected = make()
    assert made_beforehand == first == second == expected


def test_what_was_made_beforehand_is_what_pyroute2_makes_now() -> None:
    """``make forms`` writes it anew."""
    assert forms.FILE.read_text() == forms.source()


@settings(max_examples=150, deadline=None)
@given(
    names, numbers, numbers, macs, st.sampled_from(["macvlan", "ipvlan", "dummy"]), st.booleans()
)
def test_new_links(name: str, lower: int, fd: int, mac: str, kind: str, large: bool) -> None:
    data = {
        "macvlan": (("IFLA_MACVLAN_MODE", "bridge"),),
        "ipvlan": (("IFLA_IPVLAN_MODE", 0), ("IFLA_IPVLAN_FLAGS", 2)),
        "dummy": (),
    }[kind]
    plan = LinkPlan(kind, data, mac=mac if kind == "macvlan" else "", mtu=9000 if large else 0)
    same(lambda: links.add(plan, name, lower=lower, lower_name="eth0", namespace_fd=fd))
    same(lambda: links.add(plan, name))


@settings(max_examples=150, deadline=None)
@given(numbers, names, names, macs, st.sampled_from([None, 0, 1]))
def test_changed_links(index: int, name: str, alias: str, mac: str, flags: int | None) -> None:
    same(lambda: links.change(index, "x", ifname=name, ifalias=alias, flags=flags))
    same(lambda: links.change(index, "x", address=mac, mtu=index))
    same(lambda: links.change(index, "x", flags=flags))
    same(lambda: links.delete(index, "x"))
    same(lambda: links.delete(index, "x", nsid=index))
    same(lambda: nsid.message(NETNSA_NSID=index, NETNSA_FD=index))


@settings(max_examples=150, deadline=None)
@given(addresses(), st.integers(0, 32), numbers, st.sampled_from([0, 253]))
def test_addresses(address: Address, prefixlen: int, index: int, scope: int) -> None:
    same(lambda: addressing.add_address(index, "x", address, prefixlen, scope=scope))
    same(lambda: addressing.delete_address(index, "x", address, prefixlen))


@settings(max_examples=150, deadline=None)
@given(addresses(), st.booleans(), st.booleans(), numbers, st.integers(0, 1 << 31), st.booleans())
def test_routes(
    address: Address, via: bool, wide: bool, index: int, metric: int, onlink: bool
) -> None:
    route = RouteInfo(
        address.family,
        None if wide else address,
        0 if wide else WIDTH[address.family],
        index,
        address if via else None,
        109,
        metric,
        0,
        onlink,
        None if via else address,
    )
    same(lambda: addressing.add_route(route, "x"))
    same(lambda: addressing.delete_route(route, "x"))


@settings(max_examples=150, deadline=None)
@given(numbers, st.integers(1000, 1 << 37), st.integers(68, 65535), st.booleans())
def test_limits(index: int, rate: int, mtu: int, anew: bool) -> None:
    same(lambda: qdiscs.limit(index, rate, mtu, anew=anew))


def test_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError):
        links.delete(1 << 40, "x")
