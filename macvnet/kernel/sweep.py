"""Asking a LAN for many addresses by one link, one after the other: who answers, with which MAC.

Knows the pace, which is even: a switch that counts sees no burst. Must not know
networks or records. Frames are those of ``probe``, without a sender's address.
"""

from __future__ import annotations

import errno
import select
import time
from collections.abc import Callable

from macvnet import chance
from macvnet.addresses import IPV4, Address
from macvnet.errors import KernelRefused
from macvnet.kernel import packets
from macvnet.kernel.frames import (
    ALL_NODES_MAC,
    NONCE_BYTES,
    WINDOW_SECONDS,
    arp_probe,
    claim,
    mac_bytes,
    neighbour_solicitation,
)
from macvnet.kernel.namespaces import Namespace, entered
from macvnet.records import NamedTuple

PATIENCE_SECONDS = 0.5
"""How long is listened for answers after the last frame."""


class Way(NamedTuple):
    """The link ``ifindex`` of ``namespace`` that frames leave by, with ``mac`` as their sender."""

    namespace: Namespace
    ifindex: int
    mac: str


Hear = Callable[[Address, str], None]


class Sweep:
    """One socket on a link; ``hear`` is told of each claim to an address. To be closed.

    KernelRefused where the link cannot be listened to.
    """

    def __init__(self, way: Way, hear: Hear, *, rate: int) -> None:
        self._hear = hear
        self._gap = gap(rate)
        mac = mac_bytes(way.mac)
        if mac is None:
            raise _refusal(OSError(errno.EADDRNOTAVAIL, ""))
        self._mac = mac
        self._nonce = bytes.fromhex(chance.token(NONCE_BYTES))
        self._next = time.monotonic()
        try:
            with entered(way.namespace):
                self._socket = packets.listening(way.ifindex, [ALL_NODES_MAC])
        except OSError as error:
            raise _refusal(error) from None
        self._poll = select.poll()
        self._poll.register(self._socket.fileno(), select.POLLIN)

    def close(self) -> None:
        self._socket.close()

    def rest(self) -> None:
        """Listen until the next frame may go out."""
        self._listen_until(self._next)

    def ask(self, address: Address) -> None:
        """A frame. KernelRefused where the link has gone."""
        frame = arp_probe if address.family == IPV4 else neighbour_solicitation
        try:
            self._socket.send(frame(self._mac, address, self._nonce))
        except OSError as error:
            raise _refusal(error) from None
        # Late (a busy machine): what follows moves with it, no closer than planned.
        self._next = time.monotonic() + self._gap

    def wait(self) -> None:
        """Listen for the last answers."""
        self._listen_until(time.monotonic() + PATIENCE_SECONDS)

    def _listen_until(self, end: float) -> None:
        while True:
            # Who was not let run in time still takes what has come meanwhile.
            left = end - time.monotonic()
            if self._poll.poll(max(0.0, left * 1000)):
                self._receive()
            if left <= 0:
                return

    def _receive(self) -> None:
        try:
            while True:
                frame = self._socket.recv(2048)
                if self._nonce in frame:
                    continue  # a switch sends it back
                found = claim(frame)
                if found is not None:
                    self._hear(*found)
        except BlockingIOError:
            return
        except OSError as error:
            raise _refusal(error) from None


def gap(rate: int) -> float:
    """Seconds between two frames, so that no second has more than ``rate``."""
    return WINDOW_SECONDS / rate


def _refusal(error: OSError) -> KernelRefused:
    return KernelRefused("", error.errno or errno.EIO).during("ask the LAN for addresses")
