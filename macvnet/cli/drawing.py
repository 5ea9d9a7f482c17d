"""Pictures made of text: lines of styled words, laid out for a terminal or for a pipe.

What a picture says, it says without colour too. Foreign text is made printable
by whoever makes the words.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from macvnet.cli.invocation import write
from macvnet.cli.tables import breadth
from macvnet.records import NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

GAP = "  "


class Word(NamedTuple):
    """Text that is not broken, and its style in rich's language ("" for none)."""

    text: str
    style: str = ""


class Line(NamedTuple):
    """One line of a picture: its words stand next to each other."""

    words: tuple[Word, ...]

    def __str__(self) -> str:
        return "".join(word.text for word in self.words).rstrip()


class Signs(NamedTuple):
    """What a picture is drawn with; what differs by its colour has a sign of its own."""

    tee: str
    corner: str
    bar: str
    used: str
    reserved: str
    excluded: str
    free: str
    there: str
    gone: str
    amiss: str


DRAWN = Signs("├─ ", "└─ ", "│  ", "█", "▓", "░", "·", "●", "○", "!")
TYPED = Signs("|- ", "`- ", "|  ", "#", "=", "-", ".", "*", "o", "!")


def signs() -> Signs:
    """Those that the standard output can say."""
    try:
        "".join(DRAWN).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return TYPED
    return DRAWN


def columns() -> int | None:
    """The width of the terminal, None where the output is none: there nothing is broken."""
    if not sys.stdout.isatty():
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def broken(
    first: Sequence[Word], rest: Sequence[Word], words: Iterable[Word], room: int | None
) -> Iterator[Line]:
    """Words side by side, in as many lines as it takes to stay within ``room`` columns.

    ``first`` stands before them, ``rest`` before those of the lines that follow.
    """
    line = list(first)
    used, empty = sum(breadth(word.text) for word in first), True
    for word in words:
        gap = "" if empty else GAP
        if room is not None and not empty and used + len(gap) + breadth(word.text) > room:
            yield Line(tuple(line))
            line, gap = list(rest), ""
            used = sum(breadth(each.text) for each in rest)
        line += [Word(gap), word] if gap else [word]
        used += len(gap) + breadth(word.text)
        empty = False
    yield Line(tuple(line))


def show(lines: Iterable[Line]) -> None:
    """Print a picture: with colours on a terminal that has them."""
    if not sys.stdout.isatty():
        write("".join(f"{line}\n" for line in lines))
        return
    from rich.console import Console

    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        for line in lines:
            put(console, line)
    write(captured.get())


def put(console: Console, line: Line) -> None:
    """A line on a console of rich's, neither wrapped nor cut."""
    console.print(styled(line), soft_wrap=True)


def styled(line: Line) -> Text:
    """A line as rich has it: text, never markup."""
    from rich.text import Text

    return Text.assemble(*((word.text, word.style) for word in line.words))
