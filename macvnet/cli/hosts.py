"""``macvnet hosts``: containers by name, as hosts(5) has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import formats, suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, command, text_or_json

if TYPE_CHECKING:
    from macvnet.engine import Engine
    from macvnet.model import Endpoint, Network

NAMELESS = ("pid", "path")
"""Runtimes whose words for a target are no names."""
LONGEST = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# What ends in a number is read as an address by those who look it up.
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\Z|0[xX])({_LABEL})")


@command(
    "hosts",
    Flag(["-a", "--all"], help="Also those whose containers are gone and may come back."),
    text_or_json(),
    click.Argument(
        ["networks"], nargs=-1, metavar="[NETWORK...]", shell_complete=suggest.usable_networks
    ),
    epilog="""
Examples:
  macvnet hosts
  macvnet hosts lan >/etc/hosts.lan
  macvnet hosts --format json | jq -r '.[].names[0]'
""",
)
@click.pass_obj
def hosts(
    invocation: Invocation, /, networks: tuple[str, ...], all: bool | None, format: str
) -> None:
    """Print names, aliases and addresses of containers, in the form of hosts(5).

    A container's name is that of its runtime; a process and a path have none, and
    are there if they have an alias. What cannot stand in such a file is left out.
    """
    chosen = formats.check("hosts", format, ("text", "json"))
    with invocation.engine() as engine:
        known = [engine.network(term) for term in networks] or engine.networks()
        once = {network.id: network for network in known}
        found = [
            entry
            for network in sorted(once.values(), key=lambda one: one.name)
            for entry in _entries(engine, network, everybody=bool(all))
        ]
    named = [one for one in found if one["names"]]
    if chosen == "json":
        invocation.out(formats.to_json(named))
    else:
        for one in named:
            invocation.out(f"{one['address']}\t{' '.join(one['names'])}")
    if nameless := len({one["endpoint_id"] for one in found if not one["names"]}):
        are = "endpoint has" if nameless == 1 else "endpoints have"
        invocation.note(f"{nameless} {are} no name that can stand in hosts(5)")


def _entries(engine: Engine, network: Network, *, everybody: bool) -> Iterator[dict[str, Any]]:
    endpoints = engine.endpoints(network)
    learnt = engine.learned(network, endpoints)
    for endpoint in endpoints:
        present = engine.present(endpoint)
        if present or everybody:
            usable = [one.address for one in learnt.get(endpoint.id, ()) if one.usable]
            for address in (*(each.address for each in endpoint.addresses), *usable):
                yield {
                    "address": str(address),
                    "names": names(endpoint),
                    "network": network.name,
                    "container": str(endpoint.owner),
                    "endpoint_id": endpoint.id,
                    "present": present,
                }


def names(endpoint: Endpoint) -> list[str]:
    """What a container is called, its own name first; of those that hosts(5) can say."""
    own = () if endpoint.owner.runtime in NAMELESS else (endpoint.owner.name,)
    every = dict.fromkeys((*own, *endpoint.aliases))
    return [name for name in every if len(name) <= LONGEST and _NAME.fullmatch(name)]
