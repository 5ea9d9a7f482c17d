"""Rates as values: tc's units, one spelling, and what to type where it is none of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet import rates
from macvnet.errors import InvalidRequest
from macvnet.kernel import qdiscs


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("10mbit", "10mbit"),
        (" 1.5Mbit", "1500kbit"),
        ("1.25mbps", "10mbit"),
        ("8000bit", "8kbit"),
        ("12345bit", "12344bit"),
        ("1kibps", "8192bit"),
        ("1gibit", "1073741824bit"),
        ("0.001tbit", "1gbit"),
        ("1tbit", "1tbit"),
    ],
)
def test_a_rate_has_one_spelling(typed: str, written: str) -> None:
    assert rates.written(rates.parse(typed)) == rates.spelled(typed) == written


@given(st.integers(rates.LOWEST // 8, rates.HIGHEST // 8).map(lambda number: number * 8))
def test_what_is_written_is_read_as_it_was(rate: int) -> None:
    assert rates.parse(rates.written(rate)) == rate
    assert rates.is_recorded(rate) and not rates.is_recorded(rate + 1)


@pytest.mark.parametrize(
    ("typed", "said", "hint"),
    [
        ("10", "has no unit", "--rate 10mbit"),
        ("10M", "unknown unit", "--rate 10mbit"),
        ("10MB", "unknown unit", "--rate 10mbps"),
        ("10mbit/s", "not a number with a unit", "--rate 10mbit"),
        ("10mbits", "unknown unit", "--rate 10mbit"),
        ("10kibits", "unknown unit", "--rate 10kibit"),
        ("2G", "unknown unit", "--rate 2gbit"),
        ("50%", "not a number with a unit", "--rate 10mbit"),
        ("-1mbit", "not a number with a unit", "--rate 10mbit"),
        ("1e3mbit", "not a number with a unit", "--rate 10mbit"),
        (".5mbit", "not a number with a unit", "--rate 10mbit"),
        ("5.mbit", "not a number with a unit", "--rate 10mbit"),
        ("\u0661mbit", "not a number with a unit", "--rate 10mbit"),
        ("", "not a number with a unit", "--rate 10mbit"),
        ("9" * 50 + "bit", "not a number with a unit", "--rate 10mbit"),
        ("0mbit", "not from 8kbit to 1tbit", "--rate 10mbit"),
        ("7999bit", "not from 8kbit to 1tbit", "--rate 10mbit"),
        ("2tbit", "not from 8kbit to 1tbit", "--rate 10mbit"),
    ],
)
def test_what_is_no_rate_is_refused(typed: str, said: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rates.parse(typed)
    assert said in refused.value.message
    assert refused.value.hint == hint
    assert rates.spelled(typed) == typed


@given(st.text(max_size=30))
def test_any_text_is_a_rate_or_is_refused(text: str) -> None:
    try:
        assert rates.is_recorded(rates.parse(text))
    except InvalidRequest as error:
        assert error.hint


@given(st.integers(1000, rates.HIGHEST // 8), st.integers(68, 65535))
def test_a_bucket_holds_every_frame_of_the_link(rate: int, mtu: int) -> None:
    burst, limit = qdiscs.bucket(rate, mtu)
    assert mtu + qdiscs.FRAME < burst < limit < 1 << 32
