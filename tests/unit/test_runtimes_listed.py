"""Which spellings of containers Tab is offered, whatever a runtime does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from macvnet import runtimes
from macvnet.runtimes import Listed
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend

STATE = Store(MemoryBackend())


class Runtime(SimpleNamespace):
    """Plays one: ``names`` are there; ``given`` is what it was asked with."""

    def __init__(self, name: str, *names: str, **changed: Any) -> None:
        super().__init__(NAME=name, names=names, given=[], **changed)

    def listed(self, prefix: str, reader: object, seconds: float) -> Iterable[Listed]:
        self.given.append((prefix, seconds))
        return [Listed(name, f"about {name}") for name in self.names]


class Broken(Runtime):
    def listed(self, prefix: str, reader: object, seconds: float) -> Iterator[Listed]:
        yield Listed("lost")
        raise RuntimeError("broken")


class Slow(Runtime):
    """Takes what time it is given."""

    def listed(self, prefix: str, reader: object, seconds: float) -> Iterable[Listed]:
        time.sleep(seconds)
        return super().listed(prefix, reader, seconds)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Any:
    def playing(*kinds: Runtime) -> None:
        monkeypatch.setattr(runtimes, "table", lambda: {kind.NAME: kind for kind in kinds})

    return playing


def listed(typed: str, seconds: float = 1.0) -> list[str]:
    return [one.name for one in runtimes.listed(typed, STATE, seconds)]


def test_every_name_is_spelled_with_its_runtime(play: Any) -> None:
    play(Runtime("pid", "17"), Runtime("netns", "web"))
    assert runtimes.listed("", STATE, 1.0) == [
        Listed("pid:17", "about 17"),
        Listed("netns:web", "about web"),
    ]


def test_only_the_runtime_that_is_typed_is_asked_and_for_what_is_typed_of_its_name(
    play: Any,
) -> None:
    pid, netns = Runtime("pid", "17"), Runtime("netns", "web", "other")
    play(pid, netns)
    assert listed("netns:w") == ["netns:web"]
    assert [prefix for prefix, _ in netns.given] == ["w"]
    assert pid.given == []
    assert listed("unknown:") == []


def test_a_bare_name_is_offered_where_it_means_one_container(play: Any) -> None:
    play(Runtime("pid", "17"), Runtime("netns", "web", "db", "170"), Runtime("run", "web", "nest"))
    assert listed("w") == []
    assert listed("d") == ["db"]
    assert listed("n") == ["netns:web", "netns:db", "netns:170", "nest"]
    # Digits alone are a PID.
    assert listed("1") == ["17"]


def test_a_runtime_that_fails_hides_no_other(play: Any) -> None:
    play(Broken("pid"), Runtime("netns", "web"))
    assert listed("") == ["netns:web"]


def test_a_runtime_that_hangs_leaves_time_to_the_others(play: Any) -> None:
    slow, quick = Slow("docker", "late"), Runtime("netns", "web")
    play(Runtime("pid"), slow, quick)
    assert listed("", 1.0) == ["docker:late", "netns:web"]
    [(_, given)] = slow.given
    assert given <= 1.0 / 2
    assert quick.given


def test_when_no_time_is_left_nobody_is_asked(play: Any) -> None:
    kind = Runtime("netns", "web")
    play(kind)
    assert listed("", 0.0) == []
    assert kind.given == []
