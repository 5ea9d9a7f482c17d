"""JSON by the standard library's C parts is JSON as ``json`` has it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet import jsontext

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip
BAD = (
    *("", " ", "{", "[1,]", "{'a': 1}", '{"a"}', "1 2", "nul", "01", '"\n"', '"\\x"', "\ufeff1"),
    *("NaN", "[Infinity]", "-Infinity", "[" * 5000),
)


@given(VALUES)
def test_what_is_written_is_what_json_writes(value: object) -> None:
    text = jsontext.written(value)
    assert text == json.dumps(value, separators=(",", ":"), allow_nan=False)
    assert jsontext.read(text) == value
    assert jsontext.read(f"\r\n {json.dumps(value, indent=2)}\t") == value


@given(st.text())
def test_any_text_is_read_as_json_reads_it_or_refused_as_there(text: str) -> None:
    try:
        value = json.loads(text, parse_constant=jsontext._Reading.parse_constant)
    except ValueError as error:
        with pytest.raises(ValueError) as refused:
            jsontext.read(text)
        assert str(refused.value) == str(error)
    else:
        assert jsontext.read(text) == value


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("read", [jsontext.read, jsontext._read])
def test_what_is_no_json_is_refused(read: object, text: str) -> None:
    assert callable(read)
    with pytest.raises((ValueError, RecursionError)):
        read(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1j: 2}, object(), {"a": b""}])
@pytest.mark.parametrize("written", [jsontext.written, jsontext._written])
def test_what_json_cannot_say_is_not_written(written: object, value: object) -> None:
    assert callable(written)
    with pytest.raises((ValueError, TypeError)):
        written(value)


def test_a_value_with_itself_inside_is_not_written() -> None:
    round_about: list[object] = []
    round_about.append(round_about)
    with pytest.raises((ValueError, RecursionError)):
        jsontext.written(round_about)


SHOW = """
import sys
{before}
from macvnet import jsontext
value = {{"a": [1, None, "\\u00e9"]}}
assert jsontext.read(jsontext.written(value)) == value
print(*sorted({{"json", "re", "enum"}} & set(sys.modules)))
"""


def loaded(before: str) -> str:
    words = [sys.executable, "-S", "-c", SHOW.format(before=before)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_json_is_refused_where_json_is_not_loaded_yet(text: str) -> None:
    """Python 3.11's C parts take the class of the error from what is loaded."""
    tried = (
        "import sys\nfrom macvnet import jsontext\nassert 'json' not in sys.modules\n"
        "try:\n    jsontext.read(sys.argv[1])\nexcept (ValueError, RecursionError):\n    pass\n"
        "else:\n    sys.exit(3)"
    )
    subprocess.run([sys.executable, "-S", "-c", tried, text], check=True)


def test_the_c_parts_are_as_expected_and_load_nothing_else() -> None:
    assert loaded("") == ""


@pytest.mark.parametrize(
    "before", ["sys.modules['_json'] = None", "import _json; del _json.make_scanner"]
)
def test_where_they_are_not_the_package_does_it(before: str) -> None:
    assert "json" in loaded(before)
