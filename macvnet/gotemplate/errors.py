"""What can be wrong with a template: one class, and Go's words for it."""

from __future__ import annotations

from collections.abc import Iterable


class TemplateError(Exception):
    """The template cannot be parsed, or not be carried out.

    ``str()`` is Go's text, with place and context. ``word`` is the name that
    was not known, "" where it is about something else, and ``known`` the names
    that there would have been. ``written`` is what came out before.
    """

    def __init__(self, text: str, word: str = "", known: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.word = word
        self.known = tuple(known)
        self.written = ""


class FunctionError(Exception):
    """A function refuses its arguments. ``str()`` is Go's text, without the place."""
