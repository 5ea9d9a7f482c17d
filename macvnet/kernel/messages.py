"""rtnetlink's messages as bytes: encoded once by pyroute2 and filled in; read by attribute.

pyroute2 takes 40 ms to load and a tenth of a millisecond for a message, more
than the kernel for most of them. What a message looks like depends on little:
those that commands send every day were encoded by pyroute2's classes when
macvnet was made (``prepared``), the others are when they are first needed
(``classes``), and after that their values are put in place. What a message
means is for the modules beside to know.
"""

from __future__ import annotations

import struct
import sys

from macvnet.addresses import Address
from macvnet.kernel.constants import NAME_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

HEADER = 16
"""Bytes of a message's header (struct nlmsghdr)."""

_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF

Value = int | str | bytes | Address
"""What can be filled in: 32 bits, a name, a MAC, an IP address."""

Key = tuple[object, ...]
Form = tuple[bytes, tuple[tuple[int, tuple[int, ...]], ...]]
"""A message with values that stand in; for each value its width and where it is, in bytes."""

forms: dict[Key, Form] = {}
"""Those that this process has used."""


def formed(
    shape: tuple[object, ...],
    build: Callable[..., Any],
    values: Mapping[str, Value],
    body: bytes = b"",
) -> bytes:
    """The bytes of the message that ``build`` makes of ``values``, encoded once for each shape.

    ``build`` is called with other values of the same kind and width, MACs as
    text. ``shape`` is whatever else the message depends on, in plain literals,
    but for what ``body`` says: the bytes that follow the header, as ``build``
    has them too. All of the header but its length is the sender's.
    """
    key = key_of(shape, values)
    form = forms.get(key)
    if form is None:
        form = forms[key] = prepared(key) or encoded_once(build, values)
    message = bytearray(form[0])
    message[HEADER : HEADER + len(body)] = body
    for value, (width, offsets) in zip(values.values(), form[1], strict=True):
        packed = _packed(value)
        if len(packed) != width:
            raise ValueError(f"{value!r} does not fit into its place")
        for offset in offsets:
            message[offset : offset + width] = packed
    return bytes(message)


def key_of(shape: tuple[object, ...], values: Mapping[str, Value]) -> Key:
    """What two messages have in common that differ in their values alone."""
    return (shape, tuple(values), tuple(map(_width, values.values())))


def prepared(key: Key) -> Form | None:
    """The form that was made beforehand, if there is one."""
    from macvnet.kernel.prepared import BYTE_ORDER, FORMS

    return FORMS.get(key) if sys.byteorder == BYTE_ORDER else None


def encoded_once(build: Callable[..., Any], values: Mapping[str, Value]) -> Form:
    """pyroute2's encoding of what ``build`` makes, and where in it the values are."""
    from macvnet.kernel.classes import encode

    stands, patterns = {}, []
    for number, (name, like) in enumerate(values.items(), 1):
        stands[name], pattern = _stand_in(number, like)
        patterns.append(pattern)
    data = encode(build(**stands))
    return data, tuple((len(pattern), _found_at(data, pattern)) for pattern in patterns)


def name_value(name: str) -> str:
    """An interface's name as a value: as long as any other, so that one form serves for all."""
    return name + "\0" * (NAME_MAX - len(name.encode()))


def _width(value: Value) -> object:
    """Its type and how many bytes it takes."""
    if isinstance(value, Address):
        return value.family
    if isinstance(value, str):
        return "name", len(value.encode())
    return ("MAC", len(value)) if isinstance(value, bytes) else "number"


def _packed(value: Value) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(4, sys.byteorder)
    if isinstance(value, Address):
        return value.packed
    return value.encode() if isinstance(value, str) else value


def _stand_in(number: int, like: Value) -> tuple[Any, bytes]:
    """A value of that kind that nothing else in a message looks like, and its bytes."""
    mark = 0xC0 | number
    if isinstance(like, int):
        value = int.from_bytes(bytes((mark, mark, mark, 0x3F)), "little")
        return value, _packed(value)
    if isinstance(like, Address):
        address = Address(like.family, int.from_bytes(bytes((mark,)) * len(like.packed), "big"))
        return address, address.packed
    if isinstance(like, bytes):
        return ":".join([f"{mark:02x}"] * len(like)), bytes((mark,)) * len(like)
    text = chr(ord("P") + number) * len(like.encode())
    return text, text.encode()


def _found_at(data: bytes, pattern: bytes) -> tuple[int, ...]:
    found = []
    offset = data.find(pattern)
    while offset >= 0:
        found.append(offset)
        offset = data.find(pattern, offset + len(pattern))
    if not found:
        raise ValueError("a value is not in the message as it is")
    return tuple(found)


def attributes(raw: bytes, body: int) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute of a message; ``body`` bytes follow the header."""
    return nested(raw, HEADER + body)


def nested(raw: bytes, begin: int = 0) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute from ``begin`` on: those in another's value."""
    offset, end = begin, len(raw)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(raw, offset)
        if length < 4:
            return
        yield kind & _TYPE_MASK, raw[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def number(raw: bytes | None) -> int:
    """An unsigned number of any width in the machine's byte order; 0 where there is none."""
    return int.from_bytes(raw, sys.byteorder) if raw else 0


def text(raw: bytes | None) -> str:
    """A text up to its first NUL; bytes that are no UTF-8 stay what they are (PEP 383)."""
    return raw.partition(b"\0")[0].decode(errors="surrogateescape") if raw else ""
