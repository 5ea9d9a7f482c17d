"""The drivers: macvlan and ipvlan, rows of one table.

A driver reads its options and describes links; it never makes one. Two drivers
differ by data (their option keys, modes, what a parent must allow), so the
engine asks the row and never for the driver's name.
"""

from __future__ import annotations

from macvnet.errors import InvalidRequest
from macvnet.loading import module
from macvnet.model import LinkOptions, LinkPlan
from macvnet.records import Protocol
from macvnet.text import nearest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Driver(Protocol):
    """What a driver module offers. ``WORDS``: what the values of its ``-o`` keys can be."""

    NAME: str
    DUMMY_PREFIX: str
    FOREIGN_KINDS: tuple[str, ...]
    OWN_KINDS: tuple[str, ...]
    WORDS: dict[str, tuple[str, ...]]

    def parse(self, options: Mapping[str, str]) -> LinkOptions:
        """Typed options; InvalidRequest for an unknown key or a bad value."""

    def words(self, options: LinkOptions) -> dict[str, str]:
        """The ``-o`` words that ``parse`` reads as these options."""

    def plan(self, options: LinkOptions, mac: str) -> LinkPlan:
        """The link of one endpoint."""

    def has_own_mac(self, options: LinkOptions) -> bool:
        """Whether an endpoint's MAC is chosen by macvnet (not the parent's)."""

    def routes_on_link(self, options: LinkOptions) -> bool:
        """Whether the default route goes out without a gateway (ipvlan l3, l3s)."""

    def exclusive(self, options: LinkOptions) -> bool:
        """Whether the parent carries exactly one endpoint (macvlan passthru)."""

    def sharing_conflict(self, mine: LinkOptions, other: LinkOptions) -> str:
        """Why two networks of this driver cannot share a parent, or ""."""

    def agreeing(self, other: LinkOptions) -> str:
        """The -o words with which a network could share a parent with ``other``, or ""."""

    def announces_from_parent(self, options: LinkOptions) -> bool | None:
        """Where announcements go out: True parent, False endpoint, None not at all."""


MODULES = {"macvlan": "macvnet.drivers.macvlan", "ipvlan": "macvnet.drivers.ipvlan"}
"""Every driver: its name and its module, which is loaded when it is asked for."""


def driver(name: str) -> Driver:
    """The driver of that name; InvalidRequest if there is none."""
    if name not in MODULES:
        guess = nearest(name, MODULES) or "macvlan"
        raise InvalidRequest(f"there is no driver {quoted(name)}", f"--driver {guess}")
    found: Driver = module(MODULES[name])
    return found
