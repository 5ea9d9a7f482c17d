"""Work that other processes do: Python's part of it too, on the processors that are free.

A hand is a child of this process, forked when what it is to work on is ready: it
has our memory, descriptors and locks, and so nobody else gets hold of a sandbox
while it is at work, even if we are killed. It must not touch the state, whose
connection is ours. What it has not done, for whatever reason, is for us to do.
Knows the processes; must not know the work.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from macvnet import jsontext, signals, sockets
from macvnet.engine.undo import uninterrupted

Item = TypeVar("Item")

ROOM = 1 << 16
NAME = "macvnet-hand"
"""What ps shows of a hand."""


def most() -> int:
    """How many hands are of use: one for each processor that we may run on but our own."""
    return len(os.sched_getaffinity(0)) - 1


class Line:
    """A hand's end of the line to us."""

    def __init__(self, channel: sockets.socket) -> None:
        self._channel = channel

    def given_up(self) -> bool:
        """Whether nothing more is wanted, or we are gone."""
        try:
            self._channel.recv(1, sockets.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def answer(self, number: int, value: Any) -> None:
        """What has become of an item, by its place in the list; None: nothing, we are to do it."""
        self._channel.sendall(f"{jsontext.written([number, value])}\n".encode())


Work = Callable[[Sequence[Item], Line], None]


class _Hand(Generic[Item]):
    """A child, the items it has, and our end of the line to it."""

    def __init__(self, pid: int, items: Sequence[Item], channel: sockets.socket) -> None:
        self.items = items
        self.channel = channel
        self._pid = pid
        self._heard = bytearray()

    def listen(self) -> bool:
        """Take what it has said; False when it has said all."""
        data = self.channel.recv(ROOM)
        self._heard += data
        return bool(data)

    def bury(self) -> dict[int, Any]:
        """When it is gone: its answers, by the places of the items."""
        self.channel.close()
        os.waitpid(self._pid, 0)
        whole, _, _ = self._heard.decode().rpartition("\n")
        return dict(map(jsontext.read, whole.splitlines()))


class Hands(Generic[Item]):
    """Has ``work`` done for lists of items that are given, ``most`` lists at once.

    ``done`` takes an item and the answer to it, ``left`` one to which there is none:
    True where the hand has died, which may have left something half made, False
    where it has told so. Both are called here, by ``collect`` and ``end``. ``end``
    has to be called whatever happens.
    """

    def __init__(
        self,
        work: Work[Item],
        *,
        done: Callable[[Item, Any], None],
        left: Callable[[Item, bool], None],
        most: int,
    ) -> None:
        self._work = work
        self._done = done
        self._left = left
        self._most = most
        self._hands: list[_Hand[Item]] = []

    def give(self, items: Sequence[Item], meanwhile: Callable[[], bool] | None = None) -> bool:
        """Have the work done; False where every hand is busy, or none can be had.

        ``meanwhile`` is a piece of other work, to be done while all are busy; it
        tells whether there is more of it.
        """
        self.collect()
        while meanwhile is not None and self._hands and len(self._hands) >= self._most:
            if not meanwhile():
                meanwhile = None
            self.collect()
        if len(self._hands) >= self._most:
            return False
        # A child must not take a signal that was meant for us for its own.
        with uninterrupted():
            try:
                ours, its = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
            except OSError:
                return False
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                its.close()
                return False
            if pid == 0:
                # _exit and nothing else: neither buffers nor exit handlers are the child's.
                try:
                    ours.close()
                    self._serve(items, Line(its))
                finally:
                    os._exit(0)
            its.close()
            self._hands.append(_Hand(pid, items, ours))
        return True

    def _serve(self, items: Sequence[Item], line: Line) -> None:
        signals.set_wakeup_fd(-1)
        for other in self._hands:
            other.channel.close()
        with open("/proc/self/comm", "w", encoding="ascii") as comm:
            comm.write(NAME)
        self._work(items, line)

    def collect(self) -> None:
        """Take what hands that are through have done; waits for nobody."""
        while self._hands:
            ready = select.select([hand.channel for hand in self._hands], [], [], 0)[0]
            if not ready:
                return
            for hand in [hand for hand in self._hands if hand.channel in ready]:
                if not hand.listen():
                    self._take(hand)

    def end(self, meanwhile: Callable[[], bool] | None = None, *, give_up: bool = False) -> None:
        """Wait until all is done; ``give_up``: only until what is at hand is, and tell nobody.

        ``meanwhile`` as for ``give``.
        """
        if give_up:
            with uninterrupted():
                for hand in self._hands:
                    hand.channel.shutdown(sockets.SHUT_WR)
                while self._hands:
                    _hear_out(self._hands[0])
                    self._hands.pop(0).bury()
        self.collect()
        while meanwhile is not None and self._hands and meanwhile():
            self.collect()
        while self._hands:
            _hear_out(self._hands[0])
            self._take(self._hands[0])

    def _take(self, hand: _Hand[Item]) -> None:
        with uninterrupted():
            self._hands.remove(hand)
            answers = hand.bury()
        for number, item in enumerate(hand.items):
            answer = answers.get(number)
            if answer is not None:
                self._done(item, answer)
            else:
                self._left(item, number not in answers)


def _hear_out(hand: _Hand[Any]) -> None:
    while hand.listen():
        pass
