"""announce: what it asks of the engine, prints and refuses."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine


def test_networks_that_were_announced_are_named(macvnet: Macvnet, engine: FakeEngine) -> None:
    every = [one.name for one in engine.known]
    assert macvnet("announce", "lan") == Said(0, "lan\n", "")
    assert macvnet("announce", "lan", "netns:web", "4242") == Said(0, "lan\n", "")
    assert macvnet("announce", "--all") == Said(0, "".join(f"{name}\n" for name in every), "")
    assert engine.asked == [
        ("announce", ["lan"], ()),
        ("announce", ["lan"], ("netns:web", "4242")),
        ("announce", every, ()),
    ]


def test_one_that_cannot_be_leaves_the_others_alone(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.busy.add("lan")
    said = macvnet("announce", "--all")
    assert (said.status, "lan" in said.out.split()) == (13, False)
    assert said.err == ("macvnet: network lan: the parent 'eth0' is missing\nhint: ip -br link\n")


@pytest.mark.parametrize("words", [(), ("--all", "lan"), ("--all", "lan", "netns:web")])
def test_it_takes_a_network_or_all(macvnet: Macvnet, words: tuple[str, ...]) -> None:
    said = macvnet("announce", *words)
    assert (said.status, said.out) == (2, "")
    assert said.err.endswith("hint: macvnet announce --all\n")


def test_unknown_network_is_refused(macvnet: Macvnet) -> None:
    assert macvnet("announce", "nosuch").status == 4
