"""``macvnet announce``: the neighbours are told again where the addresses are."""

from __future__ import annotations

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, command
from macvnet.errors import PartlyDone, UsageError
from macvnet.text import printable


@command(
    "announce",
    Flag(["--all"], help="Announce every network."),
    click.Argument(
        ["network"], required=False, metavar="[NETWORK]", shell_complete=suggest.usable_networks
    ),
    click.Argument(
        ["containers"],
        nargs=-1,
        metavar="[CONTAINER...]",
        shell_complete=suggest.connected,
    ),
    lasting=True,
    epilog="""
Examples:
  macvnet announce lan
  macvnet announce lan docker:web netns:dns
  macvnet announce --all

Exit status 13 with --all if a network could not be announced.
""",
)
@click.pass_obj
def announce(
    invocation: Invocation,
    /,
    network: str | None,
    containers: tuple[str, ...],
    all: bool | None,
) -> int:
    """Tell the neighbours again where the addresses of a network are.

    For when a switch or a neighbour has it wrong: after a bond has failed over, or a
    switch was restarted. Sends what connect sends, gratuitous ARP and unsolicited
    neighbour advertisements, from inside each container: as often as the network
    says, and at most arp_rate frames a second on each parent.

    Ends when all is sent, and prints the name of each network that was announced.
    Containers that are gone are left out, and named, as are addresses that a container
    does not have any more. Where one that was asked for by name has nothing left, that
    is an error.
    """
    if bool(all) == bool(network):
        raise UsageError(
            "announce takes a network, or --all" if not all else "--all stands for every network",
            "macvnet announce --all",
        )
    from macvnet.cli.progress import Progress

    progress = Progress("announcing")
    with invocation.engine() as engine:
        try:
            done = engine.announce([network] if network else [], containers, report=progress.at)
        finally:
            progress.close()
    for each in done.networks:
        invocation.out(printable(each.name))
    for refused, error in done.failed:
        invocation.error(error, f"network {refused.name}")
    return PartlyDone.exit_status if done.failed else 0
