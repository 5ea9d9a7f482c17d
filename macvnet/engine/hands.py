"""Work that other processes do: Python's part of it too, on the processors that are free.

A hand is a child of this process, forked when what it is to work on is ready: it
has our memory, descriptors and locks, and so nobody else gets hold of a sandbox
while it is at work, even if we are killed. It must not touch the state, whose
connection is ours. What it has not done, for whatever reason, is for us to do.
It stays until all is done, since a fork costs more than many a piece of work.
Knows the processes; must not know the work.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Generic, TypeVar

from macvnet import jsontext, signals, sockets
from macvnet.signals import Uninterrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from macvnet.engine.parts import Meanwhile

Item = TypeVar("Item")

ROOM = 1 << 16
AHEAD = 1.5
"""How many times as much as it is given a hand may have to do yet."""
NAME = "macvnet-hand"
"""What ps shows of a hand."""


def most() -> int:
    """How many hands are of use: one for each processor that we may run on but our own."""
    return len(os.sched_getaffinity(0)) - 1


class Line:
    """A hand's end of the line to us."""

    def __init__(self, channel: sockets.socket) -> None:
        self._channel = channel
        self._heard = bytearray()
        self._ending = select.poll()
        self._ending.register(channel, select.POLLRDHUP)

    def given_up(self) -> bool:
        """Whether nothing more is wanted, or we are gone; also where more has been asked for."""
        return bool(self._ending.poll(0))

    def orders(self) -> list[tuple[int, Any]] | None:
        """The numbers of the items of the next list, with what is said of each; None: no more."""
        while b"\n" not in self._heard:
            try:
                data = self._channel.recv(ROOM)
            except ConnectionError:
                return None
            if not data:
                return None
            self._heard += data
        if self.given_up():
            return None
        text, _, self._heard = self._heard.partition(b"\n")
        return [(number, said) for number, said in jsontext.read(text.decode())]

    def answer(self, number: int, value: Any) -> None:
        """What has become of an item; None: nothing, we are to do it. For one thread at a time."""
        self._channel.sendall(f"{jsontext.written([number, value])}\n".encode())


Given = Sequence[tuple[int, Item, Any]]
"""The numbers of items, themselves, and what is said of each."""
Work = Callable[[Line], AbstractContextManager[Callable[[Given[Item]], None]]]
"""What a hand does: begun and ended once, and called with each list."""


class _Hand:
    """A child, the numbers of the items that it has, and our end of the line to it."""

    def __init__(self, pid: int, channel: sockets.socket) -> None:
        self.pending: set[int] = set()
        self.channel = channel
        self._pid = pid
        self._heard = bytearray()

    def tell(self, orders: Mapping[int, Any]) -> bool:
        """Give it a list; False where it is gone."""
        line = f"{jsontext.written(list(orders.items()))}\n".encode()
        with suppress(OSError):
            self.channel.sendall(line, sockets.MSG_NOSIGNAL)
            self.pending.update(orders)
            return True
        return False

    def listen(self) -> list[tuple[int, Any]] | None:
        """Answers that have come, waiting for one at least; None when it is gone."""
        try:
            data = self.channel.recv(ROOM)
        except ConnectionError:
            return None
        self._heard += data
        whole, _, self._heard = self._heard.rpartition(b"\n")
        found = [tuple(jsontext.read(line.decode())) for line in whole.splitlines()]
        return found if data else None

    def bury(self) -> None:
        """When it is gone, or will be."""
        self.channel.close()
        os.waitpid(self._pid, 0)


class Hands(Generic[Item]):
    """Has ``work`` done for some of ``items``, in lists that are given, by ``most`` hands.

    A hand that has little to do yet gets more, so that it never waits: less than ``ahead``
    times what it is given, so that those which share the last items end together.

    ``done`` takes the number of an item and the answer to it, ``left`` that of one to
    which there is none: True where the hand has died, which may have left something
    half made, False where it has told so. Both are called here, by ``collect``,
    ``give`` and ``end``. ``end`` has to be called whatever happens.
    """

    def __init__(
        self,
        items: Sequence[Item],
        work: Work[Item],
        *,
        done: Callable[[int, Any], None],
        left: Callable[[int, bool], None],
        most: int,
        ahead: float = AHEAD,
    ) -> None:
        self._items = items
        self._work = work
        self._done = done
        self._left = left
        self._most = most
        self._ahead = ahead
        self._hands: list[_Hand] = []

    def give(self, orders: Mapping[int, Any], meanwhile: Meanwhile | None = None) -> bool:
        """Have the work done for the items with these numbers; a hand is told what is said of each.

        False where every hand is busy, or none can be had. ``meanwhile`` is a piece of
        other work, to be done while all are busy; it tells whether there is more of it.
        """
        self.collect()
        while meanwhile is not None and self._hands and not self._takers(len(orders)):
            if not meanwhile():
                meanwhile = None
            self.collect()
        while takers := self._takers(len(orders)):
            hand = takers[0] or self._forked()
            if hand is None:
                return False
            if hand.tell(orders):
                return True
            # It is gone: what it had said before is heard, and that it is.
            self._hear(hand)
        return False

    def _takers(self, count: int) -> list[_Hand | None]:
        """Who can be given so many, the idle first; None is one that is to be had yet."""
        new: list[_Hand | None] = [None] if len(self._hands) < self._most else []
        idle = [hand for hand in self._hands if not hand.pending]
        busy = [hand for hand in self._hands if 0 < len(hand.pending) < count * self._ahead]
        return [*idle, *new, *sorted(busy, key=lambda hand: len(hand.pending))]

    def _forked(self) -> _Hand | None:
        # A child must not take a signal that was meant for us for its own.
        with Uninterrupted():
            try:
                ours, its = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
            except OSError:
                return None
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                its.close()
                return None
            if pid == 0:
                # _exit and nothing else: neither buffers nor exit handlers are the child's.
                try:
                    ours.close()
                    self._serve(Line(its))
                finally:
                    os._exit(0)
            its.close()
            hand = _Hand(pid, ours)
            self._hands.append(hand)
        return hand

    def _serve(self, line: Line) -> None:
        signals.set_wakeup_fd(-1)
        for other in self._hands:
            other.channel.close()
        with open("/proc/self/comm", "w", encoding="ascii") as comm:
            comm.write(NAME)
        with self._work(line) as work:
            while (orders := line.orders()) is not None:
                work([(number, self._items[number], said) for number, said in orders])

    def collect(self) -> None:
        """Take what hands have done; waits for nobody."""
        while busy := self._busy():
            # select would refuse the numbers that channels have beside a thousand open files.
            waiting = select.poll()
            for hand in busy:
                waiting.register(hand.channel, select.POLLIN)
            ready = {descriptor for descriptor, _ in waiting.poll(0)}
            if not ready:
                return
            for hand in busy:
                if hand.channel.fileno() in ready:
                    self._hear(hand)

    def end(self, meanwhile: Meanwhile | None = None, *, give_up: bool = False) -> None:
        """Wait until all is done; ``give_up``: only until what is at hand is, and tell nobody.

        ``meanwhile`` as for ``give``.
        """
        if not give_up:
            self.collect()
            while meanwhile is not None and self._busy() and meanwhile():
                self.collect()
            while busy := self._busy():
                self._hear(busy[0])
        with Uninterrupted():
            for hand in self._hands:
                with suppress(OSError):
                    hand.channel.shutdown(sockets.SHUT_WR)
            while self._hands:
                while self._hands[0].listen() is not None:
                    pass
                self._hands.pop(0).bury()

    def _busy(self) -> list[_Hand]:
        return [hand for hand in self._hands if hand.pending]

    def _hear(self, hand: _Hand) -> None:
        """Take what a hand says next, or that it has died."""
        answers = hand.listen()
        if answers is None:
            with Uninterrupted():
                self._hands.remove(hand)
                hand.bury()
            for number in sorted(hand.pending):
                self._left(number, True)
            return
        for number, answer in answers:
            hand.pending.discard(number)
            if answer is not None:
                self._done(number, answer)
            else:
                self._left(number, False)
