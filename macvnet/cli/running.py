"""``macvnet run``: reads the command line; the runner does the rest."""

from __future__ import annotations

from typing import Any

import click

from macvnet.cli import endpoint_flags, suggest, wanted
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, command, dry_run


@command(
    "run",
    endpoint_flags.network_option("Network, and how the endpoint shall be; see 'macvnet attach'."),
    *endpoint_flags.endpoint_options(),
    click.Option(
        ["--name"], metavar="NAME", default="", help="Name; run:NAME is then a container."
    ),
    Flag(["-d", "--detach"], help="Print the ID and leave the command running."),
    Flag(["-i", "--interactive"], help="Keep stdin open."),
    Flag(["-t", "--tty"], help="Give the command a terminal."),
    Flag(["--rm"], help="Accepted for docker's sake: the endpoint always goes with the command."),
    click.Option(["--dns"], multiple=True, metavar="IP", help="Nameserver. Repeat for more."),
    dry_run(),
    click.Argument(
        ["command"],
        nargs=-1,
        required=True,
        metavar="COMMAND [ARG...]",
        shell_complete=suggest.commands,
    ),
    context_settings={"allow_interspersed_args": False},
    lasting=True,
    epilog="""
Examples:
  macvnet run --net lan -it -- /bin/sh
  macvnet run --net lan --ip 192.0.2.10 --name web -d -- python3 -m http.server
  macvnet run --net lan,ip=192.0.2.10 --net v50 -- ip address
""",
)
@click.pass_obj
def run(
    invocation: Invocation,
    /,
    networks: tuple[str, ...],
    command: tuple[str, ...],
    dry_run: bool | None,
    **given: Any,
) -> int:
    """Run a command in new network and mount namespaces, on networks.

    Options end at the command. Its exit status is macvnet's, its terminal and
    its signals are passed through. When it ends, the endpoint is gone and its
    address is free: nothing is left that --rm would have to remove.
    """
    from macvnet import runner

    with invocation.engine() as engine:
        asked = wanted.resolve_only(engine, wanted.wanted(networks, given))
        request = runner.RunRequest(
            name=given["name"],
            command=command,
            wanted=asked,
            detach=bool(given["detach"]),
            interactive=bool(given["interactive"]),
            tty=bool(given["tty"]),
            dns=given["dns"],
            remove=bool(given["rm"]),
        )
        if dry_run:
            from macvnet.runner.foresee import foresee

            invocation.changes(foresee(engine, request))
            return 0
        return runner.run(engine, request, note=invocation.note, on_started=invocation.out)
