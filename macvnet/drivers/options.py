"""``-o`` keys that both drivers know, and the words their values take.

Source of the com.docker.network.* keys and their limits: Docker 29.
"""

from __future__ import annotations

from macvnet.blocks import Callable, Mapping
from macvnet.errors import InvalidRequest
from macvnet.model import AUTO, NO_IPV6, OFF, ON, SLAAC, STATIC, LinkOptions
from macvnet.option_keys import OF_DRIVER
from macvnet.text import nearest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")
MTU_MIN, MTU_MAX = 68, 65535
ANNOUNCE_COUNT_MAX = 3
ANNOUNCE_MS_MIN, ANNOUNCE_MS_MAX = 100, 2000
PROBE_MS_MIN, PROBE_MS_MAX = 50, 2000
PROBE_WORDS = (AUTO, ON, OFF)
IPV6_MODES = (STATIC, SLAAC, NO_IPV6)
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")

ENABLE_IPV4 = "com.docker.network.enable_ipv4"
ENABLE_IPV6 = "com.docker.network.enable_ipv6"
"""Docker's option forms of --ipv4 and --ipv6; the engine reads them, a driver only admits them."""


TRUE_FALSE = ("true", "false")
WATCH = ("deny", "allow")
WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("share_parent", "onlink", ENABLE_IPV4, ENABLE_IPV6), TRUE_FALSE),
    "watch": WATCH,
    "probe": PROBE_WORDS,
    "ipv6_mode": IPV6_MODES,
}
"""The words that the values of common keys take, of those that take no others."""


def boolean(key: str, value: str) -> bool:
    """Go's ParseBool words, and "" for a bare key; InvalidRequest otherwise."""
    if value in TRUE or value == "":
        return True
    if value in FALSE:
        return False
    guess = nearest(value.lower(), ("true", "false")) or "true"
    raise InvalidRequest(
        f"option {key} takes true or false, not {quoted(value)}", f"-o {key}={guess}"
    )


def number(key: str, value: str, lowest: int, highest: int) -> int:
    """A plain decimal number within limits; InvalidRequest otherwise."""
    if value.isascii() and value.isdecimal() and len(value) < 10:
        found = int(value)
        if lowest <= found <= highest:
            return found
    raise InvalidRequest(
        f"option {key} must be in the range {lowest} to {highest}, not {quoted(value)}",
        f"-o {key}={lowest if lowest > 0 else highest}",
    )


def choice(kind: str, key: str, value: str, words: tuple[str, ...]) -> str:
    """One of ``words``, the first where the value is empty (as Docker has it)."""
    if value == "":
        return words[0]
    if value in words:
        return value
    raise InvalidRequest(
        f"requested {kind} {quoted(value)} is not valid, {quoted(words[0])} is the default",
        f"-o {key}={nearest(value.strip().lower(), words) or words[0]}  "
        f"(one of {', '.join(words)})",
    )


def _segment(key: str, value: str) -> str:
    if not value or not set(value) <= NAME_CHARACTERS or len(value) > 64:
        raise InvalidRequest(
            f"segment name {quoted(value)} is not made of up to 64 letters, digits, '_', '.', '-'",
            f"-o {key}=tenant-a",
        )
    return value


def _checked(key: str, value: str) -> dict[str, Any]:
    boolean(key, value)
    return {}


Reader = Callable[[str, str], dict[str, object]]

COMMON: dict[str, Reader] = {
    "parent": lambda key, value: {"parent": value},
    "mtu": lambda key, value: {"mtu": number(key, value, MTU_MIN, MTU_MAX)},
    "com.docker.network.driver.mtu": lambda key, value: {
        "mtu": number(key, value, MTU_MIN, MTU_MAX)
    },
    "share_parent": lambda key, value: {"share_parent": boolean(key, value)},
    "onlink": lambda key, value: {"onlink": boolean(key, value)},
    "segment": lambda key, value: {"segment": _segment(key, value)},
    "watch": lambda key, value: {"watch": choice("watch", key, value, WATCH) == "allow"},
    "com.docker.network.advertise_addr_nmsgs": lambda key, value: {
        "announce_count": number(key, value, 0, ANNOUNCE_COUNT_MAX)
    },
    "com.docker.network.advertise_addr_ms": lambda key, value: {
        "announce_interval": number(key, value, ANNOUNCE_MS_MIN, ANNOUNCE_MS_MAX) / 1000
    },
    "probe": lambda key, value: {"probe": choice("probe", key, value, PROBE_WORDS)},
    "probe_ms": lambda key, value: {
        "probe_interval": number(key, value, PROBE_MS_MIN, PROBE_MS_MAX) / 1000
    },
    "ipv6_mode": lambda key, value: {"ipv6_mode": choice("IPv6 mode", key, value, IPV6_MODES)},
    ENABLE_IPV4: _checked,
    ENABLE_IPV6: _checked,
}


def parse(
    options: Mapping[str, str], own: Mapping[str, Reader], defaults: Mapping[str, Any]
) -> LinkOptions:
    """Read ``options`` by the common table and the driver's ``own``."""
    table = {**COMMON, **own}
    values: dict[str, Any] = dict(defaults)
    if (
        "mtu" in options
        and options.get("com.docker.network.driver.mtu", options["mtu"]) != options["mtu"]
    ):
        raise InvalidRequest(
            f"options mtu={quoted(options['mtu'])} and com.docker.network.driver.mtu="
            f"{quoted(options['com.docker.network.driver.mtu'])} contradict each other",
            f"-o mtu={options['mtu']}",
        )
    for key, value in options.items():
        if key not in table:
            raise InvalidRequest(
                f"there is no option {quoted(key)} for this driver", _meant(key, own, table)
            )
        values.update(table[key](key, value))
    return LinkOptions(**values)


def _meant(key: str, own: Mapping[str, Reader], table: Mapping[str, Reader]) -> str:
    """The hint for a key that the driver has not."""
    for name, others in OF_DRIVER.items():
        if key in others:
            # It is meant to be the one of this driver like it, or the driver is another one.
            like = nearest(key, own)
            return f"-o {like}=..., or -d {name}" if like else f"-d {name}"
    # Of "mode" or "flag" the driver has one.
    short = (each for each in own if each.endswith(f"_{key}"))
    guess = next(short, None) or nearest(key, table)
    return f"-o {guess}=..." if guess else "known options: " + ", ".join(sorted(table))


def words(options: LinkOptions, own: Mapping[str, str]) -> dict[str, str]:
    """The ``-o`` words that ``parse`` reads as these options; ``own``: the driver's values by key.

    What is left to its default or to the parent has no word.
    """
    found = {
        **own,
        "share_parent": _word(options.share_parent),
        "onlink": _word(options.onlink),
        "watch": WATCH[options.watch],
        "com.docker.network.advertise_addr_nmsgs": str(options.announce_count),
        "com.docker.network.advertise_addr_ms": str(round(options.announce_interval * 1000)),
        "probe": options.probe,
        "probe_ms": str(round(options.probe_interval * 1000)),
        "ipv6_mode": options.ipv6_mode,
    }
    if options.parent:
        found["parent"] = options.parent
    if options.mtu:
        found["mtu"] = str(options.mtu)
    if options.segment:
        found["segment"] = options.segment
    return found


def _word(value: bool) -> str:
    return "true" if value else "false"
