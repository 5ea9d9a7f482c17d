"""``--format``: which words are known, and how JSON is written.

The one place where a command's format is judged; Go templates are in ``templates``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from macvnet.errors import InvalidRequest
from macvnet.text import nearest, quoted

# Legal inside JSON text, but a terminal obeys them, or UTF-8 cannot say them.
_CODES = "\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNFIT, _UNFIT_FOR_HTML = re.compile(f"[{_CODES}]"), re.compile(f"[<>&{_CODES}]")


def check(command: str, given: str, known: Sequence[str]) -> str:
    """``given`` if it is one of ``known``; InvalidRequest otherwise."""
    if given in known:
        return given
    words = " or ".join(known)
    raise InvalidRequest(
        f"format {quoted(given)} is not known to '{command}', which has {words}",
        f"--format {nearest(given, known) or known[-1]}",
    )


def to_json(
    value: Any, *, indent: int | None = None, sort: bool = False, html: bool = False
) -> str:
    """JSON as docker prints it: UTF-8 as it is; control characters always escaped.

    ``html``: the signs that HTML must not meet are escaped too.
    """
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(
        value, ensure_ascii=False, indent=indent, separators=separators, sort_keys=sort
    )
    unfit = _UNFIT_FOR_HTML if html else _UNFIT
    return unfit.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
