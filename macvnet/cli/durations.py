"""How long something takes, as people type it."""

from __future__ import annotations

import re

from macvnet.errors import InvalidRequest
from macvnet.text import quoted

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)")


def seconds(flag: str, text: str) -> float:
    """A duration: 90, 90s, 15m, 24h, 7d. InvalidRequest otherwise."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            f"{flag} {quoted(text)} is not a duration", f"{flag} 90s (or 15m, 24h, 7d)"
        )
    return float(int(match[1]) * _UNITS[match[2]])
