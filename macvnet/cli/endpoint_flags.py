"""The flags that say how an endpoint shall be: click's options for what ``wanted`` reads."""

from __future__ import annotations

import click

from macvnet.cli import suggest
from macvnet.cli.parameters import Flag, Integer, Slice


def address_options(otherwise: str = "") -> list[click.Option]:
    """``--ip`` and ``--ip6``; ``otherwise`` follows their help: what is taken without them."""
    return [
        click.Option(
            [flag],
            metavar="IP",
            default="",
            shell_complete=suggest.addresses(family),
            help=f"IPv{family} address{otherwise}.",
        )
        for flag, family in (("--ip", 4), ("--ip6", 6))
    ]


def endpoint_options() -> list[click.Option]:
    """Flags that say how an endpoint shall be."""
    return [
        *address_options(),
        click.Option(["--mac-address"], metavar="MAC", default="", help="MAC (macvlan only)."),
        click.Option(
            ["--ifname"], metavar="NAME", default="", help="Name of the interface (default: ethN)."
        ),
        Integer(
            ["--gw-priority"],
            metavar="N",
            help="The network with the highest has the default route (default: 0).",
        ),
        Flag(["--no-default-route"], help="Never have the default route through this network."),
        Integer(["--metric"], metavar="N", help="Metric of the routes (default: the kernel's)."),
        click.Option(
            ["--route"],
            multiple=True,
            metavar="DST=VIA",
            help="A route to DST by the router VIA, which is on the network. Repeat for more.",
        ),
        Flag(
            ["--policy-routes"],
            help="Answer what comes in on the interface from it, with a routing table of its own.",
        ),
        click.Option(
            ["--ip6-token"],
            metavar="::SUFFIX",
            default="",
            help="Suffix of the IPv6 addresses that it makes itself (-o ipv6_mode=slaac).",
        ),
        click.Option(
            ["--rate"],
            metavar="RATE",
            default="",
            help="At most so much is sent in a second, such as 10mbit.",
        ),
        Flag(["--no-probe"], help="Do not ask first whether another machine has the address."),
    ]


def list_options() -> list[click.Option]:
    """Flags of an endpoint that take lists."""
    return [
        Slice(["--alias"], metavar="NAME", help="Another name for the container; stored, shown."),
        Slice(
            ["--driver-opt"],
            metavar="KEY=VALUE",
            shell_complete=suggest.endpoint_options,
            help="Option for the endpoint.",
        ),
        Slice(["--link-local-ip"], metavar="IP", help="A link-local address besides."),
    ]


def network_option(help_text: str) -> click.Option:
    return click.Option(
        ["networks", "--net", "--network"],
        multiple=True,
        metavar="NET[,KEY=VALUE...]",
        shell_complete=suggest.network_and_keys,
        help=help_text,
    )
