"""Containers of Podman run by root, through the socket of its service.

Podman has no daemon: its service starts when somebody asks at the socket.
A user's own containers (rootless) are known to the service of that user only.
"""

from __future__ import annotations

import os

from macvnet.model import Endpoint, Owner
from macvnet.runtimes import Listed, Target, process
from macvnet.runtimes.engine_api import BY_SSH, Api
from macvnet.runtimes.rest import Place
from macvnet.store import Reader, Store

NAME = "podman"
ISOLATED = "podman run --network none ..."
SOCKET = "unix:///run/podman/podman.sock"
_ROOTLESS = (
    "podman ps -a; a user's own container (rootless) is attached by its PID, which "
    "podman inspect -f '{{.State.Pid}}' says to that user"
)


def place() -> Place:
    """Where podman's service is asked: CONTAINER_HOST, else root's socket."""
    host = os.environ.get("CONTAINER_HOST")
    if not host:
        return Place(SOCKET)
    elsewhere = BY_SSH if host.startswith("ssh:") else ""
    return Place(host, "CONTAINER_HOST", elsewhere)


API = Api(NAME, place, "systemctl start podman.socket", _ROOTLESS)


def owner(name: str) -> Owner:
    """``podman:NAME``."""
    return API.owner(name)


def open_target(name: str, store: Store) -> Target:
    """The sandbox of a running container, by name, ID or the beginning of its ID."""
    return API.open_target(name)


def knows(name: str, store: Store) -> bool:
    """Whether a container has that name, or an ID that begins so (12 digits or more)."""
    return API.knows(name)


def present(endpoint: Endpoint, store: Store) -> bool:
    """Whether the container's process is still there."""
    return process.is_there(endpoint, endpoint.owner.id)


def listed(prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    """Running containers, and their images."""
    return API.listed(prefix, seconds)
