"""How a long list of containers is cut into parts that are handled at once.

While one part is at work the next one is opened: what is of the kernel alone, since
nobody shall wait, with the locks of the one, for a runtime that the other has to ask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from macvnet.engine.undo import apart
from macvnet.errors import InvalidRequest, MacvnetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from macvnet.engine.context import Context

P = TypeVar("P", bound="Part")

PART = 256
"""Containers in one part: their locks are held together, and one fsync records all of them."""

OPENED = 8
"""Containers that are opened before it is seen again whether there is other work."""

FILES_EACH = 3
FILES_BESIDES = 160
"""Open files of one container (namespace, socket, one more for a while) and of the rest: locks,
the state, what the caller left open."""


Meanwhile = Callable[[], bool]
"""A piece of other work, for when others are at work; tells whether there is more of it."""


class Part(ABC):
    """Containers that are handled at once: ``most`` of ``count`` from ``begin`` on, or fewer.

    ``refused`` are those that could not be opened, by their numbers. To be closed.
    """

    def __init__(self, ctx: Context, count: int, begin: int, most: int) -> None:
        self._ctx = ctx
        self.begin = self._next = begin
        self.end = min(begin + most, count)
        self.refused: dict[int, MacvnetError] = {}
        self.opened = ExitStack()
        self._count = count
        self._most = most

    def close(self) -> None:
        """Let go of all that was opened."""
        self.opened.close()

    def open(self) -> None:
        """Open all that are not open yet."""
        while self.open_some():
            pass
        while self._next < self.end:
            self._open_next()

    def open_some(self) -> bool:
        """Open a few of those that are found at once; False where that is no use any more."""
        with self._ctx.reader.viewing():
            for _ in range(OPENED):
                if self._next >= self.end or not self.is_at_once(self._next):
                    return False
                self._open_next()
        return True

    def _open_next(self) -> None:
        number = self._next
        with apart(partial(self.refused.__setitem__, number)):
            if not self.open_one(number):
                self.end = number
                return
        self._next = number + 1

    @property
    def is_last(self) -> bool:
        """Whether nothing is left for another part; known when all is open."""
        return self.end >= self._count

    @abstractmethod
    def open_one(self, number: int) -> bool:
        """Open one, closed by ``opened``; False where another part has to begin with it.

        Raises what is refused.
        """

    @abstractmethod
    def is_at_once(self, number: int) -> bool:
        """Whether one is found without asking another program."""

    @abstractmethod
    def following(self) -> Self:
        """The part after this one, when this one is open and not the last."""


def in_parts(first: P) -> Generator[tuple[P, Meanwhile], None, None]:
    """Each part of a list, open, and what opens some of the next one meanwhile.

    To be closed.
    """
    part: P | None = first if first.begin < first.end else None
    following: P | None = None
    try:
        while part is not None:
            part.open()
            following = None if part.is_last else part.following()
            yield part, following.open_some if following else _nothing
            part.close()
            part, following = following, None
    finally:
        for one in (part, following):
            if one is not None:
                one.close()


def _nothing() -> bool:
    return False


def most_at_once() -> int:
    """How many containers there can be in one part here: PART, unless files may be fewer."""
    limit = _make_room(PART)
    return PART if limit is None else max(1, limit)


def most_with_next() -> int:
    """The same where the next part is open as well."""
    limit = _make_room(2 * PART)
    return PART if limit is None else max(1, limit // 2)


def refuse_too_many(count: int) -> None:
    """Make room for ``count`` containers at once; InvalidRequest where there is none."""
    most = _make_room(count)
    if most is not None:
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        raise InvalidRequest(
            f"{count} containers are too many for --atomic here, where a process may have "
            f"{files} open files: at most {most}",
            f"ulimit -n {_needed(count)}",
        )


def _needed(count: int) -> int:
    return count * FILES_EACH + FILES_BESIDES


def _make_room(count: int) -> int | None:
    """Let this process open the files of ``count`` containers, or as many as it may.

    For how many there is room if that is fewer, else None.
    """
    import resource

    needed = _needed(count)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return None
    enough = hard == unlimited or hard >= needed
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed if enough else hard, hard))
    return None if enough else max(0, (hard - FILES_BESIDES) // FILES_EACH)
