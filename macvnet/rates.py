"""Rates in the words of tc(8): a number with a unit, read as bits per second, and written.

Knows the units and what macvnet can limit to; must not know links.
"""

from __future__ import annotations

from macvnet.errors import InvalidRequest
from macvnet.text import nearest, quoted

EXAMPLE = "--rate 10mbit"
LOWEST, HIGHEST = 8_000, 10**12
"""Bits per second: below, a full frame takes seconds; above, no kernel has counted yet."""

_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {f"{letter}i": 1 << 10 * power for power, letter in enumerate("kmgt", 1)}
_WORTH = {"bit": 1, "bps": 8}
UNITS = {
    prefix + unit: factor * worth
    for unit, worth in _WORTH.items()
    for prefix, factor in {**_DECIMAL, **_BINARY}.items()
}
"""Bits per second of each unit: as in tc, ``mbit`` is a million bits, ``mbps`` of bytes."""
_WRITTEN = ("tbit", "gbit", "mbit", "kbit", "bit")
_LONGEST = 20


def parse(text: str) -> int:
    """Bits per second, whole bytes of them; InvalidRequest for anything that is no rate."""
    word = text.strip().lower()
    digits = word.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = word[len(digits) :]
    whole, dot, part = digits.partition(".")
    number = whole + part
    good = number.isascii() and number.isdecimal() and len(number) <= _LONGEST
    if not good or (dot and not part) or not whole:
        raise InvalidRequest(f"--rate {quoted(text)} is not a number with a unit", EXAMPLE)
    if not unit:
        raise InvalidRequest(f"--rate {quoted(text)} has no unit", f"--rate {digits}mbit")
    if unit not in UNITS:
        close = _meant(unit)
        raise InvalidRequest(
            f"--rate {quoted(text)} has an unknown unit; tc's are bit, kbit, mbit, gbit, and bps, "
            "kbps, mbps, gbps for bytes",
            f"--rate {digits}{close}",
        )
    rate = int(number) * UNITS[unit] // int("1" + "0" * len(part)) // 8 * 8
    if not LOWEST <= rate <= HIGHEST:
        raise InvalidRequest(
            f"--rate {quoted(text)} is not from {written(LOWEST)} to {written(HIGHEST)}",
            EXAMPLE,
        )
    return rate


def _meant(unit: str) -> str:
    """The unit that somebody meant who writes it as no tc does: ``M``, ``mbit/s``, ``mb``."""
    plain = unit.removesuffix("s").removesuffix("per").removesuffix("p")
    if plain in _DECIMAL or plain in _BINARY:
        return f"{plain}bit"
    return nearest(unit, tuple(UNITS)) or "mbit"


def written(rate: int) -> str:
    """The one spelling of bits per second, which ``parse`` reads; "" for 0, which is no limit."""
    if not rate:
        return ""
    unit = next(each for each in _WRITTEN if rate % UNITS[each] == 0)
    return f"{rate // UNITS[unit]}{unit}"


def spelled(text: str) -> str:
    """A rate in its one spelling; what is none stays as it is."""
    try:
        return written(parse(text)) if text else ""
    except InvalidRequest:
        return text


def is_recorded(rate: int) -> bool:
    """Whether it is one that ``parse`` gives, or none."""
    return not rate or (LOWEST <= rate <= HIGHEST and not rate % 8)
