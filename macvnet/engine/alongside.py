"""Work that threads do alongside: the kernel's, while ours goes on.

Most of what a link costs is the kernel's time, in which Python can think about
the next ones. Knows the threads; must not know the work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from macvnet.errors import MacvnetError, StoreError
from macvnet.signals import Uninterrupted

Item = TypeVar("Item")


class Alongside(Generic[Item]):
    """Does ``work`` for each item that is ``put``, begun in order, in ``threads`` threads at most.

    After ``end``, which has to be called whatever happens, ``refused`` has the
    items with the MacvnetError that ended their work; another exception ends all
    work, and is raised. A thread that has done with one item takes the next: to
    start one takes longer than many a piece of work.
    """

    def __init__(self, work: Callable[[Item], object], *, threads: int = 1) -> None:
        self.refused: list[tuple[Item, MacvnetError]] = []
        self._work = work
        self._most = threads
        self._failure: BaseException | None = None
        self._given_up = False
        self._items: SimpleQueue[Item | None] = SimpleQueue()
        self._idle: SimpleQueue[None] = SimpleQueue()
        """As long as there are threads that wait; a semaphore of Python's takes longer."""
        self._threads: list[threading.Thread] = []

    def put(self, item: Item) -> None:
        """Have the work done for one more."""
        if self._is_one_idle() or len(self._threads) >= self._most or self._start():
            self._items.put(item)
        else:
            self._do(item)

    def end(self, *, give_up: bool = False) -> None:
        """Wait until all is done; ``give_up``: only until what is at hand is."""
        self._given_up = give_up
        with Uninterrupted():
            for _ in self._threads:
                self._items.put(None)
            for thread in self._threads:
                thread.join()
            self._threads.clear()
        failure, self._failure = self._failure, None
        if failure is not None and not give_up:
            raise failure

    def _is_one_idle(self) -> bool:
        """Whether a thread waits, which is then one less."""
        try:
            self._idle.get_nowait()
        except Empty:
            return False
        return True

    def _start(self) -> bool:
        """One thread more. False where there is none at all, and none can be had."""
        # Signals are the main thread's to take, also while it holds them back.
        with Uninterrupted():
            thread = threading.Thread(target=self._run)
            try:
                thread.start()
            except RuntimeError:
                return bool(self._threads)
            self._threads.append(thread)
        return True

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            self._do(item)
            self._idle.put(None)

    def _do(self, item: Item) -> None:
        if self._given_up or self._failure is not None:
            return
        try:
            self._work(item)
        except StoreError as error:
            self._failure = error
        except MacvnetError as error:
            self.refused.append((item, error))
        except BaseException as error:
            self._failure = error
