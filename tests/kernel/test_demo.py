"""What `make demo` shows is so: its chapters, each played as it plays them."""

from __future__ import annotations

import pytest

from tests.lab import demo


def test_simple_bridge_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.play((demo.simple_bridge,), "here") == 0
    assert "promises kept, 0 broken" in capsys.readouterr().out


@pytest.mark.needs("vlan")
def test_vlan_trunk_story() -> None:
    assert demo.play((demo.vlan_trunk,), "here") == 0


@pytest.mark.needs("ipvlan", "dummy")
def test_multi_subnet_story() -> None:
    assert demo.play((demo.multi_subnet,), "here") == 0


@pytest.mark.needs("vlan")
def test_dual_stack_story() -> None:
    assert demo.play((demo.dual_stack,), "here") == 0


def test_broken_promise_is_told_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    def chapter(story: demo.Story) -> None:
        story.promise("water flows upwards", False)

    assert demo.play((chapter,), "here") == 1
    assert "NOT SO: water flows upwards" in capsys.readouterr().out


def test_playing_nothing_is_no_success() -> None:
    assert demo.play((lambda _: None,), "here") == 1
