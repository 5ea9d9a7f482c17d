"""The short way of reading a command line and click's are one: same values, or it stands back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from macvnet.cli import boundary, calling, short
from macvnet.cli.invocation import Invocation
from macvnet.cli.main import cli
from macvnet.cli.parameters import Command, Flag
from macvnet.errors import MacvnetError
from tests.cli.fakes import FakeEngine, network

# How click's commands call what is several of in them.
SEVERAL = {"containers": "container"}
ABSENT = {"atomic": None, "batch": None, "all": None}


def by_click(arguments: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The parameters and the global options as click reads them; None where it refuses."""
    called = Invocation()
    try:
        with cli.make_context("macvnet", list(arguments), obj=called) as top:
            name, command, rest = cli.resolve_command(top, [*top._protected_args, *top.args])
            assert command is not None
            with command.make_context(name, rest, parent=top) as ctx:
                return dict(ctx.params), called.given
    except (MacvnetError, click.ClickException, click.exceptions.Exit):
        return None


def command_of(name: str) -> Command:
    with cli.make_context("macvnet", [], obj=Invocation(), resilient_parsing=True) as top:
        found = cli.get_command(top, name)
    assert isinstance(found, Command)
    return found


@pytest.mark.parametrize("name", short.FORMS)
def test_every_flag_of_the_command_is_known(name: str) -> None:
    command, form = command_of(name), short.FORMS[name]
    flags = {
        flag: isinstance(param, Flag)
        for param in command.params
        if isinstance(param, click.Option)
        for flag in param.opts
    }
    known = {**form.flags, **form.beyond, **short.SHARED}
    assert {flag: kind == short.BOOLEAN for flag, kind in known.items()} == flags


texts = st.one_of(
    st.sampled_from(["lan", "4242", "netns:web", "10.0.0.9", "a,b", '"a,b",c', '"', "", "-", "--"]),
    st.sampled_from(["true", "false", "7", "-7", "9" * 30, "text", "json", "NET,ip=10.0.0.9"]),
    st.text(max_size=6),
)
flag_names = sorted({flag for form in short.FORMS.values() for flag in (*form.flags, *form.beyond)})
flags = st.sampled_from([*flag_names, *short.SHARED, "--help", "-h", "--nothing", "-x", "-fx"])
words = st.one_of(
    texts.map(lambda text: [text]),
    flags.map(lambda flag: [flag]),
    st.tuples(flags, texts).map(list),
    st.builds("{}={}".format, flags, texts).map(lambda word: [word]),
)
lines = st.tuples(st.sampled_from(sorted(short.FORMS)), st.lists(words, max_size=6)).map(
    lambda drawn: [drawn[0], *(word for each in drawn[1] for word in each)]
)


@given(lines)
@settings(max_examples=600, deadline=None)
def test_a_line_that_is_read_is_read_as_click_does(arguments: list[str]) -> None:
    mine = short.read(arguments)
    if mine is None:
        return
    clicks = by_click(arguments)
    assert clicks is not None, "click refuses what was read"
    parameters, shared = clicks
    assert mine.shared == shared
    for plural, one in SEVERAL.items():
        if plural in parameters:
            [parameters[one]] = parameters.pop(plural)
    assert {**mine.parameters, **{k: v for k, v in ABSENT.items() if k in parameters}} == parameters


PLAIN = [
    ["attach", "4242"],
    ["attach", "--network", "lan,ip=10.0.0.9", "--net=v50", "4242", "--dry-run"],
    ["attach", "4242", "--format", "json", "--ip6=2001:db8::9", "--state-dir", "/x"],
    ["detach", "--network=lan", "4242"],
    ["connect", "lan", "netns:web", "--alias", "a,b", "--alias=c", "--gw-priority", "-3"],
    ["connect", "lan", "netns:web", "--ip6-token", "::5", "--rate=10mbit"],
    ["disconnect", "-f", "lan", "netns:web", "--verbose"],
    ["disconnect", "--force=false", "--", "lan", "-odd"],
]


@pytest.mark.parametrize("arguments", PLAIN, ids=" ".join)
def test_a_plain_line_is_read_without_click(arguments: list[str]) -> None:
    assert short.read(arguments) is not None


@pytest.mark.parametrize(
    "arguments", [*PLAIN, ["attach", "--format", "yaml", "4242"]], ids=" ".join
)
def test_both_ways_have_the_same_outcome(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boundary, "record", lambda *given: None)

    def outcome() -> tuple[Any, ...]:
        engine = FakeEngine(network("lan", 1))
        called = Invocation(engine)
        status = calling.run(arguments, called)
        return status, *capsys.readouterr(), called.began is not None, engine.asked

    mine = outcome()
    monkeypatch.setattr(short, "read", lambda arguments: None)
    assert outcome() == mine
