"""``macvnet ls``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation, write
from macvnet.cli.parameters import Flag, command

COLUMNS = ("ID", "Name", "Driver", "Scope")


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
        shell_complete=suggest.words("table", "json", "raw"),
        help="table, json, raw, or a Go template, also behind 'table ' (default: table).",
    ),
    aliases=("list",),
    epilog="""
Examples:
  macvnet ls
  macvnet ls -q --filter dangling=true
  macvnet ls --filter label=env=test --filter name=^lab
  macvnet ls --no-trunc --format json
  macvnet ls --format '{{.ID}} {{.Label "env"}}'
  macvnet ls --format 'table {{.Name}}\\t{{.Driver}}\\t{{.Labels}}'
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
    """List networks, sorted by name.

    A template has docker's fields: .ID .Name .Driver .Scope .IPv4 .IPv6
    .Internal .Labels .CreatedAt, and .Label "KEY".
    """
    from macvnet.cli import docker_shape, filters

    chosen = format or "table"
    template = None
    if chosen not in ("table", "json", "raw"):
        from macvnet.cli import templates

        template = templates.Listing(chosen)
        if said := templates.note(chosen):
            invocation.note(said)
    with invocation.engine() as engine:
        tests = filters.for_ls(
            filter, lambda network: bool(engine.endpoints(network) or engine.reservations(network))
        )
        networks = [network for network in engine.networks() if filters.keeps(tests, network)]
    networks.sort(key=filters.natural_order)
    rows = [docker_shape.listed(one, one.id if no_trunc else one.id[:12]) for one in networks]
    if template is None:
        _show(invocation, chosen, rows, quiet=bool(quiet))
        return
    for row, network in zip(rows, networks, strict=True):
        template.add(row, network.labels)
    write(template.text())


def _show(
    invocation: Invocation, chosen: str, rows: Sequence[Mapping[str, str]], *, quiet: bool
) -> None:
    from macvnet.cli import formats, tables
    from macvnet.text import printable

    if chosen == "table" and not quiet:
        cells = [[row[column] for column in COLUMNS] for row in rows]
        tables.show(("NETWORK ID", "NAME", "DRIVER", "SCOPE"), cells)
        return
    for row in rows:
        shown = {column: printable(row[column]) for column in COLUMNS}
        if chosen == "json":
            invocation.out(formats.to_json(row, sort=True, html=True))
        elif chosen == "table":
            invocation.out(shown["ID"])
        else:
            invocation.out(f"network_id: {shown['ID']}")
            if not quiet:
                invocation.out("name: {Name}\ndriver: {Driver}\nscope: {Scope}\n".format(**shown))
