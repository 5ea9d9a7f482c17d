"""Text from outside: what it is made of, made fit to be printed; words that resemble others."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable


LONGEST = 200
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
HEXADECIMAL = "0123456789abcdef"
NAME_CHARACTERS = LETTERS + DIGITS + "_.-"


def only(text: str, characters: str) -> bool:
    """Whether there is nothing but these characters in a text; true of an empty one.

    A short regular expression says the same; ``re`` is a fifth of a short command.
    """
    return not text.strip(characters)


def is_name(text: str) -> bool:
    """Whether docker would take it for a name of a container or network, of any length."""
    return bool(text) and only(text, NAME_CHARACTERS) and text[0] not in "_.-"


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
    """The word most like ``word``, or None where none resembles it.

    Nothing is more like it than itself in capitals, which a comparison of letters takes for others.
    """
    import difflib

    known = list(words)
    for each in known:
        if each.casefold() == word.casefold():
            return each
    found = difflib.get_close_matches(word[:LONGEST], known, n=1, cutoff=0.6)
    return found[0] if found else None
