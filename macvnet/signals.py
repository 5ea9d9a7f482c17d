"""Signals as C has them: the standard module turns all numbers into enumerations.

The same names and functions, over plain numbers.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import *  # noqa: F403
else:
    from _signal import *  # noqa: F403
