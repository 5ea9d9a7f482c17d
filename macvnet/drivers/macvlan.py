"""The macvlan driver: a MAC of its own for each endpoint."""

from __future__ import annotations

from macvnet.drivers.options import TRUE_FALSE, Reader, boolean, choice
from macvnet.drivers.options import WORDS as COMMON_WORDS
from macvnet.drivers.options import parse as parse_options
from macvnet.drivers.options import words as unparse
from macvnet.model import LinkOptions, LinkPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "macvlan"
DUMMY_PREFIX = "dm-"
OWN_KINDS: tuple[str, ...] = ("macvlan", "macvtap")
FOREIGN_KINDS: tuple[str, ...] = ("ipvlan", "ipvtap")
MODES = ("bridge", "private", "vepa", "passthru")

_OWN: dict[str, Reader] = {
    "macvlan_mode": lambda key, value: {"mode": choice("macvlan mode", key, value, MODES)},
    "passthru_force": lambda key, value: {"passthru_force": boolean(key, value)},
}

WORDS = {**COMMON_WORDS, "macvlan_mode": MODES, "passthru_force": TRUE_FALSE}


def parse(options: Mapping[str, str]) -> LinkOptions:
    """Typed options of a macvlan network; bridge mode by default (as Docker)."""
    return parse_options(options, _OWN, {"mode": MODES[0]})


def words(options: LinkOptions) -> dict[str, str]:
    """The ``-o`` words that ``parse`` reads as these options."""
    force = "true" if options.passthru_force else "false"
    return unparse(options, {"macvlan_mode": options.mode, "passthru_force": force})


def plan(options: LinkOptions, mac: str) -> LinkPlan:
    """One endpoint's link. In passthru mode the kernel ignores a MAC given at creation."""
    own_mac = mac if options.mode != "passthru" else ""
    return LinkPlan(
        NAME, (("IFLA_MACVLAN_MODE", options.mode),), f"mode {options.mode}", own_mac, options.mtu
    )


def has_own_mac(options: LinkOptions) -> bool:
    """Passthru takes the parent's MAC."""
    return options.mode != "passthru"


def routes_on_link(options: LinkOptions) -> bool:
    """Never: macvlan is layer 2."""
    return False


def exclusive(options: LinkOptions) -> bool:
    """Passthru gives the whole parent to one endpoint."""
    return options.mode == "passthru"


def sharing_conflict(mine: LinkOptions, other: LinkOptions) -> str:
    """Each macvlan has a mode of its own, so only passthru excludes sharing."""
    return "mode passthru takes the whole parent" if exclusive(mine) or exclusive(other) else ""


def agreeing(other: LinkOptions) -> str:
    """None: whoever has the whole parent shares it in no mode."""
    return ""


def announces_from_parent(options: LinkOptions) -> bool | None:
    """From the endpoint itself: the MAC is its own."""
    return False
