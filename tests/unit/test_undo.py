"""Steps are undone last in, first out, whatever went wrong."""

from __future__ import annotations

import os
import signal

import pytest

from macvnet.engine.undo import Undo
from macvnet.errors import Conflict


def test_nothing_is_undone_after_success() -> None:
    done: list[str] = []
    with Undo(done.append) as undo:
        undo.push("a", lambda: done.append("a"))
    assert done == []


@pytest.mark.parametrize("error", [Conflict("x"), KeyboardInterrupt(), SystemExit(1)])
def test_last_step_is_undone_first(error: BaseException) -> None:
    done: list[str] = []
    with pytest.raises(type(error)), Undo(done.append) as undo:
        undo.push("a", lambda: done.append("a"))
        undo.push("b", lambda: done.append("b"))
        raise error
    assert done == ["b", "a"]


def test_step_that_fails_is_noted_and_does_not_stop_the_others() -> None:
    done: list[str] = []

    def fail() -> None:
        raise Conflict("stuck")

    with pytest.raises(ValueError, match="first"), Undo(done.append) as undo:
        undo.push("a", lambda: done.append("a"))
        undo.push("the link", fail)
        raise ValueError("first")
    assert done == ["could not undo: the link: stuck", "a"]


def test_signal_waits_until_all_is_undone() -> None:
    done: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: done.append("signal"))
    try:
        with pytest.raises(Conflict), Undo(done.append) as undo:
            undo.push("a", lambda: done.append("a"))
            undo.push("b", lambda: os.kill(os.getpid(), signal.SIGTERM))
            raise Conflict("x")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done == ["a", "signal"]
