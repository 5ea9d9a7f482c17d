"""The functions that docker adds to Go's own.

Source: docker-cli's templates package, of Docker 29.
"""

from __future__ import annotations

from collections.abc import Mapping

from macvnet.gotemplate import jsons, printing
from macvnet.gotemplate.errors import FunctionError
from macvnet.gotemplate.values import (
    ANY,
    INT,
    STRING,
    Function,
    Kind,
    Value,
    from_octets,
    octets,
    pairs,
    string,
    strings,
)


def as_json(value: Value | None) -> Value:
    return string(jsons.encode(value))


def split(text: Value, separator: Value) -> Value:
    """An empty separator splits after each character."""
    count = text.data.count(separator.data) + 1
    if count > printing.TOO_MANY:
        raise FunctionError(f"result has more than {printing.TOO_MANY} elements")
    return strings(text.data.split(separator.data) if separator.data else text.data)


def join(elements: Value | None, separator: Value) -> Value:
    """A map's values are joined in the order of their texts."""
    if elements is None:
        return string("")
    if elements.kind is Kind.SLICE:
        shown = [printing.formatted(one) for one in elements.data or ()]
    elif elements.kind is Kind.MAP:
        shown = sorted(printing.formatted(one) for _, one in pairs(elements))
    else:
        raise FunctionError(f"expected slice, got {elements.type}")
    if len(separator.data) * len(shown) > printing.LONGEST:
        raise FunctionError(printing.TOO_LONG)
    return string(separator.data.join(shown))


def _each(text: str, change: str) -> str:
    """Letter by letter, as Go does it: a letter never becomes two."""
    changed = [getattr(letter, change)() for letter in text]
    return "".join([new if len(new) == 1 else old for old, new in zip(text, changed, strict=True)])


def lower(text: Value) -> Value:
    return string(_each(text.data, "lower"))


def upper(text: Value) -> Value:
    return string(_each(text.data, "upper"))


def title(text: Value) -> Value:
    """The first letter of each word is a capital; the others stay as they are."""
    out = []
    inside = False
    for letter in text.data:
        out.append(letter if inside else _each(letter, "title"))
        inside = letter == "_" or letter.isalnum() or not (letter.isascii() or letter.isspace())
    return string("".join(out))


def pad(text: Value, before: Value, after: Value) -> Value:
    """Spaces around a text that is not empty."""
    if not text.data:
        return text
    if before.data < 0 or after.data < 0:
        raise FunctionError("strings: negative Repeat count")
    if before.data + after.data > printing.LONGEST:
        raise FunctionError(printing.TOO_LONG)
    return string(" " * before.data + text.data + " " * after.data)


def truncate(text: Value, length: Value) -> Value:
    """The first bytes of a text."""
    data = octets(text.data)
    if len(data) < length.data:
        return text
    if length.data < 0:
        raise FunctionError(f"runtime error: slice bounds out of range [:{length.data}]")
    return string(from_octets(data[: length.data]))


DOCKER: Mapping[str, Function] = {
    "join": Function((ANY, STRING), join),
    "json": Function((ANY,), as_json),
    "lower": Function((STRING,), lower),
    "pad": Function((STRING, INT, INT), pad),
    "split": Function((STRING, STRING), split),
    "title": Function((STRING,), title),
    "truncate": Function((STRING, INT), truncate),
    "upper": Function((STRING,), upper),
}


def _heading(text: Value, *others: Value) -> Value:
    return text


HEADINGS: Mapping[str, Function] = {
    "join": Function((STRING, STRING), _heading),
    "json": Function((STRING,), _heading),
    "lower": Function((STRING,), _heading),
    "split": Function((STRING, STRING), _heading),
    "title": Function((STRING,), _heading),
    "truncate": Function((STRING, INT), _heading),
    "upper": Function((STRING,), _heading),
}
"""Those that leave the heading of a column as it is."""
