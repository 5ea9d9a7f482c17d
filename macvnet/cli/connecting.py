"""``macvnet connect`` and ``macvnet disconnect``: docker's verbs, silent on success."""

from __future__ import annotations

from typing import Any

import click

from macvnet.cli import suggest, wanted
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, command, dry_run


@command(
    "connect",
    *wanted.endpoint_options(),
    *wanted.list_options(),
    dry_run(),
    click.Argument(["network"], shell_complete=suggest.usable_networks),
    click.Argument(["container"], shell_complete=suggest.containers),
    epilog="""
Examples:
  macvnet connect lan 4242
  macvnet connect --ip 192.0.2.10 lan netns:web
  macvnet connect --gw-priority 100 --ifname wan0 lan /run/netns/web
""",
)
@click.pass_obj
def connect(
    invocation: Invocation, /, network: str, container: str, dry_run: bool | None, **given: Any
) -> None:
    """Connect a container to a network.

    A container is a PID (4242 or pid:4242), netns:NAME, the path of a network
    namespace, or run:NAME.
    """
    with invocation.engine() as engine:
        done = engine.connect(network, container, wanted.request(given), dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(done.changes)


@command(
    "disconnect",
    Flag(["-f", "--force"], help="Also where the record and the kernel disagree."),
    dry_run(),
    click.Argument(["network"], shell_complete=suggest.usable_networks),
    click.Argument(["container"], shell_complete=suggest.connected),
    epilog="""
Examples:
  macvnet disconnect lan 4242
  macvnet disconnect -f lan netns:web
""",
)
@click.pass_obj
def disconnect(
    invocation: Invocation,
    /,
    network: str,
    container: str,
    force: bool | None,
    dry_run: bool | None,
) -> None:
    """Disconnect a container from a network.

    Its address is free at once. That the container is gone is no error.
    """
    with invocation.engine() as engine:
        changes = engine.disconnect(network, container, force=bool(force), dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(changes)
