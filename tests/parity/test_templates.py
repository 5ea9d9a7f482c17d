"""The same templates through docker's own client and through macvnet, on the same networks.

The client asks a server that knows macvnet's networks: what differs is the
formatting alone. Needs no root, and no daemon.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from macvnet.addresses import Subnet
from macvnet.cli import docker_shape
from macvnet.cli.calling import run
from macvnet.cli.invocation import Invocation
from macvnet.model import Owner, Pool
from tests.cli.fakes import FakeEngine, endpoint, network
from tests.parity import comparing
from tests.parity.api import Api
from tests.parity.daemon import CLIENT

CORPUS = Path(__file__).parent / "templates.txt"


class Line(NamedTuple):
    """A command line, the rows that it shows, and what macvnet then prints."""

    text: str
    rows: tuple[str, ...]
    expected: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


class Printed(NamedTuple):
    ok: bool
    stdout: str


def corpus() -> list[Line]:
    lines: list[Line] = []
    for raw in CORPUS.read_text(encoding="utf-8").splitlines():
        if raw.startswith("=>"):
            last = lines[-1]
            lines[-1] = last._replace(expected=last.expected + raw.removeprefix("=> ") + "\n")
        elif raw and not raw.startswith(("#", "== ")):
            text, _, rows = raw.partition("  ##")
            lines.append(Line(text, tuple(rows.split()), ""))
    return lines


LINES = corpus()


def networks() -> FakeEngine:
    """Labels are one to a network: docker 20.10 prints several in no order."""
    known = FakeEngine(
        network("lan", 0xA1, labels={"env": "test"}),
        network(
            "net2",
            2,
            driver="ipvlan",
            internal=True,
            attachable=True,
            labels={"com.example.some-label": "a <b> & ü"},
            ipam_options={"k": "v"},
        ),
        network(
            "net10",
            0x10,
            ipv6=False,
            labels={},
            options={},
            pools=(Pool("p", Subnet.parse("10.0.0.0/8")),),
        ),
    )
    lan = known.known[0]
    known.joined[lan.id] = [endpoint(lan, 1), endpoint(lan, 2, owner=Owner("run", "db"))]
    return known


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    engine: Any = networks()
    with Api([docker_shape.inspected(engine, one) for one in engine.known]) as server:
        yield server


def by_docker(api: Api, line: Line) -> Printed:
    done = subprocess.run(
        [CLIENT, "--host", api.host, "network", *line.words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=api.environment,
    )
    return Printed(done.returncode == 0, done.stdout)


def by_macvnet(line: Line) -> Printed:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        status = run(line.words, Invocation(networks()))
    assert status != 1, "a bug"
    return Printed(status == 0, out.getvalue())


@pytest.mark.parametrize("line", [one for one in LINES if not one.rows], ids=lambda one: one.text)
def test_output_and_success_are_dockers(api: Api, line: Line) -> None:
    assert by_macvnet(line) == by_docker(api, line)


@pytest.mark.parametrize("line", [one for one in LINES if one.rows], ids=lambda one: one.text)
def test_what_differs_is_documented_and_still_differs(api: Api, line: Line) -> None:
    assert by_macvnet(line) == Printed(True, line.expected)
    assert by_docker(api, line) != Printed(True, line.expected)


@pytest.mark.parametrize("text", ["inspect -f '{{json .}}' lan", "ls --format '{{json .}}'"])
def test_json_of_everything_has_dockers_values_under_dockers_keys(api: Api, text: str) -> None:
    line = Line(text, (), "")
    theirs = [json.loads(one) for one in by_docker(api, line).stdout.splitlines()]
    ours = [json.loads(one) for one in by_macvnet(line).stdout.splitlines()]
    assert [{key: one[key] for key in theirs[0]} for one in ours] == theirs
    assert set(ours[0]) - set(theirs[0]) <= {"EnableIPv4", "IPv4", "Status", "Macvnet"}


def test_corpus_has_at_least_120_templates() -> None:
    assert len({line.text for line in LINES if not line.rows}) >= 120
    assert len({line.text for line in LINES}) == len(LINES)


def test_rows_named_here_are_documented() -> None:
    inside, outside = comparing.documented(comparing.DOCUMENT.read_text(encoding="utf-8"))
    assert {row for line in LINES for row in line.rows} <= inside | outside
