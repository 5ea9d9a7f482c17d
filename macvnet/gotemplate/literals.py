"""Go's literals: strings and characters, quoted and unquoted; numbers.

Source: the Go specification, and strconv's Quote, Unquote and ParseInt.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from macvnet.gotemplate.values import from_octets, octets

_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_ESCAPES = {chr(code): f"\\{letter}" for letter, code in _SIMPLE.items()}
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_DIGITS = {"x": 2, "u": 4, "U": 8}
LARGEST, LARGEST_SIGNED = (1 << 64) - 1, (1 << 63) - 1
SMALLEST_SIGNED = -(1 << 63)
SYNTAX = "invalid syntax"


class Number(NamedTuple):
    """A constant as each kind of number that it can be; None where it cannot."""

    integer: int | None
    floating: float | None
    complex: complex | None = None


def stray(character: str) -> bool:
    """Whether it stands for a byte that is no UTF-8."""
    return 0xDC80 <= ord(character) <= 0xDCFF


def escaped(character: str, quote: str, *, ascii_only: bool = False) -> str:
    """One character as it stands inside a quoted literal."""
    code = ord(character)
    if character in (quote, "\\"):
        return f"\\{character}"
    if character.isprintable() and (code < 0x80 or not ascii_only):
        return character
    if character in _ESCAPES:
        return _ESCAPES[character]
    if stray(character):
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xD800 <= code <= 0xDFFF:
        return "\\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote(text: str, *, ascii_only: bool = False) -> str:
    """A string as a literal in double quotes."""
    return '"' + "".join(escaped(one, '"', ascii_only=ascii_only) for one in text) + '"'


def unquote(literal: str) -> str:
    """The string that a literal in double quotes or back quotes means; ValueError."""
    mark, inner = literal[0], literal[1:-1]
    if mark == "`":
        return inner.replace("\r", "")
    out = bytearray()
    position = 0
    while position < len(inner):
        if inner[position] != "\\":
            out += octets(inner[position])
            position += 1
            continue
        code, width, byte = _escape(inner[position:], mark)
        out += bytes([code]) if byte else chr(code).encode()
        position += width
    return from_octets(bytes(out))


def character(literal: str) -> int:
    """The code of a literal in single quotes; ValueError."""
    inner = literal[1:-1]
    if not inner:
        raise ValueError(SYNTAX)
    code, width, _ = _escape(inner, "'") if inner[0] == "\\" else (ord(inner[0]), 1, False)
    if width != len(inner):
        raise ValueError(f"malformed character constant: {literal}")
    return 0xFFFD if 0xD800 <= code <= 0xDFFF else code


def _escape(text: str, quote_mark: str) -> tuple[int, int, bool]:
    """Code and width of the escape that begins ``text``; whether it is one byte."""
    letter = text[1:2]
    if letter == quote_mark:
        return ord(letter), 2, False
    if letter in _SIMPLE:
        return _SIMPLE[letter], 2, False
    if letter in _DIGITS:
        digits = text[2 : 2 + _DIGITS[letter]]
        if len(digits) == _DIGITS[letter] and set(digits) <= _HEXADECIMAL:
            code = int(digits, 16)
            if letter == "x" or (code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF):
                return code, 2 + len(digits), letter == "x"
    elif re.match(r"[0-3][0-7]{2}", text[1:]):
        return int(text[1:4], 8), 4, True
    raise ValueError(SYNTAX)


def integral(text: str) -> int | None:
    """A whole number as Go writes it: with 0x, 0o, 0b or 0 in front, and underscores."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lower()
    if len(text) - len(digits) > 1:
        return None
    if re.fullmatch(r"0_?[0-7][0-7_]*", digits):
        digits = "0o" + digits[1:]
    try:
        return sign * int(digits, 0)
    except ValueError:
        return None


def _floating(text: str) -> float | None:
    try:
        if "x" in text.lower():
            found = float.fromhex(text.replace("_", "")) if "p" in text.lower() else math.inf
        else:
            found = float(text)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def number(text: str, *, paired: bool = False) -> Number:
    """A constant; ValueError with Go's words where it is none, or too large.

    ``paired``: a real part stands before the imaginary one.
    """
    if text.endswith("i"):
        return _imaginary(text, paired)
    whole = integral(text)
    if whole is not None and SMALLEST_SIGNED <= whole <= LARGEST:
        return Number(whole if whole <= LARGEST_SIGNED else None, float(whole))
    found = _floating(text)
    if found is None and whole is None:
        raise ValueError(f"illegal number syntax: {quote(text)}")
    if found is None or not re.search("[.eEpP]", text):
        raise ValueError(f"integer overflow: {quote(text)}")
    return _real(found)


def _real(found: float) -> Number:
    exact = int(found) if found.is_integer() and abs(found) <= LARGEST_SIGNED else None
    return Number(exact, found)


def _imaginary(text: str, paired: bool) -> Number:
    signs = [sign.start() for sign in re.finditer("(?<![eEpP])[+-]", text)]
    split = signs[-1] if paired and signs else 0
    real, imaginary = _floating(text[:split] or "0"), _floating(text[split:-1])
    if real is None or imaginary is None:
        raise ValueError(f"illegal number syntax: {quote(text)}")
    found = complex(real, imaginary)
    return _real(real)._replace(complex=found) if not imaginary else Number(None, None, found)
