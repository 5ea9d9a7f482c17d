"""Whatever a template asks for, it ends with text or with a TemplateError."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from macvnet.gotemplate import Template, TemplateError
from macvnet.gotemplate.builtins import BUILTINS
from macvnet.gotemplate.dockerfunctions import DOCKER
from macvnet.gotemplate.errors import FunctionError
from macvnet.gotemplate.jsons import concrete_of, described
from macvnet.gotemplate.printing import TOO_LONG, sprintf
from macvnet.gotemplate.times import TIME, parse
from macvnet.gotemplate.values import Value, boolean, integer, string, strings

DATA: dict[str, Any] = {
    "s": "lan",
    "n": 5,
    "yes": True,
    "none": None,
    "list": ["a", "b"],
    "rows": [{"k": 1}],
    "map": {"a": "1"},
}
DOTS = [
    None,
    described("demo.Data", DATA, ("map",)),
    concrete_of(DATA),
    Value(TIME, parse("2026-11-04T02:06:04Z")),
    strings(["x"]),
    string("a\udcffü"),
    integer(-3),
]
CONSTANTS = [
    *("1", "-1", "0", "1.5", "1e300", "2i", "'x'", '"a"', '"ü\\xff"', "`%d`", "true", "nil"),
    *('"%v"', '"%9999999v"', '"%[9]*.*d"', "18446744073709551615", "9223372036854775807"),
]
FIELDS = [*(f".{key}" for key in DATA), ".", "$", ".map.a", ".rows.k", "$x", ".Format", ".Year"]
OPERANDS = st.sampled_from([*CONSTANTS, *FIELDS])


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    name = st.sampled_from([*BUILTINS, *DOCKER])
    calls = st.builds(
        lambda name, words: " ".join([name, *words]), name, st.lists(inner, max_size=3)
    )
    return st.one_of(
        st.builds("({})".format, calls),
        st.builds("({} | {})".format, inner, calls),
        st.builds("{}.k".format, st.builds("({})".format, calls)),
    )


EXPRESSIONS = st.recursive(OPERANDS, nested, max_leaves=5)
ACTIONS = st.one_of(
    st.builds("{{{{{}}}}}".format, EXPRESSIONS),
    st.builds("{{{{$x := {}}}}}".format, EXPRESSIONS),
    st.builds("{{{{$x = {}}}}}".format, EXPRESSIONS),
    st.text(max_size=4),
    st.sampled_from(["{{break}}", "{{continue}}", "{{template `t` .}}", "{{- 1 -}}", "{{/* */}}"]),
)


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    word = st.sampled_from(
        ["if", "with", "range", "range $i, $x :=", "range $x =", "with $x :=", "block `t`"]
    )
    body = st.builds("".join, st.lists(inner, max_size=3))
    return st.one_of(
        st.builds("{{{{{} {}}}}}{}{{{{end}}}}".format, word, EXPRESSIONS, body),
        st.builds("{{{{if {}}}}}{}{{{{else}}}}{}{{{{end}}}}".format, EXPRESSIONS, body, body),
        st.builds("{{{{define `t`}}}}{}{{{{end}}}}".format, body),
    )


TEMPLATES = st.builds("".join, st.lists(st.recursive(ACTIONS, blocks, max_leaves=6), max_size=4))
TORN = st.builds(
    lambda text, at, put: text[: at % (len(text) + 1)] + put + text[at % (len(text) + 1) + 1 :],
    TEMPLATES,
    st.integers(0, 500),
    st.sampled_from([*"(){}|.$\"`'-,:=_é\n\x00", "{{", "}}", "{{end}}", "{{else}}", ""]),
)
VALUES = st.one_of(
    st.none(),
    st.builds(string, st.text(max_size=5)),
    st.builds(integer, st.integers(-(2**63), 2**63)),
    st.builds(boolean, st.booleans()),
    st.sampled_from(DOTS),
)


def ends(text: str, dot: Value | None, strict: bool) -> None:
    try:
        template = Template(text)
        template.missing_key_is_error = strict
        out = template.execute(dot)
    except TemplateError as error:
        assert str(error).startswith("template: ")
    else:
        assert isinstance(out, str)


@settings(max_examples=500, deadline=None)
@given(st.one_of(TEMPLATES, TORN), st.sampled_from(DOTS), st.booleans())
def test_a_template_ends_with_text_or_a_refusal(text: str, dot: Value | None, strict: bool) -> None:
    ends(text, dot, strict)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("{}()$.|\"`'-+:=,/* \n\txe1_é%\udcff"), max_size=30))
def test_noise_ends_with_text_or_a_refusal(text: str) -> None:
    ends("{{" + text, DOTS[1], False)
    ends(text, DOTS[1], True)


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.sampled_from("%[]*.#+- 0123459vTtbcdoOqxXUeEfFgGspz!"), max_size=12),
    st.lists(VALUES, max_size=3),
)
def test_any_layout_prints(layout: str, values: list[Value | None]) -> None:
    try:
        assert isinstance(sprintf(layout, values), str)
    except FunctionError as refusal:
        assert str(refusal) == TOO_LONG


@given(st.text(max_size=30))
def test_text_without_actions_is_printed_as_it_is(text: str) -> None:
    if "{{" not in text:
        assert Template(text).execute(None) == text
