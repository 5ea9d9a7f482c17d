"""The functions that every template of Go's has.

Source: the documentation of Go's text/template; refusals have Go's texts.
"""

from __future__ import annotations

from collections.abc import Mapping

from macvnet.gotemplate import printing
from macvnet.gotemplate.errors import FunctionError
from macvnet.gotemplate.literals import stray
from macvnet.gotemplate.values import (
    ANY,
    REFLECTED,
    STRING,
    UINT8,
    Function,
    Kind,
    Type,
    Value,
    boolean,
    concrete,
    from_octets,
    indirect,
    integer,
    length,
    octets,
    string,
    truth,
    zero,
)

_WHOLE = (Kind.INT, Kind.UINT)
_ORDERED = (Kind.FLOAT, Kind.STRING, *_WHOLE)
_BASIC = (Kind.BOOL, Kind.COMPLEX, *_ORDERED)
_HTML = {'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\x00": "\ufffd"}
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"'}
_JS_CODES = "<>&="
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"


# -- parts of a value -------------------------------------------------------


def index(item: Value | None, *keys: Value | None) -> Value | None:
    """``index x 1 "a"`` is ``x[1]["a"]``; a missing key of a map gives its zero."""
    found = concrete(item)
    if found is None:
        raise FunctionError("index of untyped nil")
    for key in keys:
        of, nil = indirect(found)
        if nil or of is None:
            raise FunctionError("index of nil pointer")
        if of.kind is Kind.MAP:
            found = _entry(of, concrete(key))
        elif of.kind in (Kind.SLICE, Kind.STRING):
            found = _element(of, concrete(key))
        else:
            raise FunctionError(f"can't index item of type {of.type}")
    return found


def _entry(of: Value, key: Value | None) -> Value:
    if key is None:
        raise FunctionError(f"value is nil; should be of type {of.type.key}")
    if not of.type.key.takes(key.type):
        raise FunctionError(f"value has type {key.type}; should be {of.type.key}")
    found: Value | None = (of.data or {}).get(key.data)
    return zero(of.type.elem) if found is None else found


def _element(of: Value, key: Value | None) -> Value:
    place = _place(key, length(of))
    if place == length(of):
        kind = "string" if of.kind is Kind.STRING else "slice"
        raise FunctionError(f"reflect: {kind} index out of range")
    if of.kind is Kind.STRING:
        return Value(UINT8, octets(of.data)[place])
    found: Value = of.data[place]
    return found


def _place(key: Value | None, most: int) -> int:
    if key is None:
        raise FunctionError("cannot index slice/array with nil")
    if key.kind not in _WHOLE:
        raise FunctionError(f"cannot index slice/array with type {key.type}")
    place: int = key.data
    if not 0 <= place <= most:
        raise FunctionError(f"index out of range: {place}")
    return place


def cut(item: Value | None, *places: Value | None) -> Value:
    """``slice x 1 2`` is ``x[1:2]``."""
    of = concrete(item)
    if of is None:
        raise FunctionError("slice of untyped nil")
    if len(places) > 3:
        raise FunctionError(f"too many slice indexes: {len(places)}")
    if of.kind is Kind.STRING and len(places) == 3:
        raise FunctionError("cannot 3-index slice a string")
    if of.kind not in (Kind.STRING, Kind.SLICE):
        raise FunctionError(f"can't slice item of type {of.type}")
    size = length(of)
    found = [_place(concrete(place), size) for place in places]
    start, *ends = found or [0]
    for before, after in zip([start, *ends], ends or [size], strict=False):
        if before > after:
            raise FunctionError(f"invalid slice index: {before} > {after}")
    end = ends[0] if ends else size
    if of.kind is Kind.STRING:
        return Value(of.type, from_octets(octets(of.data)[start:end]))
    return Value(of.type, (of.data or [])[start:end])


def size_of(item: Value | None) -> Value:
    """``len``."""
    of, nil = indirect(item)
    if nil:
        raise FunctionError("len of nil pointer")
    if of is None:
        raise FunctionError("reflect: call of reflect.Value.Type on zero Value")
    if of.kind not in (Kind.STRING, Kind.SLICE, Kind.MAP):
        raise FunctionError(f"len of type {of.type}")
    return integer(length(of))


def call(function: Value | None, *arguments: Value | None) -> Value:
    """``call``: none of the values here is a function."""
    of = concrete(function)
    if of is None:
        raise FunctionError("call of nil")
    raise FunctionError(f"non-function of type {of.type}")


# -- comparison -------------------------------------------------------------


def equal(first: Value | None, *others: Value | None) -> Value:
    """``eq``: whether the first equals any of the others."""
    if not others:
        raise FunctionError("missing argument for comparison")
    return boolean(any(_same(concrete(first), concrete(other)) for other in others))


def _same(one: Value | None, other: Value | None) -> bool:
    if one is None or other is None:
        return (one is None or one.nil) and (other is None or other.nil)
    if one.kind in _BASIC or other.kind in _BASIC:
        if one.kind is not other.kind and not {one.kind, other.kind} <= {*_WHOLE}:
            types = f"{one.type} and {other.type}"
            raise FunctionError(f"incompatible types for comparison: {types}")
        return bool(one.data == other.data)
    if one.kind is not other.kind:
        raise FunctionError(f"non-comparable types {one.type}, {other.type}")
    if one.nil or other.nil:
        return one.nil and other.nil
    if not _comparable(other.type):
        raise FunctionError(f"non-comparable type {other.type}")
    return one == other


def _comparable(of: Type) -> bool:
    if of.kind in (Kind.MAP, Kind.SLICE):
        return False
    return all(_comparable(field.type) for field in of.fields.values())


def _less(one: Value | None, other: Value | None) -> bool:
    one, other = concrete(one), concrete(other)
    for value in (one, other):
        if value is None or value.kind not in _BASIC:
            raise FunctionError("invalid type for comparison")
    assert one is not None and other is not None
    if one.kind is not other.kind and not {one.kind, other.kind} <= {*_WHOLE}:
        types = f"{one.type} and {other.type}"
        raise FunctionError(f"incompatible types for comparison: {types}")
    if one.kind not in _ORDERED:
        raise FunctionError("invalid type for comparison")
    if one.kind is Kind.STRING:
        return octets(one.data) < octets(other.data)
    return bool(one.data < other.data)


def not_equal(one: Value | None, other: Value | None) -> Value:
    return boolean(not equal(one, other).data)


def less(one: Value | None, other: Value | None) -> Value:
    return boolean(_less(one, other))


def less_or_equal(one: Value | None, other: Value | None) -> Value:
    return boolean(_less(one, other) or equal(one, other).data)


def greater(one: Value | None, other: Value | None) -> Value:
    return boolean(not less_or_equal(one, other).data)


def greater_or_equal(one: Value | None, other: Value | None) -> Value:
    return boolean(not _less(one, other))


def negated(value: Value | None) -> Value:
    return boolean(not truth(value))


def _unused(*arguments: Value | None) -> Value | None:
    raise AssertionError("'and' and 'or' are never called: the evaluation stops before")


# -- text -------------------------------------------------------------------


def shown(*values: Value | None) -> Value:
    return string(printing.sprint(values))


def shown_in_a_line(*values: Value | None) -> Value:
    return string(printing.sprintln(values))


def laid_out(layout: Value, *values: Value | None) -> Value:
    return string(printing.sprintf(layout.data, values))


def _together(values: tuple[Value | None, ...]) -> str:
    return printing.sprint([string("<no value>") if one is None else one for one in values])


def for_html(*values: Value | None) -> Value:
    return string("".join([_HTML.get(one, one) for one in _together(values)]))


def for_javascript(*values: Value | None) -> Value:
    return string("".join([_in_javascript(one) for one in _together(values)]))


def _in_javascript(character: str) -> str:
    if character in _JS:
        return _JS[character]
    if character in _JS_CODES or character < " ":
        return f"\\u{ord(character):04X}"
    if ord(character) < 0x80 or character.isprintable() or stray(character):
        return character
    return f"\\u{ord(character):04X}"


def for_query(*values: Value | None) -> Value:
    """Fit for the query of a URL."""
    written = [
        chr(byte) if byte in _UNRESERVED else "+" if byte == 0x20 else f"%{byte:02X}"
        for byte in octets(_together(values))
    ]
    return string("".join(written))


_MANY, _TWO = (REFLECTED, REFLECTED), (REFLECTED, REFLECTED)
BUILTINS: Mapping[str, Function] = {
    "and": Function(_MANY, _unused, variadic=True, stops=False),
    "call": Function(_MANY, call, variadic=True),
    "eq": Function(_MANY, equal, variadic=True),
    "ge": Function(_TWO, greater_or_equal),
    "gt": Function(_TWO, greater),
    "html": Function((ANY,), for_html, variadic=True),
    "index": Function(_MANY, index, variadic=True),
    "js": Function((ANY,), for_javascript, variadic=True),
    "le": Function(_TWO, less_or_equal),
    "len": Function((REFLECTED,), size_of),
    "lt": Function(_TWO, less),
    "ne": Function(_TWO, not_equal),
    "not": Function((REFLECTED,), negated),
    "or": Function(_MANY, _unused, variadic=True, stops=True),
    "print": Function((ANY,), shown, variadic=True),
    "printf": Function((STRING, ANY), laid_out, variadic=True),
    "println": Function((ANY,), shown_in_a_line, variadic=True),
    "slice": Function(_MANY, cut, variadic=True),
    "urlquery": Function((ANY,), for_query, variadic=True),
}
