"""What people look at: pools as bars, who has an address, names for hosts(5)."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet import keys
from macvnet.addresses import Address, Subnet
from macvnet.cli import drawing, hosts, ipam
from macvnet.cli.drawing import Line, Word
from macvnet.cli.tables import breadth
from macvnet.engine.accounting import Place
from macvnet.ipam.counting import Counts
from macvnet.kernel.learned import Learned
from macvnet.model import Endpoint, Network, Owner
from macvnet.store import Transaction, open_store
from tests.cli.conftest import Macvnet
from tests.cli.fakes import FakeEngine, endpoint, network
from tests.cli.test_completing import offered

HOSTILE = "\x1b[31m[bold]web\u202e"
SUBNET = Subnet.parse("192.0.2.0/24")


def test_each_pool_is_a_bar_with_numbers(macvnet: Macvnet) -> None:
    said = macvnet("ipam", "status")
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == "lan  2001:db8::/64"
    assert lines[2] == "  █ used 1   ▓ reserved 1   ░ excluded 0   · free 18446744073709551614"
    assert lines[3] == "lan  192.0.2.0/24"
    assert lines[4] == "  █▓" + "░" * 37 + "·" * 37
    assert lines[5] == "  █ used 3   ▓ reserved 5   ░ excluded 124   · free 124"
    assert all(len(line) <= 80 for line in lines)


def test_a_stream_that_cannot_say_the_signs_gets_others(
    macvnet: Macvnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", stream)
    assert drawing.signs() == drawing.TYPED
    for kinds in (slice(3, 7), slice(7, 10)):
        assert len(set(drawing.TYPED[kinds])) == len(set(drawing.DRAWN[kinds]))


def test_status_as_json_has_exact_numbers(macvnet: Macvnet) -> None:
    ipv6, ipv4 = json.loads(macvnet("ipam", "status", "--format=json", "lan").out)
    assert ipv6["free"] == (1 << 64) - 2
    assert ipv6["size"] == 1 << 64
    assert ipv4 == {
        "network": "lan",
        "network_id": "a1" * 32,
        "segment": "default",
        "subnet": "192.0.2.0/24",
        "size": 256,
        "used": 3,
        "reserved": 5,
        "excluded": 124,
        "free": 124,
    }


def test_status_says_where_there_is_nothing(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = []
    assert macvnet("ipam", "status") == (0, "", "macvnet: note: no network has a pool\n")
    assert macvnet("ipam", "status", "--format", "json") == (0, "[]\n", "")
    assert macvnet("ipam", "status", "nosuch").status == 4


@given(st.tuples(*[st.integers(0, 1 << 70)] * 4).filter(any), st.integers(4, 200))
def test_a_bar_is_as_long_as_asked_and_hides_no_kind(
    numbers: tuple[int, int, int, int], cells: int
) -> None:
    lengths = ipam.bar(Counts(*numbers), cells)
    assert sum(lengths) == cells
    assert all(
        (length > 0) is (number > 0) for length, number in zip(lengths, numbers, strict=True)
    )
    for length, number in zip(lengths, numbers, strict=True):
        assert abs(length - number * cells / sum(numbers)) < len(numbers)


SINCE = datetime(2026, 11, 25, 2, 0, 0, tzinfo=UTC)


def held(of: Network, **changed: Any) -> Endpoint:
    return endpoint(of)._replace(**changed)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place("gateway", "default", "lan", SUBNET), "is the gateway of network 'lan'"),
        (
            Place("auxiliary", "default", "lan", SUBNET, "nas"),
            "is the auxiliary address 'nas' of network 'lan'",
        ),
        (
            Place("free", "tenant", "lan", SUBNET),
            "is free, in 192.0.2.0/24 of network 'lan' (segment 'tenant')",
        ),
        (
            Place("reserved", "default", "lan", SUBNET, text="something"),
            "is held by something, in 192.0.2.0/24 of network 'lan'",
        ),
        (
            Place("used", "default", "lan", SUBNET, endpoint=held(network("lan")), since=SINCE),
            "is held by netns:web in network 'lan', as eth0, since 2026-11-25T02:00:00Z",
        ),
        (
            Place("used", "default", "lan", SUBNET, endpoint=held(network("lan"), ifname="")),
            "is held by netns:web in network 'lan', as an interface being made",
        ),
    ],
)
def test_who_has_an_address_is_said_in_a_sentence(
    macvnet: Macvnet, engine: FakeEngine, place: Place, words: str
) -> None:
    engine.places = [place]
    assert macvnet("ipam", "who", "192.0.2.7") == (0, f"192.0.2.7 {words}\n", "")


def test_who_names_the_gone_and_prints_no_escapes(macvnet: Macvnet, engine: FakeEngine) -> None:
    one = held(network("lan"), owner=Owner("docker", HOSTILE))
    engine.places = [Place("used", "default", "lan", SUBNET, endpoint=one, since=SINCE)]
    engine.gone = {one.id}
    said = macvnet("ipam", "who", "192.0.2.7")
    assert said.out.endswith("in network 'lan', as eth0, which is gone\n")
    assert "\x1b" not in said.out and "\u202e" not in said.out and "[bold]web" in said.out
    (told,) = json.loads(macvnet("ipam", "who", "192.0.2.7", "--format", "json").out)
    assert (told["container"], told["present"]) == (f"docker:{HOSTILE}", False)
    assert told["since"] == "2026-11-25T02:00:00Z"


def test_an_address_in_no_pool_is_not_found(macvnet: Macvnet) -> None:
    said = macvnet("ipam", "who", "10.9.9.9")
    assert said == (
        4,
        "",
        "macvnet: the address 10.9.9.9 is in no pool\nhint: macvnet ipam status\n",
    )


def test_next_prints_an_address_of_each_family(macvnet: Macvnet) -> None:
    assert macvnet("ipam", "next", "lan") == (0, "2001:db8::7/64\n192.0.2.7/24\n", "")
    assert json.loads(macvnet("ipam", "next", "--format=json", "lan").out) == [
        {"address": "2001:db8::7", "subnet": "2001:db8::/64"},
        {"address": "192.0.2.7", "subnet": "192.0.2.0/24"},
    ]


def test_next_in_a_network_without_pools_says_so(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("bare", pools=(), ipam_driver="null")]
    assert macvnet("ipam", "next", "bare") == (
        0,
        "",
        "macvnet: note: network 'bare' gives no addresses\n",
    )


def test_hosts_has_a_line_for_each_address(macvnet: Macvnet, engine: FakeEngine) -> None:
    lan = engine.known[0]
    engine.joined[lan.id] = [
        endpoint(lan, 1, aliases=("www", "web", "w.example")),
        endpoint(lan, 2, owner=Owner("pid", "42", returns=False)),
    ]
    assert macvnet("hosts") == (
        0,
        "192.0.2.10\tweb www w.example\n2001:db8::2\tweb www w.example\n",
        "macvnet: note: 1 endpoint has no name that can stand in hosts(5)\n",
    )
    assert macvnet("hosts", "lan", "lan").out == macvnet("hosts").out
    first = json.loads(macvnet("hosts", "--format", "json").out)[0]
    assert first == {
        "address": "192.0.2.10",
        "names": ["web", "www", "w.example"],
        "network": "lan",
        "container": "netns:web",
        "endpoint_id": "e1" * 32,
        "present": True,
    }


def test_hosts_has_the_addresses_that_endpoints_have_learned_and_can_use(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    lan = engine.known[0]
    engine.joined[lan.id] = [endpoint(lan, 1)]
    states = ("preferred", "deprecated", "tentative")
    engine.learnt = {
        "e1" * 32: tuple(
            Learned(Address.parse(f"2001:db8:7::{number}"), 64, state, 60)
            for number, state in enumerate(states)
        )
    }
    added = [line.split()[0] for line in macvnet("hosts").out.splitlines()[2:]]
    assert added == ["2001:db8:7::", "2001:db8:7::1"]


def test_hosts_leaves_out_who_is_gone_unless_all_are_wanted(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    lan = engine.known[0]
    engine.joined[lan.id] = [endpoint(lan, 1)]
    engine.gone = {"e1" * 32}
    assert macvnet("hosts") == (0, "", "")
    assert macvnet("hosts", "-a").out.splitlines()[0] == "192.0.2.10\tweb"


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("web", True),
        ("a_b-c.example", True),
        ("0web", True),
        ("10.0.0.1", False),
        ("42", False),
        ("web.0x7f", False),
        ("-web", False),
        ("a b", False),
        ("a\n192.0.2.66 bank", False),
        ("web\t#", False),
        ("ü", False),
        ("x" * 64, False),
        ("x." * 127 + "x", False),
        ("", False),
    ],
)
def test_only_what_hosts_can_say_is_a_name(name: str, fits: bool) -> None:
    one = endpoint(network("lan"), owner=Owner("docker", name), aliases=(name,))
    assert hosts.names(one) == ([name] if fits else [])


@pytest.mark.parametrize(
    "command", ["ipam status", "ipam who 192.0.2.1", "ipam next lan", "ipam scan lan", "hosts"]
)
def test_a_format_that_is_not_known_is_refused(macvnet: Macvnet, command: str) -> None:
    said = macvnet(*command.split(), "--format", "yaml")
    assert said.status == 3
    assert said.err.endswith("hint: --format json\n")


def test_words_are_broken_between_lines_by_their_breadth() -> None:
    words = [Word("日本"), Word("ab"), Word("c"), Word("too-long-for-this")]
    lines = list(drawing.broken((Word("> "),), (Word("  "),), words, 11))
    assert [str(line) for line in lines] == ["> 日本  ab", "  c", "  too-long-for-this"]
    assert [breadth(str(line)) for line in lines][:2] == [10, 3]
    (whole,) = drawing.broken((), (), words, None)
    assert str(whole) == "日本  ab  c  too-long-for-this"


def test_the_tab_key_offers_addresses_that_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACVNET_STATE_DIR", str(tmp_path / "state"))

    def write(tx: Transaction) -> None:
        tx.put(keys.segment("default"), 1)
        for text in ("192.0.2.7", "192.0.2.70", "2001:db8::7"):
            tx.put(keys.lease("default", Address.parse(text)), {"reserved": []})

    with open_store(str(tmp_path / "state")) as store:
        store.transact(write)
    assert offered("ipam who 192.0.2.7|") == ["192.0.2.7", "192.0.2.70"]
    assert offered("ipam who 2|") == ["2001:db8::7"]
    assert offered("ipam who |") == ["192.0.2.7", "192.0.2.70", "2001:db8::7"]
    assert offered("ipam ne|") == ["next"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line((Word("[bold]x[/bold]", "red"), Word(" y")))
    for environment, coloured in (
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ):
        with monkeypatch.context() as patch:
            patch.delenv("NO_COLOR", raising=False)
            patch.setenv("TERM", "xterm")
            for key, value in environment.items():
                patch.setenv(key, value)
            terminal = Terminal()
            patch.setattr(sys, "stdout", terminal)
            drawing.show([line])
        assert ("\x1b[31m" in terminal.getvalue()) is coloured
        assert "[bold]x[/bold]" in terminal.getvalue()
