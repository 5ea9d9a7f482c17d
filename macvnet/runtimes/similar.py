"""What somebody meant who named a container that there is not: the nearest one that there is.

Looked for only where an error is all that is left to print, and for a second at most.
"""

from __future__ import annotations

from macvnet.errors import NotFound
from macvnet.runtimes import listed, spelled
from macvnet.store import Reader
from macvnet.text import nearest

SECONDS = 1.0


def with_guess(error: NotFound, text: str, reader: Reader) -> NotFound:
    """The same error; its hint is the container most like ``text``, where one resembles it."""
    found = spelled(text)
    if found is None and ":" in text:
        return error  # no runtime is called so, and the hint says which one is
    word = text.partition(":")[0] if found and found[0] != "path" and ":" in text else ""
    if found and not word:
        return error  # a PID, or a path
    names: dict[str, str] = {}
    for one in listed(f"{word}:" if word else "", reader, SECONDS):
        scheme, colon, name = one.name.partition(":")
        if colon and scheme != "pid":
            names.setdefault(name, one.name)
    typed = text.partition(":")[2] if word else text
    # One that is there by that very name is refused for another reason, which the hint is about.
    guess = nearest(typed, names) if typed not in names else None
    return NotFound(error.message, f"did you mean {names[guess]}?") if guess else error
