"""``macvnet ipam scan``: who on the LAN has addresses of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import formats, suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Slice, command, dry_run, text_or_json
from macvnet.errors import DifferencesFound, MacvnetError

if TYPE_CHECKING:
    from macvnet.engine.scanning import Stranger


@command(
    "scan",
    Slice(
        ["--range"],
        metavar="RANGES",
        help="Ask for these addresses of its subnets instead: CIDR, START-END, or one address.",
    ),
    dry_run(),
    text_or_json(),
    click.Argument(["network"], shell_complete=suggest.usable_networks),
    lasting=True,
    epilog="""
Examples:
  macvnet ipam scan --dry-run lan
  macvnet ipam scan lan
  macvnet ipam scan --range 192.0.2.0/26 lan
  macvnet ipam scan --format json lan | jq '.[] | select(.conflict)'

Exit status 11 if there is a conflict. Ctrl-C ends it and prints what was found.
""",
)
@click.pass_obj
def scan(
    invocation: Invocation,
    /,
    network: str,
    range: tuple[str, ...],
    format: str,
    dry_run: bool | None,
) -> int:
    """Ask the LAN who has the addresses that a network gives out.

    Prints each machine that answers and is none of ours, with its MAC and what
    the address is here. Of IPv6 subnets, which are too large for that, it asks for
    the addresses that are held or reserved, and for the next ones. At most
    arp_rate frames go out in a second. A free address that another machine has is
    not given out by itself for an hour.
    """
    chosen = formats.check("ipam scan", format, ("text", "json"))
    stopped: BaseException | None = None
    with invocation.engine() as engine:
        scan = engine.scan(network, range)
        if dry_run:
            invocation.changes(scan.changes)
            return 0
        from macvnet.cli.progress import Progress

        progress = Progress("scanning")
        try:
            scan.run(progress.at)
        except (KeyboardInterrupt, MacvnetError) as reason:
            # What is known by then is worth the same.
            stopped = reason
        finally:
            progress.close()
        found = scan.found()
    if chosen == "json":
        invocation.out(formats.to_json([_object(one) for one in found]))
    elif found:
        _show(found)
    if stopped is not None:
        invocation.note(f"the scan ended after {scan.done} of {scan.total} frames")
        raise stopped
    if not found:
        invocation.note("no other machine answers for any of the addresses")
    return DifferencesFound.exit_status if any(one.conflict for one in found) else 0


def _show(found: Sequence[Stranger]) -> None:
    from macvnet.cli import tables

    rows = [
        (
            str(one.address),
            one.mac,
            f"{one.kind} {one.label}".rstrip(),
            one.container or "-",
            "yes" if one.conflict else "no",
        )
        for one in found
    ]
    tables.show(("ADDRESS", "MAC", "KIND", "CONTAINER", "CONFLICT"), rows)


def _object(one: Stranger) -> dict[str, Any]:
    return {
        "address": str(one.address),
        "mac": one.mac,
        "kind": one.kind,
        "conflict": one.conflict,
        "network": one.network,
        "container": one.container or None,
        "endpoint_id": one.endpoint.id if one.endpoint else None,
        "label": one.label or None,
    }
