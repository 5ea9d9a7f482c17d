"""What an event is worth: which containers to look at, whether a parent or its addresses changed.

From values only; whoever watches does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from macvnet.kernel.host_events import AddressChange, LinkChange
from macvnet.records import NamedTuple
from macvnet.runtimes.following import REMOVED, Event


class Concerned(NamedTuple):
    """The IDs of containers to look at, and of those that are removed; each in one of them."""

    changed: frozenset[str]
    removed: frozenset[str]


def concerned(events: Iterable[Event]) -> Concerned:
    """What came together is looked at once. An ID is never given to a second container."""
    every, gone = set(), set()
    for event in events:
        every.add(event.container)
        if event.what == REMOVED:
            gone.add(event.container)
    return Concerned(frozenset(every - gone), frozenset(gone))


class Links:
    """The links of the host as they were last seen: ifindex to name, and whether it is up."""

    def __init__(self, known: Mapping[int, tuple[str, bool]]) -> None:
        self._known = dict(known)

    def news(self, changes: Iterable[LinkChange]) -> News:
        """What is different now; from then on, it is known."""
        moved: set[str] = set()
        turned: set[str] = set()
        for change in changes:
            before = self._known.get(change.ifindex)
            if change.gone:
                if before is not None:
                    del self._known[change.ifindex]
                    moved.add(before[0])
                continue
            self._known[change.ifindex] = (change.name, change.up)
            if before is None or before[0] != change.name:
                moved |= {change.name} if before is None else {change.name, before[0]}
            elif before[1] != change.up:
                turned.add(change.name)
        return News(frozenset(moved), frozenset(turned))


class News(NamedTuple):
    """Names of links that came, went or were renamed, and of those that went up or down."""

    moved: frozenset[str]
    turned: frozenset[str]

    def call_for_restoring(self, carriers: Collection[str], *, waiting: bool) -> bool:
        """Whether something recorded may be missing, or may be made again now.

        ``carriers``: names of the links that networks hang on. ``waiting``: one of them is
        missing, so that it may have come under another name.
        """
        if self.moved.intersection(carriers):
            return True
        return waiting and bool(self.moved or self.turned.intersection(carriers))


class Addresses:
    """The host's IPv4 addresses, as far as the kernel has told of them."""

    def __init__(self) -> None:
        self._known: set[tuple[int, bytes]] = set()

    def news(self, changes: Iterable[AddressChange]) -> frozenset[int]:
        """The ifindexes of the links that have others now.

        One that is told of again (DHCP has renewed it) is no news, a first time may be.
        """
        changed = set()
        for change in changes:
            one = (change.ifindex, change.address)
            if change.gone:
                self._known.discard(one)
                changed.add(change.ifindex)
            elif one not in self._known:
                self._known.add(one)
                changed.add(change.ifindex)
        return frozenset(changed)


class Pause:
    """How long to wait before trying again what has failed: twice as long each time, in seconds."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def longer(self) -> float:
        """The pause after one more failure."""
        now, self._next = self._next, min(2 * self._next, self._longest)
        return now

    def over(self) -> None:
        """It has succeeded."""
        self._next = self._first
