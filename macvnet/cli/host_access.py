"""``macvnet host-access``: whether host and containers of a network reach each other."""

from __future__ import annotations

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Group, command, dry_run, global_options

COMMANDS = {
    "enable": (__name__, "Let host and containers reach each other."),
    "disable": (__name__, "Keep host and containers apart again."),
}

host_access = Group(
    "host-access",
    table=COMMANDS,
    aliases={},
    params=global_options(),
    help="Let the host and the containers of a network reach each other, or keep them apart.",
    epilog="""
Examples:
  macvnet host-access enable lan
  macvnet host-access disable lan
""",
)
_NETWORK = click.Argument(["network"], shell_complete=suggest.networks)


@command(
    "enable",
    dry_run(),
    _NETWORK,
    epilog="""
Examples:
  macvnet host-access enable --dry-run lan
  macvnet host-access enable lan
""",
)
@click.pass_obj
def enable(invocation: Invocation, /, network: str, dry_run: bool | None) -> None:
    """Let host and containers reach each other.

    Makes a link on the host, beside the parent, and a route to each container's
    address. Containers reach the host under its own IPv4 address, and under an
    IPv6 address that is reserved in the network. Needs macvlan mode bridge, and an
    address of the host in each IPv4 subnet.
    """
    with invocation.engine() as engine:
        changes = engine.enable_host_access(network, dry_run=bool(dry_run))
    if dry_run:
        invocation.changes(changes)


@command(
    "disable",
    dry_run(),
    _NETWORK,
    epilog="""
Examples:
  macvnet host-access disable --dry-run lan
  macvnet host-access disable lan
""",
)
@click.pass_obj
def disable(invocation: Invocation, /, network: str, dry_run: bool | None) -> None:
    """Keep host and containers apart again.

    Removes the routes, the reserved IPv6 address, and the link where no other
    network uses it.
    """
    with invocation.engine() as engine:
        changes = engine.disable_host_access(network, dry_run=bool(dry_run))
    if dry_run:
        invocation.changes(changes)
