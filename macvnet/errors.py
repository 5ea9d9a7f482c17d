"""The error taxonomy: one root, one class for each exit status.

Knows what a refusal looks like; must not know who raises it or how it is
printed (``cli.boundary`` does that, and nobody else).
"""

from __future__ import annotations

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


class StoreError(MacvnetError):
    """The state cannot be read or written."""

    exit_status = 9
    summary = "store"


class RuntimeUnavailable(MacvnetError):
    """A container runtime that was asked for does not answer."""

    exit_status = 10
    summary = "runtime unavailable"


class DifferencesFound(MacvnetError):
    """``check`` or ``diff`` found something."""

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
