"""``macvnet log``: what was done, for the person who has to explain it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from macvnet.cli import formats
from macvnet.cli.durations import seconds
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Integer, command, text_or_json
from macvnet.errors import InvalidRequest
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.journal import Entry

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@command(
    "log",
    Integer(["-n", "--tail"], metavar="N", help="The last N commands only (default: all)."),
    click.Option(["--since"], metavar="T", help="Those of the last 90s, 15m, 24h or 7d only."),
    text_or_json(),
    epilog="""
Examples:
  macvnet log -n 10
  macvnet log --since 24h
  macvnet log --format json

Each command has a line with the time at which it ended (UTC), the user, the
exit status and what was typed; below it, indented, its errors, and after
a '+' each change in the kernel as the command that does the same.

The log keeps the last one to two MiB. Where journald runs, it has it too:
  journalctl -t macvnet
""",
)
@click.pass_obj
def log(invocation: Invocation, /, tail: int, since: str | None, format: str) -> None:
    """Show what was done, when, by whom, and what it changed.

    Commands that change something are in the log, failed ones too. Those that
    only look, and dry runs, are not; nor is one that was killed (SIGKILL).
    """
    from macvnet import journal

    chosen = formats.check("log", format, ("text", "json"))
    if tail < 0:
        raise InvalidRequest(f"-n {tail} is less than nothing", "-n 10")
    begin = _begin(seconds("--since", since)) if since is not None else ""
    entries, damaged = journal.read(invocation.settings.state_dir)
    kept = [one for one in entries if one.time >= begin][-tail:]
    for one in kept:
        if chosen == "json":
            invocation.out(formats.to_json(one._asdict()))
        else:
            for line in _lines(one):
                invocation.out(printable(line))
    if damaged:
        invocation.note(f"damaged lines of the log, left out: {damaged}")


def _begin(ago: float) -> str:
    """The time so many seconds ago, in the form of the log's; times there sort as text."""
    now = datetime.now(UTC)
    moment = now - min(timedelta(seconds=ago), now - EARLIEST)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lines(one: Entry) -> Iterator[str]:
    yield f"{one.time} {one.who} status {one.status} {one.command}"
    for error in one.errors:
        yield f"    {error}"
    for operation in one.operations:
        yield f"    + {operation}"
    if one.left_out:
        yield f"    and {one.left_out} more changes"
