"""A line as bash hands it over: cut into words as bash cuts it, nothing in it evaluated."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet.cli.shells import tokens


@pytest.mark.parametrize(
    ("line", "words", "inside"),
    [
        ("", [], False),
        (" ", [], False),
        ("a b", ["a", "b"], True),
        ("a b ", ["a", "b"], False),
        ("a\\ b", ["a b"], True),
        ("a\\", ["a"], True),
        ('a "b c', ["a", "b c"], True),
        ('a "b c ', ["a", "b c "], True),
        ("a 'b\" c", ["a", 'b" c'], True),
        ("a ''", ["a", ""], True),
        ('a "x\\"y\\z"', ["a", 'x"y\\z'], True),
        ("netns:'we b'x", ["netns:we bx"], True),
        ("a $(reboot) `id` $HOME", ["a", "$(reboot)", "`id`", "$HOME"], True),
        ("a\tb\nc", ["a", "b", "c"], True),
    ],
)
def test_words_are_those_of_the_shell(line: str, words: list[str], inside: bool) -> None:
    found, open_ended = tokens(line)
    assert [token.text for token in found] == words
    assert open_ended is inside


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))))
def test_what_is_quoted_comes_back_as_it_was(words: list[str]) -> None:
    line = "  ".join(map(shlex.quote, words))
    found, _ = tokens(line)
    assert [token.text for token in found] == words
    assert [line[token.start] != " " for token in found] == [True] * len(words)


@given(st.text("ab \\'\"\t:=-"))
def test_whatever_is_typed_is_cut_somehow(line: str) -> None:
    found, _ = tokens(line)
    assert [token.start for token in found] == sorted({token.start for token in found})
