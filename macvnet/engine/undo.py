"""Undo on failure: steps run last in, first out, whatever went wrong, signals included."""

from __future__ import annotations

from macvnet.blocks import contextmanager
from macvnet.errors import MacvnetError, StoreError
from macvnet.signals import Uninterrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType


@contextmanager
def apart(keep: Callable[[MacvnetError], object]) -> Iterator[None]:
    """What is refused inside the block is the affair of one of several, and given to ``keep``.

    A state that cannot be read or written is nobody's own, and raised.
    """
    try:
        yield
    except StoreError:
        raise
    except MacvnetError as error:
        keep(error)


def _reason(failure: MacvnetError | OSError) -> str:
    if isinstance(failure, MacvnetError):
        return failure.message
    from macvnet import failures

    return failures.reason(failure)


class Undo:
    """``with Undo(note) as undo: act(); undo.push(what, reverse)``.

    Leaving the block by an exception runs what was pushed; leaving it normally
    forgets it. A step that fails does not stop the others: its failure is
    noted, and the error that led here goes on.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._steps: list[tuple[str, Callable[[], object]]] = []

    def push(self, what: str, step: Callable[[], object]) -> None:
        """Remember how to undo what has just been done (or is just being done)."""
        self._steps.append((what, step))

    def __enter__(self) -> Undo:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.back()

    def back(self) -> None:
        """Run what was pushed, as leaving the block by an exception does."""
        with Uninterrupted():
            while self._steps:
                what, step = self._steps.pop()
                try:
                    step()
                except (MacvnetError, OSError) as failure:
                    self._note(f"could not undo: {what}: {_reason(failure)}")
