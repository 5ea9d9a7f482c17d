"""The template engine by itself: syntax, evaluation and their errors.

Expected texts are those of Go, and most were seen from docker's client; what
it prints for whole templates is compared in tests/parity/test_templates.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from macvnet.gotemplate import Template, TemplateError
from macvnet.gotemplate.jsons import concrete_of, described

DATA: dict[str, Any] = {
    "name": "lan",
    "n": 5,
    "big": 1 << 63,
    "yes": True,
    "none": None,
    "list": ["a", "b"],
    "empty": [],
    "inner": {"x": {"y": "deep"}},
    "rows": [{"k": 1}, {"k": 2}],
}
TYPED = described("demo.Data", DATA, ())
RAW = concrete_of(DATA)


def rendered(template: str) -> str:
    return Template(template).execute(TYPED)


def refused(template: str, *, raw: bool = False, strict: bool = False) -> str:
    with pytest.raises(TemplateError) as caught:
        made = Template(template)
        made.missing_key_is_error = strict
        made.execute(RAW if raw else TYPED)
    return str(caught.value).removeprefix("template: ")


@pytest.mark.parametrize(
    "template, expected",
    [
        ("", ""),
        ("plain }} text", "plain }} text"),
        ("a {{- .name -}} b", "alanb"),
        ("a\n\t{{- .name}} b", "alan b"),
        ("{{.name -}}\n\n b", "lanb"),
        ("{{/* {{x}} */}}a{{- /* b */ -}} c", "ac"),
        ("{{-3}}", "-3"),
        ("{{\n.name\n}}", "lan"),
        ("{{`a\rb`}}", "ab"),
        (r'{{"\a\b\f\n\r\t\v\\\"\x41\u00e9\U0001F600\101"}}', '\a\b\f\n\r\t\v\\"Aé😀A'),
        (r'{{"\xc3\xbc"}}', "ü"),
        ("{{'a'}} {{'\\n'}} {{'é'}} {{'\\''}}", "97 10 233 39"),
        ("{{1_000}} {{0x1_F}} {{0b101}} {{0o17}} {{017}} {{-0}} {{+5}}", "1000 31 5 15 15 0 5"),
        ("{{1.5}} {{.5}} {{1e3}} {{0x1p-2}} {{1e6}} {{1e-5}} {{100000.0}}",
         "1.5 0.5 1000 0.25 1e+06 1e-05 100000"),
        ("{{1i}} {{1+2i}} {{1e+2i}} {{1-2.5i}}", "(0+1i) (1+2i) (0+100i) (1-2.5i)"),
        ("{{.inner.x.y}} {{(.inner).x.y}} {{$.inner.x.y}}", "deep deep deep"),
        ("{{.none}} {{print .none}}", "<no value> <nil>"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{$x = 3}}{{$x}}{{end}}{{$x}}", "231"),
        ("{{$x := 1}}{{range .list}}{{$x = .}}{{end}}{{$x}}", "b"),
        ("{{range $i, $e := .list}}{{$i}}{{$e}}{{end}}", "0a1b"),
        ("{{$i := 9}}{{$e := 9}}{{range $i, $e = .list}}{{end}}{{$i}}{{$e}}", "1b"),
        ("{{range $e := .list}}{{$e}}{{else}}none{{end}}", "ab"),
        ("{{range .empty}}x{{else}}none{{end}}", "none"),
        ("{{range .none}}x{{else}}none{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}{{range $i := 2}}{{$i}}{{end}}{{range 0}}{{else}}no{{end}}",
         "01201no"),
        ("{{range .list}}{{if eq . `b`}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{range .list}}{{if eq . `a`}}{{continue}}{{end}}{{.}}{{end}}", "b"),
        ("{{range .list}}{{range $.list}}{{break}}{{end}}{{.}}{{end}}", "ab"),
        ("{{with .inner}}{{.x.y}}{{end}}{{with .none}}x{{else}}y{{end}}", "deepy"),
        ("{{with $v := .name}}{{$v}}{{end}}{{with 0}}{{else with .n}}{{.}}{{end}}", "lan5"),
        ("{{if 0}}a{{else if ``}}b{{else if .yes}}c{{else}}d{{end}}", "c"),
        ("{{if .empty}}a{{else}}b{{end}}{{if .inner}}a{{end}}{{if 0.0}}c{{end}}", "ba"),
        ('{{define "t"}}[{{.}}]{{end}}{{template "t" 1}}{{template "t"}}', "[1][<no value>]"),
        ('{{block "t" .name}}<{{.}}>{{end}}', "<lan>"),
        ('{{template "t" .}}{{define "t"}}{{$.name}}{{end}}', "lan"),
        ('{{define ""}}x{{end}}', "x"),
        ('{{define "t"}} {{end}}{{define "t"}}x{{end}}{{template "t"}}', "x"),
        ("{{.name | printf `%s-%s` `a`}}", "a-lan"),
        ("{{`a` | print | print `b`}}", "ba"),
        ("{{and 1 0 .nosuch.x}}{{or 0 1 (index .list 9)}}", "01"),
        ("{{1 | and 2}} {{0 | or 0}}", "1 0"),
        ("{{not 0}} {{not .name}}", "true false"),
        ("{{.name | }}", "lan"),
        ("{{eq nil nil}} {{eq .none nil}} {{eq .name nil}} {{ne .inner nil}}",
         "true true false true"),
        ("{{eq .inner.x .inner.x}} {{eq .list nil}}", "true false"),
        ("{{.big}} {{printf `%T` .big}}", "9223372036854775808 uint64"),
        ("{{print `ü€`}}{{len `ü€`}}", "ü€5"),
    ],
)  # fmt: skip
def test_a_template_gives(template: str, expected: str) -> None:
    assert rendered(template) == expected


@pytest.mark.parametrize(
    "template, message",
    [
        ("{{", ":1: unclosed action"),
        ("\n{{ .name\n", ":3: unclosed action started at :2"),
        ("{{ .name\n!é", ':2: unexpected "!" in operand'),
        ("{{/* x", ":1: unclosed comment"),
        ("{{/* x */ }}", ":1: comment ends before closing delimiter"),
        ('{{"x}}', ":1: unterminated quoted string"),
        ("{{`x}}", ":1: unterminated raw quoted string"),
        ("{{'x}}", ":1: unterminated character constant"),
        ("{{'xy'}}", ":1: malformed character constant: 'xy'"),
        ("{{''}}", ":1: invalid syntax"),
        (r'{{"\q"}}', ":1: invalid syntax"),
        (r'{{"\400"}}', ":1: invalid syntax"),
        (r'{{"\ud800"}}', ":1: invalid syntax"),
        ("{{.name!}}", ":1: bad character U+0021 '!'"),
        ("{{$x'}}", ":1: bad character U+0027 '''"),
        ("{{é€}}", ":1: bad character U+20AC '€'"),
        ("{{€}}", ":1: unrecognized character in action: U+20AC '€'"),
        ("{{\x01}}", ":1: unrecognized character in action: U+0001"),
        ("{{:}}", ":1: expected :="),
        ("{{(1}}", ":1: unclosed left paren"),
        ("{{1)}}", ":1: unexpected right paren"),
        ("{{1a}}", ':1: bad number syntax: "1a"'),
        ("{{1+2}}", ':1: bad number syntax: "1+2"'),
        ("{{0x}}", ':1: illegal number syntax: "0x"'),
        ("{{089}}", ':1: integer overflow: "089"'),
        ("{{1e999}}", ':1: illegal number syntax: "1e999"'),
        ("{{18446744073709551616}}", ':1: integer overflow: "18446744073709551616"'),
        ("{{.}}{{1.x}}", ':1: bad number syntax: "1.x"'),
        ('{{"a".x}}', ':1: unexpected . after term "\\"a\\""'),
        ("{{nil.x}}", ':1: unexpected . after term "nil"'),
        ("{{true.x}}", ':1: unexpected . after term "true"'),
        ("{{nosuch 1}}", ':1: function "nosuch" not defined'),
        ("{{$x}}", ':1: undefined variable "$x"'),
        ("{{if true}}{{$x := 1}}{{end}}{{$x}}", ':1: undefined variable "$x"'),
        ("{{end}}", ":1: unexpected {{end}}"),
        ("{{else}}", ":1: unexpected {{else}}"),
        ("{{if true}}{{else}}{{else}}{{end}}", ":1: expected end; found {{else}}"),
        ("{{if true}}", ":1: unexpected EOF"),
        ("{{if}}{{end}}", ":1: missing value for if"),
        ("{{}}", ":1: missing value for command"),
        ("{{()}}", ":1: missing value for parenthesized pipeline"),
        ("{{| .name}}", ':1: unexpected "|" in command'),
        ("{{.name | 3}}", ":1: non executable command in pipeline stage 2"),
        ("{{break}}", ":1: {{break}} outside {{range}}"),
        ("{{range .list}}{{define `t`}}{{end}}{{end}}", ":1: unexpected <define> in command"),
        ("{{range .list}}{{break 1}}{{end}}", ':1: unexpected "1" in {{break}}'),
        ("{{range .list}}{{block `t` .}}{{break}}{{end}}{{end}}",
         ":1: {{break}} outside {{range}}"),
        ("{{range $a, $b, $c := .list}}{{end}}", ":1: too many declarations in range"),
        ("{{$a, $b := .list}}", ":1: too many declarations in command"),
        ("{{range $a, 1}}{{end}}", ":1: range can only initialize variables"),
        ("{{template 1}}", ':1: unexpected "1" in template clause'),
        ("{{define x}}{{end}}", ':1: unexpected "x" in define clause'),
        ("{{define `a`}}x{{else}}{{end}}", ":1: unexpected {{else}} in define clause"),
        ("{{block `a` .}}x{{else}}{{end}}", ":1: unexpected {{else}} in block clause"),
        ("{{define `a`}}x{{end}}{{define `a`}}y{{end}}",
         ':1: template: multiple definition of template "a"'),
        ("{{with 1}}{{else if 1}}{{end}}{{end}}", ":1: unexpected <if> in input"),
        ("{{.name}", ':1: bad character U+007D \'}\''),
        ("{{averylongword1234.x nosuch}}", ':1: function "averylongword1234" not defined'),
        ("{{template averylongname}}", ':1: unexpected "averylongn"... in template clause'),
        ("{{(.name).x (.name}}", ":1: unclosed left paren"),
        ("{{len(.name)}}", ':1: unexpected "(" in operand'),
        ("{{..}}", ":1: unexpected <.> in operand"),
        ("{{--}}", ':1: bad number syntax: "--"'),
        ("{{ - }}", ':1: illegal number syntax: "-"'),
        ("{{0o8}}", ':1: bad number syntax: "0o8"'),
        ("{{1__0}}", ':1: illegal number syntax: "1__0"'),
        ("{{0x1.8}}", ':1: illegal number syntax: "0x1.8"'),
    ],
)  # fmt: skip
def test_a_template_cannot_be_parsed(template: str, message: str) -> None:
    assert refused(template) == message


@pytest.mark.parametrize(
    "template, place, name, at, message",
    [
        ("{{.Foo}}", "1:2", "", ".Foo", "can't evaluate field Foo in type demo.Data"),
        ("{{.inner.z}}", "1:8", "", ".inner.z", "can't evaluate field z in type demo.inner"),
        ("ü\nü {{.name.z}}", "2:10", "", ".name.z", "can't evaluate field z in type string"),
        ("{{.none.x}}", "1:7", "", ".none.x", "nil pointer evaluating interface {}.x"),
        ("{{.name 1}}", "1:2", "", ".name", "name has arguments but cannot be invoked as function"),
        ("{{nil}}", "1:2", "", "nil", "nil is not a command"),
        ("{{. 1}}", "1:2", "", ".", "can't give argument to non-function ."),
        ("{{1 | $}}", "1:6", "", "$", "can't give argument to non-function $"),
        ("{{1 .name}}", "1:2", "", "1", "can't give argument to non-function 1"),
        ("{{(len .name) 1}}", "1:2", "", "(len .name) 1",
         "can't give argument to non-function len .name"),
        ("{{18446744073709551615}}", "1:2", "", "18446744073709551615",
         "18446744073709551615 overflows int"),
        ("{{$x = 1}}", "1:7", "", "1", "undefined variable: $x"),
        ('{{template "no"}}', "1:11", "", '{{template "no"}}', 'template "no" not defined'),
        ('{{define "t"}}{{.x}}{{end}}{{template "t" 1}}', "1:16", "t", ".x",
         "can't evaluate field x in type int"),
        ("{{range .name}}{{end}}", "1:8", "", ".name", "range can't iterate over lan"),
        ("{{range $a, $b := 3}}{{end}}", "1:18", "", "3",
         "can't use 3 to iterate over more than one variable"),
        ("{{len}}", "1:2", "", "len", "wrong number of args for len: want 1 got 0"),
        ("{{printf}}", "1:2", "", "printf",
         "wrong number of args for printf: want at least 1 got 0"),
        ("{{printf 1}}", "1:9", "", "1", "expected string; found 1"),
        ("{{truncate `a` `b`}}", "1:15", "", "`b`", "expected integer; found `b`"),
        ("{{truncate `a` nil}}", "1:15", "", "nil", "cannot assign nil to int"),
        ("{{truncate `a` 1.5}}", "1:15", "", "1.5", "expected integer; found 1.5"),
        ("{{upper .n}}", "1:8", "", ".n", "wrong type for value; expected string; got int"),
        ("{{upper .none}}", "1:8", "", ".none",
         "wrong type for value; expected string; got interface {}"),
        ("{{index .list 2}}", "1:2", "", "index .list 2",
         "error calling index: reflect: slice index out of range"),
        ("{{index .list 3}}", "1:2", "", "index .list 3",
         "error calling index: index out of range: 3"),
        ("{{index .list -1}}", "1:2", "", "index .list -1",
         "error calling index: index out of range: -1"),
        ("{{index .list `a`}}", "1:2", "", "index .list `a`",
         "error calling index: cannot index slice/array with type string"),
        ("{{index .list nil}}", "1:2", "", "index .list nil",
         "error calling index: cannot index slice/array with nil"),
        ("{{index .n 1}}", "1:2", "", "index .n 1",
         "error calling index: can't index item of type int"),
        ("{{index nil 1}}", "1:2", "", "index nil 1", "error calling index: index of untyped nil"),
        ("{{slice .name 2 1}}", "1:2", "", "slice .name 2 1",
         "error calling slice: invalid slice index: 2 > 1"),
        ("{{slice .name 1 2 3}}", "1:2", "", "slice .name 1 2 3",
         "error calling slice: cannot 3-index slice a string"),
        ("{{slice .list 2 2 1}}", "1:2", "", "slice .list 2 2 1",
         "error calling slice: invalid slice index: 2 > 1"),
        ("{{slice .n}}", "1:2", "", "slice .n",
         "error calling slice: can't slice item of type int"),
        ("{{len .n}}", "1:2", "", "len .n", "error calling len: len of type int"),
        ("{{len nil}}", "1:2", "", "len nil",
         "error calling len: reflect: call of reflect.Value.Type on zero Value"),
        ("{{call .name}}", "1:2", "", "call .name",
         "error calling call: non-function of type string"),
        ("{{eq 1}}", "1:2", "", "eq 1", "error calling eq: missing argument for comparison"),
        ("{{eq .list .list}}", "1:2", "", "eq .list .list",
         "error calling eq: non-comparable type []string"),
        ("{{eq . .}}", "1:2", "", "eq . .", "error calling eq: non-comparable type demo.Data"),
        ("{{eq 1 `a`}}", "1:2", "", "eq 1 `a`",
         "error calling eq: incompatible types for comparison: int and string"),
        ("{{eq .list .inner}}", "1:2", "", "eq .list .inner",
         "error calling eq: non-comparable types []string, demo.inner"),
        ("{{lt .yes .yes}}", "1:2", "", "lt .yes .yes",
         "error calling lt: invalid type for comparison"),
        ("{{lt nil 1}}", "1:2", "", "lt nil 1", "error calling lt: invalid type for comparison"),
        ("{{join 1 `,`}}", "1:2", "", "join 1 `,`", "error calling join: expected slice, got int"),
        ("{{pad `a` -1 0}}", "1:2", "", "pad `a` -1 0",
         "error calling pad: strings: negative Repeat count"),
        ("{{truncate `a` -1}}", "1:2", "", "truncate `a` -1",
         "error calling truncate: runtime error: slice bounds out of range [:-1]"),
        ("{{json 1i}}", "1:2", "", "json 1i",
         "error calling json: json: unsupported type: complex128"),
    ],
)  # fmt: skip
def test_a_template_cannot_be_carried_out(
    template: str, place: str, name: str, at: str, message: str
) -> None:
    assert refused(template) == f':{place}: executing "{name}" at <{at}>: {message}'


def test_a_document_without_types_is_strict_where_asked() -> None:
    assert Template("{{.nosuch}}|{{.nosuch.x}}").execute(RAW) == "<no value>|<no value>"
    assert refused("{{.nosuch}}", raw=True, strict=True).endswith(
        'map has no entry for key "nosuch"'
    )
    assert refused("{{$x := .none}}{{$x.y}}", raw=True, strict=True).endswith(
        'nil data; no entry for key "y"'
    )
    assert refused("{{.s 1}}", raw=True).endswith("s is not a method but has arguments")
    assert Template("{{.n}} {{len .n}} {{printf `%T %s` .n .n}}").execute(RAW) == (
        "5 1 json.Number 5"
    )
    assert refused("{{eq .n 5}}", raw=True).endswith(
        "incompatible types for comparison: json.Number and int"
    )


def test_the_names_that_there_are_come_with_the_error() -> None:
    with pytest.raises(TemplateError) as caught:
        Template("{{.nam}}").execute(TYPED)
    assert caught.value.word == "nam" and "name" in caught.value.known
    with pytest.raises(TemplateError) as caught:
        Template("{{uper 1}}")
    assert caught.value.word == "uper" and "upper" in caught.value.known


def test_what_was_written_before_a_failure_is_kept() -> None:
    with pytest.raises(TemplateError) as caught:
        Template("a{{.name}}{{.nosuch}}b").execute(TYPED)
    assert caught.value.written == "alan"


def test_a_template_can_be_carried_out_again() -> None:
    template = Template("{{$x := .n}}{{range .list}}{{.}}{{end}}{{$x}}")
    assert template.execute(TYPED) == template.execute(TYPED) == "ab5"


def test_a_stack_that_is_nearly_full_is_no_crash() -> None:
    template = Template("{{(((((print 1)))))}}")

    def deep(levels: int) -> str:
        return deep(levels - 1) if levels else template.execute(TYPED)

    with pytest.raises(TemplateError, match="too many levels"):
        for levels in range(700, 990):
            deep(levels)
