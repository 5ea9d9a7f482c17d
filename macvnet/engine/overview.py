"""The host as a tree: its links, the networks they carry, who is connected, and whether it lives.

Only looks: the state is read, the kernel is asked without pyroute2, and no
runtime is asked at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from macvnet import keys
from macvnet.engine import lookup
from macvnet.kernel.constants import LOWEST_OWN_NSID
from macvnet.kernel.sight import Seen, Sight
from macvnet.model import JOINED, RESERVED, SLAAC, Endpoint, MadeLink, Network
from macvnet.records import NamedTuple
from macvnet.store import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from macvnet.kernel.learned import Learned

UP, DOWN, NO_LINK, GONE = "up", "down", "no link", "gone"
BEING_MADE, COMING_BACK = "being made", "coming back"


class Leaf(NamedTuple):
    """An endpoint, how it is, and its link where that was found.

    ``condition`` is UP or DOWN as its link is; NO_LINK where the container
    seems to be there without it, GONE where it does not; BEING_MADE or
    COMING_BACK while a command is at it, or after one that died. ``learned`` has what
    it made of a router's advertisements, in a network where it is told to.
    """

    endpoint: Endpoint
    condition: str
    link: Seen | None = None
    learned: tuple[Learned, ...] = ()


class Carried(NamedTuple):
    """A network and its endpoints, in the order of their joining."""

    network: Network
    leaves: tuple[Leaf, ...]


class Branch(NamedTuple):
    """A link of the host with what it carries; ``link`` is None where it is missing.

    ``name`` is "" for networks that are settings only. ``made``: macvnet made
    it. ``members``: the names of a bond's, or a bridge's, links.
    """

    name: str
    link: Seen | None
    made: bool
    members: tuple[str, ...]
    networks: tuple[Carried, ...]
    branches: tuple[Branch, ...]


def overview(
    reader: Reader, boot_id: str, present: Callable[[Endpoint], bool], *, everything: bool
) -> list[Branch]:
    """The links that carry networks, and those below them; with ``everything`` all links."""
    networks = sorted(lookup.networks(reader), key=lambda each: each.name)
    endpoints = [Endpoint.from_json(record) for _, record in reader.scan(keys.ENDPOINTS)]
    with Sight() as sight:
        links = {link.ifindex: link for link in sight.links() if not link.loopback}
        leaves = conditions(sight, endpoints, networks, boot_id, present)
    if slaac := {network.id for network in networks if network.link.ipv6_mode == SLAAC}:
        leaves = [
            *(leaf for leaf in leaves if leaf.endpoint.network not in slaac),
            *with_learned([leaf for leaf in leaves if leaf.endpoint.network in slaac]),
        ]
    members: dict[str, list[Leaf]] = {}
    for leaf in sorted(leaves, key=lambda each: each.endpoint.sequence):
        members.setdefault(leaf.endpoint.network, []).append(leaf)
    carried: dict[int | str, list[Carried]] = {}
    for network in networks:
        place = _parent(network, links.values(), boot_id)
        carried.setdefault(place, []).append(Carried(network, tuple(members.get(network.id, ()))))
    made = [MadeLink.from_json(record) for _, record in reader.scan(keys.MADE_LINKS)]
    return _Tree(links, carried, {one.tag for one in made}, everything).roots()


def _parent(network: Network, links: Iterable[Seen], boot_id: str) -> int | str:
    """The ifindex of its parent, or the name of one that is missing, "" where it needs none."""
    parent = network.parent
    if parent is None:
        return ""
    for link in links:
        if parent.boot_id == boot_id and parent.ifindex and link.ifindex == parent.ifindex:
            return link.ifindex
    return next((link.ifindex for link in links if link.name == parent.name), parent.name)


def conditions(
    sight: Sight,
    endpoints: Sequence[Endpoint],
    networks: Iterable[Network],
    boot_id: str,
    present: Callable[[Endpoint], bool],
) -> list[Leaf]:
    """How each endpoint is. Asks the kernel for all links together."""
    drivers = {network.id: network.driver for network in networks}
    asked = [one for one in endpoints if _can_be_seen(one, boot_id)]
    links = sight.at([(one.sandbox.nsid or 0, one.ifindex) for one in asked])
    seen = {
        one.id: link
        for one, link in zip(asked, links, strict=True)
        if link is not None and _is_its_own(one, link, drivers.get(one.network, ""))
    }
    return [_leaf(one, seen.get(one.id), present) for one in endpoints]


def with_learned(leaves: Sequence[Leaf]) -> list[Leaf]:
    """The same with what each has learned, as far as that can be seen."""
    from macvnet.kernel.learned import learned

    seen = [leaf for leaf in leaves if leaf.link is not None]
    places = [(leaf.endpoint.sandbox.nsid or 0, leaf.endpoint.ifindex) for leaf in seen]
    answers = zip(seen, learned(places), strict=True)
    found = {leaf.endpoint.id: tuple(each) for leaf, each in answers if each}
    return [leaf._replace(learned=found.get(leaf.endpoint.id, ())) for leaf in leaves]


def _can_be_seen(endpoint: Endpoint, boot_id: str) -> bool:
    made = endpoint.state == JOINED and endpoint.ifindex > 0
    return made and endpoint.sandbox.boot_id == boot_id and endpoint.sandbox.nsid is not None


def _is_its_own(endpoint: Endpoint, link: Seen, driver: str) -> bool:
    """A number that macvnet gave never means another namespace; another's may by now."""
    tagged = link.alias.endswith(f":{endpoint.id}")
    return link.kind == driver and (tagged or (endpoint.sandbox.nsid or 0) >= LOWEST_OWN_NSID)


def _leaf(endpoint: Endpoint, link: Seen | None, present: Callable[[Endpoint], bool]) -> Leaf:
    if endpoint.state != JOINED:
        return Leaf(endpoint, BEING_MADE if endpoint.state == RESERVED else COMING_BACK)
    if link is not None:
        return Leaf(endpoint, UP if link.up else DOWN, link)
    return Leaf(endpoint, NO_LINK if present(endpoint) else GONE)


class _Tree:
    """Links by what they are on, with what they carry."""

    def __init__(
        self,
        links: dict[int, Seen],
        carried: dict[int | str, list[Carried]],
        tags: set[str],
        everything: bool,
    ) -> None:
        self._links = links
        self._carried = carried
        self._tags = tags
        self._everything = everything
        self._above: dict[int, list[Seen]] = {}
        self._members: dict[int, list[str]] = {}
        for link in links.values():
            self._above.setdefault(self._below(link), []).append(link)
            if link.master in links:
                self._members.setdefault(link.master, []).append(link.name)

    def _below(self, link: Seen) -> int:
        """The ifindex of the link it is on, 0 where it is on none of this host's."""
        lower = self._links.get(link.lower) if link.lower_here else None
        # The two ends of a veth name each other, and neither is on the other.
        return 0 if lower is None or lower.lower == link.ifindex else lower.ifindex

    def roots(self) -> list[Branch]:
        missing = sorted(place for place in self._carried if isinstance(place, str))
        return self._branches(0) + [
            Branch(name, None, False, (), tuple(self._carried[name]), ()) for name in missing
        ]

    def _branches(self, below: int) -> list[Branch]:
        found = [self._branch(link) for link in self._above.get(below, ())]
        return [
            branch
            for branch in sorted(found, key=lambda each: _by_number(each.name))
            if self._everything or branch.networks or branch.branches
        ]

    def _branch(self, link: Seen) -> Branch:
        return Branch(
            link.name,
            link,
            bool(link.alias) and link.alias in self._tags,
            tuple(sorted(self._members.get(link.ifindex, ()), key=_by_number)),
            tuple(self._carried.get(link.ifindex, ())),
            tuple(self._branches(link.ifindex)),
        )


def _by_number(name: str) -> list[str]:
    """eth2 before eth10."""
    import re

    return [part.rjust(10, "0") if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
