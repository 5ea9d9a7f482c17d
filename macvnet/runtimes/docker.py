"""Containers of Docker, asked where docker itself would ask: DOCKER_HOST, contexts, its socket."""

from __future__ import annotations

import os
from typing import Any

from macvnet.model import Endpoint, Owner
from macvnet.runtimes import Listed, Target, process
from macvnet.runtimes.engine_api import BY_SSH, HERE_ONLY, Api
from macvnet.runtimes.rest import Place
from macvnet.store import Reader, Store

NAME = "docker"
ISOLATED = "docker run --network none ..."
SOCKET = "unix:///var/run/docker.sock"
LARGEST = 1 << 20

_BY_TLS = "is asked through TLS, as another machine is, and " + HERE_ONLY


def place() -> Place:
    """Where docker asks: DOCKER_HOST, then DOCKER_CONTEXT, then the current context."""
    host = os.environ.get("DOCKER_HOST")
    if host:
        secure = bool(os.environ.get("DOCKER_TLS_VERIFY"))
        return _judged(host, "DOCKER_HOST", secure)
    directory = _directory()
    name = os.environ.get("DOCKER_CONTEXT") or _read(f"{directory}/config.json").get(
        "currentContext"
    )
    if not isinstance(name, str) or name in ("", "default"):
        return Place(SOCKET)
    from macvnet.digest import sha256

    digest = sha256(name.encode(errors="surrogateescape")).hexdigest()
    said_by = "DOCKER_CONTEXT" if os.environ.get("DOCKER_CONTEXT") else f"context {name}"
    context = _read(f"{directory}/contexts/meta/{digest}/meta.json")
    try:
        host = context["Endpoints"]["docker"]["Host"]
    except (KeyError, TypeError):
        host = None
    if not isinstance(host, str) or not host:
        return Place(name, said_by, "is no context of docker's")
    secure = os.path.isdir(f"{directory}/contexts/tls/{digest}/docker")
    return _judged(host, said_by, secure)


def _judged(host: str, said_by: str, secure: bool) -> Place:
    scheme, separator, _ = host.partition("://")
    if not separator:
        # As docker takes it.
        host, scheme = f"tcp://{host}", "tcp"
    if scheme == "ssh":
        return Place(host, said_by, BY_SSH)
    if scheme == "https" or (scheme == "tcp" and secure):
        return Place(host, said_by, _BY_TLS)
    return Place(host, said_by)


def _directory() -> str:
    return os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")


def _read(path: str) -> dict[str, Any]:
    """A JSON object from a file; empty where there is none."""
    import json

    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


API = Api(NAME, place, "systemctl start docker", "docker ps -a")


def owner(name: str) -> Owner:
    """``docker:NAME``."""
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
