"""Tables: docker's plain layout, and one that is pleasant on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from macvnet.cli.invocation import write
from macvnet.text import printable

MINIMUM, PADDING = 10, 3  # docker's tabwriter (cli/command/formatter)

KEPT_WHOLE = 17
"""Columns of a terminal that an ID, a MAC or a number has: what is wider gives way instead."""

Rows = Sequence[Sequence[str]]


def show(headers: Sequence[str], rows: Rows) -> None:
    """Print a table for a person on a terminal, and docker's own for anything else."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _drawn(headers, cells)
    else:
        write(plain(headers, cells))


def plain(headers: Sequence[str], rows: Rows) -> str:
    """Docker's layout: every column but the last padded, by 3 at least and 10 in all."""
    return aligned("".join("\t".join(line) + "\n" for line in (headers, *rows)))


def aligned(text: str) -> str:
    """Text with tabs, laid out as docker's tabwriter does it.

    A tab ends a cell. Cells one above the other, in lines that follow each
    other, make a column; what stands behind a line's last tab belongs to none.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[] for _ in lines]
    for column in range(max(len(line) for line in lines) - 1):
        start = 0
        while start < len(lines):
            end = start
            while end < len(lines) and len(lines[end]) > column + 1:
                end += 1
            width = max([MINIMUM, *(breadth(line[column]) + PADDING for line in lines[start:end])])
            for number in range(start, end):
                widths[number].append(width)
            start = end + 1
    return "\n".join(
        "".join(
            cell + " " * (width - breadth(cell)) for cell, width in zip(line, wide, strict=False)
        )
        + line[-1]
        for line, wide in zip(lines, widths, strict=True)
    )


def breadth(text: str) -> int:
    """Columns of a terminal."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )


def _drawn(headers: Sequence[str], rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for number, header in enumerate(headers):
        widest = max(breadth(cells[number]) for cells in (headers, *rows))
        table.add_column(
            Text(header),
            overflow="fold",
            no_wrap=widest <= KEPT_WHOLE,
            style="cyan" if not number else "",
        )
    for row in rows:
        # Text, never markup: what stands in brackets in a name is a name.
        table.add_row(*(Text(cell) for cell in row))
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    write(captured.get())
