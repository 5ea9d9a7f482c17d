"""pyroute2's message classes, without the rest of pyroute2.

``import pyroute2`` costs about 120 ms: its ``__init__`` loads a database, an
event loop and multiprocessing, and importing a submodule runs it all the same.
macvnet sends single messages over a socket of its own, so it needs the classes
that encode and decode them and nothing else. Therefore the package is
registered here as a bare module with the right path before its submodules are
imported, and what they import for their rare cases (logging, tracebacks, other
processes, plugins) stands ready to be loaded when it is first used. When the
layout does not allow that, the plain import is the fallback;
``tests/unit/test_messages.py`` fails when it comes to that.
"""

from __future__ import annotations

import os
import struct
import sys
import types
from collections.abc import Callable, Iterator

from macvnet import signals, sockets
from macvnet.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ATTRIBUTE = struct.Struct("=HH")
_PLUGINS = "pyroute2.netlink.rtnl.ifinfmsg.plugins"
_UNREAD = (
    *("bond", "can", "geneve", "gtp", "ipoib", "ipvlan", "team", "tun", "tuntap"),
    *("vrf", "vti", "vti6", "vxlan", "xfrm"),
)


class _Later(types.ModuleType):
    """A module that is imported when something of it is used, and not before."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            import importlib

            return getattr(importlib.import_module(self.__name__), name)(*arguments, **named)

        return call


class _Logger:
    """Stands for a logger that the real module makes with the first message."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        import logging

        return getattr(logging.getLogger(self._name), name)


def _platform() -> types.ModuleType:
    """What ``pyroute2.config`` asks of platform, straight from the kernel."""
    system, node, release, version, machine = os.uname()
    name = types.SimpleNamespace(
        system=system, node=node, release=release, version=version, machine=machine
    )
    module = types.ModuleType("platform")
    answers: dict[str, Callable[..., Any]] = {
        "uname": lambda: name,
        "machine": lambda: machine,
        "architecture": lambda executable="": (f"{sys.maxsize.bit_length() + 1}bit", ""),
    }
    vars(module).update(answers)
    return module


def _plain(name: str, like: types.ModuleType, **more: Any) -> types.ModuleType:
    """A standard module without its enumerations."""
    module = types.ModuleType(name)
    vars(module).update(vars(like), **more)
    return module


def _plugins() -> dict[str, types.ModuleType]:
    """Kinds of link whose attributes macvnet does not read: their modules stay unread too."""
    found = {}
    for kind in _UNREAD:
        module = types.ModuleType(f"{_PLUGINS}.{kind}")
        vars(module)[kind] = None
        found[module.__name__] = module
    return found


def _stand_ins() -> dict[str, types.ModuleType]:
    logging = _Later("logging")
    vars(logging)["getLogger"] = _Logger
    names = ("traceback", "multiprocessing", "pkgutil")
    return {
        "logging": logging,
        "platform": _platform(),
        "socket": _plain("socket", sockets, AddressFamily=int),
        "signal": _plain("signal", signals),
        **{name: _Later(name) for name in names},
        **_plugins(),
    }


def _register_bare_package() -> bool:
    """Put an empty ``pyroute2`` where its submodules look for their package."""
    if "pyroute2" in sys.modules:
        return False
    # What importlib.util.find_spec does, which takes longer to load: it need not be in a directory.
    found = (finder.find_spec("pyroute2", None) for finder in sys.meta_path)
    spec = next(filter(None, found), None)
    if spec is None or not spec.submodule_search_locations:
        return False
    bare = types.ModuleType("pyroute2")
    bare.__path__ = list(spec.submodule_search_locations)
    bare.__spec__ = spec
    sys.modules["pyroute2"] = bare
    return True


def _classes() -> tuple[Any, Any, Any, Any, Any]:
    from pyroute2.netlink import nla
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    return ifaddrmsg, ifinfmsg, nsidmsg, rtmsg, nla


def _light() -> tuple[Any, Any, Any, Any, Any] | None:
    """The classes without the rest; None where that cannot be."""
    if not _register_bare_package():
        return None
    stands = {n: module for n, module in _stand_ins().items() if n not in sys.modules}
    sys.modules.update(stands)
    try:
        return _classes()
    except (ImportError, AttributeError, TypeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "pyroute2"]:
            del sys.modules[name]
        return None
    finally:
        # Whoever imports one of them from now on gets the real one.
        for name, module in stands.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


_found = _light()
LIGHT = _found is not None
"""True where the package's ``__init__`` was kept from running."""

ifaddrmsg, ifinfmsg, _nsidmsg, rtmsg, _nla = _found or _classes()
for _kind in _UNREAD:
    # Shown as the bytes they are.
    ifinfmsg.ifinfo.data_map.pop(_kind, None)
_Attributes: Any = _nla
_NsidMessage: Any = _nsidmsg


class _IpvlanData(_Attributes):  # type: ignore[misc]  # pyroute2 is untyped
    """ipvlan's attributes as in the kernel's if_link.h; pyroute2's lack the flags.

    Of no class that is used itself: pyroute2 would take that one's attributes for
    this one's, once it has seen a message of its kind.
    """

    prefix = "IFLA_"
    nla_map = (
        ("IFLA_IPVLAN_UNSPEC", "none"),
        ("IFLA_IPVLAN_MODE", "uint16"),
        ("IFLA_IPVLAN_FLAGS", "uint16"),
    )


ifinfmsg.ifinfo.data_map["ipvlan"] = _IpvlanData
ifinfmsg.ifinfo.data_map["ipvtap"] = _IpvlanData


class nsidmsg(_NsidMessage):  # type: ignore[misc]  # pyroute2 is untyped
    """RTM_NEWNSID and RTM_GETNSID; the nsid is signed (-1: none), as in the kernel."""

    nla_map = tuple(
        (name, "int32" if "NSID" in name and name != "NETNSA_NONE" else kind)
        for name, kind in _NsidMessage.nla_map
    )


__all__ = [
    "LIGHT",
    "attributes",
    "decode",
    "encode",
    "formed",
    "ifaddrmsg",
    "ifinfmsg",
    "nsidmsg",
    "rtmsg",
]

_HEADER = 16
_BODY = {ifaddrmsg: 8, ifinfmsg: 16, rtmsg: 12, nsidmsg: 4}
"""Bytes between a message's header and its attributes (rtnetlink.h)."""

_TYPE_MASK = 0x3FFF
_KEPT = {
    # IFLA_: ADDRESS, IFNAME, MTU, LINK, MASTER, LINKINFO, IFALIAS, LINK_NETNSID, PROP_LIST,
    # PERM_ADDRESS. A link has some sixty more, statistics above all.
    ifinfmsg: frozenset((1, 3, 4, 5, 10, 18, 20, 37, 52, 54)),
}


def encode(message: Any, kind: int, flags: int, sequence: int) -> bytes:
    """The bytes of a message with its header filled in."""
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message["header"]["sequence_number"] = sequence
    message["header"]["pid"] = 0
    message.encode()
    return bytes(message.data)


class _Form:
    """A message that is encoded once and filled in many times; its places have fixed widths."""

    def __init__(self, build: Callable[..., Any], likes: dict[str, Value]) -> None:
        stands, patterns = {}, {}
        for number, (name, like) in enumerate(likes.items(), 1):
            stands[name], patterns[name] = _stand_in(number, like)
        self._data = encode(build(**stands), 0, 0, 0)
        self._places = [
            (name, len(pattern), _found_at(self._data, pattern))
            for name, pattern in patterns.items()
        ]

    def fill(self, values: dict[str, Value]) -> bytes:
        data = bytearray(self._data)
        for name, width, offsets in self._places:
            packed = _packed(values[name])
            if len(packed) != width:
                raise ValueError(f"{values[name]!r} does not fit into the place of {name}")
            for offset in offsets:
                data[offset : offset + width] = packed
        return bytes(data)


Value = int | str | bytes | Address
"""What can be filled in: 32 bits, a name, a MAC, an IP address."""

_forms: dict[object, _Form] = {}


def formed(shape: tuple[object, ...], build: Callable[..., Any], **values: Value) -> bytes:
    """The bytes of the message that ``build`` makes of ``values``, encoded once for each shape.

    pyroute2 takes a tenth of a millisecond for a message, more than the kernel
    for most of them. ``build`` is called with other values of the same kind and
    width, MACs as text; ``shape`` is whatever else the message depends on. All
    of the header but its length is the sender's.
    """
    widths = tuple(map(_width, values.values()))
    key = (shape, tuple(values), widths)
    form = _forms.get(key)
    if form is None:
        form = _forms[key] = _Form(build, values)
    return form.fill(values)


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


def _found_at(data: bytes, pattern: bytes) -> list[int]:
    found = []
    offset = data.find(pattern)
    while offset >= 0:
        found.append(offset)
        offset = data.find(pattern, offset + len(pattern))
    if not found:
        raise ValueError("a value is not in the message as it is")
    return found


def decode(message_class: Any, raw: bytes) -> Any:
    """The decoded message; of a link's attributes only those that macvnet reads."""
    kept = _KEPT.get(message_class)
    message = message_class(raw if kept is None else _without(raw, _BODY[message_class], kept))
    message.decode()
    return message


def attributes(raw: bytes, body: int) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute, undecoded; ``body`` bytes follow the header."""
    offset, end = _HEADER + body, len(raw)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(raw, offset)
        if length < 4:
            return
        yield kind & _TYPE_MASK, raw[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _without(raw: bytes, body: int, kept: frozenset[int]) -> bytes:
    """The message with only the attributes in ``kept``."""
    start = _HEADER + body
    parts = [raw[:start]]
    offset, end = start, len(raw)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(raw, offset)
        if length < 4:
            break
        padded = (length + 3) & ~3
        if kind & _TYPE_MASK in kept:
            parts.append(raw[offset : offset + padded].ljust(padded, b"\0"))
        offset += padded
    joined = b"".join(parts)
    return len(joined).to_bytes(4, sys.byteorder) + joined[4:]
