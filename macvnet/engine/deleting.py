"""Deleting the links of many that leave.

The kernel lets whoever deletes a link wait some 20 ms, but not one after the other:
each link is deleted by a thread, which waits while the next one is looked for. Python's
part is shared among hands, where the link is all that there is in the sandbox. What a hand
has not done is done here, and refused here where it must be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
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

    from macvnet.engine.hands import Line

SLICE = 64
"""Containers that a hand has at once; as many threads wait for the kernel."""

Sought = tuple[Endpoint, Driver, LinkInfo | None]
"""An endpoint, its driver, and its parent where that is there."""


class Leaving:
    """One container that is being disconnected; ``error`` is why it stays.

    ``target`` is None where no name leads to it. ``here`` are the endpoints in
    the target's sandbox, with their links where these are still there;
    ``elsewhere`` those in a sandbox that no name leads to. ``alone``: nothing
    else is in the sandbox. ``sought``: those that are here still, and what their links are.
    """

    def __init__(self, target: Target | None, key: str, endpoints: Sequence[Endpoint]) -> None:
        self.target = target
        self.at: Inside | None = None
        self.here = [e for e in endpoints if target is not None and e.sandbox.key == key]
        self.elsewhere = [e for e in endpoints if e not in self.here]
        self.sought: list[Sought] = []
        self.links: list[LinkInfo] = []
        self.alone = False
        self.error: MacvnetError | None = None

    @property
    def endpoints(self) -> list[Endpoint]:
        return [*self.here, *self.elsewhere]

    def trying(self) -> AbstractContextManager[None]:
        """What is refused inside the block ends this one's attempt, not that of the others."""
        return apart(partial(setattr, self, "error"))


def found(ctx: Context, sought: Sequence[Sought], at: Inside) -> list[LinkInfo]:
    """The links of endpoints that are provably theirs still."""
    each = (
        endpoint_link.find(ctx, driver, endpoint, at, parent) for endpoint, driver, parent in sought
    )
    return [link for link in each if link is not None]


def delete_found(every: Sequence[Leaving]) -> None:
    """Delete the links of all that have been looked for, many at once."""
    deleting = Alongside(_delete, threads=SLICE)
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
    """Deletes the links of lists of those that leave; ``find`` looks for those of one.

    ``end`` has to be called whatever happens.
    """

    def __init__(self, ctx: Context, find: Callable[[Leaving], None]) -> None:
        from macvnet.engine.hands import Hands, most

        self._ctx = ctx
        self._find = find
        self._hands = Hands(partial(_work, ctx), done=self._done, left=self._left, most=most())
        self._own = Alongside(self._delete, threads=SLICE)
        self._gone: deque[Leaving] = deque()

    def gone(self) -> list[Leaving]:
        """Those whose links are gone, and that were not told yet."""
        gone: list[Leaving] = []
        while self._gone:
            gone.append(self._gone.popleft())
        return gone

    def take(self, every: Sequence[Leaving], meanwhile: Meanwhile) -> None:
        """Have the links of these deleted; a few of them by ourselves.

        ``meanwhile`` is done while all hands are busy.
        """
        plain = [one for one in every if _is_plain(one)]
        others = [one for one in every if not _is_plain(one)]
        if len(plain) < SLICE or not self._hands.give(plain, meanwhile):
            others = list(every)
        for one in others:
            self._left(one, False)

    def end(self, meanwhile: Meanwhile | None = None, *, give_up: bool = False) -> None:
        """Wait until all is done; ``give_up``: only until what is at hand is."""
        self._hands.end(meanwhile, give_up=give_up)
        self._own.end(give_up=give_up)
        for one, error in self._own.refused:
            one.error = error

    def _done(self, one: Leaving, told: Any) -> None:
        if self._ctx.trace:
            for text in told:
                self._ctx.trace(text)
        self._gone.append(one)

    def _delete(self, one: Leaving) -> None:
        _delete(one)
        self._gone.append(one)

    def _left(self, one: Leaving, half_done: bool) -> None:
        # A link that is gone already is not found: half of it is no matter.
        with one.trying():
            self._find(one)
            self._own.put(one)


def _is_plain(one: Leaving) -> bool:
    """Whether nothing is left to do in the sandbox when the link is gone."""
    return (
        one.target is not None
        and one.alone
        and bool(one.sought)
        and all(endpoint.routing == PLAIN for endpoint in one.here)
    )


def _work(ctx: Context, items: Sequence[Leaving], line: Line) -> None:
    """A hand's part."""
    told: dict[int, list[str]] = {}
    deleting = Alongside(_delete, threads=SLICE)
    with ExitStack() as stack:
        for number, one in enumerate(items):
            if line.given_up():
                break
            trace = told.setdefault(number, []).append if ctx.trace else None
            told.setdefault(number, [])
            with one.trying():
                assert one.target is not None
                other = stack.enter_context(ctx.beside(trace))
                one.at = endpoint_link.inside(other, one.target)
                stack.callback(one.at.netlink.close)
                one.links = found(other, one.sought, one.at)
                deleting.put(one)
        deleting.end()
        refused = {id(one) for one, _ in deleting.refused}
        for number, texts in told.items():
            failed = items[number].error is not None or id(items[number]) in refused
            line.answer(number, None if failed else texts)
