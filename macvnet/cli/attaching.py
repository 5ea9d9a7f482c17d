"""``macvnet attach`` and ``macvnet detach``: a bare PID, one or several networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import formats, suggest, wanted
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import command, dry_run
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.engine.connect import Connected


@command(
    "attach",
    wanted.network_option(
        "Network, and how the endpoint shall be: ip, ip6, mac, ifname, gw-priority. "
        "Repeat for more networks: all are attached, or none."
    ),
    *wanted.endpoint_options(),
    click.Option(
        ["--format"],
        metavar="FORMAT",
        default="text",
        shell_complete=suggest.words("text", "json"),
        help="text or json (default: text).",
    ),
    dry_run(),
    click.Argument(["container"], metavar="PID", shell_complete=suggest.containers),
    epilog="""
Examples:
  macvnet attach 4242
  macvnet attach --network lan --ip 192.0.2.10 4242
  macvnet attach --network lan,ip=192.0.2.10 --network v50,ifname=vlan50 4242
  macvnet attach --format json 4242

Output, a line for each endpoint: interface, MAC, addresses with prefix
length, then 'gateway' and the address of each router:
  eth0 4a:11:6b:03:9e:42 192.0.2.10/24 2001:db8::2/64 gateway 192.0.2.1
""",
)
@click.pass_obj
def attach(
    invocation: Invocation,
    /,
    container: str,
    networks: tuple[str, ...],
    format: str,
    dry_run: bool | None,
    **given: Any,
) -> None:
    """Attach a process's network namespace to networks.

    Without --network, to the only network there is; --ip and its like alone are
    for a single network.
    """
    chosen = formats.check("attach", format, ("text", "json"))
    with invocation.engine() as engine:
        asked = wanted.resolve_only(engine, wanted.wanted(networks, given))
        done = engine.attach(container, asked, dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(change for one in done for change in one.changes)
        elif chosen == "json":
            invocation.out(formats.to_json([_object(one) for one in done]))
        else:
            for one in done:
                invocation.out(_line(one))


def _line(done: Connected) -> str:
    endpoint = done.endpoint
    words = [endpoint.ifname, endpoint.mac, *(a.cidr for a in endpoint.addresses)]
    for assigned in endpoint.addresses:
        if assigned.gateway is not None:
            words += ("gateway", str(assigned.gateway))
    return printable(" ".join(words))


def _object(done: Connected) -> dict[str, Any]:
    endpoint = done.endpoint
    return {
        "network": done.network.name,
        "network_id": done.network.id,
        "endpoint_id": endpoint.id,
        "interface": endpoint.ifname,
        "mac": endpoint.mac,
        "addresses": [assigned.cidr for assigned in endpoint.addresses],
        "gateways": [str(a.gateway) for a in endpoint.addresses if a.gateway is not None],
    }


@command(
    "detach",
    click.Option(
        ["networks", "--net", "--network"],
        multiple=True,
        metavar="NETWORK",
        shell_complete=suggest.usable_networks,
        help="Network to leave (default: all). Repeat for more.",
    ),
    dry_run(),
    click.Argument(["container"], metavar="PID", shell_complete=suggest.connected),
    epilog="""
Examples:
  macvnet detach 4242
  macvnet detach --network lan 4242
""",
)
@click.pass_obj
def detach(
    invocation: Invocation, /, container: str, networks: tuple[str, ...], dry_run: bool | None
) -> None:
    """Detach a process's network namespace from networks."""
    with invocation.engine() as engine:
        changes = engine.detach(container, networks, dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(changes)
