"""``macvnet rm`` and ``macvnet prune``: several networks, each on its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation, flush, write
from macvnet.cli.parameters import Flag, command, dry_run
from macvnet.errors import MacvnetError, NotFound
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.engine import Engine
    from macvnet.model import Network

WARNING = """\
WARNING! This will remove all custom networks not used by at least one container.
Are you sure you want to continue? [y/N] """


@command(
    "rm",
    Flag(["-f", "--force"], help="A network that does not exist is no error."),
    dry_run(),
    click.Argument(
        ["networks"],
        nargs=-1,
        required=True,
        metavar="NETWORK [NETWORK...]",
        shell_complete=suggest.networks,
    ),
    aliases=("remove",),
    epilog="""
Examples:
  macvnet rm lan
  macvnet rm 4f1c9a2b77de
  macvnet rm -f lan lab
  macvnet rm --dry-run lan
""",
)
@click.pass_obj
def rm(
    invocation: Invocation, /, networks: tuple[str, ...], force: bool | None, dry_run: bool | None
) -> int:
    """Remove networks, by name, ID, or the first 4 or more digits of an ID.

    Prints each one that was removed. A failure does not keep the others from
    being removed; the exit status is that of the first failure. A network with
    endpoints is not removed: disconnect or detach them first.
    """
    status = 0
    with invocation.engine() as engine:
        for term in networks:
            try:
                changes = engine.remove(term, dry_run=bool(dry_run))
            except NotFound as error:
                if not force:
                    invocation.error(error)
                    status = status or error.exit_status
            except MacvnetError as error:
                invocation.error(error)
                status = status or error.exit_status
            else:
                if dry_run:
                    invocation.changes(changes)
                else:
                    invocation.out(printable(term))
    return status


@command(
    "prune",
    Flag(["-f", "--force"], help="Do not ask."),
    click.Option(
        ["--filter"],
        multiple=True,
        metavar="FILTER",
        shell_complete=suggest.prune_filters,
        help="label=KEY[=VALUE], label!=KEY[=VALUE], or until=TIME (10m, 24h, 2026-01-31).",
    ),
    dry_run(),
    epilog="""
Examples:
  macvnet prune
  macvnet prune -f --filter until=24h
  macvnet prune --filter label!=keep --dry-run
""",
)
@click.pass_obj
def prune(
    invocation: Invocation, /, force: bool | None, filter: tuple[str, ...], dry_run: bool | None
) -> int:
    """Remove all networks that nothing is connected to.

    Networks made with --config-only stay.
    """
    from macvnet.cli import filters

    chosen = filters.for_prune(filter)
    if not force and not dry_run and not _confirmed():
        return 0
    with invocation.engine() as engine:
        networks = sorted(
            (n for n in engine.prunable(dry_run=bool(dry_run)) if filters.keeps(chosen, n)),
            key=filters.natural_order,
        )
        if dry_run:
            invocation.changes(
                change for network in networks for change in engine.remove(network.id, dry_run=True)
            )
            return 0
        return _remove_all(invocation, engine, networks)


def _confirmed() -> bool:
    write(WARNING)
    flush()
    return sys.stdin.readline(4096).strip() in ("y", "Y")


def _remove_all(invocation: Invocation, engine: Engine, networks: list[Network]) -> int:
    status = 0
    removed = 0
    for network in networks:
        try:
            engine.remove(network.id)
        except NotFound:
            continue  # somebody else was quicker, which is what was wanted
        except MacvnetError as error:
            invocation.error(error)
            status = status or error.exit_status
        else:
            if not removed:
                invocation.out("Deleted Networks:")
            removed += 1
            invocation.out(printable(network.name))
    if removed:
        invocation.out()
    return status
