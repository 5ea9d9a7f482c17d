"""Asking a LAN whose an address is, before it is used or while it is: ARP probes and solicitations.

Knows the pace (RFC 5227 with its seconds shortened, RFC 4862) and what counts as
an answer; must not know networks or records. Frames have no sender's address, so
nobody's cache changes by being asked.
"""

from __future__ import annotations

import errno
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from macvnet import chance, sockets
from macvnet.addresses import IPV4, Address
from macvnet.errors import KernelRefused, MacvnetError
from macvnet.kernel import detached, packets
from macvnet.kernel.frames import (
    ALL_NODES_MAC,
    NONCE_BYTES,
    Due,
    arp_probe,
    claim,
    mac_bytes,
    multicast_mac,
    neighbour_solicitation,
    paced,
    solicited_node,
)
from macvnet.kernel.namespaces import Namespace, entered
from macvnet.records import NamedTuple

PROBES = 3
"""Frames for each address (RFC 5227, PROBE_NUM)."""
AFTER_LAST = 1.5
"""Intervals that are waited after the last frame of all."""
CLOSED_BY_ONE = 32
"""Sockets that one process closes: each takes it some 10 ms."""
PROCESS_NAME = "macvnet-close"


class Ask(NamedTuple):
    """Addresses to be asked for from one link.

    Frames leave by the link ``ifindex`` of ``namespace`` with ``mac`` as their
    sender; ``parent`` names what the rate is counted for; ``interval`` in seconds.
    What the MACs ``besides`` say does not count.
    """

    namespace: Namespace
    ifindex: int
    mac: str
    addresses: tuple[Address, ...]
    parent: str
    interval: float
    besides: frozenset[str] = frozenset()


Answer = dict[Address, str] | MacvnetError
"""The MACs of others that have an address, or why it could not be asked."""


def probe(asked: Sequence[Ask], *, rate: int) -> list[Answer]:
    """What others have of the addresses: PROBES frames for each, all at the same time.

    At most ``rate`` frames a second and parent. Where more addresses than that are to
    be asked for on a parent, each is once only: three rounds would take three times as
    long. Who has an answer for one of its addresses sends no more; it ends when all
    have, or ``AFTER_LAST`` intervals after the last frame.
    """
    wanted: dict[str, int] = {}
    for one in asked:
        wanted[one.parent] = wanted.get(one.parent, 0) + len(one.addresses)
    with _Listening() as ears:
        due = []
        for number, one in enumerate(asked):
            frames = ears.open(number, one)
            count = PROBES if wanted[one.parent] <= rate else 1
            due += [
                Due(burst * one.interval, number, frame, one.parent)
                for burst in range(count)
                for frame in frames
            ]
        patience = AFTER_LAST * max((one.interval for one in asked), default=0)
        ears.run(paced(due, rate), patience, lambda: not ears.silent)
        return [ears.answer(number) for number in range(len(asked))]


class _Listening:
    """One socket for each Ask; ``heard`` has who claims which of its addresses.

    ``silent`` are those that nobody has answered yet.
    """

    def __init__(self) -> None:
        self._sockets: dict[int, sockets.socket] = {}
        self._mine: dict[int, set[bytes]] = {}
        self._wanted: dict[int, frozenset[Address]] = {}
        self._besides: dict[int, frozenset[str]] = {}
        self.heard: dict[int, dict[Address, str]] = {}
        self.errors: dict[int, MacvnetError] = {}
        self.silent: set[int] = set()

    def __enter__(self) -> _Listening:
        return self

    def __exit__(self, *_: object) -> None:
        _close(list(self._sockets.values()))

    def answer(self, number: int) -> Answer:
        error = self.errors.get(number)
        if error is not None:
            return error
        return self.heard[number]

    def open(self, number: int, one: Ask) -> list[bytes]:
        """Listen for an Ask; the frames that ask, one for each address."""
        self.heard[number] = {}
        self._wanted[number] = frozenset(one.addresses)
        self._besides[number] = one.besides
        self.silent.add(number)
        mac = mac_bytes(one.mac)
        if mac is None:
            self._failed(number, OSError(errno.EADDRNOTAVAIL, ""))
            return []
        nonce = bytes.fromhex(chance.token(NONCE_BYTES))
        frames = [
            (arp_probe if address.family == IPV4 else neighbour_solicitation)(mac, address, nonce)
            for address in one.addresses
        ]
        groups = {
            multicast_mac(solicited_node(address))
            for address in one.addresses
            if address.family != IPV4
        }
        if groups:
            groups.add(ALL_NODES_MAC)
        with self._caring(number), entered(one.namespace):
            self._sockets[number] = packets.listening(one.ifindex, sorted(groups))
        self._mine[number] = set(frames)
        return frames

    def run(
        self,
        due: Sequence[Due],
        patience: float,
        enough: Callable[[], bool],
    ) -> None:
        """Send what is due, and listen until ``patience`` seconds after the last frame."""
        poll = select.poll()
        numbers = {}
        for number, opened in self._sockets.items():
            poll.register(opened.fileno(), select.POLLIN)
            numbers[opened.fileno()] = number
        sent = 0
        began = time.monotonic()
        while not enough():
            now = time.monotonic() - began
            while sent < len(due) and due[sent].delay <= now:
                # Late (a busy machine): all that follows moves with it, no closer than planned.
                began += max(0.0, now - due[sent].delay)
                now = time.monotonic() - began
                self._send(due[sent])
                sent += 1
            end = due[sent].delay if sent < len(due) else (due[-1].delay if due else 0) + patience
            left = end - (time.monotonic() - began)
            if left > 0:
                for fd, _ in poll.poll(left * 1000):
                    self._hear(numbers[fd], poll)
            elif sent == len(due):
                return

    def _send(self, due: Due) -> None:
        if due.item in self.silent:
            with self._caring(due.item):
                self._sockets[due.item].send(due.frame)

    def _hear(self, number: int, poll: select.poll) -> None:
        opened = self._sockets[number]
        try:
            while True:
                frame = opened.recv(2048)
                if not any(frame.startswith(mine) for mine in self._mine[number]):
                    self._note(number, frame)
        except BlockingIOError:
            return
        except OSError as error:
            poll.unregister(opened.fileno())
            self._failed(number, error)

    def _note(self, number: int, frame: bytes) -> None:
        found = claim(frame)
        if found is None or found.address not in self._wanted[number]:
            return
        if found.mac in self._besides[number]:
            return
        self.heard[number].setdefault(found.address, found.mac)
        self.silent.discard(number)

    @contextmanager
    def _caring(self, number: int) -> Iterator[None]:
        """What goes wrong with one link is that one's affair."""
        try:
            yield
        except OSError as error:
            self._failed(number, error)
        except MacvnetError as error:
            self.errors[number] = error
            self.silent.discard(number)

    def _failed(self, number: int, error: OSError) -> None:
        self.errors[number] = KernelRefused("", error.errno or errno.EIO).during(
            "ask the LAN for an address"
        )
        self.silent.discard(number)


def _close(used: Sequence[sockets.socket]) -> None:
    """Close packet sockets without waiting for the kernel, which takes 10 ms for each.

    Processes of their own have the last hold of them.
    """
    for begin in range(0, len(used), CLOSED_BY_ONE):
        some = used[begin : begin + CLOSED_BY_ONE]
        try:
            detached.leave(lambda: 0, keep=[each.fileno() for each in some], name=PROCESS_NAME)
        except OSError:
            pass
        for each in some:
            each.close()
