"""The error taxonomy: one root, one class for each exit status.

Knows what a refusal looks like; must not know who raises it or how it is
printed (``cli.boundary`` does that, and nobody else).
"""

from __future__ import annotations

import errno
import os


class MacvnetError(Exception):
    """A refusal or a failure that a person can understand.

    ``message`` is one sentence that names the offending value; ``hint`` is
    something to type (or None).
    """

    exit_status = 1
    summary = "a bug in macvnet"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MacvnetError):
    """The command line cannot be understood."""

    exit_status = 2
    summary = "usage"


class InvalidRequest(MacvnetError):
    """Understood, but a value is wrong or values contradict each other."""

    exit_status = 3
    summary = "invalid request"


class NotFound(MacvnetError):
    """A network, endpoint, target or link that was named does not exist."""

    exit_status = 4
    summary = "not found"


class Conflict(MacvnetError):
    """Name taken, address in use, parent busy, endpoints remain."""

    exit_status = 5
    summary = "conflict"


class Exhausted(MacvnetError):
    """No free address (or name, or subnet) is left."""

    exit_status = 6
    summary = "exhausted"


class PermissionDenied(MacvnetError):
    """A privilege (a capability, a file permission) is missing."""

    exit_status = 7
    summary = "permission"


MEANINGS = {
    errno.ENODEV: "the link has vanished",
    errno.ENETDOWN: "the parent is down",
    errno.EADDRINUSE: "another link on the parent has the MAC",
    errno.EADDRNOTAVAIL: "the link does not take this address",
    errno.EACCES: "IPv6 is disabled in the target, or something forbids it",
    errno.EPERM: "a privilege is missing, or something forbids it",
    errno.EROFS: "what has to be written is read-only here",
    errno.EMFILE: "this process may open no more files",
    errno.ENFILE: "the system may open no more files",
    errno.EAGAIN: "it cannot be had now, a limit on processes or memory may be reached",
    errno.EIO: "the device does not do it",
    errno.ENOMEM: "the kernel has no memory left for it",
    errno.ENOBUFS: "the kernel has no memory left for it",
    errno.ENOSPC: "the kernel has no number left for it",
    errno.ENETUNREACH: "the gateway is in no subnet of the link",
    errno.EHOSTUNREACH: "the gateway is in no subnet of the link",
    errno.ETIMEDOUT: "the kernel did not answer",
    errno.EOPNOTSUPP: "this kernel does not know it",
    errno.EAFNOSUPPORT: "this kernel lacks the protocol",
    errno.EINVAL: "the link or the target has changed meanwhile, or cannot take it",
    errno.EBUSY: "something else uses the link",
    errno.EEXIST: "somebody else has just made the same",
    errno.ENOENT: "it has vanished meanwhile",
    errno.ESRCH: "it has vanished meanwhile",
    errno.ENXIO: "it has vanished meanwhile",
    errno.ERANGE: "a value is outside of what the kernel takes",
    errno.EMSGSIZE: "there is more of it than the kernel takes at once",
    errno.ENOSYS: "this kernel does not know it",
    errno.EINTR: "something interrupted it",
}
"""What an errno means where no cause is known, for a link that macvnet changes."""

ADVICE = {
    errno.EMFILE: "ulimit -n 1024",
    errno.ENFILE: "sysctl fs.file-nr fs.file-max",
    errno.EAGAIN: "ulimit -a",
    errno.ENOMEM: "free -m",
    errno.ENOBUFS: "free -m",
    errno.EROFS: "mount -o remount,rw /proc/sys",
}
"""What to type where the errno tells of the machine, whatever the link."""


class KernelRefused(MacvnetError):
    """The kernel refused an operation.

    ``operation`` says what was tried, ``errno`` is the kernel's number,
    ``text`` the kernel's own words (the extended acknowledgement) or "".
    """

    exit_status = 8
    summary = "the kernel refused"

    def __init__(self, operation: str, errno: int, text: str = "", hint: str | None = None) -> None:
        reason = text or os.strerror(errno)
        super().__init__(f"cannot {operation}: {reason}", hint)
        self.operation = operation
        self.errno = errno
        self.text = text

    def during(self, operation: str, hint: str = "macvnet doctor") -> KernelRefused:
        """The same refusal, of ``operation`` on a link, with what its errno means there."""
        advice = ADVICE.get(self.errno, hint)
        return KernelRefused(operation, self.errno, meant(self.errno, self.text), advice)


def meant(number: int, said: str = "") -> str:
    """What an errno means for a link, with the kernel's words, or its name, in parentheses."""
    said = said or os.strerror(number)
    meaning = MEANINGS.get(number)
    return f"{meaning} ({said})" if meaning else said


class StoreError(MacvnetError):
    """The state cannot be read or written."""

    exit_status = 9
    summary = "store"


class RuntimeUnavailable(MacvnetError):
    """A container runtime that was asked for does not answer."""

    exit_status = 10
    summary = "runtime unavailable"


class DifferencesFound(MacvnetError):
    """``check``, ``diff`` or ``doctor`` found something."""

    exit_status = 11
    summary = "differences found"


class StillPending(MacvnetError):
    """Something waited for has not come."""

    exit_status = 12
    summary = "still pending"


class PartlyDone(MacvnetError):
    """Some of several things were done, the others failed."""

    exit_status = 13
    summary = "partly done"


class Interrupted(MacvnetError):
    """SIGINT or SIGTERM came; what was not finished has been undone."""

    exit_status = 130
    summary = "interrupted"

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted, what was not finished has been undone")
        self.exit_status = 128 + signal_number


ALL: tuple[type[MacvnetError], ...] = (
    UsageError,
    InvalidRequest,
    NotFound,
    Conflict,
    Exhausted,
    PermissionDenied,
    KernelRefused,
    StoreError,
    RuntimeUnavailable,
    DifferencesFound,
    StillPending,
    PartlyDone,
    Interrupted,
)
