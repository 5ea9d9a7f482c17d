"""Work for one after the other that a thread does alongside: the kernel's, while ours goes on.

Most of what a link costs is the kernel's time, in which Python can think about
the next ones. Knows the thread; must not know the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from macvnet.engine.undo import uninterrupted
from macvnet.errors import MacvnetError, StoreError

Item = TypeVar("Item")


class Alongside(Generic[Item]):
    """Does ``work`` for each item that is ``put``, in order, in a thread of its own.

    To be made while signals are held back (``uninterrupted``), so that the thread
    takes none: they are the main thread's. After ``end``, which has to be called
    whatever happens, ``refused`` has the items with the MacvnetError that ended
    their work; another exception ends all work, and is raised.
    """

    def __init__(self, work: Callable[[Item], object]) -> None:
        import threading
        from queue import SimpleQueue

        self.refused: list[tuple[Item, MacvnetError]] = []
        self._work = work
        self._failure: BaseException | None = None
        self._given_up = False
        self._items: SimpleQueue[Item | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Have the work done for one more."""
        self._items.put(item)

    def end(self, *, give_up: bool = False) -> None:
        """Wait until all is done; ``give_up``: only until the item at hand is."""
        self._given_up = give_up
        with uninterrupted():
            self._items.put(None)
            self._thread.join()
        failure, self._failure = self._failure, None
        if failure is not None and not give_up:
            raise failure

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            if self._given_up or self._failure is not None:
                continue
            try:
                self._work(item)
            except StoreError as error:
                self._failure = error
            except MacvnetError as error:
                self.refused.append((item, error))
            except BaseException as error:
                self._failure = error
