"""JSON and Go's values: what encoding/json writes, and how documents become values.

Source: the documentation of Go's encoding/json.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from macvnet.gotemplate.errors import FunctionError
from macvnet.gotemplate.numerals import exponential, plain
from macvnet.gotemplate.values import (
    ANY,
    BOOL,
    INT,
    STRING,
    UINT64,
    Field,
    Kind,
    Type,
    Value,
    map_of,
    pairs,
    slice_of,
    string,
    strings,
    zero,
)

NUMBER = Type("json.Number", Kind.STRING, text=str, marshal=str)
"""A number in a document whose type is not known: its text."""

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_HTML = "<>&"


def _utf16(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join([f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)])


def quoted(text: str, *, html: bool = False) -> str:
    """A string in JSON. What a terminal must not get is escaped; for HTML, what HTML must not."""
    out = []
    for character in text:
        if character in _SHORT:
            out.append(_SHORT[character])
        elif "\ud800" <= character <= "\udfff":
            out.append("\\ufffd")
        elif not character.isprintable() or (html and character in _HTML):
            out.append(_utf16(character))
        else:
            out.append(character)
    return '"' + "".join(out) + '"'


def encode(value: Value | None) -> str:
    """A value as JSON: on one line, maps sorted by key."""
    if value is None or value.nil:
        return "null"
    if value.type.marshal is not None:
        return value.type.marshal(value.data)
    match value.kind:
        case Kind.STRING:
            return quoted(value.data)
        case Kind.BOOL:
            return "true" if value.data else "false"
        case Kind.INT | Kind.UINT:
            return str(value.data)
        case Kind.FLOAT:
            return _floating(value.data)
        case Kind.SLICE:
            return "[" + ",".join([encode(one) for one in value.data]) + "]"
        case Kind.MAP:
            return _object([(str(key.data), one) for key, one in pairs(value)])
        case Kind.STRUCT:
            return _object(
                [
                    (field.key, value.data[field.name])
                    for field in value.type.fields.values()
                    if not (field.omit_empty and _empty(value.data[field.name]))
                ]
            )
        case Kind.POINTER | Kind.INTERFACE:
            return encode(value.data)
    raise FunctionError(f"json: unsupported type: {value.type}")


def _object(entries: list[tuple[str, Value]]) -> str:
    return "{" + ",".join([f"{quoted(key)}:{encode(one)}" for key, one in entries]) + "}"


def _empty(value: Value) -> bool:
    return value.kind is not Kind.STRUCT and not value.data


def _floating(number: float) -> str:
    sign = "-" if number < 0 else ""
    if number and not 1e-6 <= abs(number) < 1e21:
        return sign + exponential(abs(number)).replace("e-0", "e-")
    return sign + plain(abs(number))


# -- documents --------------------------------------------------------------


def decode(of: Type, document: Any) -> Value:
    """A part of a document as a value of a known type; what is missing is its zero."""
    if of.decode is not None:
        return Value(of, of.decode(document))
    if document is None:
        return zero(of)
    match of.kind:
        case Kind.STRUCT:
            return Value(
                of,
                {name: decode(one.type, document.get(one.key)) for name, one in of.fields.items()},
            )
        case Kind.SLICE:
            return Value(of, [decode(of.elem, one) for one in document])
        case Kind.MAP:
            return Value(of, {key: decode(of.elem, one) for key, one in document.items()})
        case Kind.INTERFACE:
            return Value(of, concrete_of(document))
    return Value(of, document)


def concrete_of(document: Any) -> Value | None:
    """A part of a document as Go makes it of itself, with the text of numbers."""
    match document:
        case None:
            return None
        case bool():
            return Value(BOOL, document)
        case int():
            return Value(NUMBER, str(document))
        case str():
            return string(document)
        case dict():
            return decode(map_of(STRING, ANY), document)
    return decode(slice_of(ANY), document)


def described(name: str, document: Any, maps: Collection[str]) -> Value:
    """A part of a document as a value whose type is made from what is there.

    An object is a struct of type ``name``, and its own are of types named by
    their keys; but what is under a key that is one of ``maps`` is a map of strings.
    """
    match document:
        case bool():
            return Value(BOOL, document)
        case int():
            return Value(INT if document < 1 << 63 else UINT64, document)
        case str():
            return string(document)
        case list() if all(isinstance(one, str) for one in document):
            return strings(document)
        case list():
            inner = [Value(ANY, described(name, one, maps)) for one in document]
            return Value(slice_of(ANY), inner)
        case dict():
            return _struct(name, document, maps)
    return Value(ANY, None)


def _struct(name: str, document: dict[str, Any], maps: Collection[str]) -> Value:
    package = name.partition(".")[0]
    parts = {
        key: decode(map_of(STRING, STRING), one)
        if key in maps
        else described(f"{package}.{key}", one, maps)
        for key, one in document.items()
    }
    of = Type(name, Kind.STRUCT, fields=[Field(key, one.type, key) for key, one in parts.items()])
    return Value(of, parts)
