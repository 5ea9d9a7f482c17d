"""A way to run a command line and to see all that it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from macvnet.cli.calling import run
from macvnet.cli.invocation import Invocation
from tests.cli.fakes import FakeEngine, network

PRIVATE_NOWHERE = "/proc/macvnet-tests-must-not-write-here"


class Said(NamedTuple):
    """What a command line led to."""

    status: int
    out: str
    err: str


Macvnet = Callable[..., Said]


@pytest.fixture(autouse=True)
def _no_real_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test does, the machine's own state is out of reach."""
    monkeypatch.setenv("MACVNET_STATE_DIR", PRIVATE_NOWHERE)
    monkeypatch.delenv("MACVNET_CONFIG", raising=False)
    monkeypatch.setattr("macvnet.settings.DEFAULT_CONFIG", "/nonexistent/macvnet/config.toml")
    monkeypatch.setenv("COLUMNS", "80")
    yield


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(network("lan", 0xA1))


@pytest.fixture
def macvnet(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> Macvnet:
    def call(*arguments: str) -> Said:
        capsys.readouterr()
        status = run(arguments, Invocation(engine))
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return call
