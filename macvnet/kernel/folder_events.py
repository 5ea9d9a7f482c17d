"""Waiting for a path to come: inotify on the nearest directory above it that is there.

Knows inotify(7) and nothing of what the path is for.
"""

from __future__ import annotations

import ctypes
import errno
import os

IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO = 0x4, 0x40, 0x80
IN_CREATE, IN_DELETE_SELF, IN_MOVE_SELF = 0x100, 0x400, 0x800
IN_ONLYDIR = 0x01000000
_MASK = (
    IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
)
LARGEST = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


class FolderEvents:
    """Tells when what is in the way to ``path`` may have changed, from its making on.

    OSError where the kernel has no more watches to give.
    """

    def __init__(self, path: str) -> None:
        self._fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _failure()
        try:
            self._watch(path)
        except BaseException:
            os.close(self._fd)
            raise

    def _watch(self, path: str) -> None:
        folder = os.path.realpath(os.path.dirname(path))
        while _libc.inotify_add_watch(self._fd, os.fsencode(folder), _MASK) < 0:
            if ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR) or folder == "/":
                raise _failure()
            folder = os.path.dirname(folder)

    def fileno(self) -> int:
        return self._fd

    def drain(self) -> None:
        """Forget what has been told so far."""
        try:
            while os.read(self._fd, LARGEST):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _failure() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
