"""pyroute2's message classes, without the rest of pyroute2.

``import pyroute2`` costs about 120 ms: its ``__init__`` loads a database, an
event loop and multiprocessing, and importing a submodule runs it all the same.
macvnet sends single messages over a socket of its own, so it needs the classes
that encode them and nothing else, and those only for a message that was not
encoded before (``messages``). Therefore the package is
registered here as a bare module with the right path before its submodules are
imported, and what they import for their rare cases (logging, tracebacks, other
processes, plugins) stands ready to be loaded when it is first used. When the
layout does not allow that, the plain import is the fallback;
``tests/unit/test_messages.py`` fails when it comes to that.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable

from macvnet import signals, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


def _classes() -> tuple[Any, ...]:
    from pyroute2.netlink import nla
    from pyroute2.netlink.rtnl.fibmsg import fibmsg
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    return fibmsg, ifaddrmsg, ifinfmsg, nsidmsg, rtmsg, nla


def _light() -> tuple[Any, ...] | None:
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

fibmsg, ifaddrmsg, ifinfmsg, _nsidmsg, rtmsg, _nla = _found or _classes()
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
    """RTM_NEWNSID and RTM_GETNSID; the nsid is signed, as in the kernel."""

    nla_map = tuple(
        (name, "int32" if "NSID" in name and name != "NETNSA_NONE" else kind)
        for name, kind in _NsidMessage.nla_map
    )


__all__ = ["LIGHT", "encode", "fibmsg", "ifaddrmsg", "ifinfmsg", "nsidmsg", "rtmsg", "tcmsg"]


def tcmsg() -> Any:
    """A message about a qdisc; of a tbf's options it knows all.

    Its package has a module for every kind there is, and is loaded when one is needed.
    """
    from pyroute2.netlink.rtnl.tcmsg import sched_tbf
    from pyroute2.netlink.rtnl.tcmsg import tcmsg as message

    class Options(sched_tbf.options):  # type: ignore[misc]  # pyroute2 is untyped
        nla_map = (
            *sched_tbf.options.nla_map,
            ("TCA_TBF_RATE64", "uint64"),
            ("TCA_TBF_PRATE64", "uint64"),
            ("TCA_TBF_BURST", "uint32"),
        )

    class Message(message):  # type: ignore[misc]  # pyroute2 is untyped
        @staticmethod
        def get_options(*_: Any, **__: Any) -> Any:
            return Options

    return Message()


def encode(message: Any, kind: int = 0, flags: int = 0, sequence: int = 0) -> bytes:
    """The bytes of a message with its header filled in."""
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message["header"]["sequence_number"] = sequence
    message["header"]["pid"] = 0
    message.encode()
    return bytes(message.data)
