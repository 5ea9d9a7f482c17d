"""Hands: other processes that do what they are given, and whose death costs no more than time."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from macvnet.engine import hands
from macvnet.engine.hands import Given, Hands, Line, Work


class Told:
    """What has been told of each item; an item's number is its value."""

    def __init__(self, work: Work[int], most: int = 1, ahead: float = 1) -> None:
        self.done: dict[int, Any] = {}
        self.left: dict[int, bool] = {}
        self.hands: Hands[int] = Hands(
            range(100_000),
            work,
            done=self.done.__setitem__,
            left=self.left.__setitem__,
            most=most,
            ahead=ahead,
        )

    def give(self, items: Iterable[int], meanwhile: Callable[[], bool] | None = None) -> bool:
        return self.hands.give(dict.fromkeys(items), meanwhile)


def each(work: Callable[[int], Any]) -> Work[int]:
    return telling(lambda item, said: work(item))


def telling(work: Callable[[int, Any], Any]) -> Work[int]:
    """The same for work that wants to know what is said of an item."""

    @contextmanager
    def serve(line: Line) -> Iterator[Callable[[Given[int]], None]]:
        def take(given: Given[int]) -> None:
            for number, item, said in given:
                assert number == item
                if line.given_up():
                    return
                line.answer(number, work(item, said))

        yield take

    return serve


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def no_child_is_left() -> bool:
    with suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        return False
    return True


@contextmanager
def open_files(count: int) -> Iterator[None]:
    """So many more open files of this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], count + 500), before[1]))
    found = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
    try:
        yield
    finally:
        for descriptor in found:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_thousand_open_files_are_no_matter() -> None:
    with open_files(1100):
        told = Told(each(lambda item: item * 2))
        assert told.give(range(10))
        told.hands.end(lambda: False)
    assert told.done == {item: item * 2 for item in range(10)}


def test_other_work_is_done_while_all_hands_are_busy_and_only_then() -> None:
    reading, writing = os.pipe()
    told = Told(each(lambda item: os.read(reading, 1).decode()))
    pieces: list[int] = []

    def meanwhile() -> bool:
        pieces.append(len(told.done))
        if len(pieces) == 3:
            os.write(writing, b"x")
            time.sleep(0.2)
        return True

    assert told.give([1], meanwhile) and pieces == []
    assert told.give([2], meanwhile) and pieces == [0, 0, 0] and told.done == {1: "x"}
    os.write(writing, b"y")
    told.hands.end(meanwhile)
    assert told.done == {1: "x", 2: "y"} and no_child_is_left()
    os.close(reading)
    os.close(writing)


def test_who_has_no_other_work_does_not_wait_for_a_hand_and_takes_no_more_than_there_is() -> None:
    reading, writing = os.pipe()
    told = Told(each(lambda item: os.read(reading, 1).decode()))
    pieces = iter([True, True, False])
    assert told.give([1], lambda: next(pieces))
    assert not told.give([2], lambda: next(pieces))
    assert list(pieces) == []
    os.write(writing, b"x")
    told.hands.end(lambda: False)
    assert told.done == {1: "x"} and no_child_is_left()
    os.close(reading)
    os.close(writing)


def test_everything_is_done_in_other_processes() -> None:
    told = Told(each(lambda item: [item * 2, os.getpid()]), most=2)
    assert told.give(range(40)) and told.give(range(40, 90))
    told.hands.end()
    assert {item: double for item, (double, _) in told.done.items()} == {
        item: item * 2 for item in range(90)
    }
    pids = {pid for _, pid in told.done.values()}
    assert len(pids) == 2 and os.getpid() not in pids and told.left == {}
    assert no_child_is_left()


def test_who_is_busy_takes_nothing_more_until_it_is_through() -> None:
    reading, writing = os.pipe()
    told = Told(each(lambda item: os.read(reading, 1).decode()))
    assert told.give([1]) and not told.give([2])
    os.write(writing, b"x")

    def through() -> bool:
        told.hands.collect()
        return bool(told.done)

    wait_for(through)
    os.write(writing, b"y")
    assert told.give([2])
    told.hands.end()
    assert told.done == {1: "x", 2: "y"} and no_child_is_left()
    os.close(reading)
    os.close(writing)


def test_a_hand_stays_and_is_told_what_it_cannot_know() -> None:
    told = Told(telling(lambda item, said: [item, said, os.getpid()]))
    said = {1: None, 2: "two\n\x00", 3: {"a": [1.5, None]}, 4: "x" * 300_000}
    for number, words in said.items():
        told.hands.collect()
        while not told.hands.give({number: words}):
            told.hands.collect()
    told.hands.end()
    assert {number: words for number, (_, words, _) in told.done.items()} == said
    assert len({pid for _, _, pid in told.done.values()}) == 1 and no_child_is_left()


def test_one_that_is_killed_while_it_waits_has_left_nothing() -> None:
    told = Told(each(lambda item: os.getpid()))

    def are_done(count: int) -> bool:
        told.hands.collect()
        return len(told.done) == count

    assert told.give([1])
    wait_for(lambda: are_done(1))
    os.kill(told.done[1], signal.SIGKILL)
    wait_for(lambda: os.waitid(os.P_PID, told.done[1], os.WEXITED | os.WNOWAIT))
    assert told.give([2])
    wait_for(lambda: are_done(2))
    assert told.done[1] != told.done[2] and told.left == {}
    told.hands.end()
    assert no_child_is_left()


def test_a_hand_that_has_little_left_to_do_gets_more() -> None:
    reading, writing = os.pipe()
    told = Told(each(lambda item: os.read(reading, 1).decode()), ahead=3)
    assert told.give([1, 2]) and told.give([3, 4]) and not told.give([5])
    os.write(writing, b"xx")

    def some_are_done() -> bool:
        told.hands.collect()
        return len(told.done) == 2

    wait_for(some_are_done)
    assert told.give([5]) and not told.give([6])
    os.write(writing, b"xxx")
    told.hands.end()
    assert told.done == dict.fromkeys(range(1, 6), "x") and no_child_is_left()
    os.close(reading)
    os.close(writing)


def test_given_up_what_it_was_asked_for_besides_is_not_begun() -> None:
    reading, writing = os.pipe()

    def work(item: int) -> None:
        os.write(writing, b"x")
        time.sleep(0.3)

    told = Told(each(work), ahead=3)
    assert told.give([1]) and told.give([2])
    assert os.read(reading, 1) == b"x"
    told.hands.end(give_up=True)
    os.close(writing)
    assert os.read(reading, 2000) == b""
    os.close(reading)
    assert no_child_is_left()


def test_the_idle_hand_is_asked_first_and_a_new_one_before_one_that_is_busy() -> None:
    reading, writing = os.pipe()
    told = Told(
        telling(lambda item, said: [os.getpid(), os.read(reading, 1).decode()]), most=2, ahead=9
    )
    assert told.give([1]) and told.give([2]) and told.give([3, 4, 5])
    os.write(writing, b"xxxxx")
    told.hands.end()
    pids = {item: pid for item, (pid, _) in told.done.items()}
    assert pids[1] != pids[2] and pids[3] == pids[4] == pids[5]
    os.close(reading)
    os.close(writing)


def test_what_it_says_of_itself_that_it_has_not_done_is_left() -> None:
    told = Told(each(lambda item: None if item % 2 else item))
    assert told.give([1, 2, 3])
    told.hands.end()
    assert told.done == {2: 2} and told.left == {1: False, 3: False}


@pytest.mark.parametrize("end", ["raise", "kill"])
def test_what_a_hand_that_dies_has_not_told_may_be_half_done(end: str) -> None:
    def work(item: int) -> int:
        if item == 2:
            if end == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            raise ZeroDivisionError
        return item

    told = Told(each(work))
    assert told.give(range(5))
    told.hands.end()
    assert told.done == {0: 0, 1: 1} and told.left == {2: True, 3: True, 4: True}
    assert no_child_is_left()


def test_more_is_said_than_a_line_holds_while_nobody_listens() -> None:
    told = Told(each(lambda item: "x" * 50_000))
    assert told.give(range(40))
    time.sleep(0.05)
    told.hands.end()
    assert len(told.done) == 40


def test_given_up_it_does_what_is_at_hand_and_no_more_and_nobody_is_told() -> None:
    reading, writing = os.pipe()

    def work(item: int) -> int:
        os.write(writing, b"x")
        time.sleep(0.05)
        return item

    told = Told(each(work))
    assert told.give(range(1000))
    assert os.read(reading, 1) == b"x"
    told.hands.end(give_up=True)
    os.close(writing)
    assert len(os.read(reading, 2000)) < 20
    os.close(reading)
    assert (told.done, told.left) == ({}, {}) and no_child_is_left()
    told.hands.end()


def test_a_signal_that_is_meant_for_us_does_not_end_it() -> None:
    def work(item: int) -> int:
        signal.raise_signal(signal.SIGTERM)
        return item

    told = Told(each(work))
    assert told.give([7])
    told.hands.end()
    assert told.done == {7: 7}


def test_it_ends_when_we_are_gone() -> None:
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        with suppress(BaseException):
            told = Told(each(lambda item: os.write(writing, b"x")), most=2)
            told.give(range(100_000))
            told.give(range(100_000))
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(middle, 0)
    os.close(writing)
    end = time.monotonic() + 20
    # Until nobody has the other end any more.
    while os.read(reading, 4096):
        assert time.monotonic() < end
    os.close(reading)


def test_where_no_process_can_be_had_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> int:
        raise BlockingIOError

    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fork", none)
    told = Told(each(lambda item: item))
    assert not told.give([1])
    told.hands.end()
    assert told.done == {} and sorted(os.listdir("/proc/self/fd")) == before


def test_as_many_as_there_are_other_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert hands.most() == 0
    told = Told(each(lambda item: item), most=hands.most())
    assert not told.give([1])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3, 5})
    assert hands.most() == 2
