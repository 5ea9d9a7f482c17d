"""Text from outside, made fit to be printed; words that resemble others."""

from __future__ import annotations

from collections.abc import Container, Iterable

LONGEST = 200


def printable(text: str, *, keep: Container[str] = "") -> str:
    """``text`` with control characters, terminal escapes and lone surrogates escaped.

    ``keep``: characters that stay as they are.
    """
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode()
        for character in text
    )


def quoted(text: object) -> str:
    """``text`` in single quotes, printable, shortened where it is very long."""
    shown = printable(str(text)[: LONGEST + 1])
    if len(str(text)) > LONGEST:
        shown = shown[:LONGEST] + "..."
    return f"'{shown}'"


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word most like ``word``, or None where none resembles it."""
    import difflib

    found = difflib.get_close_matches(word[:LONGEST], list(words), n=1, cutoff=0.6)
    return found[0] if found else None
