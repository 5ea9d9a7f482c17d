"""JSON by the C parts of the standard library, without the Python around them.

``json`` loads regular expressions, and with them enumerations and more, for what
its C parts do alone: a fifth of what a short command costs. These read and write
the same; what they cannot read is given to ``json``, which says why, and where
they are not as expected ``json`` does all. ``tests/unit/test_jsontext.py`` holds
the two against each other and fails when it comes to that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BLANKS = " \t\n\r"


class _Reading:
    """How values are read: as by json.loads, but without NaN and Infinity (RFC 8259 6)."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> Any:
        raise ValueError(f"{name} is no number in JSON")


def _refused(value: object) -> Any:
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _parts() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    import _json

    parts: Any = _json
    scan = parts.make_scanner(_Reading)
    encode = parts.make_encoder(
        None, _refused, parts.encode_basestring_ascii, None, ":", ",", False, False, False
    )

    def read(text: str) -> Any:
        bare = text.strip(_BLANKS)
        try:
            value, end = scan(bare, 0)
        except (StopIteration, SystemError):
            # Until json is loaded Python 3.11 has no class for what is wrong, and raises without.
            end = -1
        return value if end == len(bare) else _read(text)

    def written(value: Any) -> str:
        return "".join(encode(value, 0))

    if read(written([{"a": 1.5}, None])) != [{"a": 1.5}, None]:
        raise TypeError
    return read, written


def _read(text: str) -> Any:
    import json

    return json.loads(text, parse_constant=_Reading.parse_constant)


def _written(value: Any) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), allow_nan=False)


try:
    read, written = _parts()
except (ImportError, AttributeError, TypeError):
    read, written = _read, _written
