"""Traffic as text, as JSON, and as a picture on a screen."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from rich.console import Console

from macvnet.cli import top
from macvnet.cli.calling import run
from macvnet.cli.invocation import Invocation
from macvnet.engine.traffic import Counted, Look, Rate, rates
from macvnet.kernel.sight import Traffic
from macvnet.model import Owner
from tests.cli.conftest import Macvnet
from tests.cli.fakes import FakeEngine, endpoint, network

LAN = network("lan")
WEB, DB = endpoint(LAN, 1), endpoint(LAN, 2, owner=Owner("docker", "db"))


@pytest.fixture
def joined(engine: FakeEngine) -> FakeEngine:
    engine.joined[engine.known[0].id] = [WEB, DB]
    return engine


def test_a_table_for_each_sample_busiest_first(macvnet: Macvnet, joined: FakeEngine) -> None:
    table = [
        "CONTAINER   NETWORK   INTERFACE   RX bit/s   TX bit/s   RX pkt/s   TX pkt/s",
        "docker:db   lan       eth1        4.00 k     2.00 k     4          2",
        "netns:web   lan       eth0        2.00 k     1.00 k     2          1",
    ]
    said = macvnet("top", "--count", "2")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines() == [*table, "", *table]
    assert macvnet("top", "--once").out.count("CONTAINER") == 1


def test_an_object_in_a_line_for_each_sample(macvnet: Macvnet, joined: FakeEngine) -> None:
    first, second = map(
        json.loads, macvnet("top", "-n", "2", "--format=json", "lan").out.splitlines()
    )
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["time"])
    assert first["seconds"] == 1.0
    assert first["endpoints"][1] == {
        "container": "netns:web",
        "network": "lan",
        "interface": "eth0",
        "endpoint_id": WEB.id,
        "rx_bits_per_second": 2000.0,
        "tx_bits_per_second": 1000.0,
        "rx_packets_per_second": 2.0,
        "tx_packets_per_second": 1.0,
        "rx_packets": 4,
        "tx_packets": 2,
        "rx_bytes": 500,
        "tx_bytes": 250,
    }
    assert second["endpoints"][1]["rx_bytes"] == 750


def test_ctrl_c_is_a_way_to_leave(macvnet: Macvnet, joined: FakeEngine) -> None:
    said = macvnet("top")
    assert (said.status, said.err, said.out.count("CONTAINER")) == (0, "", 2)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_without_a_screen_gets_tables(
    joined: FakeEngine, monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", term)
    assert run(["top", "--count", "2"], Invocation(joined)) == 0
    assert terminal.getvalue().count("netns:web") == 2
    assert "\x1b[?1049" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("words", "status", "hint"),
    [
        ("--interval 0", 3, "--interval 1"),
        ("--interval 1e3", 3, "--interval 1"),
        ("--interval nan", 3, "--interval 1"),
        ("--interval 3601", 3, "--interval 1"),
        ("--count -1", 3, "--count 10"),
        ("--once --count 2", 2, "--once"),
        ("nosuch", 4, "macvnet ls"),
        ("--format yaml", 3, "--format json"),
    ],
)
def test_what_makes_no_sense_is_refused(
    macvnet: Macvnet, words: str, status: int, hint: str
) -> None:
    said = macvnet("top", *words.split())
    assert (said.status, said.out) == (status, "")
    assert said.err.endswith(f"hint: {hint}\n")


def look(moment: float, **traffic: tuple[int, tuple[int, int, int, int]]) -> Look:
    return Look(
        moment,
        {
            name: Counted(WEB._replace(id=name), "lan", ifindex, Traffic(*numbers))
            for name, (ifindex, numbers) in traffic.items()
        },
    )


def test_rates_are_of_links_that_both_looks_saw() -> None:
    before = look(
        10.0, same=(2, (1, 1, 100, 100)), remade=(2, (9, 9, 9, 9)), less=(2, (5, 5, 5, 5)),
        gone=(2, (0, 0, 0, 0)),
    )  # fmt: skip
    after = look(
        12.0, same=(2, (5, 1, 600, 100)), remade=(3, (99, 99, 99, 99)), less=(2, (6, 4, 6, 6)),
        new=(2, (7, 7, 7, 7)),
    )  # fmt: skip
    (one,) = rates(before, after)
    assert one.endpoint.id == "same"
    assert one[2:6] == (2000.0, 0.0, 2.0, 0.0)
    assert one.total == (5, 1, 600, 100)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (1.4, "1"), (999, "999"), (999.6, "1.00 k"), (1234, "1.23 k"),
        (9_996, "10.0 k"), (31_460_000, "31.5 M"), (999_600_000, "1.00 G"),
        (123e12, "123 T"), (123456e12, "123456 T"),
    ],
)  # fmt: skip
def test_numbers_are_short(number: float, text: str) -> None:
    assert top.short(number) == text


def shown(found: list[Rate] | None, columns: int, rows: int) -> list[str]:
    console = Console(file=io.StringIO(), width=columns, height=rows, color_system=None)
    with console.capture() as captured:
        console.print(top.picture(found, 1.0, columns, rows))
    return [line.rstrip() for line in captured.get().splitlines()]


def rate(number: int) -> Rate:
    owner = Owner("docker", "w\x1b日本" if number == 1 else f"web{number}")
    return Rate(
        endpoint(LAN, number, owner=owner), "lan", 1e6 / number, 5e5, 8, 4, Traffic(0, 0, 0, 0)
    )


def test_the_screen_has_what_fits() -> None:
    found = [rate(number) for number in range(1, 31)]
    lines = shown(found, 80, 12)
    assert len(lines) == 12
    assert lines[0] == "macvnet top  30 endpoints, every 1 s, q leaves"
    assert lines[1] == "in 3.99 Mbit/s, out 15.0 Mbit/s"
    assert lines[2].split() == " ".join(top.HEADERS).split()
    assert lines[3].startswith("docker:w\\x1b日本  ")
    assert lines[3].split()[-6:] == "1.00 M 500 k 8 4".split()
    assert lines[-1] == "and 22 more"
    assert "more" not in shown(found, 80, 34)[-1]
    assert shown([], 80, 24)[1] == "in 0 bit/s, out 0 bit/s"
    assert shown(None, 80, 24) == ["macvnet top", "looking ..."]


def test_a_narrow_screen_does_without_packets() -> None:
    lines = shown([rate(2)], 60, 10)
    assert lines[2].split()[-2:] == ["TX", "bit/s"]
    assert lines[3].split() == ["docker:web2", "lan", "eth1", "500", "k", "500", "k"]
    assert max(map(len, lines)) <= 60
