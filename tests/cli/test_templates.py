"""``--format`` with a Go template: what is printed where, and with which status.

That the output is docker's is shown by tests/parity/test_templates.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from macvnet.addresses import Subnet
from macvnet.cli import docker_shape, docker_types
from macvnet.gotemplate import Template
from macvnet.model import Owner, Pool
from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine, endpoint, network

INVALID, NOT_FOUND = 3, 4
LAN = "a1" * 32
NO_FIELD = "can't evaluate field {} in type *network.networkContext"
NO_STRING = "wrong type for value; expected string; got int"
BARE = (Pool("p", Subnet.parse("10.0.0.0/8")),)


def paths(value: Any, before: str = "") -> list[str]:
    """Every field below a JSON object, as a template names it."""
    if not isinstance(value, dict):
        return [before]
    return [path for key, one in value.items() for path in paths(one, f"{before}.{key}")]


# -- ls ---------------------------------------------------------------------


def test_ls_prints_a_line_for_each_network(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("net10", 1), network("net2", 2)]
    said = macvnet("ls", "--format", r"{{.Name}}\t{{.ID}}")
    assert said == Said(0, "net2\t020202020202\nnet10\t010101010101\n", "")


def test_a_table_has_its_headings_also_without_networks(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    engine.known = []
    said = macvnet("ls", "--format", r'table {{.ID}}\t{{.Label "a.b-c"}}\t{{.Nosuch}}')
    assert said == Said(0, "NETWORK ID   b c       <no value>\n", "")
    assert macvnet("ls", "--format", "{{.ID}}") == Said(0, "", "")


def test_columns_are_as_wide_as_a_terminal_shows_them(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [
        network("n1", 1, labels={"k": "世界の網です"}),
        network("n2", 2, labels={"k": "e\u0301toile-etoile"}),
    ]
    said = macvnet("ls", "--format", r'table {{.Label "k"}}\t{{.Name}}')
    head, wide, combined = said.out.splitlines()
    assert head == "k               NAME"
    assert wide == "世界の網です" + " " * 4 + "n1"
    assert combined == "e\u0301toile-etoile" + " " * 3 + "n2"


def test_labels_are_in_the_order_of_what_is_printed(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("n", 1, labels={"a": "1", "a-b": "2", "Z": ""})]
    assert macvnet("ls", "--format", "{{.Labels}}").out == "Z=,a-b=2,a=1\n"


def test_rows_in_json_are_the_same_by_both_ways(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("n", 1, labels={"a": "<&>\x7f\u2028\u00a0ü"})]
    short, long = macvnet("ls", "--format", "json").out, macvnet("ls", "--format", "{{json .}}").out
    assert json.loads(short) == json.loads(long)
    assert r"\u003c\u0026\u003e\u007f\u2028" in short and r"\u003c\u0026\u003e\u007f\u2028" in long
    assert "\x7f" not in short + long


def test_ls_prints_nothing_where_one_network_fails(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("n1", 1, labels={"k": "v"}), network("n2", 2, labels={})]
    said = macvnet("ls", "--format", "{{.Name}} {{index (split .Labels `=`) 1}}")
    assert (said.status, said.out) == (INVALID, "")


@pytest.mark.parametrize(
    "given, message, hint",
    [
        ("{{", "template: :1: unclosed action", "--format json shows every field"),
        (
            "{{.Foo}}",
            f'template: :1:2: executing "" at <.Foo>: {NO_FIELD.format("Foo")}',
            "--format json shows every field",
        ),
        (
            "{{.Nam}}",
            f'template: :1:2: executing "" at <.Nam>: {NO_FIELD.format("Nam")}',
            "did you mean Name?",
        ),
        (
            r'{{printf "%s\n" .Name}}',
            "template: :1: unterminated quoted string",
            r"{{println}} within an action, where \n is a real line end by then",
        ),
        (
            "{{uper .Name}}",
            'template: :1: function "uper" not defined',
            "did you mean upper?",
        ),
        (
            "ü\n {{.Name | len | upper}}",
            f'template: :2:17: executing "" at <upper>: {NO_STRING}',
            "--format json shows every field",
        ),
    ],
)
def test_a_refusal_has_dockers_words_and_a_hint(
    macvnet: Macvnet, given: str, message: str, hint: str
) -> None:
    said = macvnet("ls", "--format", given)
    assert said == Said(INVALID, "", f"macvnet: template parsing error: {message}\nhint: {hint}\n")


@pytest.mark.parametrize(
    "given, meant",
    [
        ("jsn", ": did you mean json?"),
        ("TABLE", ": did you mean table?"),
        ("some words", ""),
    ],
)
def test_a_format_without_actions_is_printed_and_noted(
    macvnet: Macvnet, given: str, meant: str
) -> None:
    note = f"macvnet: note: format '{given}' is no template, and is printed as it is{meant}\n"
    assert macvnet("ls", "--format", given) == Said(0, f"{given}\n", note)
    assert macvnet("inspect", "-f", given, "lan") == Said(0, f"{given}\n", note)


# -- inspect ----------------------------------------------------------------


def test_inspect_prints_what_it_can_and_tells_of_the_rest(macvnet: Macvnet) -> None:
    said = macvnet("inspect", "-f", "{{.Name}}", "nope", "lan", LAN)
    assert said == Said(
        NOT_FOUND, "lan\nlan\n", "macvnet: network 'nope' does not exist\nhint: macvnet ls\n"
    )


def test_inspect_prints_an_empty_line_where_nothing_is_found(macvnet: Macvnet) -> None:
    assert macvnet("inspect", "-f", "{{.Name}}", "nope").out == "\n"
    said = macvnet("inspect", "-f", "{{.IPAM.Confg}}", "lan")
    assert said == Said(
        INVALID,
        "\n",
        'macvnet: template parsing error: template: :1:7: executing "" at <.IPAM.Confg>: '
        'map has no entry for key "Confg"\nhint: did you mean Config?\n',
    )


def test_a_template_that_cannot_be_parsed_is_refused_before_anything_is_looked_up(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    engine.fail = AssertionError("the engine was opened")
    for words in (["ls", "--format", "{{"], ["inspect", "-f", "{{", "nope"]):
        said = macvnet(*words)
        assert (said.status, said.out) == (INVALID, "")
        assert "unclosed action" in said.err


def test_a_missing_key_fails_for_the_networks_after_the_first_failure(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    """docker's fallback to the raw document changes how the next one is read."""
    engine.known = [network("n1", 1, labels={}), network("n2", 2, labels={"k": "v"})]
    lenient = macvnet("inspect", "-f", "{{.Labels.k}}", "n1", "n2")
    assert lenient == Said(0, "<no value>\nv\n", "")
    strict = macvnet("inspect", "-f", "{{.Id}} {{.Labels.k}}", "n2", "n1")
    assert (strict.status, strict.out) == (INVALID, f"{'02' * 32} v\n")
    later = macvnet("inspect", "-f", "{{if .Labels.k}}{{.Id}}{{end}}{{.Labels.z}}", "n2", "n1")
    assert (later.status, later.out) == (INVALID, "\n")


def test_addresses_that_are_not_set_are_empty(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("n", 1, pools=BARE)]
    template = "{{range .IPAM.Config}}{{.Subnet}}|{{.Gateway}}|{{if .IPRange}}x{{end}}{{end}}"
    assert macvnet("inspect", "-f", template, "n").out == "10.0.0.0/8||\n"


def test_everything_below_macvnet_can_be_asked_for(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.joined[LAN] = [endpoint(engine.known[0], 1, driver_options={"k": "v"})]
    (shown,) = json.loads(macvnet("inspect", "lan").out)
    for path in paths(shown["Macvnet"], ".Macvnet"):
        found = macvnet("inspect", "-f", f"{{{{.ID}}}} {{{{json {path}}}}}", "lan")
        assert found.status == 0, path
        wanted: Any = shown
        for key in path.split(".")[1:]:
            wanted = wanted[key]
        assert json.loads(found.out.partition(" ")[2]) == wanted
    one = '{{range .Macvnet.Endpoints}}{{.DriverOpts.k}} {{index .DriverOpts "z"}}|{{end}}'
    assert macvnet("inspect", "-f", one, "lan").out == "v |\n"
    assert macvnet("inspect", "-f", "{{.Macvnet.Nosuch}}", "lan").status == INVALID


def test_every_key_of_the_document_has_a_field_of_the_typed_value(engine: Any) -> None:
    engine.joined[LAN] = [endpoint(engine.known[0], 1)]
    document = docker_shape.inspected(engine, engine.known[0])
    value = docker_types.inspected(document)
    assert json.loads(Template("{{json .}}").execute(value)) == {
        **document,
        "Created": "2026-11-24T02:26:04.08400533Z",
    }


# -- what a terminal must not get -------------------------------------------

EVIL = "a\x1b[31mb\x07c\x9bd\u202ee\x00f"


@pytest.mark.parametrize("template", ["{{.Labels}}", "{{index .Labels `k`}}", "{{printf `%v` .}}"])
def test_data_cannot_drive_the_terminal(
    macvnet: Macvnet, engine: FakeEngine, template: str
) -> None:
    engine.known = [network("n", 1, labels={"k": EVIL, EVIL: ""})]
    for said in (
        macvnet("inspect", "-f", template, "n"),
        macvnet("ls", "--format", "{{.Labels}}"),
        macvnet("ls", "--format", "table {{.Labels}}"),
    ):
        assert said.status == 0
        assert all(one.isprintable() or one == "\n" for one in said.out)
        assert r"a\x1b[31mb\x07c\x9bd\u202ee\x00f" in said.out


def test_json_of_such_data_is_json(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("n", 1, labels={"k": EVIL + "\u00a0\U000e0001\n"})]
    said = macvnet("inspect", "-f", "{{json .Labels}}", "n")
    assert json.loads(said.out) == engine.known[0].labels
    assert said.out.isprintable() or said.out[:-1].isprintable()


def test_what_the_template_itself_contains_is_printed_as_it_is(macvnet: Macvnet) -> None:
    said = macvnet("ls", "--format", "\x1b[1m{{.Name}}\x1b[0m")
    assert said.out == "\x1b[1mlan\x1b[0m\n"
    said = macvnet("inspect", "-f", r'{{.Name}}{{"\x00"}}', "lan")
    assert said.out == "lan\x00\n"


def test_tabs_and_newlines_of_data_are_kept(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("n", 1, labels={"k": "a\tb\nc"})]
    assert macvnet("inspect", "-f", "{{.Labels.k}}", "n").out == "a\tb\nc\n"


# -- hostile templates ------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        '{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}',
        '{{define "a"}}{{if .}}{{with .}}{{template "a" .}}{{end}}{{end}}{{end}}{{template "a" .}}',
        "{{" + "(" * 5000 + ".Name" + ")" * 5000 + "}}",
        "{{if .Name}}" * 5000 + "{{end}}" * 5000,
        "{{if 0}}" + "{{else if 0}}" * 5000 + "{{end}}",
        '{{$x := "aaaa"}}{{range 1000}}{{$x = print $x $x}}{{end}}',
        '{{$x := "aaaa"}}{{range 1000}}{{$x = printf "%s%s" $x $x}}{{end}}',
        '{{$x := "aaaa"}}{{range 1000}}{{$x = join (split $x "") "aaaa"}}{{end}}',
        '{{range 100000}}{{printf "%1000000d" 1}}{{end}}',
        "{{" + 'printf "' + "%1000000d" * 200 + '"' + " 1" * 200 + "}}",
        '{{printf "%1000000v" .}}',
        "{{pad .Name 1000000000000 0}}",
        '{{$x := printf "%1000000d" 1}}{{join (split $x "") $x}}',
        '{{range 100}}{{$x := printf "%9000000d" 1}}{{end}}',
        '{{$x := printf "%9000000d" 1}}{{split $x ""}}',
        '{{$x := printf "%9000000d" 1}}{{print' + " $x" * 20_000 + "}}",
        '{{$x := printf "%9000000d" 1}}{{printf "x"' + " $x" * 20_000 + "}}",
        '{{$x := printf "%900000d" 1}}{{range 100}}{{$y := split $x ""}}{{end}}',
        "{{define `a`}}{{block `b` .}}{{template `a`}}{{end}}{{end}}{{template `a`}}",
    ],
    ids=lambda template: str(template)[:40],
)
def test_a_hostile_template_ends_with_a_refusal(macvnet: Macvnet, template: str) -> None:
    said = macvnet("inspect", "-f", template, "lan")
    assert (said.status, said.out.strip()) == (INVALID, "")
    assert said.err.startswith("macvnet: template parsing error: template: ")


def test_an_endless_loop_ends(macvnet: Macvnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("macvnet.gotemplate.expressions.MOST_STEPS", 10_000)
    said = macvnet("inspect", "-f", "{{range 1000000000000}}{{end}}", "lan")
    assert said.status == INVALID
    assert "exceeded maximum number of steps (10000)" in said.err


@pytest.mark.parametrize(
    "template, expected",
    [
        ('{{printf "%999999999999d" 1}}', "%!(NOVERB)%!(EXTRA int=1)\n"),
        ('{{printf "%*d" 99999999999 1}}', "%!(BADWIDTH)1\n"),
        ('{{printf "%.99999999999f" 1.5}}', "%!(NOVERB)%!(EXTRA float64=1.5)\n"),
        ('{{printf "%[99999999999]d" 1}}', "%!d(BADINDEX)\n"),
        ("{{len (printf `%1000000d` 1)}}", "1000000\n"),
    ],
)
def test_widths_are_bounded_as_in_go(macvnet: Macvnet, template: str, expected: str) -> None:
    assert macvnet("inspect", "-f", template, "lan") == Said(0, expected, "")


# -- scripts for jq ---------------------------------------------------------


def test_what_jq_scripts_read_is_there(macvnet: Macvnet, engine: FakeEngine) -> None:
    """Each assertion does what the jq program in its comment does."""
    engine.joined[LAN] = [
        endpoint(engine.known[0], 1),
        endpoint(engine.known[0], 2, owner=Owner("run", "db")),
    ]
    engine.known.append(network("other", 2, labels={}, pools=BARE))
    shown = json.loads(macvnet("inspect", "lan", "other").out)
    # jq -r '.[0].IPAM.Config[0].Subnet'
    assert shown[0]["IPAM"]["Config"][0]["Subnet"] == "192.0.2.0/24"
    # jq -r '.[].IPAM.Config[] | "\(.Subnet) \(.Gateway // "none")"'
    assert [
        (config["Subnet"], config.get("Gateway") or "none")
        for one in shown
        for config in one["IPAM"]["Config"]
    ] == [("192.0.2.0/24", "192.0.2.1"), ("2001:db8::/64", "none"), ("10.0.0.0/8", "none")]
    # jq -r '.[0].Containers | to_entries[] | "\(.value.Name) \(.value.IPv4Address)"'
    assert [
        (value["Name"], value["IPv4Address"].split("/")[0])
        for _, value in shown[0]["Containers"].items()
    ] == [("netns:web", "192.0.2.10"), ("run:db", "192.0.2.10")]
    # jq '.[1].Containers | length'
    assert len(shown[1]["Containers"]) == 0
    # jq -r '.[] | select(.Labels.env == "test") | .Name'
    assert [one["Name"] for one in shown if one["Labels"].get("env") == "test"] == ["lan"]
    # jq -r '.[] | select(.Driver == "macvlan" and (.Internal | not)) | .Options.parent'
    assert [
        one["Options"]["parent"]
        for one in shown
        if one["Driver"] == "macvlan" and not one["Internal"]
    ] == ["eth0", "eth0"]
    # jq '[.[0].Status.IPAM.Subnets[].IPsInUse] | add'
    assert sum(one["IPsInUse"] for one in shown[0]["Status"]["IPAM"]["Subnets"].values()) == 3


def test_what_jq_reads_line_by_line_is_there(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("net10", 1, internal=True), network("net2", 2)]
    rows = [json.loads(line) for line in macvnet("ls", "--format", "{{json .}}").out.splitlines()]
    # jq -r 'select(.Internal == "true") | .ID'
    assert [row["ID"] for row in rows if row["Internal"] == "true"] == ["01" * 6]
    # jq -rs 'map(.Name) | join(" ")'
    assert " ".join(row["Name"] for row in rows) == "net2 net10"
