"""The shape that a document from outside must have, checked before anything is made of it.

A shape is a type (``str``, ``int``, ``bool``, ``float``), ``[shape]`` for a
list, a dictionary for an object with exactly these keys, or ``Maybe`` and
``Mapping`` below. Must not know what a value means.
"""

from __future__ import annotations

from typing import Any

from macvnet.errors import InvalidRequest
from macvnet.records import NamedTuple
from macvnet.text import nearest, quoted

_WORDS = {str: "a text", int: "a whole number", bool: "true or false", float: "a number"}


class Maybe(NamedTuple):
    """The shape, or null."""

    shape: Any


class Mapping(NamedTuple):
    """An object with any keys, whose values have the shape."""

    shape: Any


def check(value: Any, shape: Any, where: str) -> None:
    """InvalidRequest, naming the place, unless ``value`` has ``shape``."""
    if isinstance(shape, Maybe):
        if value is not None:
            check(value, shape.shape, where)
    elif isinstance(shape, Mapping):
        for key, item in _as(value, dict, "an object", where).items():
            check(item, shape.shape, f"{where}.{key}")
    elif isinstance(shape, list):
        for number, item in enumerate(_as(value, list, "a list", where)):
            check(item, shape[0], f"{where}[{number}]")
    elif isinstance(shape, dict):
        _check_object(_as(value, dict, "an object", where), shape, where)
    elif not _is(value, shape):
        raise InvalidRequest(f"{_place(where)} is not {_WORDS[shape]}", "the file as it was made")


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    # bool is an int to Python, and to nobody else.
    return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)


def _as(value: Any, kind: type, word: str, where: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidRequest(f"{_place(where)} is not {word}", "the file as it was made")
    return value


def _check_object(value: dict[str, Any], shape: dict[str, Any], where: str) -> None:
    for key in value:
        if key not in shape:
            guess = nearest(key, shape)
            raise InvalidRequest(
                f"{_place(where)} has an unknown key {quoted(key)}",
                guess or "one of " + ", ".join(shape),
            )
    for key, inner in shape.items():
        if key not in value:
            raise InvalidRequest(f"{_place(where)} lacks {quoted(key)}", "the file as it was made")
        check(value[key], inner, f"{where}.{key}")


def _place(where: str) -> str:
    return quoted(where.lstrip(".") or "the document")
