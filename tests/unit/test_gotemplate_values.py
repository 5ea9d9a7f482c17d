"""What templates print and compute: verbs, numbers, functions, JSON and times, as Go does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from macvnet.gotemplate import Template, TemplateError
from macvnet.gotemplate.jsons import concrete_of, described, encode, quoted
from macvnet.gotemplate.literals import quote, unquote
from macvnet.gotemplate.times import TIME, parse, written
from macvnet.gotemplate.values import (
    ANY,
    INT,
    REFLECTED,
    STRING,
    Field,
    Kind,
    Type,
    Value,
    map_of,
    pointer_to,
    slice_of,
    string,
    truth,
    zero,
)

DATA: dict[str, Any] = {
    "s": "lan",
    "list": ["a", "b"],
    "map": {"b": "2", "a": "1"},
    "rows": [{"k": 1, "none": None}],
    "yes": True,
    "none": None,
}
TYPED = described("demo.Data", DATA, ("map",))
SPRINTF = [
    # strings
    ("%s|%v|%q|%x|%X", "lan", 'lan|lan|"lan"|6c616e|6C616E'),
    ("%5s|%-5s|%05s|%.2s|%5.1s|%.0s", "lan", "  lan|lan  |00lan|la|    l|"),
    ("% x|%#x|%# X|%.2x|%8x|%-8x|", "lan",
     "6c 61 6e|0x6c616e|0X6C 0X61 0X6E|6c61|  6c616e|6c616e  |"),
    ("%#q|%+q|%#+q", "a`é", '"a`é"|"a`\\u00e9"|"a`\\u00e9"'),
    ("%#q", "lan", "`lan`"),
    ("%q", "\x00\x7f\n\U000e0001\ufeff\udcff", r'"\x00\x7f\n\U000e0001\ufeff\xff"'),
    ("%d|%t|%e", "a", "%!d(string=a)|%!t(string=a)|%!e(string=a)"),
    ("%5d", "a", "%!d(string=    a)"),
    ("%T|%p", "a", "string|%!p(string=a)"),
    # whole numbers
    ("%d|%v|%s|%t", 42, "42|42|%!s(int=42)|%!t(int=42)"),
    ("%5d|%-5d|%05d|%+d|% d|%+05d|%-05d|", 42, "   42|42   |00042|+42| 42|+0042|42   |"),
    ("%b|%o|%O|%x|%X|%#b|%#o|%#x|%#X", 42, "101010|52|0o52|2a|2A|0b101010|052|0x2a|0X2A"),
    ("%.3d|%8.5d|%-8.5d|%08.3d|%.0d|%+.2d", 5, "005|   00005|00005   |     005|5|+05"),
    ("%.0d|%5.0d|%#o|%#x", 0, "|     |0|0x0"),
    ("%c|%q|%U|%#U|%+q|%5c|%08U", 233, "é|'é'|U+00E9|U+00E9 'é'|'\\u00e9'|    é|  U+00E9"),
    ("%c|%q|%U|%#U", -1, "\ufffd|'\ufffd'|U+FFFFFFFFFFFFFFFF|U+FFFFFFFFFFFFFFFF"),
    ("%q|%q", 39, "'\\''|%!q(MISSING)"),
    ("%d|%x|%b", -42, "-42|-2a|-101010"),
    # floating-point numbers
    ("%v|%g|%f|%e|%E|%G|%.2f|%6.1f|%-6.1f|%06.1f", 2.5,
     "2.5|2.5|2.500000|2.500000e+00|2.500000E+00|2.5|2.50|   2.5|2.5   |0002.5"),
    ("%+.1f|% .1f|%+06.1f|%.0f|%#.0f|%F", 2.5, "+2.5| 2.5|+002.5|2|2.|2.500000"),
    ("%v|%g|%.3g|%#g|%#.3g", 1e21, "1e+21|1e+21|1e+21|1.00000e+21|1.00e+21"),
    ("%v|%f|%g", 1e-7, "1e-07|0.000000|1e-07"),
    ("%v|%v", 123456789.0, "1.23456789e+08|%!v(MISSING)"),
    ("%v %x %X %b %.1x %#x", 1.0, "1 0x1p+00 0X1P+00 4503599627370496p-52 0x1.0p+00 0x1.0000p+00"),
    ("%x %.2x %.20x", 1.9999999, "0x1.fffffe5280d65p+00 0x1.00p+01 0x1.fffffe5280d650000000p+00"),
    ("%x %.3x %d", 0.0, "0x0p+00 0x0.000p+00 %!d(float64=0)"),
    ("%e|%.3e", 0.0, "0.000000e+00|0.000e+00"),
    # booleans and nothing
    ("%t|%v|%6v|%-6v|%d", True, "true|true|  true|true  |%!d(bool=true)"),
    ("%v|%s|%d|%T|%5v", None, "<nil>|%!s(<nil>)|%!d(<nil>)|<nil>|<nil>"),
]  # fmt: skip


def value_of(given: Any) -> Value | None:
    if isinstance(given, float):
        return Value(Type("float64", Kind.FLOAT), given)
    return None if given is None else described("demo.X", given, ())


def render(template: str, dot: Value | None = TYPED) -> str:
    return Template(template).execute(dot)


@pytest.mark.parametrize("layout, given, expected", SPRINTF)
def test_printf(layout: str, given: Any, expected: str) -> None:
    arguments = " ." * (layout.count("%") - expected.count("(MISSING)"))
    assert render(f"{{{{printf `{layout}`{arguments}}}}}", value_of(given)) == expected


@pytest.mark.parametrize(
    "template, expected",
    [
        ('{{printf "%v %+v %#v" .list .list .list}}', '[a b] [a b] []string{"a", "b"}'),
        ('{{printf "%v %#v" .map .map}}',
         'map[a:1 b:2] map[string]string{"a":"1", "b":"2"}'),
        ('{{printf "%v|%+v|%#v" .rows .rows .rows}}',
         "[{1 <nil>}]|[{k:1 none:<nil>}]|[]interface {}{demo.rows{k:1, none:interface {}(nil)}}"),
        ('{{printf "%q %x %5s|%d" .list .list .list .list}}',
         '["a" "b"] [61 62] [    a     b]|[%!d(string=a) %!d(string=b)]'),
        ('{{printf "%T %T %T %T" .list .map .rows .none}}',
         "[]string map[string]string []interface {} <nil>"),
        ('{{printf "%6.2v|" .s}}', "    la|"),
        ('{{printf "%[2]v %[1]v %v" 1 2}}', "2 1 2"),
        ('{{printf "%[2]*[1]d|%[1]*d|%[2]*d|" 3 4 5}}', "   3|  4|   5|"),
        ('{{printf "%[3]d %[x]d %[1]" 1}}',
         "%!d(BADINDEX) %!d(BADINDEX) %!(NOVERB)"),
        ('{{printf "%!"}} {{printf "%"}} {{printf "%z" 1}} {{printf "%w" .list}}',
         "%!!(MISSING) %!(NOVERB) %!z(int=1) %!w([]string=[a b])"),
        ('{{printf "%[1]5d %.[1]2f" 1 2.5}}', "%!d(BADINDEX) %!f(int=01)"),
        ('{{printf "%*d %.*d" `a` 1 -1 2}}', "%!(BADWIDTH)1 %!(BADPREC)2"),
        ('{{printf "%-*d|%*d|" 4 1 -4 1}}', "1   |1   |"),
        ('{{printf "%d %d" 1}} {{printf "%d" 1 2 nil}}',
         "1 %!d(MISSING) 1%!(EXTRA int=2, <nil>)"),
        ('{{printf "100%% %5%|"}}', "100% %|"),
        ('{{printf "é%s€" .s}}', "élan€"),
        ("{{print 1 2 `a` 3 4 `b` `c` true nil}}", "1 2a3 4bctrue <nil>"),
        ("{{println}}{{println 1 `a`}}", "\n1 a\n"),
        ("{{.rows}} {{.list}} {{.map}} {{.yes}}", "[{1 <nil>}] [a b] map[a:1 b:2] true"),
    ],
)  # fmt: skip
def test_printing_of_what_holds_others(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    "template, expected",
    [
        ("{{len .s}} {{len .list}} {{len .map}} {{len ``}}", "3 2 2 0"),
        ("{{index .map `a`}} {{index .map `z`}}| {{index .list 1}} {{index .s 0}}", "1 | b 108"),
        ("{{index .rows 0 | printf `%v`}} {{(index .rows 0).k}}", "{1 <nil>} 1"),
        ("{{slice .s 1}} {{slice .s 1 2}} {{slice .list 1 2 2}} {{slice `üa` 2}}", "an a [b] a"),
        ("{{eq 1 1}} {{eq 1 2 1}} {{eq `a` `b`}} {{eq 1i 1i}} {{eq true true}}",
         "true true false true true"),
        ("{{lt 1 2}} {{lt `a` `ä`}} {{lt 1.5 1.5}} {{le 2 2}} {{gt 2 1}} {{ge 1 2}}",
         "true true false true true false"),
        ("{{html `<a href=\"x\">'&'</a>`}}",
         "&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;"),
        ("{{js `'\"\\<>&=é\u2028\n`}}", r"\'\"\\\u003C\u003E\u0026\u003Dé\u2028\u000A"),
        ("{{urlquery `a b&c=d/é~-_.`}} {{urlquery 1 2}}", "a+b%26c%3Dd%2F%C3%A9~-_. 1+2"),
        ("{{html nil}} {{html .none 1}}", "&lt;no value&gt; &lt;no value&gt;1"),
        ("{{split `a,b` `,`}} {{len (split `aé` ``)}} {{split `` `,` | len}}", "[a b] 2 1"),
        ("{{join .list `+`}} {{join .map `+`}} {{join nil `+`}}|{{join .rows `;`}}",
         "a+b 1+2 |{1 <nil>}"),
        ("{{lower `ÄB`}} {{upper `äß`}} {{upper `ŉ`}} {{lower `ЖΣ`}}", "äb Äß ŉ жσ"),
        ("{{title `hello wORLD a-b_c 1d é.f`}}", "Hello WORLD A-B_c 1d É.F"),
        ("{{pad `a` 1 2}}|{{pad `` 1 2}}|", " a  ||"),
        ("{{truncate `abc` 2}} {{truncate `abc` 3}} {{truncate `abc` 9}} {{truncate `üa` 2}}",
         "ab abc abc ü"),
        ("{{json .map}} {{json .list}} {{json .rows}} {{json .yes}} {{json .none}}",
         '{"a":"1","b":"2"} ["a","b"] [{"k":1,"none":null}] true null'),
        ("{{json 1}} {{json 1.5}} {{json 1e21}} {{json 1e-7}} {{json 100000.0}} {{json -0.5}}",
         "1 1.5 1e+21 1e-7 100000 -0.5"),
        ("{{json nil}} {{json `<a>`}} {{json true}}", 'null "<a>" true'),
    ],
)  # fmt: skip
def test_functions(template: str, expected: str) -> None:
    assert render(template) == expected


def test_a_byte_that_is_no_text_stays_a_byte() -> None:
    cut = render("{{truncate `aü` 2}}")
    assert cut.encode("utf-8", "surrogateescape") == b"a\xc3"
    assert render("{{len (truncate `aü` 2)}} {{printf `%q` (truncate `aü` 2)}}") == '2 "a\\xc3"'
    assert render(r'{{len "\xff"}} {{index "\xff" 0}} {{json "\xff"}} {{js "\xff"}}') == (
        '1 255 "\\ufffd" \udcff'
    )


@pytest.mark.parametrize("text", ["", "a", '"', "\\", "\n\t\0\x7f", "ü€😀", "\udcff", "`"])
def test_a_quoted_string_means_itself(text: str) -> None:
    assert unquote(quote(text)) == text
    assert unquote(quote(text, ascii_only=True)) == text
    assert quote(text, ascii_only=True).isascii()


@pytest.mark.parametrize(
    "text", ["", "a", '"\\/', "\n\t\b\f\r\0\x7f\x9b", "ü€😀", "\u2028\u00a0<&>"]
)
def test_json_of_a_string_means_itself_and_is_fit_to_be_printed(text: str) -> None:
    for html in (False, True):
        assert json.loads(quoted(text, html=html)) == text
        assert quoted(text, html=html).isprintable()
    assert not set("<&>") & set(quoted(text, html=True))


# -- types ------------------------------------------------------------------

ROW = Type(
    "demo.Row",
    Kind.STRUCT,
    fields=(
        Field("Name", STRING, "name", omit_empty=True),
        Field("Count", INT, "count", omit_empty=True),
        Field("Tags", slice_of(STRING), "tags"),
        Field("Next", pointer_to(map_of(STRING, ANY)), "next"),
    ),
)


def test_zeros() -> None:
    assert render("{{.}}", zero(ROW)) == "{ 0 [] <nil>}"
    assert render("{{printf `%#v` .}}", zero(ROW)) == (
        'demo.Row{Name:"", Count:0, Tags:[]string(nil), Next:<nil>}'
    )
    assert encode(zero(ROW)) == '{"tags":null,"next":null}'
    assert [truth(zero(of)) for of in (STRING, INT, ROW, slice_of(INT), ANY)] == [
        False, False, True, False, False,
    ]  # fmt: skip
    assert render("{{len .Tags}} {{range .Tags}}x{{else}}none{{end}} {{.Next}}", zero(ROW)) == (
        "0 none <nil>"
    )
    assert zero(TIME).data.nanoseconds == 0 and zero(REFLECTED).data == {}


def test_a_nil_pointer_has_no_fields() -> None:
    with pytest.raises(TemplateError, match="nil pointer evaluating"):
        render("{{.Next.x}}", zero(ROW))
    with pytest.raises(TemplateError, match="index of nil pointer"):
        render("{{index .Next `x`}}", zero(ROW))
    with pytest.raises(TemplateError, match="len of nil pointer"):
        render("{{len .Next}}", zero(ROW))


def test_a_pointer_is_followed() -> None:
    inner = Value(map_of(STRING, ANY), {"x": Value(ANY, string("y"))})
    dot = Value(ROW, {**zero(ROW).data, "Next": Value(pointer_to(inner.type), inner)})
    assert render("{{.Next.x}} {{len .Next}} {{.Next}} {{index .Next `x`}}", dot) == (
        "y 1 map[x:y] y"
    )
    assert render("{{print .Next}} {{if .Next}}yes{{end}} {{json .Next}}", dot) == (
        '&map[x:y] yes {"x":"y"}'
    )


def test_a_map_of_other_keys_is_no_struct() -> None:
    numbers = Value(map_of(INT, STRING), {2: string("b"), 1: string("a")})
    assert render("{{.}} {{index . 2}} {{range $k, $v := .}}{{$k}}{{$v}}{{end}}", numbers) == (
        "map[1:a 2:b] b 1a2b"
    )
    with pytest.raises(TemplateError, match="can't evaluate field a in type map"):
        render("{{.a}}", numbers)
    with pytest.raises(TemplateError, match="value has type string; should be int"):
        render("{{index . `a`}}", numbers)
    with pytest.raises(TemplateError, match="value is nil; should be of type int"):
        render("{{index . nil}}", numbers)


def test_documents_become_values() -> None:
    raw = concrete_of({"a": [1, "x", None, True, {"b": 2}]})
    assert render("{{.}} {{json .}}", raw) == (
        'map[a:[1 x <nil> true map[b:2]]] {"a":[1,"x",null,true,{"b":2}]}'
    )
    assert concrete_of(None) is None


# -- times ------------------------------------------------------------------

MOMENT = "2026-11-04T02:06:04.084005330Z"


@pytest.mark.parametrize(
    "layout, expected",
    [
        ("2006-01-02T15:04:05Z07:00", "2026-11-04T02:06:04Z"),
        ("Mon Jan _2 15:04:05 2006", "Wed Nov  4 02:06:04 2026"),
        ("Monday, January 2 06", "Wednesday, November 4 26"),
        ("1/2 3:4:5 03 PM pm", "11/4 2:6:4 02 AM am"),
        ("002 __2", "308 308"),
        (".000 .000000 .000000000 .999 ,000", ".084 .084005 .084005330 .084 ,084"),
        ("05.00 05.999999999", "04.08 04.08400533"),
        ("MST -0700 -07:00 -07 -07:00:00 -070000", "UTC +0000 +00:00 +00 +00:00:00 +000000"),
        ("Z0700 Z07 Z07:00:00 Z070000", "Z Z Z Z"),
        ("no reference é", "no reference é"),
    ],
)
def test_times_are_written_as_the_reference_time_is(layout: str, expected: str) -> None:
    assert written(parse(MOMENT), layout) == expected


def test_times_of_other_zones() -> None:
    moment = parse("2026-07-01T13:05:09-03:30")
    assert written(moment, "15:04 3PM -0700 Z07:00 MST .999") == "13:05 1PM -0330 -03:30 -0330 "
    assert written(parse("2026-07-01T00:00:00+02:00"), "MST 03 Z07") == "+02 12 +02"
    with pytest.raises(ValueError, match="is not of the form"):
        parse("yesterday")


@pytest.mark.parametrize(
    "template, expected",
    [
        ("{{.}}", "2026-11-04 02:06:04.08400533 +0000 UTC"),
        ("{{json .}}", '"2026-11-04T02:06:04.08400533Z"'),
        ("{{.Year}} {{.Month}} {{.Day}} {{.Hour}} {{.Minute}} {{.Second}} {{.Nanosecond}}",
         "2026 November 4 2 6 4 84005330"),
        ("{{.Weekday}} {{.YearDay}} {{printf `%d %d` .Month .Weekday}}",
         "Wednesday 308 11 3"),
        ("{{.Unix}} {{.UnixMilli}} {{.UnixMicro}} {{.UnixNano}}",
         "1793757964 1793757964084 1793757964084005 1793757964084005330"),
        ("{{.Format `2006`}} {{.String}} {{.IsZero}} {{.UTC.Year}}",
         "2026 2026-11-04 02:06:04.08400533 +0000 UTC false 2026"),
        ("{{printf `%q %10.4s|` . .}}", '"2026-11-04 02:06:04.08400533 +0000 UTC"       2026|'),
        ("{{printf `%#v` .}}", "time.Date(2026, time.November, 4, 2, 6, 4, 84005330, time.UTC)"),
        ("{{if .}}set{{end}} {{eq .Month 11}} {{gt .Year 2000}}", "set true true"),
    ],
)  # fmt: skip
def test_what_templates_ask_of_a_time(template: str, expected: str) -> None:
    assert render(template, Value(TIME, parse(MOMENT))) == expected


def test_local_time_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "XST-2")
    time.tzset()
    try:
        assert render("{{.Local.Format `15:04 -0700 MST`}}", Value(TIME, parse(MOMENT))) == (
            "04:06 +0200 XST"
        )
    finally:
        monkeypatch.undo()
        time.tzset()
