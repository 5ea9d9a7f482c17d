"""``macvnet reserve`` and ``macvnet unreserve``: addresses kept for a container by its name."""

from __future__ import annotations

import click

from macvnet.cli import endpoint_flags, suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import command, dry_run


@command(
    "reserve",
    *endpoint_flags.address_options(" (default: the next free one)"),
    dry_run(),
    click.Argument(["network"], shell_complete=suggest.usable_networks),
    click.Argument(["container"], shell_complete=suggest.lasting),
    epilog="""
Examples:
  macvnet reserve --ip 192.0.2.10 lan docker:web
  macvnet reserve lan netns:web
  macvnet unreserve lan docker:web

A container that is connected already keeps the address it has, unless another
one is asked for; it gets that one when it is connected again.
""",
)
@click.pass_obj
def reserve(
    invocation: Invocation, /, network: str, container: str, ip: str, ip6: str, dry_run: bool | None
) -> None:
    """Keep an address for a container, whether it is there or not, and print it.

    The container is known by the name it will have: docker:web, netns:web,
    run:web. Whenever it is connected to the network it gets the address, of each
    family that the network has, and nobody else does. What is reserved already
    is printed and stays.
    """
    with invocation.engine() as engine:
        kept, change = engine.reserve(network, container, ip, ip6, dry_run=bool(dry_run))
    if dry_run:
        invocation.changes([change])
        return
    for _, address in kept.addresses:
        invocation.out(str(address))


@command(
    "unreserve",
    dry_run(),
    click.Argument(["network"], shell_complete=suggest.usable_networks),
    click.Argument(["container"], shell_complete=suggest.reserved),
    epilog="""
Examples:
  macvnet unreserve lan docker:web
""",
)
@click.pass_obj
def unreserve(
    invocation: Invocation, /, network: str, container: str, dry_run: bool | None
) -> None:
    """Keep an address for a container no longer.

    While the container is connected it goes on with its address.
    """
    with invocation.engine() as engine:
        change = engine.unreserve(network, container, dry_run=bool(dry_run))
    if dry_run:
        invocation.changes([change])
