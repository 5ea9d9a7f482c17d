"""``macvnet top``: who sends and receives how much, now."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from macvnet import signals
from macvnet.cli import formats, suggest
from macvnet.cli.invocation import Invocation, flush
from macvnet.cli.parameters import Flag, Integer, command, text_or_json
from macvnet.errors import InvalidRequest, UsageError
from macvnet.text import printable, quoted

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from macvnet.engine.traffic import Rate, Watcher

LEAST_SECONDS, MOST_SECONDS = 0.1, 3600.0
HEADERS = ("CONTAINER", "NETWORK", "INTERFACE", "RX bit/s", "TX bit/s", "RX pkt/s", "TX pkt/s")
NARROW = 72
AROUND = 4
"""Lines of the screen that are no endpoint's: title, total, header, and how many more."""
_NUMBER = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?")
_PREFIXES = ("", "k", "M", "G", "T")


@command(
    "top",
    click.Option(
        ["--interval"],
        metavar="SECONDS",
        default="1",
        help="Look again after so long, such as 0.5 or 10 (default: 1).",
    ),
    Integer(["-n", "--count"], metavar="N", help="End after N samples."),
    Flag(["--once"], help="One sample, as --count 1."),
    text_or_json("text or json: an object in a line for each sample (default: text)."),
    click.Argument(
        ["networks"], nargs=-1, metavar="[NETWORK...]", shell_complete=suggest.usable_networks
    ),
    lasting=True,
    epilog="""
Examples:
  macvnet top
  macvnet top --interval 5 lan
  macvnet top --once --format json | jq '.endpoints[0]'

On a terminal the picture is drawn anew at each sample; q or Ctrl-C leaves.
Elsewhere a table is printed for each.
""",
)
@click.pass_obj
def top(
    invocation: Invocation,
    /,
    networks: tuple[str, ...],
    interval: str,
    count: int,
    once: bool | None,
    format: str,
) -> None:
    """Show what each endpoint receives (RX) and sends (TX), most traffic first.

    Bits and packets in a second, from the counters of the links in the containers.
    An endpoint whose link is not there is not shown.
    """
    chosen = formats.check("top", format, ("text", "json"))
    seconds = _seconds(interval)
    if count < 0:
        raise InvalidRequest(f"--count {count} is less than nothing", "--count 10")
    if once and count > 1:
        raise UsageError(f"--once is one sample, and --count {count} asks for more", "--once")
    samples = 1 if once else count
    with invocation.engine() as engine, closing(engine.watcher(networks)) as watcher:
        try:
            if chosen == "text" and not once and _has_screen():
                _drawn(watcher, seconds, samples)
            else:
                _printed(invocation, watcher, seconds, samples, chosen)
        except KeyboardInterrupt as stop:
            # Ctrl-C is how one leaves; whoever ends us otherwise is told so.
            if getattr(stop, "number", signals.SIGINT) != signals.SIGINT:
                raise


def _has_screen() -> bool:
    """Whether there is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def _seconds(text: str) -> float:
    if not _NUMBER.fullmatch(text) or not LEAST_SECONDS <= float(text) <= MOST_SECONDS:
        raise InvalidRequest(
            f"--interval {quoted(text)} is not a number of seconds from {LEAST_SECONDS} to "
            f"{MOST_SECONDS:.0f}",
            "--interval 1",
        )
    return float(text)


def _printed(
    invocation: Invocation, watcher: Watcher, seconds: float, samples: int, chosen: str
) -> None:
    from macvnet.cli import tables
    from macvnet.engine.traffic import rates

    before = watcher.look()
    number = 0
    while True:
        time.sleep(max(0.0, before.moment + seconds - time.monotonic()))
        after = watcher.look()
        found = rates(before, after)
        if chosen == "json":
            invocation.out(formats.to_json(_sample(found, after.moment - before.moment)))
        else:
            if number:
                invocation.out()
            tables.show(HEADERS, list(map(_cells, found)))
        flush()
        number += 1
        if number == samples:
            return
        before = after


def _sample(found: Sequence[Rate], seconds: float) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "seconds": round(seconds, 6),
        "endpoints": [
            {
                "container": str(one.endpoint.owner),
                "network": one.network,
                "interface": one.endpoint.ifname,
                "endpoint_id": one.endpoint.id,
                "rx_bits_per_second": round(one.rx_bits, 3),
                "tx_bits_per_second": round(one.tx_bits, 3),
                "rx_packets_per_second": round(one.rx_packets, 3),
                "tx_packets_per_second": round(one.tx_packets, 3),
                **one.total._asdict(),
            }
            for one in found
        ],
    }


def _cells(one: Rate) -> tuple[str, ...]:
    numbers = (one.rx_bits, one.tx_bits, one.rx_packets, one.tx_packets)
    return (
        str(one.endpoint.owner),
        one.network,
        one.endpoint.ifname,
        *(short(number) for number in numbers),
    )


def short(number: float) -> str:
    """Three digits and a decimal prefix: 0, 950, 1.24 k, 31.5 M."""
    place = 0
    while number >= 999.5 and place < len(_PREFIXES) - 1:
        number /= 1000
        place += 1
    if place == 0:
        return f"{number:.0f}"
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{digits}f} {_PREFIXES[place]}"


def _drawn(watcher: Watcher, seconds: float, samples: int) -> None:
    from macvnet.cli.screen import KEY, TIME, screen
    from macvnet.engine.traffic import rates

    with screen() as shown:
        before = watcher.look()
        found: list[Rate] | None = None
        number = 0
        while True:
            shown.draw(picture(found, seconds, *shown.size))
            happened = shown.wait(before.moment + seconds)
            if happened in (KEY + "q", KEY + "Q"):
                return
            if happened == TIME:
                after = watcher.look()
                found, before = rates(before, after), after
                number += 1
                if number == samples:
                    return


def picture(
    found: Sequence[Rate] | None, seconds: float, columns: int, rows: int
) -> RenderableType:
    """What is on the screen: a line of totals, and as many endpoints as there is room for."""
    from rich.console import Group as Lines
    from rich.table import Table
    from rich.text import Text

    title = Text("macvnet top", style="bold")
    if found is None:
        return Lines(title, Text("looking ..."))
    every = "endpoint" if len(found) == 1 else "endpoints"
    title.append(f"  {len(found)} {every}, every {seconds:g} s, q leaves", style="dim")
    received, sent = sum(one.rx_bits for one in found), sum(one.tx_bits for one in found)
    total = Text(f"in {_bits(received)}, out {_bits(sent)}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="bold")
    # Where the window is narrow, packets give way first, then names.
    shown = len(HEADERS) if columns >= NARROW else len(HEADERS) - 2
    for place, header in enumerate(HEADERS[:shown]):
        if place < 2:
            table.add_column(header, no_wrap=True, overflow="ellipsis", ratio=2 - place)
        else:
            table.add_column(header, no_wrap=True, justify="left" if place == 2 else "right")
    room = max(0, rows - AROUND)
    for one in found[:room]:
        table.add_row(*_styled(one, shown))
    left = len(found) - room
    return Lines(title, total, table, *([Text(f"and {left} more", style="dim")] * (left > 0)))


def _styled(one: Rate, shown: int) -> list[Text]:
    from rich.text import Text

    quiet = one.rx_packets + one.tx_packets == 0
    styles = ["cyan", "", "", *(["dim" if quiet else ""] * 4)]
    cells = map(printable, _cells(one)[:shown])
    return [Text(cell, style=style) for cell, style in zip(cells, styles, strict=False)]


def _bits(number: float) -> str:
    text = short(number)
    return f"{text}bit/s" if " " in text else f"{text} bit/s"
