"""Numbers as Go's fmt writes them, before they are padded.

Source: the documentation of Go's fmt and strconv.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

_BASES = {"d": 10, "v": 10, "b": 2, "o": 8, "O": 8, "x": 16, "X": 16}
_PREFIXES = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}
SHORTEST = -1


class Flags(NamedTuple):
    """What stands between the percent sign and the verb."""

    minus: bool = False
    plus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    width: int | None = None
    precision: int | None = None
    plus_v: bool = False
    sharp_v: bool = False

    def padded(self, text: str) -> str:
        """``text`` as wide as was asked for; with zeros on the left if so."""
        if self.width is None:
            return text
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")


def digits(number: int, base: int) -> str:
    return {2: f"{number:b}", 8: f"{number:o}", 10: f"{number:d}", 16: f"{number:x}"}[base]


def whole(number: int, verb: str, flags: Flags) -> str:
    """A whole number by the verbs that write digits."""
    blank = flags._replace(zero=False)
    if flags.precision == 0 and number == 0:
        return blank.padded("")
    written = digits(abs(number), _BASES[verb])
    if verb == "X":
        written = written.upper()
    sign = "-" if number < 0 else "+" if flags.plus else " " if flags.space else ""
    least = flags.precision or 0
    if flags.precision is None and flags.zero and not flags.minus and flags.width is not None:
        least = flags.width - len(sign)
    written = written.rjust(least, "0")
    if verb == "O":
        written = "0o" + written
    elif flags.sharp and not (verb == "o" and written.startswith("0")):
        written = _PREFIXES.get(verb, "") + written
    return blank.padded(sign + written)


def code(number: int, flags: Flags) -> str:
    """``%U``: a code point, and with ``#`` its character too."""
    written = "U+" + digits(number & ((1 << 64) - 1), 16).upper().rjust(flags.precision or 4, "0")
    if flags.sharp and 0 <= number <= 0x10FFFF and chr(number).isprintable():
        written += f" '{chr(number)}'"
    return flags._replace(zero=False).padded(written)


def floating(number: float, verb: str, flags: Flags) -> str:
    """A finite floating-point number by e, E, f, F, g, G, v, b, x or X."""
    verb = "g" if verb == "v" else verb
    default = 6 if verb in "eEfF" else SHORTEST
    precision = default if flags.precision is None else flags.precision
    written = _written(abs(number), verb, precision)
    if flags.sharp and verb != "b":
        written = _with_point(written, verb, precision)
    sign = "-" if math.copysign(1, number) < 0 else "+" if flags.plus else ""
    if not sign and flags.space:
        sign = " "
    if flags.zero and not flags.minus and flags.width is not None:
        return sign + written.rjust(flags.width - len(sign), "0")
    return flags.padded(sign + written)


def _written(number: float, verb: str, precision: int) -> str:
    """The number, which is not negative, with so many digits behind the point."""
    if verb == "b":
        part, exponent = math.frexp(number)
        return f"{int(part * (1 << 53))}p{exponent - 53:+d}"
    if verb in "xX":
        found = _hexadecimal(number, precision)
    elif precision != SHORTEST:
        found = f"{number:.{precision}{verb.lower()}}"
    else:
        place = _significant(number)[1]
        found = plain(number) if -4 <= place < 6 else exponential(number)
    return found.upper() if verb in "EGX" else found


def _significant(number: float) -> tuple[str, int]:
    """The shortest digits that mean the number, and the place of the point behind the first."""
    mantissa, _, exponent = f"{number!r}".partition("e")
    before, _, after = mantissa.partition(".")
    after = "" if after == "0" else after
    found = (before + after).lstrip("0")
    place = int(exponent or 0) + len(before) - 1
    if not before.strip("0"):
        place = int(exponent or 0) - (len(after) - len(after.lstrip("0"))) - 1
    return found.rstrip("0") or "0", place if found else 0


def exponential(number: float) -> str:
    """The shortest text with an exponent that means the number, which is not negative."""
    found, place = _significant(number)
    point = "." if len(found) > 1 else ""
    return f"{found[0]}{point}{found[1:]}e{place:+03d}"


def plain(number: float) -> str:
    """The shortest text without an exponent that means the number, which is not negative."""
    found, place = _significant(number)
    if place < 0:
        return "0." + "0" * (-place - 1) + found
    found = found.ljust(place + 1, "0")
    return found[: place + 1] + ("." + found[place + 1 :] if len(found) > place + 1 else "")


def _hexadecimal(number: float, precision: int) -> str:
    if not number:
        fraction = "." + "0" * precision if precision > 0 else ""
        return f"0x0{fraction}p+00"
    part, exponent = math.frexp(number)
    bits = int(part * (1 << 53))
    if precision == SHORTEST:
        after = f"{bits & ((1 << 52) - 1):013x}".rstrip("0")
        return f"0x1{'.' + after if after else ''}p{exponent - 1:+03d}"
    shift = 52 - 4 * min(precision, 13)
    kept, rest = bits >> shift, bits & ((1 << shift) - 1)
    half = 1 << shift >> 1
    if shift and (rest > half or (rest == half and kept & 1)):
        kept += 1
    if kept >> (53 - shift):
        kept, exponent = kept >> 1, exponent + 1
    after = f"{kept & ((1 << (52 - shift)) - 1):x}".rjust((52 - shift) // 4, "0")
    after = after.ljust(precision, "0") if precision else ""
    return f"0x1{'.' + after if after else ''}p{exponent - 1:+03d}"


def _with_point(written: str, verb: str, precision: int) -> str:
    """``#``: a decimal point always, and for g and x the zeros at the end too."""
    body, exponent = re.split("(?=[pP])|$" if verb in "xX" else "(?=[eE])|$", written, maxsplit=1)
    if "." not in body:
        body += "."
    if verb in "gGxX":
        wanted = 6 if precision == SHORTEST else precision or 1
        present = len(body.replace(".", "").lstrip("0")) or 1
        body += "0" * (wanted - present)
    return body + exponent
