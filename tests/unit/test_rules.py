"""Refusals that need nothing but the value, each with something to type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet import rules
from macvnet.errors import InvalidRequest


@pytest.mark.parametrize("name", ["a", "net_1", "4f", "A.b-c", "x" * 253])
def test_names_of_docker_containers_are_names_of_networks(name: str) -> None:
    rules.check_name(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("", "give the network a name"),
        ("   ", "give the network a name"),
        ("12345", "net12345"),
        ("my net", "my-net"),
        ("-x", "x"),
        ("a/b", "a-b"),
        ("\x1b[31mred", "31mred"),
        ("host", "my-host"),
        ("x" * 254, "x" * 253),
    ],
)
def test_other_names_are_refused_with_a_valid_one(name: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rules.check_name(name)
    assert caught.value.hint == hint
    assert "\x1b" not in caught.value.message


@given(st.text())
def test_corrected_name_is_valid(name: str) -> None:
    corrected = rules.corrected_name(name)
    if corrected not in rules.PREDEFINED:
        rules.check_name(corrected)


@pytest.mark.parametrize("text", ["02:00:5e:00:53:01", "02-00-5E-00-53-01", " 02:00:5e:00:53:01 "])
def test_mac_is_made_canonical(text: str) -> None:
    assert rules.check_mac(text) == "02:00:5e:00:53:01"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("01:00:5e:00:00:01", "is a multicast address", "--mac-address 02:00:5e:00:00:01"),
        ("ff:ff:ff:ff:ff:ff", "is a multicast address", "--mac-address fe:ff:ff:ff:ff:ff"),
        ("00:00:00:00:00:00", "is no address", "02:00:5e:00:53:01"),
        ("02:00:5e", "not six pairs", "02:00:5e:00:53:01"),
        ("02005e005301", "not six pairs", "02:00:5e:00:53:01"),
    ],
)
def test_bad_mac_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rules.check_mac(text)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["eth0", "a", "x" * 15, "web-1.2"])
def test_kernel_s_interface_names_pass(name: str) -> None:
    assert rules.interface_name_problem(name) == ""


@pytest.mark.parametrize(
    "name", ["", "x" * 16, ".", "..", "a/b", "a:b", "a b", "eth%d", "é", "a\x1b"]
)
def test_other_interface_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        rules.check_interface_name(name)


def test_last_of_a_repeated_key_wins() -> None:
    assert rules.split_pairs(("a=1", "b", "a=2=3"), "--opt") == {"a": "2=3", "b": ""}


@pytest.mark.parametrize("item", ["=x", ""])
def test_key_is_needed(item: str) -> None:
    with pytest.raises(InvalidRequest):
        rules.split_pairs((item,), "--label")


def test_bare_key_can_be_forbidden() -> None:
    with pytest.raises(InvalidRequest):
        rules.split_pairs(("foo",), "--driver-opt", bare=False)


def test_label_contains_no_white_space() -> None:
    with pytest.raises(InvalidRequest) as caught:
        rules.check_labels({"c d": "1"})
    assert caught.value.hint == "--label c-d=..."
