"""Values as docker's flags spell them, wherever they are typed: whole numbers, truth, lists.

Knows how one value is read; must not know what it means, nor whose flag it is.
Source: github.com/spf13/pflag, int.go and string_slice.go.
"""

from __future__ import annotations

from macvnet.errors import UsageError
from macvnet.text import DIGITS, only, quoted

TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INT64 = 1 << 63


def integer(flag: str, text: str, example: str = "") -> int:
    """A decimal number of 64 bits (Go's int); UsageError for anything else.

    ``example`` is the hint where a number is not typed behind a blank.
    """
    digits = text[1:] if text[:1] in ("+", "-") else text
    if 0 < len(digits) <= 19 and only(digits, DIGITS) and -_INT64 <= int(text) < _INT64:
        return int(text)
    raise UsageError(f"flag '{flag}' takes a number, not {quoted(text)}", example or f"{flag} 100")


def boolean(flag: str, text: str) -> bool:
    """Go's ParseBool; UsageError for any other word."""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise UsageError(
        f"flag '{flag}' takes true or false, not {quoted(text)}", f"{flag} or {flag}=false"
    )


def split_list(flag: str, text: str) -> list[str]:
    """The values of a string slice: separated by commas, quoted as in CSV where need be."""
    if not text:
        return []
    if '"' not in text and "\n" not in text and "\r" not in text:
        return text.split(",")
    import csv

    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise UsageError(
            f"flag '{flag}' cannot read the list {quoted(text)}", f"{flag} VALUE,VALUE"
        ) from error
