"""``macvnet ls``."""

from __future__ import annotations

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, command


@command(
    "ls",
    Flag(["-q", "--quiet"], help="IDs only."),
    Flag(["--no-trunc"], help="Whole IDs."),
    click.Option(
        ["-f", "--filter"],
        multiple=True,
        metavar="FILTER",
        shell_complete=suggest.ls_filters,
        help="driver=, name=, id=, label=, scope=, type=, or dangling=true (nothing connected).",
    ),
    click.Option(
        ["--format"],
        metavar="FORMAT",
        default="",
        shell_complete=suggest.words("table", "json"),
        help="table or json (default: table).",
    ),
    aliases=("list",),
    epilog="""
Examples:
  macvnet ls
  macvnet ls -q --filter dangling=true
  macvnet ls --filter label=env=test --filter name=^lab
  macvnet ls --no-trunc --format json
""",
)
@click.pass_obj
def ls(
    invocation: Invocation,
    /,
    quiet: bool | None,
    no_trunc: bool | None,
    filter: tuple[str, ...],
    format: str,
) -> None:
    """List networks, sorted by name."""
    from macvnet.cli import filters, formats, tables
    from macvnet.text import printable

    chosen = formats.check("ls", format or "table", ("table", "json"))
    with invocation.engine() as engine:
        tests = filters.for_ls(filter, lambda network: bool(engine.endpoints(network)))
        networks = [network for network in engine.networks() if filters.keeps(tests, network)]
    networks.sort(key=filters.natural_order)
    length = None if no_trunc else 12
    if chosen == "json":
        from macvnet.cli import docker_shape

        for network in networks:
            row = docker_shape.listed(network, network.id[:length])
            invocation.out(formats.to_json(row, sort=True))
    elif quiet:
        for network in networks:
            invocation.out(printable(network.id[:length]))
    else:
        tables.show(
            ("NETWORK ID", "NAME", "DRIVER", "SCOPE"),
            [
                (network.id[:length], network.name, filters.shown_driver(network), "local")
                for network in networks
            ],
        )
