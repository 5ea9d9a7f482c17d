"""The networks that Docker or Podman has, as their own ``network inspect`` shows them.

Asks through the same sockets as for containers; unlike those, networks may be
another machine's. Must not know what is made of them.
"""

from __future__ import annotations

from typing import Any

from macvnet.errors import NotFound, RuntimeUnavailable
from macvnet.runtimes import docker, podman, rest
from macvnet.runtimes.engine_api import ANSWER_SECONDS, Api

_HEX = frozenset("0123456789abcdef")
APIS = {docker.NAME: docker.API, podman.NAME: podman.API}


def networks(runtime: str) -> list[Any]:
    """What ``network inspect`` of all networks prints, decoded; not checked any further.

    NotFound where it cannot be asked from here, RuntimeUnavailable where it does not answer.
    """
    api = APIS[runtime]
    if runtime == podman.NAME:
        return _list(api, "/v4.0.0/libpod/networks/json")
    # The list says nothing of containers.
    ids = [one.get("Id") for one in _list(api, "/networks") if isinstance(one, dict)]
    known = [each for each in ids if isinstance(each, str) and each and set(each) <= _HEX]
    return [_asked(api, f"/networks/{each}") for each in known]


def _list(api: Api, path: str) -> list[Any]:
    found = _asked(api, path)
    if not isinstance(found, list):
        raise RuntimeUnavailable(f"what {api.name} answers is no list of networks", api.start)
    return found


def _asked(api: Api, path: str) -> Any:
    place = api.place()
    if place.elsewhere:
        raise NotFound(
            f"{place.said_by} {place} cannot be asked from here",
            f"{api.name} network inspect $({api.name} network ls -q) | macvnet import {api.name} -",
        )
    answer = rest.get(api.name, place, path, ANSWER_SECONDS, api.start)
    if answer.status != 200:
        raise RuntimeUnavailable(
            f"{api.name} at {place} does not say what networks it has: HTTP status {answer.status}",
            api.start,
        )
    return answer.body
