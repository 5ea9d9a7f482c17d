"""ls, inspect and prune: what is shown, in docker's layout and shape."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from macvnet.addresses import Address
from macvnet.cli import tables
from macvnet.cli.calling import run
from macvnet.cli.invocation import Invocation
from macvnet.cli.top import HEADERS
from macvnet.kernel.learned import Learned
from macvnet.model import Owner
from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine, endpoint, network

GOLDEN = Path(__file__).parent / "golden"
LAN = "a1" * 32


def test_ls_has_dockers_layout(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("net10", 1), network("net2", 2, config_only=True)]
    assert macvnet("ls").out == (
        "NETWORK ID     NAME      DRIVER    SCOPE\n"
        "020202020202   net2      null      local\n"
        "010101010101   net10     macvlan   local\n"
    )
    engine.known.append(network("a-long-name", 3))
    assert macvnet("list", "--no-trunc").out.splitlines()[:2] == [
        "NETWORK ID".ljust(67) + "NAME          DRIVER    SCOPE",
        "03" * 32 + "   a-long-name   macvlan   local",
    ]
    engine.known.clear()
    assert macvnet("ls").out == "NETWORK ID   NAME      DRIVER    SCOPE\n"


def test_ls_prints_ids_and_json(macvnet: Macvnet, engine: FakeEngine) -> None:
    assert macvnet("ls", "-q").out == "a1a1a1a1a1a1\n"
    assert macvnet("ls", "-q", "--no-trunc", "-f", "name=lan").out == LAN + "\n"
    said = macvnet("ls", "-q", "--format", "json")
    assert said.out == (
        '{"CreatedAt":"2026-11-24 02:26:04.08400533 +0000 UTC","Driver":"macvlan",'
        '"ID":"a1a1a1a1a1a1","IPv4":"true","IPv6":"true","Internal":"false",'
        '"Labels":"a=,env=test","Name":"lan","Scope":"local"}\n'
    )


def test_ls_knows_what_is_in_use(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known.append(network("empty", 2))
    engine.joined[LAN] = [endpoint(engine.known[0])]
    assert macvnet("ls", "-q", "--filter", "dangling=true").out == "020202020202\n"
    assert macvnet("ls", "-q", "--filter", "dangling=false").out == "a1a1a1a1a1a1\n"


def test_templates_are_for_networks_only(macvnet: Macvnet) -> None:
    said = macvnet("attach", "--format", "{{.ID}}", "lan")
    assert (said.status, said.out) == (3, "")
    assert "hint: --format json" in said.err


def test_ls_draws_on_a_terminal(
    macvnet: Macvnet, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    engine.known = [network("[bold]x[/]\x1b[31m", 0xA1)]
    for variable, coloured in ((None, True), ("1", False)):
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        if variable:
            monkeypatch.setenv("NO_COLOR", variable)
        terminal = Terminal()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            assert run(["ls"], Invocation(engine)) == 0
        shown = terminal.getvalue()
        assert "[bold]x[/]\\x1b[31m" in shown
        assert ("\x1b[36m" in shown) is coloured
        assert "\x1b[31m" not in shown


def test_what_is_long_gives_way_and_numbers_stay_whole_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    tables.show(HEADERS, [("run:" + "x" * 60, "n" * 253, "eth0", "950", "1.24 k", "31.5 M", "0")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == " ".join(HEADERS).split()
    assert lines[1].split()[2:] == "eth0 950 1.24 k 31.5 M 0".split()
    text = "".join(lines[1:])
    assert (text.count("x"), text.count("n")) == (60, 253 + len("n"))  # run: has one too


def test_inspect_has_dockers_shape(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.joined[LAN] = [
        endpoint(engine.known[0], 2, owner=Owner("pid", "4242", returns=False), pid=4242),
        endpoint(engine.known[0], 1, aliases=("a",), gw_priority=7, driver_options={"k": "v"}),
        endpoint(engine.known[0], 3, state="reserved", addresses=()),
    ]
    engine.reserve("lan", "docker:db")
    [one, *_] = engine.joined[LAN]
    address = Address.parse("2001:db8::5")
    engine.learnt = {
        one.id: (Learned(address, 64, "preferred", 3600), Learned(address, 64, "tentative", None))
    }
    said = macvnet("inspect", "lan")
    assert said == Said(0, (GOLDEN / "inspect.json").read_text(), "")


def test_inspect_takes_dockers_letter_for_verbose(macvnet: Macvnet) -> None:
    assert macvnet("inspect", "-v", "lan") == macvnet("inspect", "--verbose", "lan")
    assert macvnet("inspect", "-v=false", "lan") == macvnet("inspect", "lan")
    assert macvnet("inspect", "-v=maybe", "lan").status == 2


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_containers_with_an_id_are_shown_as_docker_shows_them(
    macvnet: Macvnet, engine: FakeEngine, runtime: str
) -> None:
    """Key and name are docker's own; how macvnet names the container stands below Macvnet."""
    owner = Owner(runtime, "web", "ab" * 32)
    engine.joined[LAN] = [endpoint(engine.known[0], owner=owner)]
    (shown,) = json.loads(macvnet("inspect", "lan").out)
    assert [(key, one["Name"]) for key, one in shown["Containers"].items()] == [("ab" * 32, "web")]
    (one,) = shown["Macvnet"]["Endpoints"]
    assert (one["Target"], one["ContainerID"]) == (f"{runtime}:web", "ab" * 32)


def test_inspect_goes_on_after_what_is_missing(macvnet: Macvnet) -> None:
    said = macvnet("inspect", "nope", "lan", LAN)
    assert said.status == 4
    assert [one["Id"] for one in json.loads(said.out)] == [LAN, LAN]
    assert said.err == "macvnet: network 'nope' does not exist\nhint: macvnet ls\n"
    assert macvnet("inspect", "nope").out == "[]\n"
    short = macvnet("inspect", "-f", "json", "lan").out
    assert short.startswith('[{"Name":"lan","Id":"a1')
    assert short.count("\n") == 1


def test_configurations_are_shown_without_counters(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("conf", config_only=True, parent=None)]
    (shown,) = json.loads(macvnet("inspect", "conf").out)
    assert (shown["Driver"], shown["ConfigOnly"]) == ("null", True)
    assert shown["Status"] == {"IPAM": {"Subnets": {}}}
    assert shown["Macvnet"]["Parent"] == {"Requested": "eth0", "Effective": ""}


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


PROMPT = (
    "WARNING! This will remove all custom networks not used by at least one container.\n"
    "Are you sure you want to continue? [y/N] "
)


@pytest.mark.parametrize("text", ["y\n", " Y \n", "y"])
def test_prune_asks_and_prints_what_went(
    macvnet: Macvnet, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    engine.known = [network("net10", 1), network("net2", 2), network("conf", 3, config_only=True)]
    answer(monkeypatch, text)
    assert macvnet("prune") == Said(0, PROMPT + "Deleted Networks:\nnet2\nnet10\n\n", "")
    assert [one.name for one in engine.known] == ["conf"]


@pytest.mark.parametrize("text", ["", "\n", "n\n", "yes\n", "YES\n"])
def test_prune_takes_anything_else_for_no(
    macvnet: Macvnet, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    answer(monkeypatch, text)
    assert macvnet("prune") == Said(0, PROMPT, "")
    assert engine.asked == []


def test_prune_says_nothing_where_nothing_is_to_go(macvnet: Macvnet, engine: FakeEngine) -> None:
    assert macvnet("prune", "-f", "--filter", "label=none") == Said(0, "", "")
    engine.busy = {"lan"}
    assert macvnet("prune", "-f").status == 5


def test_prune_judges_its_filters_before_it_asks(macvnet: Macvnet) -> None:
    said = macvnet("prune", "--filter", "driver=x")
    assert (said.status, said.out) == (3, "")
