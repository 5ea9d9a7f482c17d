"""Signals as C has them: the standard module turns all numbers into enumerations.

The same names and functions, over plain numbers; and a block that no signal interrupts.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from signal import *  # noqa: F403
    from typing import Any
else:
    import _signal
    from _signal import *  # noqa: F403


class Uninterrupted:
    """Signals that would end the command wait until the end of the ``with`` block.

    An exception that a signal raises may come between any two steps, so that what
    has been taken is not yet, or not any more, in the hands of whoever gives it back.
    """

    HELD = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)

    def __enter__(self) -> Uninterrupted:
        self._before = _signal.pthread_sigmask(_signal.SIG_BLOCK, self.HELD)
        return self

    def __exit__(self, *exception: object) -> None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._before)

    def waiting(self) -> _Waiting:
        """A block inside it in which they come as before, to wait for somebody else."""
        return _Waiting(self._before)


class _Waiting:
    def __init__(self, mask: Any) -> None:
        self._mask = mask

    def __enter__(self) -> None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)

    def __exit__(self, *exception: object) -> None:
        _signal.pthread_sigmask(_signal.SIG_BLOCK, Uninterrupted.HELD)
