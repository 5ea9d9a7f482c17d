"""Waiting for links to come: netlink events, no polling."""

from __future__ import annotations

import select
import socket
from types import TracebackType

RTMGRP_LINK = 1
DRAIN = 1 << 16


class LinkEvents:
    """Listens for link changes in the namespace this thread is in, from its making on."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            socket.NETLINK_ROUTE,
        )
        self._socket.bind((0, RTMGRP_LINK))
        self._waiting = select.poll()
        self._waiting.register(self._socket, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """True as soon as a link has changed since the last call, False after ``seconds``."""
        if seconds <= 0:
            return False
        if not self._waiting.poll(seconds * 1000):
            return False
        while True:
            try:
                self._socket.recv(DRAIN)
            except BlockingIOError:
                return True
            except OSError:
                # Lost events (ENOBUFS) are events too.
                return True

    def __enter__(self) -> LinkEvents:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
