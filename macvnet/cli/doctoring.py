"""``macvnet doctor``: what stands between a container and its LAN."""

from __future__ import annotations

import click

from macvnet.cli import formats, suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, command, text_or_json
from macvnet.errors import DifferencesFound, UsageError
from macvnet.text import printable


@command(
    "doctor",
    Flag(
        ["--active"],
        help="Also try, with a link made for a moment, whether other MACs get through.",
    ),
    text_or_json(),
    click.Argument(
        ["subject"],
        required=False,
        metavar="[NETWORK|PARENT|CONTAINER]",
        shell_complete=suggest.subjects,
    ),
    epilog="""
Examples:
  macvnet doctor
  macvnet doctor lan
  macvnet doctor eth0
  macvnet doctor docker:web
  macvnet doctor --active lan
  macvnet doctor --format json lan

Prints for each cause that is found its ID with what was seen of it, and what
to type; exit status 11 if there is any.

Changes nothing. For a NETWORK, PARENT or CONTAINER the IPv4 gateway is asked by
ARP (sender 0.0.0.0) whether it is there; without one, no frame is sent.

With --active a macvlan with a MAC of its own asks too, from a namespace that
ends with the command. A switch with port security may shut the port then.
""",
)
@click.pass_obj
def doctor(invocation: Invocation, /, subject: str | None, format: str, active: bool | None) -> int:
    """Say what stands in the way of a network, a parent or a container, and what helps.

    Looks at the parent, the kernel, the machine and its managers, into the targets,
    and at the gateway. Without an argument: at all networks, and no gateway. A name
    is looked up as a network, then as a link of this host, then as a container.
    """
    chosen = formats.check("doctor", format, ("text", "json"))
    if active and not subject:
        raise UsageError("--active needs a network or a parent", "macvnet doctor --active lan")
    if active:
        invocation.begin()
    with invocation.engine() as engine:
        found = engine.diagnose(subject or "", active=bool(active))
    if chosen == "json":
        invocation.out(formats.to_json([one.to_json() for one in found]))
    else:
        for one in found:
            invocation.out(printable(f"{one.cause}: {one.evidence}"))
            invocation.out(printable(f"  fix: {one.fix}"))
    return DifferencesFound.exit_status if found else 0
