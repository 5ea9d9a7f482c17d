"""``macvnet restore`` and ``macvnet gc``: what comes back, and what does not."""

from __future__ import annotations

import click

from macvnet.cli.durations import seconds
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import command, dry_run
from macvnet.errors import PartlyDone, StillPending
from macvnet.text import printable


@command(
    "restore",
    click.Option(
        ["--wait"],
        metavar="SECONDS",
        default="0",
        help="Wait so long for parents that are missing (default: 0).",
    ),
    dry_run(),
    lasting=True,
    epilog="""
Examples:
  macvnet restore
  macvnet restore --dry-run
  macvnet restore --wait 60

Exit status 12 if a parent is still missing, 13 if something failed.
""",
)
@click.pass_obj
def restore(invocation: Invocation, /, wait: str, dry_run: bool | None) -> int:
    """Make again what is recorded and missing, after a reboot or a driver's reload.

    Sub-interfaces and dummies that macvnet made, and the endpoints of targets that
    are there (again) under the same name: same address, MAC and interface name.
    Prints what it made; what is there already is left alone.
    """
    limit = seconds("--wait", wait)
    from macvnet.cli.progress import Progress

    progress = Progress("restoring")
    with invocation.engine() as engine:
        try:
            done = engine.restore(wait=limit, dry_run=bool(dry_run), report=progress.at)
        finally:
            progress.close()
    if dry_run:
        invocation.changes(done.changes)
    for made in done.made:
        invocation.out(printable(str(made)))
    for subject, error in done.failed:
        invocation.error(PartlyDone(f"{subject}: {error.message}", error.hint))
    for line in done.pending:
        invocation.error(StillPending(line, "macvnet restore --wait 60"))
    if done.failed:
        return PartlyDone.exit_status
    return StillPending.exit_status if done.pending else 0


@command(
    "gc",
    click.Option(
        ["--grace"],
        metavar="T",
        help="Keep the lease of a target that may come back for so long (default: 24h, or "
        "grace in the configuration).",
    ),
    dry_run(),
    epilog="""
Examples:
  macvnet gc --dry-run
  macvnet gc --grace 0
""",
)
@click.pass_obj
def gc(invocation: Invocation, /, grace: str | None, dry_run: bool | None) -> None:
    """Free what containers that are gone still hold.

    A bare PID's lease at once; that of a target that can come back under its name
    after the grace time, counted from when its end was first seen, and never before
    restore has run since boot. A living endpoint is never touched.
    """
    limit = seconds("--grace", grace) if grace is not None else None
    with invocation.engine() as engine:
        changes = engine.collect(grace=limit, dry_run=bool(dry_run))
    invocation.changes(changes)
