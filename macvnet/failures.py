"""What the system's own failures mean: no descriptors, no memory, no room, nothing at /proc.

Knows the OSErrors that a machine in distress raises whatever is done on it, and what
to type then; must not know what was being done, nor what a link is (``errors.MEANINGS``).
"""

from __future__ import annotations

import errno
import os

from macvnet.errors import KernelRefused, MacvnetError, PermissionDenied
from macvnet.text import printable, quoted

SHORTAGES = {
    errno.EMFILE: ("this process may open no more files", "ulimit -n 1024"),
    errno.ENFILE: ("the system may open no more files", "sysctl fs.file-nr fs.file-max"),
    errno.EAGAIN: (
        "it cannot be had now, a limit on processes or memory may be reached",
        "ulimit -a",
    ),
    errno.ENOMEM: ("there is no memory left", "free -m"),
    errno.ENOBUFS: ("there is no memory left", "free -m"),
}
"""What any operation can lack: its meaning and what to type."""

PLACES = {
    errno.ENOSPC: ("no space is left there", "df -h {at}; df -i {at}"),
    errno.EDQUOT: ("the quota there is used up", "df -h {at}; quota"),
    errno.EFBIG: ("a file may not become as large", "ulimit -f; df -h {at}"),
    errno.EROFS: ("it is read-only there", "findmnt -T {at}"),
    errno.EIO: ("the disk fails", "dmesg | tail; findmnt -T {at}"),
    errno.EUCLEAN: ("the file system is damaged", "dmesg | tail; findmnt -T {at}"),
    errno.ESTALE: ("the file server has lost it", "findmnt -T {at}"),
    errno.ETIMEDOUT: ("the file server does not answer", "findmnt -T {at}"),
    errno.ELOOP: ("symbolic links lead in a circle", "namei -l {at}"),
    errno.ENAMETOOLONG: ("the name is too long", "getconf NAME_MAX /"),
    errno.ENOTDIR: ("a file is where a directory should be", "namei -l {at}"),
    errno.EISDIR: ("a directory is where a file should be", "namei -l {at}"),
    errno.EACCES: ("this user may not", "namei -l {at}"),
    errno.EPERM: ("this user may not, or something forbids it", "namei -l {at}; lsattr -d {at}"),
    errno.ENOENT: ("it is not there", "namei -l {at}"),
    errno.EEXIST: ("something else is there", "ls -ld {at}"),
}
"""What a place in the file system can be like; ``at`` is its path, for the shell."""

KERNEL_FOLDERS = ("/proc", "/sys", "/dev")
NO_THREAD = "can't start new thread"
"""All that Python says where pthread_create(3) fails."""


def reason(error: OSError) -> str:
    """Why, in a few words, with the system's own in parentheses."""
    return reason_of(error.errno or 0, error.strerror or str(error))


def reason_of(number: int, said: str = "") -> str:
    """The same of an errno."""
    said = said or os.strerror(number)
    known = SHORTAGES.get(number) or PLACES.get(number)
    return f"{known[0]} ({said})" if known else said


def advice(error: OSError, path: str = "", otherwise: str = "") -> str:
    """What to type about a failure at ``path``; ``otherwise`` where nothing is known."""
    number = error.errno or 0
    if number in SHORTAGES:
        return SHORTAGES[number][1]
    if path and number in PLACES:
        return PLACES[number][1].format(at=printable(path))
    return otherwise or (f"ls -ld {printable(path)}" if path else "macvnet doctor")


def told(error: BaseException) -> MacvnetError | None:
    """A failure that nobody has explained, as one of the machine; None for a bug of ours."""
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    elif isinstance(error, RuntimeError) and str(error) == NO_THREAD:
        error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    if not isinstance(error, OSError):
        return None
    number = error.errno or 0
    name = error.filename
    path = os.fsdecode(name) if isinstance(name, str | bytes) else ""
    if number in SHORTAGES:
        # Whichever file was the one too many is no news.
        why, advised = SHORTAGES[number]
        if number == errno.EMFILE:
            why = f"this process may open no more than {os.sysconf('SC_OPEN_MAX')} files"
        return KernelRefused("go on", number, f"{why} ({os.strerror(number)})", advised)
    if number == errno.ENOENT and path:
        return hidden(path) if path.startswith(KERNEL_FOLDERS) else None
    if number in (errno.EACCES, errno.EPERM) and path:
        return PermissionDenied(f"no permission to use {quoted(path)}", "run macvnet as root")
    if number in PLACES and path:
        return KernelRefused(f"use {quoted(path)}", number, reason(error), advice(error, path))
    return None


def hidden(path: str) -> MacvnetError:
    """A file of the kernel's own that is not where it always is."""
    folder = next((one for one in KERNEL_FOLDERS if path.startswith(one)), "/proc")
    return KernelRefused(
        f"read {quoted(path)}",
        errno.ENOENT,
        f"{folder} is not mounted here, or something hides a part of it",
        f"findmnt -R {folder}",
    )
