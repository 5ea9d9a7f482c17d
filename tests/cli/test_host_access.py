"""create --host-access, host-access enable and disable: what they ask of the engine, and print."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine


@pytest.mark.parametrize(
    ("verb", "foreseen"),
    [
        ("enable", "create link mvh-eth0 type macvlan on eth0\n"),
        ("disable", "remove link mvh-eth0 type macvlan\n"),
    ],
)
def test_it_is_done_in_silence_and_foreseen_in_words(
    macvnet: Macvnet, engine: FakeEngine, verb: str, foreseen: str
) -> None:
    assert macvnet("host-access", verb, "lan") == Said(0, "", "")
    assert macvnet("host-access", verb, "lan", "--dry-run") == Said(0, foreseen, "")
    what = f"{verb} host access"
    assert engine.asked == [(what, "lan", False), (what, "lan", True)]


@pytest.mark.parametrize("words", [("enable",), ("disable", "lan", "v50"), ("allow", "lan")])
def test_what_is_not_understood_is_refused(macvnet: Macvnet, words: tuple[str, ...]) -> None:
    assert macvnet("host-access", *words).status == 2


def test_unknown_network_is_refused(macvnet: Macvnet) -> None:
    assert macvnet("host-access", "enable", "nosuch").status == 4


def test_a_network_may_be_created_with_it(macvnet: Macvnet, engine: FakeEngine) -> None:
    macvnet("create", "--host-access", "net")
    macvnet("create", "net")
    assert [request.host_access for _, request, _ in engine.asked] == [True, False]
