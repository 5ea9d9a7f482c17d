"""``macvnet create``."""

from __future__ import annotations

from typing import Any

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, Slice, command, dry_run

EXAMPLES = """
Examples:
  # Containers in the subnet of eth0, with the router that is there
  macvnet create --subnet 192.0.2.0/24 --gateway 192.0.2.1 -o parent=eth0 lan

  # VLAN 50 of a trunk; the sub-interface eth0.50 is made where it is missing
  macvnet create --subnet 192.0.2.0/24 --gateway 192.0.2.1 -o parent=eth0.50 v50

  # Give out .128 to .191 only, and never .130 or .140 to .149
  macvnet create --subnet 192.0.2.0/24 --ip-range 192.0.2.128/26 \\
      --exclude 192.0.2.130,192.0.2.140-192.0.2.149 -o parent=eth0 lan

  # IPv4 and IPv6; ipvlan where the switch allows one MAC only
  macvnet create -d ipvlan --subnet 192.0.2.0/24 --subnet 2001:db8::/64 \\
      --gateway 192.0.2.1 --gateway 2001:db8::1 -o parent=eth0 both

  # Look first: nothing is changed
  macvnet create --dry-run -o parent=eth0.50 --subnet 192.0.2.0/24 v50
"""


@command(
    "create",
    click.Option(
        ["-d", "--driver"],
        metavar="DRIVER",
        default="macvlan",
        shell_complete=suggest.drivers,
        help="macvlan or ipvlan (default: macvlan).",
    ),
    Slice(["--subnet"], metavar="CIDR", help="Subnet, e.g. 192.0.2.0/24. Repeat for more."),
    Slice(["--gateway"], metavar="IP", help="Router of the subnet that contains it."),
    Slice(
        ["--ip-range"],
        metavar="RANGE",
        help="Give out addresses of this CIDR or START-END only. Several are possible.",
    ),
    click.Option(
        ["--aux-address"],
        multiple=True,
        metavar="NAME=IP",
        help="An address in use elsewhere: never given out. A bare IP is its own name.",
    ),
    Slice(
        ["--exclude"],
        metavar="WHAT",
        help="Address, START-END or CIDR that is given out on request (--ip) only.",
    ),
    click.Option(
        ["-o", "--opt"],
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=suggest.driver_options,
        help="Driver option: parent, macvlan_mode, ipvlan_mode, ipvlan_flag, mtu, "
        "share_parent, segment, watch, onlink, ipv6_mode, passthru_force, com.docker.network.*.",
    ),
    Flag(["--internal"], help="No default route in containers, even with --gateway."),
    Flag(["--ipv4"], help="IPv4 addresses (default: true, unless all subnets are IPv6)."),
    Flag(["--ipv6"], help="IPv6 addresses (default: true with an IPv6 subnet)."),
    click.Option(
        ["--label"], multiple=True, metavar="KEY[=VALUE]", help="Label, for --filter and scripts."
    ),
    click.Option(
        ["--ipam-driver"],
        metavar="NAME",
        default="default",
        shell_complete=suggest.ipam_drivers,
        help="default, or null: links without addresses (default: default).",
    ),
    click.Option(
        ["--ipam-opt"], multiple=True, metavar="KEY=VALUE", help="Option of the address manager."
    ),
    Flag(["--config-only"], help="Keep the settings, for --config-from; makes no network."),
    click.Option(
        ["--config-from"],
        metavar="NETWORK",
        default="",
        shell_complete=suggest.configurations,
        help="Take the settings of a --config-only network.",
    ),
    Flag(["--attachable"], help="Stored and shown, as Docker does for local networks."),
    click.Option(
        ["--scope"],
        metavar="SCOPE",
        default="",
        shell_complete=suggest.words("local"),
        help="Only local exists here.",
    ),
    Flag(["--host-access"], help="The host and the containers reach each other."),
    dry_run(),
    click.Argument(["network"]),
    epilog=EXAMPLES,
)
@click.pass_obj
def create(invocation: Invocation, /, network: str, dry_run: bool | None, **given: Any) -> None:
    """Create a network and print its ID.

    Containers of a network are in one LAN with its parent: they have addresses
    of their own there, and reach neither the host nor are reached from it, unless
    --host-access is given.
    Without a parent, containers reach each other only.
    """
    from macvnet.model import CreateRequest

    request = CreateRequest(
        name=network,
        driver=given["driver"],
        subnets=given["subnet"],
        gateways=given["gateway"],
        ip_ranges=given["ip_range"],
        aux_addresses=given["aux_address"],
        excludes=given["exclude"],
        options=given["opt"],
        internal=bool(given["internal"]),
        ipv4=given["ipv4"],
        ipv6=given["ipv6"],
        labels=given["label"],
        ipam_driver=given["ipam_driver"],
        ipam_options=given["ipam_opt"],
        config_only=bool(given["config_only"]),
        config_from=given["config_from"],
        attachable=bool(given["attachable"]),
        scope=given["scope"],
        host_access=bool(given["host_access"]),
    )
    with invocation.engine() as engine:
        created = engine.create(request, dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(created.changes)
        else:
            invocation.out(created.network.id)
