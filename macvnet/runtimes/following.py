"""Following the containers of a runtime with Docker's interface: its events, and its list.

Knows what Docker and Podman say when a container starts, ends or is removed;
must not know what is done about it. All text is a stranger's: what has not the
shape that it should have is passed over, or ends the stream.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from macvnet.errors import MacvnetError, NotFound, RuntimeUnavailable
from macvnet.model import Owner
from macvnet.records import NamedTuple
from macvnet.runtimes import docker, podman, rest
from macvnet.runtimes.engine_api import ANSWER_SECONDS, Api
from macvnet.runtimes.rest import Place
from macvnet.text import quoted

CHANGED, REMOVED = "changed", "removed"
_MEANING = {
    "start": CHANGED,
    "die": CHANGED,
    "died": CHANGED,
    "destroy": REMOVED,
    "remove": REMOVED,
}
"""Docker's words and Podman's. Of the others, none is asked for."""
_ASKED = {"type": ["container"], "event": list(_MEANING)}
_EARLIER = 2
"""From how many seconds before the question on events are asked for, since an
answer begins before the runtime listens to itself."""
LARGEST_LINE = 1 << 24
_PART = 1 << 16
_HEX = frozenset("0123456789abcdef")


class Followed(NamedTuple):
    """A runtime that can be followed.

    ``witness`` is a file that is there while its daemon runs ("": there is none to go by).
    """

    api: Api
    witness: str


TABLE = {
    "docker": Followed(docker.API, "/run/docker.pid"),
    # Its service is started by whoever asks, and ends when nobody does.
    "podman": Followed(podman.API, ""),
}


class Event(NamedTuple):
    """What happened (``CHANGED`` or ``REMOVED``) to the container of an ID."""

    what: str
    container: str


class Container(NamedTuple):
    """A container as its runtime lists it."""

    owner: Owner
    runs: bool
    labels: dict[str, str]


class StreamEnded(Exception):
    """The runtime says no more: it has ended, or what it says is not understood."""


def place(runtime: str) -> Place:
    """Where a runtime is asked. NotFound where that is no socket of this machine."""
    found = TABLE[runtime].api.place()
    if found.elsewhere or not found.path:
        raise NotFound(
            f"{runtime} is not followed, because {found.said_by or 'its address'} "
            f"{quoted(found.url)} is no socket of this machine",
            f"unset {found.said_by}" if found.said_by else None,
        )
    return found


def containers(runtime: str, ids: Iterable[str] | None = None) -> list[Container]:
    """The containers of those IDs that there are, running or not; all without ``ids``.

    RuntimeUnavailable where the runtime does not answer.
    """
    api = TABLE[runtime].api
    where = place(runtime)
    path = "/containers/json?all=1"
    if ids is not None:
        path += "&filters=" + quote(json.dumps({"id": sorted(ids)}), safe="")
    # It has just spoken, or nothing is known of it: an earlier silence says nothing.
    rest.forgive(where)
    answer = rest.get(api.name, where, path, ANSWER_SECONDS, api.start)
    if answer.status != 200 or not isinstance(answer.body, list):
        raise RuntimeUnavailable(
            f"{runtime} at {where} does not list its containers: HTTP status {answer.status}",
            api.start,
        )
    return list(_listed(api, answer.body))


def _listed(api: Api, body: list[Any]) -> Iterator[Container]:
    for one in body:
        try:
            name, container = one["Names"][0].removeprefix("/"), one["Id"]
            if not _is_id(container):
                continue
            owner = api.owner(name)._replace(id=container)
            labels = one.get("Labels") or {}
            texts = {k: v for k, v in labels.items() if isinstance(v, str)}
            yield Container(owner, one["State"] in ("running", "paused"), texts)
        except (AttributeError, LookupError, TypeError, MacvnetError):
            continue


class Stream:
    """The events of a runtime. To be closed.

    ``by_root``: whether whoever listens there is root on this machine. Nothing here
    waits. RuntimeUnavailable where nobody listens.
    """

    def __init__(self, runtime: str) -> None:
        api = TABLE[runtime].api
        where = place(runtime)
        self.begun = False
        """Whether it has answered: from then on, nothing is missed."""
        self._rest = b""
        asked = quote(json.dumps(_ASKED), safe="")
        since = int(time.time()) - _EARLIER
        question = f"/events?since={since}&filters={asked}"
        try:
            self._socket = rest.connected(where, 0.0)
        except OSError as error:
            raise _unavailable(api, where, error) from None
        try:
            credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            self.by_root = struct.unpack("3i", credentials)[1] == 0
            # Short enough for any buffer of a socket.
            self._socket.sendall(f"GET {question} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        except OSError as error:
            self.close()
            raise _unavailable(api, where, error) from None

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> list[Event]:
        """The events that have come since; does not wait. StreamEnded."""
        parts = [self._rest]
        length = len(self._rest)
        while True:
            try:
                part = self._socket.recv(_PART)
            except BlockingIOError:
                break
            except OSError:
                raise StreamEnded from None
            length += len(part)
            if not part or length > LARGEST_LINE:
                raise StreamEnded
            parts.append(part)
        received = b"".join(parts)
        if not self.begun:
            head, end, received = received.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return []
            if head.split()[1:2] != [b"200"]:
                raise StreamEnded
            self.begun = True
        lines = received.split(b"\n")
        self._rest = lines.pop()
        events = [_event(line) for line in lines if line.strip()]
        return [event for event in events if event is not None]

    def close(self) -> None:
        self._socket.close()


def _unavailable(api: Api, where: Place, error: OSError) -> RuntimeUnavailable:
    from macvnet import failures

    return RuntimeUnavailable(
        f"{api.name} at {where} cannot be followed: {failures.reason(error)}",
        failures.advice(error, otherwise=api.start),
    )


def _event(line: bytes) -> Event | None:
    """None for an event of no interest. StreamEnded for what is none at all."""
    try:
        said = json.loads(line)
        what, container = said["Action"], said["Actor"]["ID"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise StreamEnded from None
    if not isinstance(what, str) or what not in _MEANING or not _is_id(container):
        return None
    return Event(_MEANING[what], container)


def _is_id(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= _HEX


def witnessed(runtime: str) -> bool | None:
    """Whether the daemon's witness is there; None where there is none to go by.

    Its path is the default socket's, which is no other daemon's.
    """
    witness = TABLE[runtime].witness
    beside = os.path.dirname(os.path.realpath(place(runtime).path))
    if not witness or os.path.dirname(os.path.realpath(witness)) != beside:
        return None
    return os.path.exists(witness)
