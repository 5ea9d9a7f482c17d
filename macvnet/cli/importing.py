"""``macvnet import``: the networks of Docker or Podman as a file for apply."""

from __future__ import annotations

import click

from macvnet.cli import files, suggest
from macvnet.cli.invocation import Invocation, write
from macvnet.cli.parameters import command
from macvnet.errors import InvalidRequest
from macvnet.text import nearest, quoted

RUNTIMES = ("docker", "podman")


@command(
    "import",
    click.Argument(["runtime"], metavar="docker|podman", shell_complete=suggest.words(*RUNTIMES)),
    click.Argument(["file"], metavar="[FILE|-]", required=False, shell_complete=suggest.files),
    epilog="""
Examples:
  macvnet import docker >networks.toml
  docker network inspect lan | macvnet import docker -
  podman network inspect lan | macvnet import podman -
  macvnet apply --dry-run networks.toml

'macvnet state import' is something else: it brings back a state of macvnet's.
""",
)
@click.pass_obj
def import_(invocation: Invocation, /, runtime: str, file: str | None) -> None:
    """Print macvlan and ipvlan networks of Docker or Podman as a file for apply.

    FILE is what 'docker network inspect' or 'podman network inspect' printed;
    without it the runtime itself is asked. The addresses of the containers that
    are in a network are reserved for them. Other networks are left out, with a
    note for each. Nothing is changed.
    """
    if runtime not in RUNTIMES:
        raise InvalidRequest(
            f"there is nothing to import from {quoted(runtime)}",
            f"macvnet import {nearest(runtime, RUNTIMES) or RUNTIMES[0]}",
        )
    from macvnet.declared import written
    from macvnet.engine import foreign

    if file is None:
        from macvnet.runtimes.networks import networks

        documents = networks(runtime)
    else:
        documents = foreign.decoded(files.content(file, foreign.LARGEST), runtime)
    found = foreign.convert(runtime, documents)
    write(written(found.declared).lstrip("\n"))
    for note in found.notes:
        invocation.note(note)
