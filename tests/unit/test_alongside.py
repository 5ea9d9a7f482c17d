"""Work that a thread does alongside: in order, each by itself, over when its owner goes on."""

from __future__ import annotations

import threading
import time

import pytest

from macvnet.engine.alongside import Alongside
from macvnet.errors import Conflict, StoreError


def test_everything_is_done_in_order_in_another_thread() -> None:
    done: list[tuple[int, int]] = []
    line: Alongside[int] = Alongside(lambda item: done.append((item, threading.get_ident())))
    for number in range(100):
        line.put(number)
    line.end()
    assert [number for number, _ in done] == list(range(100))
    assert {thread for _, thread in done}.isdisjoint({threading.get_ident()})
    assert line.refused == []


def test_a_refusal_is_that_of_one_item() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item % 3 == 0:
            raise Conflict(f"{item} is taken", "try another")
        done.append(item)

    line = Alongside(work)
    for number in range(7):
        line.put(number)
    line.end()
    assert done == [1, 2, 4, 5]
    assert [(item, error.message) for item, error in line.refused] == [
        (number, f"{number} is taken") for number in (0, 3, 6)
    ]


@pytest.mark.parametrize("failure", [StoreError("the disk"), ZeroDivisionError("a bug")])
def test_a_failure_ends_all_and_is_raised_once(failure: Exception) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 1:
            raise failure
        done.append(item)

    line = Alongside(work)
    for number in range(5):
        line.put(number)
    with pytest.raises(type(failure)):
        line.end()
    assert done == [0]
    line.end(give_up=True)


def test_several_threads_wait_at_the_same_time_and_are_used_again() -> None:
    together = threading.Barrier(4)
    threads: set[int] = set()

    def work(item: int) -> None:
        threads.add(threading.get_ident())
        together.wait(30)

    line = Alongside(work, threads=4)
    for number in range(16):
        line.put(number)
    line.end()
    assert len(threads) == 4 and line.refused == []


def test_without_threads_it_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    done: list[int] = []
    line = Alongside(done.append, threads=4)
    for number in range(3):
        line.put(number)
        assert done[-1] == number
    line.end()


def test_who_gives_up_waits_for_the_item_at_hand_only() -> None:
    done: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def work(item: int) -> None:
        begun.set()
        go_on.wait(30)
        done.append(item)

    line = Alongside(work)
    for number in range(5):
        line.put(number)
    assert begun.wait(30)

    def later() -> None:
        time.sleep(0.05)
        go_on.set()

    threading.Thread(target=later).start()
    line.end(give_up=True)
    assert done == [0]
