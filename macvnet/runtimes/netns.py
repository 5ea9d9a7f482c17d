"""A network namespace as ``ip netns`` names it: a file under /run/netns."""

from __future__ import annotations

import os

from macvnet.errors import InvalidRequest
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Endpoint, Owner
from macvnet.runtimes import Listed, Target
from macvnet.store import Reader, Store
from macvnet.text import quoted

NAME = "netns"
ISOLATED = "ip netns add NAME"
DIRECTORIES = ("/run/netns", "/var/run/netns")


def _checked(name: str) -> str:
    if not name or "/" in name or "\0" in name or name in (".", "..") or len(name) > 255:
        raise InvalidRequest(f"{quoted(name)} cannot name a network namespace", "ip netns list")
    return name


def owner(name: str) -> Owner:
    """``netns:NAME``."""
    return Owner(NAME, _checked(name))


def open_target(name: str, store: Store) -> Target:
    """The namespace bound at /run/netns/NAME."""
    return Target(owner(name), Namespace.open(f"{DIRECTORIES[0]}/{name}"), None)


def knows(name: str, store: Store) -> bool:
    """Whether /run/netns has that file."""
    return bool(name) and "/" not in name and os.path.exists(f"{DIRECTORIES[0]}/{name}")


def present(endpoint: Endpoint, store: Store) -> bool:
    """The same: the file is the namespace's name."""
    return knows(endpoint.owner.name, store)


def listed(prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    """The files in /run/netns."""
    return [Listed(name) for name in sorted(os.listdir(DIRECTORIES[0])) if name.startswith(prefix)]
