"""``macvnet inspect``."""

from __future__ import annotations

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import command
from macvnet.errors import MacvnetError


@command(
    "inspect",
    click.Option(
        ["-f", "--format"],
        metavar="FORMAT",
        default="",
        shell_complete=suggest.words("json"),
        help="json: all on one line (default: indented JSON).",
    ),
    click.Argument(
        ["networks"],
        nargs=-1,
        required=True,
        metavar="NETWORK [NETWORK...]",
        shell_complete=suggest.networks,
    ),
    epilog="""
Examples:
  macvnet inspect lan
  macvnet inspect lan | jq -r '.[0].IPAM.Config[].Subnet'
  macvnet inspect --format json lan v50
""",
)
@click.pass_obj
def inspect(invocation: Invocation, /, networks: tuple[str, ...], format: str) -> int:
    """Show everything about networks, as a JSON array.

    The shape is that of 'docker network inspect'; what Docker does not know is
    in the object 'Macvnet' at the end.
    """
    from macvnet.cli import docker_shape, formats

    if format:
        formats.check("inspect", format, ("json",))
    status = 0
    found = []
    with invocation.engine() as engine:
        for term in networks:
            try:
                found.append(docker_shape.inspected(engine, engine.network(term)))
            except MacvnetError as error:
                invocation.error(error)
                status = status or error.exit_status
    invocation.out(formats.to_json(found, indent=None if format else 4))
    return status
