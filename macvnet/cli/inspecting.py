"""``macvnet inspect``."""

from __future__ import annotations

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation, write
from macvnet.cli.parameters import command, short_verbose
from macvnet.errors import MacvnetError


@command(
    "inspect",
    click.Option(
        ["-f", "--format"],
        metavar="FORMAT",
        default="",
        shell_complete=suggest.words("json"),
        help="json: all on one line; or a Go template (default: indented JSON).",
    ),
    short_verbose(),
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
  macvnet inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}' lan
""",
)
@click.pass_obj
def inspect(invocation: Invocation, /, networks: tuple[str, ...], format: str) -> int:
    """Show everything about networks, as a JSON array.

    The shape is that of 'docker network inspect'; what Docker does not know is
    in the object 'Macvnet' at the end.

    A template is carried out for each network, with docker's types and
    functions; a line for each is printed.
    """
    from macvnet.cli import docker_shape, formats

    template = None
    if format not in ("", "json"):
        from macvnet.cli import templates

        template = templates.Inspection(format)
        if said := templates.note(format):
            invocation.note(said)
    status = 0
    found = []
    with invocation.engine() as engine:
        for term in networks:
            try:
                document = docker_shape.inspected(engine, engine.network(term))
                if template:
                    template.add(document)
                else:
                    found.append(document)
            except MacvnetError as error:
                invocation.error(error)
                status = status or error.exit_status
    if template:
        write(template.text())
    else:
        invocation.out(formats.to_json(found, indent=None if format else 4))
    return status
