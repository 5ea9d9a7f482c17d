"""The words of a batch's lines, the bar on a terminal, and what is told of several."""

from __future__ import annotations

import io
import shlex
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet.cli import progress
from macvnet.cli.many import words_of
from macvnet.errors import InvalidRequest

plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)


@given(st.lists(plain, max_size=6))
def test_what_a_shell_would_read_is_read_so(words: list[str]) -> None:
    assert words_of(shlex.join(words)) == words
    assert words_of(shlex.join(words) + " # 'a comment") == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("   # only that", []),
        ("web", ["web"]),
        ("  web\t--ip   1.2.3.4 ", ["web", "--ip", "1.2.3.4"]),
        ("web#1 '#2' \\#3", ["web#1", "#2", "#3"]),
        ('"a b" \'c"d\' e\\ f', ["a b", 'c"d', "e f"]),
        ("'' x", ["", "x"]),
        ("a#b # c", ["a#b"]),
    ],
)
def test_lines(line: str, words: list[str]) -> None:
    assert words_of(line) == words


@pytest.mark.parametrize("line", ["'open", 'web "', "web \\"])
def test_open_quotation_is_refused(line: str) -> None:
    with pytest.raises(InvalidRequest, match="ends inside of a quotation"):
        words_of(line)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_is_drawn_on_a_terminal_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = progress.Progress("connecting [b]x[/b]", 3)
    for _ in range(3):
        bar.step()
    bar.close()
    shown = terminal.getvalue()
    assert "3/3" in shown and "connecting [b]x[/b]" in shown
    assert shown.rstrip("\n").endswith("\x1b[2K")


def test_no_bar_where_nobody_looks_or_nothing_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, patience in ((Terminal(), 60.0), (io.StringIO(), 0.0)):
        monkeypatch.setattr(progress, "PATIENCE_SECONDS", patience)
        monkeypatch.setattr(sys, "stderr", stream)
        bar = progress.Progress("connecting", 2)
        bar.step()
        bar.step()
        bar.close()
        assert stream.getvalue() == ""
