"""``macvnet check`` and ``macvnet repair``: state and kernel compared, and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import formats, suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, command, dry_run, text_or_json
from macvnet.errors import DifferencesFound, InvalidRequest
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.engine.checking import Difference

_FORMAT = text_or_json()
_NETWORKS = click.Argument(
    ["networks"], nargs=-1, metavar="[NETWORK...]", shell_complete=suggest.networks
)


@command(
    "check",
    Flag(
        ["--probe"],
        help="Ask the LAN whether another machine has an address of a container, in all "
        "networks and however long it takes.",
    ),
    Flag(["--no-probe"], help="Do not ask the LAN."),
    _FORMAT,
    _NETWORKS,
    epilog="""
Examples:
  macvnet check
  macvnet check lan
  macvnet check --probe lan
  macvnet check --format json

Prints one line for each difference; exit status 11 if there is any.
""",
)
@click.pass_obj
def check(
    invocation: Invocation,
    /,
    networks: tuple[str, ...],
    format: str,
    probe: bool | None,
    no_probe: bool | None,
) -> int:
    """Compare what is recorded with what the kernel has.

    Looks at links, addresses, routes, MACs, MTUs, modes and parents, of the given
    networks or of all. Changes nothing. Where connect asks the LAN before it uses
    an address, check names machines that have taken one since, if asking takes no
    more than 5 seconds; at most arp_rate frames go out in a second.
    """
    if probe and no_probe:
        raise InvalidRequest(
            "--probe and --no-probe contradict each other", "macvnet check --probe"
        )
    chosen = formats.check("check", format, ("text", "json"))
    with invocation.engine() as engine:
        found = engine.check(networks, probe=False if no_probe else probe or None)
    if chosen == "json":
        invocation.out(formats.to_json([_object(one) for one in found]))
    else:
        for one in found:
            invocation.out(printable(str(one)))
    return DifferencesFound.exit_status if found else 0


@command(
    "repair",
    dry_run(),
    _FORMAT,
    _NETWORKS,
    epilog="""
Examples:
  macvnet repair --dry-run
  macvnet repair
  macvnet repair lan

Exit status 11 if something is left.
""",
)
@click.pass_obj
def repair(
    invocation: Invocation, /, networks: tuple[str, ...], format: str, dry_run: bool | None
) -> int:
    """Mend what check finds, where that is safe, and say what is left.

    Finishes or undoes what dead commands left, makes missing links again, puts
    addresses and routes back. A parent is never touched.
    """
    chosen = formats.check("repair", format, ("text", "json"))
    with invocation.engine() as engine:
        done = engine.repair(networks, dry_run=bool(dry_run))
    if chosen == "json":
        objects = [{**_object(one), "mended": True} for one in done.mended]
        objects += [{**_object(one), "mended": False, "reason": why} for one, why in done.left]
        invocation.out(formats.to_json(objects))
    else:
        word = "would mend" if dry_run else "mended"
        for one in done.mended:
            invocation.out(printable(f"{word} {one}"))
        for one, why in done.left:
            invocation.out(printable(f"left {one}: {why}"))
    return DifferencesFound.exit_status if done.left else 0


def _object(one: Difference) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "subject": one.subject,
        "text": one.text,
        "network": one.network.name if one.network else None,
        "endpoint_id": one.endpoint.id if one.endpoint else None,
        "fix": one.fix or None,
    }
