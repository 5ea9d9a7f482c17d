"""``macvnet tree``: the host's links, networks and endpoints at one glance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import formats
from macvnet.cli.drawing import Line, Signs, Word, broken, columns, show, signs
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Flag, command, text_or_json
from macvnet.model import SLAAC
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.engine.overview import Branch, Carried, Leaf
    from macvnet.model import Network

Drawer = Callable[[str, str], Iterator[Line]]


@command(
    "tree",
    Flag(["-a", "--all"], help="Also links that carry no network."),
    text_or_json(),
    epilog="""
Examples:
  macvnet tree
  macvnet tree --all
  macvnet tree --format json | jq '[.. | .condition? | strings]'
""",
)
@click.pass_obj
def tree(invocation: Invocation, /, all: bool | None, format: str) -> None:
    """Draw the host as a tree: links, networks on them, endpoints in those.

    Behind an endpoint stands how it is, unless it is up: down, no link (the
    container is there, and its link is not), gone (the container is not there),
    being made or coming back (by a command at work, or one that died).
    """
    chosen = formats.check("tree", format, ("text", "json"))
    with invocation.engine() as engine:
        roots = engine.overview(everything=bool(all))
    if chosen == "json":
        invocation.out(formats.to_json([_branch(one) for one in roots]))
        return
    if not roots:
        invocation.note("there is no network")
    show(picture(roots, columns(), signs()))


def _branch(branch: Branch) -> dict[str, Any]:
    link = branch.link
    return {
        "link": branch.name or None,
        "missing": bool(branch.name) and link is None,
        "kind": link.kind if link else None,
        "vlan_id": link.vlan_id if link else None,
        "up": link.up if link else None,
        "carrier": link.carrier if link else None,
        "made": branch.made,
        "members": list(branch.members),
        "networks": [_carried(one) for one in branch.networks],
        "links": [_branch(one) for one in branch.branches],
    }


def _carried(one: Carried) -> dict[str, Any]:
    network = one.network
    return {
        "network": network.name,
        "network_id": network.id,
        "driver": network.driver,
        "mode": network.link.mode,
        "ipv6_mode": network.link.ipv6_mode,
        "state": network.state,
        "config_only": network.config_only,
        "subnets": [str(pool.subnet) for pool in network.pools],
        "endpoints": [_leaf(leaf) for leaf in one.leaves],
    }


def _leaf(leaf: Leaf) -> dict[str, Any]:
    endpoint = leaf.endpoint
    return {
        "container": str(endpoint.owner),
        "endpoint_id": endpoint.id,
        "interface": endpoint.ifname,
        "mac": endpoint.mac,
        "addresses": [assigned.cidr for assigned in endpoint.addresses],
        "learned": [one.cidr for one in leaf.learned],
        "condition": leaf.condition.replace(" ", "-"),
    }


def picture(roots: Sequence[Branch], room: int | None, signs: Signs) -> Iterator[Line]:
    """The lines of the tree; those that are too long for ``room`` go on below their beginning."""
    drawn = _Picture(room, signs)
    for root in roots:
        yield from drawn.branch(root, "", "")


class _Picture:
    """``lead`` stands before a thing's own line, ``below`` before those of what is under it."""

    def __init__(self, room: int | None, signs: Signs) -> None:
        self._room = room
        self._signs = signs

    def branch(self, branch: Branch, lead: str, below: str) -> Iterator[Line]:
        under: list[Drawer] = [partial(self._network, one) for one in branch.networks]
        under += [partial(self.branch, one) for one in branch.branches]
        yield from self._node(_of_link(branch), lead, below, under)

    def _network(self, one: Carried, lead: str, below: str) -> Iterator[Line]:
        under = [partial(self._leaf, leaf) for leaf in one.leaves]
        yield from self._node(_of_network(one.network), lead, below, under)

    def _leaf(self, leaf: Leaf, lead: str, below: str) -> Iterator[Line]:
        yield from self._node(_of_leaf(leaf, self._signs), lead, below, ())

    def _node(
        self, words: list[Word], lead: str, below: str, under: Sequence[Drawer]
    ) -> Iterator[Line]:
        blank = " " * len(self._signs.bar)
        rest = below + (self._signs.bar if under else blank)
        yield from broken((Word(lead, "dim"),), (Word(rest, "dim"),), words, self._room)
        for number, draw in enumerate(under, 1):
            if number < len(under):
                yield from draw(below + self._signs.tee, below + self._signs.bar)
            else:
                yield from draw(below + self._signs.corner, below + blank)


def _of_link(branch: Branch) -> list[Word]:
    link = branch.link
    if not branch.name:
        return [Word("on no link", "bold")]
    words = [Word(printable(branch.name), "bold cyan")]
    if link is None:
        return [*words, Word("missing", "red")]
    if link.vlan_id is not None:
        words.append(Word(f"VLAN {link.vlan_id}"))
    elif link.kind:
        words.append(Word(printable(link.kind)))
    if branch.members:
        words.append(Word(f"of {', '.join(map(printable, branch.members))}"))
    if not link.up:
        words.append(Word("down", "red"))
    elif not link.carrier:
        words.append(Word("no carrier", "yellow"))
    else:
        words.append(Word("up", "green"))
    return [*words, Word("made by macvnet", "dim")] if branch.made else words


def _of_network(network: Network) -> list[Word]:
    link = network.link
    kind = " ".join(word for word in (network.driver, link.mode, link.flag) if word)
    words = [Word(printable(network.name), "bold")]
    words.append(Word("settings only" if network.config_only else kind))
    words += [Word(str(pool.subnet)) for pool in network.pools]
    if network.link.ipv6_mode == SLAAC:
        words.append(Word(SLAAC))
    if network.internal:
        words.append(Word("internal"))
    return words if network.state == "active" else [*words, Word(network.state, "yellow")]


def _of_leaf(leaf: Leaf, signs: Signs) -> list[Word]:
    endpoint = leaf.endpoint
    sign, style = {"up": (signs.there, "green"), "gone": (signs.gone, "dim")}.get(
        leaf.condition, (signs.amiss, "red")
    )
    words = [Word(f"{sign} {printable(str(endpoint.owner))}", style)]
    words += [Word(printable(endpoint.ifname))] if endpoint.ifname else []
    words += [Word(assigned.cidr) for assigned in endpoint.addresses]
    words += [Word(one.cidr) for one in leaf.learned]
    return words if leaf.condition == "up" else [*words, Word(leaf.condition, style)]
