"""Tokens and advertisements as values: how they are spelled, read and judged."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet.addresses import Address
from macvnet.engine.autoconf import judge_token
from macvnet.errors import InvalidRequest
from macvnet.kernel.frames import advertisement, router_solicitation
from macvnet.model import SLAAC, LinkOptions, Network
from macvnet.rules import SUFFIX, token_text
from tests.lab.traffic import router_advertisement

MAC = "02:00:5e:00:53:01"
NETWORK = Network(
    "a" * 64, "six", "macvlan", "", "active", False, True, False, False, False, "", {}, {},
    "default", {}, "default", LinkOptions(parent="eth0", ipv6_mode=SLAAC), None, (),
)  # fmt: skip


@given(st.integers(0, SUFFIX))
def test_a_token_has_one_spelling_that_reads_as_it_was(value: int) -> None:
    text = token_text(Address(6, value))
    assert Address.parse(text) == Address(6, value)
    assert text.startswith("::") and "." not in text
    assert token_text(Address.parse(text)) == text


@pytest.mark.parametrize(
    ("typed", "token"),
    [("::5", "::5"), (" ::A:0b ", "::a:b"), ("::0.10.0.11", "::a:b"), ("::1:0:0:5", "::1:0:0:5")],
)
def test_a_token_is_judged_in_whatever_spelling(typed: str, token: str) -> None:
    assert judge_token(NETWORK, typed) == token


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("5", "--ip6-token ::5"),
        ("192.0.2.5", "--ip6-token ::5"),
        ("::5/64", "--ip6-token ::5"),
        ("fe80::5%eth0", "--ip6-token ::5"),
        ("2001:db8::a:b", "--ip6-token ::a:b"),
        ("2001:db8::", "--ip6-token ::5"),
        ("::", "--ip6-token ::5"),
        ("::fdff:ffff:ffff:ff80", "--ip6-token ::5"),
        ("::fdff:ffff:ffff:ffff", "--ip6-token ::5"),
    ],
)
def test_what_is_no_token_is_refused(typed: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        judge_token(NETWORK, typed)
    assert refused.value.hint == hint


def frame(body: bytes, hops: int = 255) -> bytes:
    """A frame with an ICMPv6 body; nobody looks at the checksum, which the kernel has seen."""
    source, group = Address.parse("fe80::1").packed, Address.parse("ff02::1").packed
    head = bytes.fromhex("333300000001") + bytes.fromhex(MAC.replace(":", ""))
    ip = struct.pack("!IHBB", 6 << 28, len(body), 58, hops) + source + group
    return head + struct.pack("!H", 0x86DD) + ip + body


def prefixes(body: bytes) -> list[str]:
    found = advertisement(frame(body))
    assert found is not None and (found.mac, str(found.router)) == (MAC, "fe80::1")
    return [str(prefix) for prefix in found.prefixes]


def test_an_advertisement_tells_of_prefixes_that_addresses_can_be_made_of() -> None:
    body = router_advertisement(MAC, "2001:db8:7::/64")
    assert prefixes(body) == ["2001:db8:7::/64"]
    assert prefixes(router_advertisement(MAC, None)) == []
    # Not autonomous; not valid any more.
    assert prefixes(body.replace(bytes((64, 0xC0)), bytes((64, 0x80)))) == []
    assert prefixes(router_advertisement(MAC, "2001:db8:7::/64", valid=0)) == []
    # From behind a router: nobody believes that (RFC 4861 6.1.2).
    assert advertisement(frame(body, hops=64)) is None
    assert advertisement(router_solicitation(bytes(6))) is None


@given(st.binary(max_size=80), st.integers(0, 60))
def test_whatever_a_router_says_is_read(options: bytes, cut: int) -> None:
    whole = frame(router_advertisement(MAC, None)[:16] + options)
    assert advertisement(whole) is not None
    assert advertisement(whole[:cut]) is None
