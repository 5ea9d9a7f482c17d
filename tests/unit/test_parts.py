"""Parts of a long list: one at work, the next one opened meanwhile."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from macvnet.engine.parts import OPENED, Part, in_parts
from macvnet.errors import Conflict, StoreError
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend

MOST = 20


class Numbers(Part):
    """What has been opened, and closed, of a list of words."""

    def __init__(self, words: list[str], log: list[str], begin: int = 0) -> None:
        ctx: Any = SimpleNamespace(reader=Store(MemoryBackend()))
        super().__init__(ctx, len(words), begin, MOST)
        self._words = words
        self._log = log

    def following(self) -> Numbers:
        return Numbers(self._words, self._log, self.end)

    def is_at_once(self, number: int) -> bool:
        return self._words[number] != "slow"

    def open_one(self, number: int) -> bool:
        word = self._words[number]
        if word == "bad":
            raise Conflict("bad", "")
        if word == "state":
            raise StoreError("state", "")
        self._log.append(f"+{number}")
        self.opened.callback(self._log.append, f"-{number}")
        return word != "again" or number == self.begin


def worked_off(words: list[str], *, ahead: bool) -> list[tuple[int, int, list[int]]]:
    """Begin and end of each part, and what was refused."""
    log: list[str] = []
    found = []
    with closing(in_parts(Numbers(words, log))) as parts:
        for part, meanwhile in parts:
            found.append((part.begin, part.end, sorted(part.refused)))
            held = len([text for text in log if text[0] == "+"]) - len(
                [text for text in log if text[0] == "-"]
            )
            assert held <= 2 * MOST
            while ahead and meanwhile():
                pass
    opened = [text[1:] for text in log if text[0] == "+"]
    assert sorted(opened) == sorted(text[1:] for text in log if text[0] == "-")
    return found


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize(
    "words, found",
    [
        ([], []),
        (["a"] * 3, [(0, 3, [])]),
        (["a"] * MOST, [(0, MOST, [])]),
        (["a"] * 45, [(0, 20, []), (20, 40, []), (40, 45, [])]),
        (["a"] * 25 + ["again"] + ["a"] * 4, [(0, 20, []), (20, 25, []), (25, 30, [])]),
        (["bad"] + ["a"] * 19 + ["bad", "again"], [(0, 20, [0]), (20, 21, [20]), (21, 22, [])]),
        (["a"] * 21 + ["slow"] + ["a"] * 3, [(0, 20, []), (20, 25, [])]),
    ],
)
def test_a_list_is_cut_in_the_same_way_whether_the_next_part_is_open_or_not(
    words: list[str], found: list[tuple[int, int, list[int]]], ahead: bool
) -> None:
    assert worked_off(words, ahead=ahead) == found


def test_of_the_next_part_nothing_is_opened_that_another_program_is_asked_for() -> None:
    log: list[str] = []
    words = ["a"] * MOST + ["b", "b", "slow", "b"]
    with closing(in_parts(Numbers(words, log))) as parts:
        _, meanwhile = next(parts)
        assert len(log) == MOST
        assert not meanwhile() and not meanwhile()
        assert log[MOST:] == ["+20", "+21"]


def test_a_few_are_opened_at_a_time() -> None:
    log: list[str] = []
    with closing(in_parts(Numbers(["a"] * 2 * MOST, log))) as parts:
        _, meanwhile = next(parts)
        assert meanwhile() and len(log) == MOST + OPENED


@pytest.mark.parametrize("ahead", [False, True])
def test_whatever_happens_all_is_closed(ahead: bool) -> None:
    log: list[str] = []
    words = ["a"] * (MOST + 3) + ["state"]
    with pytest.raises(StoreError), closing(in_parts(Numbers(words, log))) as parts:
        for _, meanwhile in parts:
            while ahead and meanwhile():
                pass
    assert {text[1:] for text in log if text[0] == "+"} == {
        text[1:] for text in log if text[0] == "-"
    }
    assert log[-1][0] == "-" and len(log) == 2 * (MOST + 3)
