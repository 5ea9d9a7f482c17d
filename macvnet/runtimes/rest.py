"""Asking a runtime's REST interface: GET, JSON, a number of seconds.

HTTP/1.0 over a socket, since the answer then ends with the connection: nothing
of http.client is needed, which takes longer to import than the question takes.
Must not know what is asked.
"""

from __future__ import annotations

import json
import time
from typing import Any

from macvnet import sockets
from macvnet.errors import InvalidRequest, PermissionDenied, RuntimeUnavailable
from macvnet.records import NamedTuple
from macvnet.text import printable, quoted

LARGEST = 1 << 26
SILENCE = 30.0
"""For how many seconds nobody is asked again who has not answered."""

_silent: dict[str, float] = {}


class Place(NamedTuple):
    """Where a runtime is asked.

    ``url`` as it was given; ``said_by`` is what named it ("" for the default),
    ``elsewhere`` why it cannot be asked ("" where it can).
    """

    url: str
    said_by: str = ""
    elsewhere: str = ""

    @property
    def path(self) -> str:
        """The path of a socket on this machine; "" for any other place."""
        scheme, _, rest = self.url.partition("://")
        return rest if scheme == "unix" else ""

    def __str__(self) -> str:
        return printable(self.path or self.url)


class Answer(NamedTuple):
    """Status of the answer, and its JSON decoded (None where it is none)."""

    status: int
    body: Any


def get(runtime: str, place: Place, path: str, seconds: float, start: str) -> Answer:
    """What ``path`` (of unreserved characters) has; waits for ``seconds`` in all.

    ``start`` is what to type to start the runtime, for the hint. RuntimeUnavailable
    where it is not there or gives no answer in time, PermissionDenied where it may
    not be asked.
    """
    if time.monotonic() < _silent.get(place.url, 0.0):
        raise RuntimeUnavailable(f"{runtime} at {place} has not answered", start)
    try:
        raw = _exchange(place, path, seconds)
    except PermissionError:
        raise PermissionDenied(
            f"no permission to ask {runtime} at {place}", "run macvnet as root"
        ) from None
    except FileNotFoundError:
        raise RuntimeUnavailable(
            f"{runtime} is not there: there is no socket {place}", start
        ) from None
    except (TimeoutError, BlockingIOError):
        _silent[place.url] = time.monotonic() + SILENCE
        raise RuntimeUnavailable(
            f"{runtime} at {place} does not answer within {seconds:g} s", start
        ) from None
    except OSError as error:
        from macvnet import failures

        raise RuntimeUnavailable(
            f"{runtime} at {place} cannot be asked: {failures.reason(error)}",
            failures.advice(error, otherwise=start),
        ) from None
    return _decoded(runtime, place, raw, start)


def _exchange(place: Place, path: str, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    received = bytearray()
    with connected(place, seconds) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode("ascii"))
        while len(received) < LARGEST:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
            part = sock.recv(1 << 16)
            if not part:
                break
            received += part
    return bytes(received)


def forgive(place: Place) -> None:
    """Ask again, although there was no answer a moment ago."""
    _silent.pop(place.url, None)


def connected(place: Place, seconds: float) -> sockets.socket:
    """A connection to it, made within so many seconds; OSError."""
    if not place.path:
        from socket import create_connection

        return create_connection(_host_and_port(place), seconds)
    sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_CLOEXEC)
    try:
        sock.settimeout(seconds)
        sock.connect(place.path)
    except BaseException:
        sock.close()
        raise
    return sock


def _host_and_port(place: Place) -> tuple[str, int]:
    """Of ``tcp://HOST:PORT``, IPv6 in brackets. InvalidRequest for anything else."""
    scheme, _, rest = place.url.partition("://")
    host, colon, port = rest.rstrip("/").rpartition(":")
    good = port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 1 << 16
    if scheme not in ("tcp", "http") or not colon or not host or not good:
        raise InvalidRequest(
            f"{place.said_by or 'the address'} {quoted(place.url)} is no place to ask",
            "unix:///PATH or tcp://HOST:PORT",
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def _decoded(runtime: str, place: Place, raw: bytes, start: str) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    try:
        if not words[0].startswith(b"HTTP/1."):
            raise ValueError
        return Answer(int(words[1]), json.loads(body) if body.strip() else None)
    except (ValueError, IndexError, RecursionError):
        raise RuntimeUnavailable(
            f"what {runtime} at {place} answers is not understood", start
        ) from None
