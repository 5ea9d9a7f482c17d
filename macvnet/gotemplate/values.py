"""Go's values as far as a template sees them: a type, and what is in it.

Knows types, what may be assigned to what, and truth; must not know syntax, nor
how a value is printed. A value that is none (Go's zero ``reflect.Value``) is None.

What ``data`` holds, by kind: BOOL bool; INT and UINT int; FLOAT float; COMPLEX
complex; STRING str, with bytes that are no UTF-8 as surrogate escapes; SLICE a
list of values, or None for nil; MAP a dict by plain key, or None; STRUCT a dict
by field, or what the type's own functions understand; POINTER and INTERFACE a
value, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache
from typing import Any, NamedTuple


class Kind(Enum):
    """What a type is made of."""

    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    COMPLEX = "complex"
    STRING = "string"
    SLICE = "slice"
    MAP = "map"
    STRUCT = "struct"
    POINTER = "pointer"
    INTERFACE = "interface"


NILLABLE = (Kind.SLICE, Kind.MAP, Kind.POINTER, Kind.INTERFACE)


class Field(NamedTuple):
    """A field of a struct. ``key`` and ``omit_empty``: what its JSON tag says."""

    name: str
    type: Type
    key: str
    omit_empty: bool = False


class Function(NamedTuple):
    """What a template can call.

    ``call`` gets a value for each argument, after the receiver where it is a
    method; raises FunctionError. With ``variadic`` the last parameter may be
    there any number of times. ``stops``: ``call`` is not used, the result is
    the first argument of that truth, or the last one; none behind it is evaluated.
    """

    parameters: tuple[Type, ...]
    call: Callable[..., Value | None]
    variadic: bool = False
    stops: bool | None = None


class Type:
    """A type of Go's; two are the same only if they are the same object.

    ``text`` is its String method, ``syntax`` its GoString, ``marshal`` its
    MarshalJSON and ``decode`` the reverse, which takes None for the zero.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        *,
        key: Type | None = None,
        elem: Type | None = None,
        fields: Iterable[Field] = (),
        methods: Mapping[str, Function] | None = None,
        text: Callable[[Any], str] | None = None,
        syntax: Callable[[Any], str] | None = None,
        marshal: Callable[[Any], str] | None = None,
        decode: Callable[[Any], Any] | None = None,
    ) -> None:
        self.name, self.kind = name, kind
        self._key, self._elem = key, elem
        self.fields = {field.name: field for field in fields}
        self.methods = dict(methods or {})
        self.text, self.syntax = text, syntax
        self.marshal, self.decode = marshal, decode

    @property
    def key(self) -> Type:
        assert self._key is not None
        return self._key

    @property
    def elem(self) -> Type:
        assert self._elem is not None
        return self._elem

    def __str__(self) -> str:
        return self.name

    def takes(self, other: Type) -> bool:
        """Go's assignability, for what templates meet: the same type, or any to an interface."""
        return self is other or self.kind == Kind.INTERFACE


class Value(NamedTuple):
    """A value and its static type."""

    type: Type
    data: Any

    @property
    def kind(self) -> Kind:
        return self.type.kind

    @property
    def nil(self) -> bool:
        return self.kind in NILLABLE and self.data is None


BOOL = Type("bool", Kind.BOOL)
INT = Type("int", Kind.INT)
INT64 = Type("int64", Kind.INT)
UINT8 = Type("uint8", Kind.UINT)
UINT64 = Type("uint64", Kind.UINT)
FLOAT64 = Type("float64", Kind.FLOAT)
COMPLEX128 = Type("complex128", Kind.COMPLEX)
STRING = Type("string", Kind.STRING)
ANY = Type("interface {}", Kind.INTERFACE)
REFLECTED = Type("reflect.Value", Kind.STRUCT)
"""As a parameter: the value as it is, also one that is none."""


@cache
def slice_of(elem: Type) -> Type:
    return Type(f"[]{elem}", Kind.SLICE, elem=elem)


@cache
def map_of(key: Type, elem: Type) -> Type:
    return Type(f"map[{key}]{elem}", Kind.MAP, key=key, elem=elem)


@cache
def pointer_to(elem: Type) -> Type:
    return Type(f"*{elem}", Kind.POINTER, elem=elem)


def boolean(data: bool) -> Value:
    return Value(BOOL, data)


def integer(data: int) -> Value:
    return Value(INT, data)


def string(data: str) -> Value:
    return Value(STRING, data)


def strings(data: Iterable[str]) -> Value:
    return Value(slice_of(STRING), [string(one) for one in data])


_ZEROS: Mapping[Kind, Any] = {
    Kind.BOOL: False, Kind.INT: 0, Kind.UINT: 0, Kind.FLOAT: 0.0, Kind.COMPLEX: 0j, Kind.STRING: "",
}  # fmt: skip


def zero(of: Type) -> Value:
    """The value of a variable that was never set."""
    if of.decode is not None:
        return Value(of, of.decode(None))
    if of.kind == Kind.STRUCT:
        return Value(of, {name: zero(field.type) for name, field in of.fields.items()})
    return Value(of, _ZEROS.get(of.kind))


def concrete(value: Value | None) -> Value | None:
    """What is inside an interface; anything else as it is."""
    while value is not None and value.kind == Kind.INTERFACE:
        value = value.data
    return value


def indirect(value: Value | None) -> tuple[Value | None, bool]:
    """Follow pointers and interfaces to their end; whether that is a nil one."""
    while value is not None and value.kind in (Kind.POINTER, Kind.INTERFACE):
        if value.data is None:
            return value, True
        value = value.data
    return value, False


def truth(value: Value | None) -> bool:
    """Whether ``if`` takes it: anything but the zero of its type; a struct always."""
    value = concrete(value)
    if value is None:
        return False
    if value.kind == Kind.STRUCT:
        return True
    if value.kind == Kind.POINTER:
        return value.data is not None
    return bool(value.data)


def octets(text: str) -> bytes:
    """The bytes of a string of Go's."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def from_octets(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def length(value: Value) -> int:
    """Go's len: a string's is in bytes."""
    if value.kind == Kind.STRING:
        return len(octets(value.data))
    return len(value.data or ())


def pairs(value: Value) -> list[tuple[Value, Value]]:
    """The entries of a map in Go's order of printing and ranging: by key."""
    entries: Mapping[Any, Value] = value.data or {}
    return [(Value(value.type.key, key), entries[key]) for key in sorted(entries)]
