"""pyroute2's message classes, without the rest of pyroute2.

``import pyroute2`` costs about 120 ms: its ``__init__`` loads a database, an
event loop and multiprocessing, and importing a submodule runs it all the same.
macvnet sends single messages over a socket of its own, so it needs the classes
that encode and decode them and nothing else. Therefore the package is
registered here as a bare module with the right path before its submodules are
imported. When the layout does not allow that, the plain import is the
fallback; ``tests/unit/test_messages.py`` fails when it comes to that.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any


def _register_bare_package() -> bool:
    """Put an empty ``pyroute2`` where its submodules look for their package."""
    if "pyroute2" in sys.modules:
        return False
    spec = importlib.util.find_spec("pyroute2")
    if spec is None or not spec.submodule_search_locations:
        return False
    bare = types.ModuleType("pyroute2")
    bare.__path__ = list(spec.submodule_search_locations)
    bare.__spec__ = spec
    sys.modules["pyroute2"] = bare
    return True


_bare = _register_bare_package()
try:
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg as _ifinfmsg
    from pyroute2.netlink.rtnl.nsidmsg import nsidmsg as _nsidmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg
except ImportError:
    if not _bare:
        raise
    for _name in [name for name in sys.modules if name.split(".")[0] == "pyroute2"]:
        del sys.modules[_name]
    _bare = False
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg as _ifinfmsg
    from pyroute2.netlink.rtnl.nsidmsg import nsidmsg as _nsidmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

LIGHT = _bare
"""True where the package's ``__init__`` was kept from running."""


class _IpvlanData(_ifinfmsg.ifinfo.macvlan_data):  # type: ignore[misc]  # pyroute2 is untyped
    """ipvlan's attributes as in the kernel's if_link.h; pyroute2's lack the flags."""

    prefix = "IFLA_"
    nla_map = (
        ("IFLA_IPVLAN_UNSPEC", "none"),
        ("IFLA_IPVLAN_MODE", "uint16"),
        ("IFLA_IPVLAN_FLAGS", "uint16"),
    )


_ifinfmsg.ifinfo.data_map["ipvlan"] = _IpvlanData
_ifinfmsg.ifinfo.data_map["ipvtap"] = _IpvlanData


class nsidmsg(_nsidmsg):  # type: ignore[misc]  # pyroute2 is untyped
    """RTM_NEWNSID and RTM_GETNSID; the nsid is signed (-1: none), as in the kernel."""

    nla_map = tuple(
        (name, "int32" if "NSID" in name and name != "NETNSA_NONE" else kind)
        for name, kind in _nsidmsg.nla_map
    )


ifinfmsg = _ifinfmsg

__all__ = ["LIGHT", "encode", "ifaddrmsg", "ifinfmsg", "nsidmsg", "rtmsg"]


def encode(message: Any, kind: int, flags: int, sequence: int) -> bytes:
    """The bytes of a message with its header filled in."""
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message["header"]["sequence_number"] = sequence
    message["header"]["pid"] = 0
    message.encode()
    return bytes(message.data)
