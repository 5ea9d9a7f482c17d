"""A namespace by the path of its file.

A path that ``ip netns`` or /proc made is the same target as its shorter name.
"""

from __future__ import annotations

import os
import re

from macvnet.errors import InvalidRequest
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Endpoint, Owner
from macvnet.runtimes import Listed, Target, netns, pid
from macvnet.store import Reader, Store
from macvnet.text import quoted

NAME = "path"
ISOLATED = "unshare --net COMMAND, or macvnet run -- COMMAND"
_OF_PROCESS = re.compile(r"/proc/([0-9]{1,10})/ns/net")


def _absolute(name: str) -> str:
    if not name or "\0" in name or len(name) > 4096:
        raise InvalidRequest(f"{quoted(name)} is no path", "/run/netns/NAME")
    return os.path.abspath(name)


def owner(name: str) -> Owner:
    """``netns:NAME`` and ``pid:N`` for their own paths, else ``path:/...``."""
    path = _absolute(name)
    directory, base = os.path.split(path)
    if directory in netns.DIRECTORIES:
        return netns.owner(base)
    match = _OF_PROCESS.fullmatch(path)
    if match:
        return pid.owner(match[1])
    return Owner(NAME, path)


def open_target(name: str, store: Store) -> Target:
    """The namespace behind the path."""
    found = owner(name)
    if found.runtime == pid.NAME:
        return pid.open_target(found.name, store)
    return Target(found, Namespace.open(_absolute(name)), None)


def knows(name: str, store: Store) -> bool:
    """Never: a path has a slash, a bare word has none."""
    return False


def present(endpoint: Endpoint, store: Store) -> bool:
    """Whether there is such a file."""
    return os.path.exists(endpoint.owner.name)


def listed(prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    """None: the shell completes paths itself."""
    return []
