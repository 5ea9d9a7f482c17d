"""The ipvlan driver: endpoints share the parent's MAC."""

from __future__ import annotations

from collections.abc import Mapping

from macvnet.drivers.options import WORDS as COMMON_WORDS
from macvnet.drivers.options import Reader, choice
from macvnet.drivers.options import parse as parse_options
from macvnet.drivers.options import words as unparse
from macvnet.kernel.constants import IPVLAN_FLAGS, IPVLAN_MODES
from macvnet.model import LinkOptions, LinkPlan

NAME = "ipvlan"
DUMMY_PREFIX = "di-"
OWN_KINDS: tuple[str, ...] = ("ipvlan", "ipvtap")
FOREIGN_KINDS: tuple[str, ...] = ("macvlan", "macvtap")
MODES = ("l2", "l3", "l3s")
FLAGS = ("bridge", "private", "vepa")

_OWN: dict[str, Reader] = {
    "ipvlan_mode": lambda key, value: {"mode": choice("ipvlan mode", key, value, MODES)},
    "ipvlan_flag": lambda key, value: {"flag": choice("ipvlan flag", key, value, FLAGS)},
}

WORDS = {**COMMON_WORDS, "ipvlan_mode": MODES, "ipvlan_flag": FLAGS}


def parse(options: Mapping[str, str]) -> LinkOptions:
    """Typed options of an ipvlan network; mode l2 and flag bridge by default (as Docker)."""
    return parse_options(options, _OWN, {"mode": MODES[0], "flag": FLAGS[0]})


def words(options: LinkOptions) -> dict[str, str]:
    """The ``-o`` words that ``parse`` reads as these options."""
    return unparse(options, {"ipvlan_mode": options.mode, "ipvlan_flag": options.flag})


def plan(options: LinkOptions, mac: str) -> LinkPlan:
    """One endpoint's link; mode and flag are the parent's, every new link sets them for all."""
    data = (
        ("IFLA_IPVLAN_MODE", IPVLAN_MODES[options.mode]),
        ("IFLA_IPVLAN_FLAGS", IPVLAN_FLAGS[options.flag]),
    )
    return LinkPlan(NAME, data, f"mode {options.mode} {options.flag}", "", options.mtu)


def has_own_mac(options: LinkOptions) -> bool:
    """Never: all slaves use the parent's MAC."""
    return False


def routes_on_link(options: LinkOptions) -> bool:
    """In l3 and l3s the host routes; there is no ARP and no gateway."""
    return options.mode in ("l3", "l3s")


def exclusive(options: LinkOptions) -> bool:
    """Never."""
    return False


def sharing_conflict(mine: LinkOptions, other: LinkOptions) -> str:
    """Mode and flag belong to the parent (a new link sets them for all), so sharers must agree."""
    if (mine.mode, mine.flag) != (other.mode, other.flag):
        return (
            f"ipvlan's mode and flag belong to the parent, which has {other.mode} and {other.flag}"
        )
    return ""


def agreeing(other: LinkOptions) -> str:
    """The other's mode and flag."""
    return f"-o ipvlan_mode={other.mode} -o ipvlan_flag={other.flag}"


def announces_from_parent(options: LinkOptions) -> bool | None:
    """l2 from a packet socket on the parent; l3 and l3s have no ARP."""
    return True if options.mode == "l2" else None
