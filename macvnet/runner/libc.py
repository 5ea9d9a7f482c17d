"""The system calls that Python 3.11 does not offer: unshare, mount, prctl, signalfd."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from macvnet.records import NamedTuple

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_RDONLY = 0x1
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
SFD_NONBLOCK = 0o4000
SFD_CLOEXEC = 0o2000000
SI_KERNEL = 0x80
"""si_code of a signal that the kernel made itself, as the terminal's ^C."""

_SIGINFO = struct.Struct("=IiiI112x")

_libc = ctypes.CDLL(None, use_errno=True)


class Received(NamedTuple):
    """A signal, and what made it (si_code of sigaction(2))."""

    number: int
    code: int


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def unshare(flags: int) -> None:
    """unshare(2); OSError."""
    _checked(_libc.unshare(flags))


def mount(source: str, target: str, kind: str, flags: int = 0) -> None:
    """mount(2); OSError."""
    _checked(
        _libc.mount(
            os.fsencode(source), os.fsencode(target), os.fsencode(kind), ctypes.c_ulong(flags), None
        )
    )


def unmount(target: str) -> None:
    """umount2(2) with MNT_DETACH; OSError."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH))


def die_with_parent(number: int) -> None:
    """Receive signal ``number`` when the parent ends (PR_SET_PDEATHSIG); OSError."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(number)))


def signal_fd(numbers: Iterable[int]) -> int:
    """A descriptor from which the (blocked) signals are read; OSError."""
    mask = (ctypes.c_ulong * (128 // ctypes.sizeof(ctypes.c_ulong)))()
    width = 8 * ctypes.sizeof(ctypes.c_ulong)
    for number in numbers:
        mask[(number - 1) // width] |= 1 << ((number - 1) % width)
    return _checked(_libc.signalfd(-1, mask, SFD_NONBLOCK | SFD_CLOEXEC))


def read_signals(fd: int) -> list[Received]:
    """The signals that have come since the last call."""
    received: list[Received] = []
    while True:
        try:
            data = os.read(fd, _SIGINFO.size)
        except BlockingIOError:
            return received
        number, _, code, _ = _SIGINFO.unpack(data)
        received.append(Received(number, code))
