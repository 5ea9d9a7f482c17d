"""``macvnet attach`` and ``macvnet detach``: a bare PID, one or several networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import acts, endpoint_flags, formats, many, suggest, wanted
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import command, dry_run
from macvnet.model import EndpointRequest
from macvnet.text import printable, quoted

if TYPE_CHECKING:
    from macvnet.engine.seats import Connected


@command(
    "attach",
    endpoint_flags.network_option(
        "Network, and how the endpoint shall be: ip, ip6, mac, ifname, gw-priority. "
        "Repeat for more networks: all are attached, or none."
    ),
    *endpoint_flags.endpoint_options(),
    click.Option(
        ["--format"],
        metavar="FORMAT",
        default="text",
        shell_complete=suggest.words("text", "json"),
        help="text or json (default: text).",
    ),
    many.atomic_option(),
    dry_run(),
    click.Argument(
        ["containers"],
        nargs=-1,
        required=True,
        metavar="PID [PID...]",
        shell_complete=suggest.containers,
    ),
    epilog="""
Examples:
  macvnet attach 4242
  macvnet attach --network lan 4242 4243 4244
  macvnet attach --network lan --ip 192.0.2.10 4242
  macvnet attach --network lan,ip=192.0.2.10 --network v50,ifname=vlan50 4242
  macvnet attach --format json 4242
  macvnet attach docker:web

Output, a line for each endpoint: interface, MAC, addresses with prefix
length, then 'gateway' and the address of each router:
  eth0 4a:11:6b:03:9e:42 192.0.2.10/24 2001:db8::2/64 gateway 192.0.2.1
With several PIDs the PID stands first. One that is refused leaves the others
alone: exit status 13. With --atomic it undoes them.
""",
)
@click.pass_obj
def attach(
    invocation: Invocation,
    /,
    containers: tuple[str, ...],
    networks: tuple[str, ...],
    format: str,
    atomic: bool | None,
    dry_run: bool | None,
    **given: Any,
) -> int:
    """Attach network namespaces, each by a process in it, to networks.

    A container is named as for connect.

    Without --network, to the only network there is; --ip and its like alone are
    for a single network.
    """
    if len(containers) == 1 and not atomic:
        return acts.attach(
            invocation,
            container=containers[0],
            networks=networks,
            format=format,
            dry_run=dry_run,
            **given,
        )
    chosen = acts.attach_format(format)
    several = len(containers) > 1
    if several:
        wanted.refuse_for_many(given, networks)
    objects: list[dict[str, Any]] = []

    def show(one: many.One, result: list[Connected]) -> None:
        for each in result:
            if chosen == acts.JSON:
                objects.append(acts.connected_object(each))
            else:
                line = acts.connected_line(each)
                invocation.out(f"{printable(one.asked[0])} {line}" if several else line)

    with invocation.engine() as engine:
        asked = wanted.resolve_only(engine, wanted.wanted(networks, given))
        if not asked:
            asked = ((engine.only_network().id, EndpointRequest()),)
        status = many.connect(
            invocation,
            engine,
            [many.One(quoted(each), (each, asked)) for each in containers],
            verb="attach",
            atomic=bool(atomic),
            dry_run=bool(dry_run),
            done=show,
        )
    if chosen == acts.JSON and not dry_run:
        invocation.out(formats.to_json(objects))
    return status


@command(
    "detach",
    click.Option(
        ["networks", "--net", "--network"],
        multiple=True,
        metavar="NETWORK",
        shell_complete=suggest.usable_networks,
        help="Network to leave (default: all). Repeat for more.",
    ),
    many.atomic_option(),
    dry_run(),
    click.Argument(
        ["containers"],
        nargs=-1,
        required=True,
        metavar="PID [PID...]",
        shell_complete=suggest.connected,
    ),
    epilog="""
Examples:
  macvnet detach 4242
  macvnet detach 4242 4243 4244
  macvnet detach --network lan 4242
""",
)
@click.pass_obj
def detach(
    invocation: Invocation,
    /,
    containers: tuple[str, ...],
    networks: tuple[str, ...],
    atomic: bool | None,
    dry_run: bool | None,
) -> int:
    """Detach network namespaces, each by a process in it, from networks.

    A container is named as for connect.

    One that is refused leaves the others alone: exit status 13. With --atomic it
    leaves all attached.
    """
    if len(containers) == 1 and not atomic:
        return acts.detach(invocation, container=containers[0], networks=networks, dry_run=dry_run)
    with invocation.engine() as engine:
        return many.disconnect(
            invocation,
            engine,
            networks,
            [many.One(quoted(each), each) for each in containers],
            verb="detach",
            atomic=bool(atomic),
            dry_run=bool(dry_run),
        )
