"""``macvnet state``: the state as a document, out and in."""

from __future__ import annotations

import click

from macvnet.cli import files, formats, suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Group, command, dry_run, global_options
from macvnet.text import printable

COMMANDS = {
    "export": (__name__, "Print the state as JSON."),
    "import": (__name__, "Make a state from what export printed."),
}

state = Group(
    "state",
    table=COMMANDS,
    aliases={},
    params=global_options(),
    help="Save the state, and bring it back: for backups, and for moving to another host.",
    epilog="""
Examples:
  macvnet state export >backup.json
  macvnet state import backup.json
""",
)


@command(
    "export",
    epilog="""
Examples:
  macvnet state export >backup.json
""",
)
@click.pass_obj
def export(invocation: Invocation, /) -> None:
    """Print the state as JSON: networks, endpoints, and which addresses they hold.

    Of one moment, also while other commands are at work. The file makes a state
    with 'macvnet state import'.
    """
    with invocation.engine() as engine:
        document = engine.export()
    invocation.out(formats.to_json(document, indent=2))


@command(
    "import",
    dry_run(),
    click.Argument(["file"], metavar="FILE|-", shell_complete=suggest.files),
    epilog="""
Examples:
  macvnet state import backup.json
  macvnet state import --dry-run backup.json
  ssh old-host macvnet state export | macvnet state import -
  macvnet restore

Only one of two hosts may go on with a state: both would give out the same
addresses and the same MACs.
""",
)
@click.pass_obj
def import_(invocation: Invocation, /, file: str, dry_run: bool | None) -> None:
    """Make the state from what export printed: all of it, or nothing.

    Refused where there are networks already. No link is made; 'macvnet restore'
    does that, for endpoints whose targets are there under the same names. No link
    that is there is taken for macvnet's own.
    """
    from macvnet.engine.importing import LARGEST

    text = files.content(file, LARGEST)
    with invocation.engine() as engine:
        done = engine.import_(text, dry_run=bool(dry_run))
    if dry_run:
        invocation.changes(done.changes)
        return
    for network in done.networks:
        invocation.out(printable(network.name))
    if done.endpoints:
        invocation.note(
            f"{len(done.endpoints)} endpoints are recorded; macvnet restore attaches those whose "
            "targets are here"
        )
