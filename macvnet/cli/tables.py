"""Tables: docker's plain layout, and one that is pleasant on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from macvnet.cli.invocation import write
from macvnet.text import printable

MINIMUM, PADDING = 10, 3  # docker's tabwriter (cli/command/formatter)

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
    lines = [list(headers), *map(list, rows)]
    widths = [
        max(MINIMUM, max(len(line[column]) for line in lines) + PADDING)
        for column in range(len(headers) - 1)
    ]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        + line[-1]
        + "\n"
        for line in lines
    )


def _drawn(headers: Sequence[str], rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for number, header in enumerate(headers):
        table.add_column(
            Text(header), overflow="fold", no_wrap=number == 0, style="cyan" if not number else ""
        )
    for row in rows:
        # Text, never markup: what stands in brackets in a name is a name.
        table.add_row(*(Text(cell) for cell in row))
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    write(captured.get())
