"""``macvnet ipam``: where the addresses are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import formats, suggest
from macvnet.cli.drawing import Line, Signs, Word, broken, columns, show, signs
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Group, command, global_options, text_or_json
from macvnet.text import printable, quoted

if TYPE_CHECKING:
    from macvnet.engine.accounting import Place, PoolCounts
    from macvnet.ipam.counting import Counts

COMMANDS = {
    "status": (__name__, "Show how full each pool is."),
    "who": (__name__, "Say who has an address."),
    "next": (__name__, "Say which address the next connect would get."),
    "scan": ("macvnet.cli.scanning", "Ask the LAN who has the addresses of a network."),
}

ipam = Group(
    "ipam",
    table=COMMANDS,
    aliases={},
    params=global_options(),
    help="Show where the addresses are. Nothing is reserved; only scan asks the LAN.",
    epilog="""
Examples:
  macvnet ipam status
  macvnet ipam who 192.0.2.10
  macvnet ipam next lan
  macvnet ipam scan lan
""",
)

WIDEST = 78
STYLES = {"used": "red", "reserved": "yellow", "excluded": "blue", "free": "green"}


@command(
    "status",
    text_or_json(),
    click.Argument(
        ["networks"], nargs=-1, metavar="[NETWORK...]", shell_complete=suggest.usable_networks
    ),
    epilog="""
Examples:
  macvnet ipam status
  macvnet ipam status lan
  macvnet ipam status --format json | jq '.[] | select(.free < 10) | .network'
""",
)
@click.pass_obj
def status(invocation: Invocation, /, networks: tuple[str, ...], format: str) -> None:
    """Show each pool of the networks as a bar, and count its addresses.

    Used are those that endpoints hold, whether the container is there or not.
    Reserved are gateways, auxiliary addresses, the subnet's first address and
    broadcast address, this host's own, and what 'macvnet reserve' keeps for a
    container that does not have it now. Excluded ones are given out with --ip
    only: those outside of the ranges, and --exclude. Free ones are given out by
    themselves.
    """
    chosen = formats.check("ipam status", format, ("text", "json"))
    with invocation.engine() as engine:
        found = engine.ipam_status(networks)
    if chosen == "json":
        invocation.out(formats.to_json([_object(one) for one in found]))
        return
    if not found:
        invocation.note("no network has a pool")
    show(picture(found, columns(), signs()))


def _object(one: PoolCounts) -> dict[str, Any]:
    return {
        "network": one.network.name,
        "network_id": one.network.id,
        "segment": one.network.segment,
        "subnet": str(one.pool.subnet),
        "size": one.counts.size,
        **one.counts._asdict(),
    }


def picture(found: Sequence[PoolCounts], room: int | None, signs: Signs) -> Iterator[Line]:
    """Three lines for each pool: what it is, a bar, and the numbers."""
    margin = (Word("  "),)
    cells = min(room or WIDEST, WIDEST) - 2
    for one in found:
        about = [Word(printable(one.network.name), "bold"), Word(str(one.pool.subnet))]
        if one.network.segment != "default":
            about.append(Word(f"segment {printable(one.network.segment)}"))
        yield from broken((), margin, about, room)
        kinds = one.counts._asdict()
        lengths = bar(one.counts, max(cells, len(kinds)))
        stretches = zip(kinds, lengths, strict=True)
        drawn = [Word(getattr(signs, kind) * length, STYLES[kind]) for kind, length in stretches]
        yield Line((*margin, *drawn))
        told = [
            Word(f"{getattr(signs, kind)} {kind} {number} ", STYLES[kind])
            for kind, number in kinds.items()
        ]
        yield from broken(margin, margin, told, room)


def bar(counts: Counts, cells: int) -> list[int]:
    """How many of ``cells`` each kind takes: in proportion, and one at least if there is any."""
    lengths = [max(number * cells // counts.size, number > 0) for number in counts]
    while (left := cells - sum(lengths)) != 0:
        places = [place for place, length in enumerate(lengths) if left > 0 or length > 1]
        lacking = {p: counts[p] * cells - lengths[p] * counts.size for p in places}
        chosen = (max if left > 0 else min)(places, key=lacking.__getitem__)
        lengths[chosen] += 1 if left > 0 else -1
    return lengths


@command(
    "who",
    text_or_json(),
    click.Argument(["address"], metavar="ADDRESS", shell_complete=suggest.held_addresses),
    epilog="""
Examples:
  macvnet ipam who 192.0.2.10
  macvnet ipam who 2001:db8::10 --format json
""",
)
@click.pass_obj
def who(invocation: Invocation, /, address: str, format: str) -> None:
    """Say who has an address: an endpoint, a gateway, this host, or nobody.

    One line for each pool or address space that has it. Exit status 4 if it is
    in no pool. Others on the LAN are not asked: 'macvnet ipam scan' does that.
    """
    chosen = formats.check("ipam who", format, ("text", "json"))
    with invocation.engine() as engine:
        places = engine.who(address)
        present = {one.endpoint.id: engine.present(one.endpoint) for one in places if one.endpoint}
    if chosen == "json":
        invocation.out(formats.to_json([_place(address, one, present) for one in places]))
        return
    for one in places:
        invocation.out(printable(f"{address} {_said(one, present)}"))


def _said(one: Place, present: dict[str, bool]) -> str:
    """What follows the address in a sentence about it."""
    network = f"network {quoted(one.network)}"
    pool = f"{one.subnet} of {network}"
    if one.endpoint is not None:
        where = one.endpoint.ifname or "an interface being made"
        words = f"is held by {one.endpoint.owner} in {network}, as {where}"
        if not present[one.endpoint.id]:
            words += ", which is gone"
        elif one.since is not None:
            words += f", since {_time(one)}"
    else:
        words = {
            "gateway": f"is the gateway of {network}",
            "auxiliary": f"is the auxiliary address {quoted(one.label)} of {network}",
            "network": f"is the network address of {pool}",
            "broadcast": f"is the broadcast address of {pool}",
            "anycast": f"is the anycast address of the routers in {pool}",
            "host": f"is this host's own, in {pool}",
            "excluded": f"is excluded, given out with --ip only, in {pool}",
            "free": f"is free, in {pool}",
        }.get(one.kind, f"is held by {one.text}, in {pool}")
    return words if one.segment == "default" else f"{words} (segment {quoted(one.segment)})"


def _time(one: Place) -> str:
    assert one.since is not None
    return one.since.strftime("%Y-%m-%dT%H:%M:%SZ")


def _place(address: str, one: Place, present: dict[str, bool]) -> dict[str, Any]:
    endpoint = one.endpoint
    return {
        "address": address,
        "kind": one.kind,
        "segment": one.segment,
        "network": one.network,
        "subnet": str(one.subnet) if one.subnet else None,
        "label": one.label or None,
        "container": str(endpoint.owner) if endpoint else None,
        "endpoint_id": endpoint.id if endpoint else None,
        "interface": endpoint.ifname if endpoint else None,
        "mac": endpoint.mac if endpoint else None,
        "present": present[endpoint.id] if endpoint else None,
        "since": _time(one) if one.since else None,
    }


@command(
    "next",
    text_or_json(),
    click.Argument(["network"], shell_complete=suggest.usable_networks),
    epilog="""
Examples:
  macvnet ipam next lan
  macvnet ipam next --format json lan
""",
)
@click.pass_obj
def next(invocation: Invocation, /, network: str, format: str) -> None:  # noqa: A001 - a command
    """Print the address that the next container would get, one of each family.

    Nothing is reserved: whoever comes first has it. A container that was in the
    network before gets its own address back instead, if that is free.
    """
    chosen = formats.check("ipam next", format, ("text", "json"))
    with invocation.engine() as engine:
        found = engine.following(network)
    if chosen == "json":
        invocation.out(
            formats.to_json(
                [{"address": str(one.address), "subnet": str(one.pool.subnet)} for one in found]
            )
        )
        return
    if not found:
        invocation.note(f"network {quoted(network)} gives no addresses")
    for one in found:
        invocation.out(f"{one.address}/{one.pool.subnet.prefixlen}")
