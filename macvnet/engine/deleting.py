"""Deleting the links of many that leave.

The kernel lets whoever deletes a link wait some 20 ms, but not one after the other:
each link is deleted by a thread, which waits while the next one is looked for. Python's
part is shared among hands, where the link is all that there is in the sandbox. What a hand
has not done is done here, and refused here where it must be.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from macvnet.drivers import Driver
from macvnet.engine import endpoint_link
from macvnet.engine.alongside import Alongside
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.parts import Meanwhile
from macvnet.engine.undo import apart
from macvnet.errors import MacvnetError
from macvnet.kernel.links import LinkInfo
from macvnet.model import PLAIN, Endpoint
from macvnet.runtimes import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from macvnet.engine.hands import Given, Line

THREADS = 64
"""Threads, of a hand or our own, that wait for the kernel at once."""
SLICE = 32
"""Containers that a hand is given at once."""
FEW = 64
"""Containers of which so few are no work for a hand: it costs some of them to have one."""

Sought = tuple[Endpoint, Driver, LinkInfo | None]
"""An endpoint, its driver, and its parent where that is there."""


class Leaving:
    """One container that is being disconnected; ``error`` is why it stays.

    ``at`` is None where no name leads to it; ``key`` is then "", else its sandbox's. ``here``
    are the endpoints in the sandbox there, with their links where these are still there;
    ``elsewhere`` those in a sandbox that no name leads to. ``alone``: nothing
    else is in the sandbox. ``sought``: those that are here still, and what their links are.
    ``changed``: they are not what they were before it was looked again.
    """

    def __init__(self, at: Inside | None, key: str, endpoints: Sequence[Endpoint]) -> None:
        self.at = at
        self.key = key
        self.here = [e for e in endpoints if at is not None and e.sandbox.key == key]
        self.elsewhere = [e for e in endpoints if e not in self.here]
        self.sought: list[Sought] = []
        self.links: list[LinkInfo] = []
        self.alone = False
        self.changed = False
        self.error: MacvnetError | None = None

    @property
    def endpoints(self) -> list[Endpoint]:
        return [*self.here, *self.elsewhere]

    def trying(self) -> AbstractContextManager[None]:
        """What is refused inside the block ends this one's attempt, not that of the others."""
        return apart(partial(setattr, self, "error"))


def look(ctx: Context, one: Leaving) -> None:
    """Look for the links of one that are provably its own still."""
    if one.at is not None:
        each = (
            endpoint_link.find(ctx, driver, endpoint, one.at, parent)
            for endpoint, driver, parent in one.sought
        )
        one.links = [link for link in each if link is not None]


def delete_found(every: Sequence[Leaving]) -> None:
    """Delete the links of all that have been looked for, many at once."""
    deleting = Alongside(_delete, threads=THREADS)
    try:
        for one in every:
            deleting.put(one)
        deleting.end()
    finally:
        deleting.end(give_up=True)
    for one, error in deleting.refused:
        one.error = error


def _delete(one: Leaving) -> None:
    for link in one.links:
        assert one.at is not None
        endpoint_link.remove(link, one.at)


class Deleting:
    """Deletes the links of ``every`` that leaves, a few at a time.

    ``inside`` opens a target once more. ``end`` has to be called whatever happens.
    """

    def __init__(
        self, ctx: Context, every: Sequence[Leaving], inside: Callable[[Target], Inside]
    ) -> None:
        from macvnet.engine.hands import Hands, most

        self._every = every
        self._ctx = ctx
        self._inside = inside
        self._hands = Hands(
            every, partial(_work, ctx), done=self._done, left=self._left, most=most()
        )
        self._own = Alongside(self._delete, threads=THREADS)
        self._gone: deque[Leaving] = deque()

    def gone(self, least: int = 0) -> list[Leaving]:
        """Those whose links are gone, and that were not told yet; none if they are fewer."""
        gone: list[Leaving] = []
        if len(self._gone) < least:
            return gone
        while self._gone:
            gone.append(self._gone.popleft())
        return gone

    def take(self, numbers: Sequence[int], meanwhile: Meanwhile) -> None:
        """Have the links of these deleted; a few of them by ourselves.

        ``meanwhile`` is done while all hands are busy.
        """
        plain = {number for number in numbers if _is_plain(self._every[number])}
        many = len(self._every) >= FEW and bool(plain)
        given = many and self._hands.give(dict.fromkeys(plain), meanwhile)
        for number in numbers:
            if not (given and number in plain):
                self._work(self._every[number])

    def end(self, meanwhile: Meanwhile | None = None, *, give_up: bool = False) -> None:
        """Wait until all is done; ``give_up``: only until what is at hand is."""
        self._hands.end(meanwhile, give_up=give_up)
        self._own.end(give_up=give_up)
        for one, error in self._own.refused:
            one.error = error

    def _done(self, number: int, told: Any) -> None:
        self._ctx.retrace(told)
        self._gone.append(self._every[number])

    def _delete(self, one: Leaving) -> None:
        _delete(one)
        self._gone.append(one)

    def _work(self, one: Leaving) -> None:
        with one.trying():
            look(self._ctx, one)
            self._own.put(one)

    def _left(self, number: int, half_done: bool) -> None:
        one = self._every[number]
        # A link that is gone already is not found: half of it is no matter. But in the
        # socket there may be answers to the hand's questions.
        if one.at is not None:
            with one.trying():
                one.at = self._inside(one.at.target)
        if one.error is None:
            self._work(one)


def _is_plain(one: Leaving) -> bool:
    """Whether nothing is left to do in the sandbox when the link is gone, and a hand knows all."""
    return (
        one.at is not None
        and one.alone
        and not one.changed
        and bool(one.sought)
        and all(endpoint.routing == PLAIN for endpoint in one.here)
    )


@contextmanager
def _work(ctx: Context, line: Line) -> Iterator[Callable[[Given[Leaving]], None]]:
    """A hand's part. What is told of a link is its thread's to say, when the link is gone."""
    telling = threading.Lock()

    def delete(what: tuple[int, Leaving, list[str]]) -> None:
        number, one, told = what
        try:
            _delete(one)
        except MacvnetError as error:
            one.error = error
        with telling:
            line.answer(number, None if one.error else told)

    def take(given: Given[Leaving]) -> None:
        for number, one, _ in given:
            if line.given_up():
                return
            told: list[str] = []
            with one.trying():
                assert one.at is not None
                one.at.netlink.tell_to(told.append if ctx.trace else None)
                look(ctx, one)
            deleting.put((number, one, told))

    deleting = Alongside(delete, threads=THREADS)
    try:
        yield take
    finally:
        deleting.end()
