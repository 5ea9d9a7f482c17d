"""Sockets as C has them: the standard module turns all constants into enumerations, for 2 ms.

The same names, the same sockets; its conveniences beyond ``with`` are missing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import *  # noqa: F403
else:
    import _socket
    from _socket import *  # noqa: F403

    class socket(_socket.socket):
        """A socket that is closed at the end of a ``with`` block."""

        __slots__ = ()

        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            self.close()
