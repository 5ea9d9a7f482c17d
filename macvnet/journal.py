"""The log of what was done: one line of JSON for each command that changes something.

Knows the two files in the state directory and journald's protocol; must not
know a command. Losing an entry is bearable, failing or delaying a command for
one is not: nothing here is synced to disk, and whoever writes is told of a
failure by the return value only.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time

from macvnet import jsontext
from macvnet.errors import PermissionDenied, StoreError
from macvnet.records import NamedTuple
from macvnet.text import printable, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

CURRENT = "commands.log"
FORMER = "commands.log.1"
LARGEST_FILE = 1 << 20
"""Bytes after which the current file becomes the former one, whose content goes."""
MOST_ARGUMENTS = 256
MOST_ERRORS = 32
MOST_OPERATIONS = 1000
LONGEST_TEXT = 1000
LARGEST_ENTRY = 1 << 18

JOURNALD = "/run/systemd/journal/socket"
LARGEST_DATAGRAM = 1 << 15
_INFORMATION, _WARNING = 6, 4

_BEGIN = b'{"time":'


class Entry(NamedTuple):
    """One command. ``time`` is its end, RFC 3339 in UTC; ``seconds`` what it took.

    ``user`` is the effective uid, ``login`` the name under which the session
    was opened ("": none, or not in /etc/passwd), ``sudo_user`` what sudo says.
    ``operations`` are the kernel's changes as ``ip`` and ``sysctl`` commands;
    ``left_out`` counts those beyond the limit.
    """

    time: str
    seconds: float
    pid: int
    user: int
    sudo_user: str
    login: str
    arguments: tuple[str, ...]
    status: int
    errors: tuple[str, ...]
    operations: tuple[str, ...]
    left_out: int = 0

    @property
    def who(self) -> str:
        """The user in a few words."""
        name = "root" if self.user == 0 else f"uid {self.user}"
        behind = self.sudo_user or self.login
        return f"{name} ({behind})" if behind and behind != name else name

    @property
    def command(self) -> str:
        """The command line as one could type it."""
        return " ".join(("macvnet", *map(_typed, self.arguments)))


def entry(
    arguments: Sequence[str],
    status: int,
    errors: Sequence[str],
    operations: Sequence[str],
    *,
    began: float,
) -> Entry:
    """The entry of a command that ends now; ``began`` is of time.monotonic()."""
    return Entry(
        time=_now(),
        seconds=round(time.monotonic() - began, 3),
        pid=os.getpid(),
        user=os.geteuid(),
        sudo_user=os.environ.get("SUDO_USER", "")[:LONGEST_TEXT],
        login=_login(),
        arguments=_cut(arguments, MOST_ARGUMENTS),
        status=status,
        errors=_cut(errors, MOST_ERRORS),
        operations=_cut(operations, MOST_OPERATIONS),
        left_out=max(0, len(operations) - MOST_OPERATIONS),
    )


def record(state_dir: str, made: Entry) -> str | None:
    """Write an entry, and send it to journald; None if it is in the file, else why not.

    Where there is no state directory, or one that others can write, no command
    has done anything: nothing is recorded, and that is no failure.
    """
    try:
        if not _private(os.stat(state_dir)):
            return None
    except (OSError, ValueError):
        return None
    _send(made)
    try:
        _write(state_dir, _line(made))
    except (OSError, ValueError) as error:
        return f"{quoted(os.path.join(state_dir, CURRENT))}: {_reason(error)}"
    return None


def _send(made: Entry) -> None:
    """Tell journald, where it runs (systemd.io/JOURNAL_NATIVE_PROTOCOL); never waits for it."""
    if not os.path.exists(JOURNALD):
        return
    import socket

    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(_datagram(made), socket.MSG_DONTWAIT, JOURNALD)
    except OSError:
        # It is stopping, starting, or has too much to do: the file has the entry.
        return


def read(state_dir: str) -> tuple[list[Entry], int]:
    """All entries, oldest first, and how many lines are damaged.

    PermissionDenied, or StoreError where the files cannot be trusted or read.
    """
    # A rotation between the two makes one file both, and loses what is lost anyway.
    current, late = _content(state_dir, CURRENT)
    former, early = _content(state_dir, FORMER)
    lines = [*([] if early == late else former.split(b"\n")), *current.split(b"\n")]
    found = [_parsed(line) for line in lines if line.strip()]
    entries = [one for one in found if one is not None]
    return entries, len(found) - len(entries)


def _now() -> str:
    seconds, rest = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 10**6:03d}Z"


def _login() -> str:
    """Who opened the session (proc(5), loginuid), by /etc/passwd.

    The name service may ask the network, which a command must not wait for.
    """
    try:
        with open("/proc/self/loginuid", encoding="utf-8") as file:
            number = file.read(16).strip()
        with open("/etc/passwd", encoding="utf-8", errors="replace") as file:
            for line in file:
                fields = line.split(":", 3)
                if len(fields) == 4 and fields[2] == number:
                    return fields[0][:LONGEST_TEXT]
    except (OSError, ValueError):
        return ""
    return ""


def _cut(texts: Sequence[str], most: int) -> tuple[str, ...]:
    return tuple(
        text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "..." for text in texts[:most]
    )


def _line(made: Entry) -> bytes:
    line = jsontext.written(made._asdict()).encode() + b"\n"
    while len(line) > LARGEST_ENTRY:
        # Escapes can take six bytes for a character: halve what there is most of.
        most = max(("operations", "arguments", "errors"), key=lambda name: len(getattr(made, name)))
        texts = getattr(made, most)
        kept = texts[: len(texts) // 2]
        lost = len(texts) - len(kept) if most == "operations" else 0
        made = made._replace(**{most: kept}, left_out=made.left_out + lost)
        line = jsontext.written(made._asdict()).encode() + b"\n"
    return line


def _write(state_dir: str, line: bytes) -> None:
    path = os.path.join(state_dir, CURRENT)
    for _ in range(10):
        descriptor = os.open(
            path,
            os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK,
            0o600,
        )
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not _private(status):
                raise ValueError("others can write it, or it is no file")
            if not status.st_size or status.st_size + len(line) <= LARGEST_FILE:
                # One write to a file opened for appending: lines of several processes never mix.
                if os.write(descriptor, line) < len(line):
                    raise ValueError("no space is left for all of it")
                return
            _rotate(state_dir, path, descriptor, status.st_ino)
        finally:
            os.close(descriptor)


def _rotate(state_dir: str, path: str, descriptor: int, inode: int) -> None:
    """The current file becomes the former one, once, however many find it full."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        if os.stat(path, follow_symlinks=False).st_ino == inode:
            os.rename(path, os.path.join(state_dir, FORMER))
    except FileNotFoundError:
        return  # another process has just done it


def _private(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    from macvnet import failures

    return failures.reason(error)


def _datagram(made: Entry) -> bytes:
    failed = f": {'; '.join(made.errors)}" if made.errors else ""
    fields = [
        ("MESSAGE", f"{made.command} (status {made.status}, {made.who}){failed}"),
        ("PRIORITY", str(_WARNING if made.status else _INFORMATION)),
        ("SYSLOG_IDENTIFIER", "macvnet"),
        ("SYSLOG_PID", str(made.pid)),
        ("MACVNET_COMMAND", made.command),
        ("MACVNET_STATUS", str(made.status)),
        ("MACVNET_UID", str(made.user)),
        ("MACVNET_SUDO_USER", made.sudo_user),
        ("MACVNET_LOGIN", made.login),
        ("MACVNET_SECONDS", f"{made.seconds:.3f}"),
        *(("MACVNET_ERROR", text) for text in made.errors),
        *(("MACVNET_OPERATION", text) for text in made.operations),
    ]
    datagram = b""
    for name, value in fields:
        # Printable, so without the line ends that would begin another field.
        line = f"{name}={printable(value)[:LONGEST_TEXT]}\n".encode()
        if len(datagram) + len(line) > LARGEST_DATAGRAM:
            break
        datagram += line
    return datagram


def _content(state_dir: str, name: str) -> tuple[bytes, int]:
    """A file's content and inode; nothing (and 0 or -1) where there is none."""
    path = os.path.join(state_dir, name)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return b"", 0 if name == CURRENT else -1
    except PermissionError as error:
        raise PermissionDenied(
            f"the log {quoted(path)} cannot be read by this user", "run it as root (sudo)"
        ) from error
    except (OSError, ValueError) as error:
        reason = _reason(error)
        raise StoreError(f"the log {quoted(path)} cannot be read: {reason}", "ls -l") from error
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _private(status):
            raise StoreError(
                f"the log {quoted(path)} belongs to another user, or others can write it",
                f"ls -l {printable(path)}",
            )
        # A second writer may have come just before the rotation.
        return file.read(LARGEST_FILE + 16 * LARGEST_ENTRY), status.st_ino


def _parsed(line: bytes) -> Entry | None:
    # A full disk may have cut the entry before in the middle of its line.
    begin = line.rfind(_BEGIN)
    try:
        data = jsontext.read(line[max(begin, 0) :].decode())
        return _entry_of(data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _entry_of(data: dict[str, Any]) -> Entry:
    for name, kind in _KINDS.items():
        if not isinstance(data[name], kind) or isinstance(data[name], bool):
            raise TypeError(name)
    for name in _LISTS:
        if not all(isinstance(text, str) for text in data[name]):
            raise TypeError(name)
        data[name] = tuple(data[name])
    return Entry(**{name: data[name] for name in Entry._fields})


_LISTS = ("arguments", "errors", "operations")
_KINDS: dict[str, Any] = {
    "time": str,
    "seconds": (int, float),
    **dict.fromkeys(("pid", "user", "status", "left_out"), int),
    **dict.fromkeys(("sudo_user", "login"), str),
    **dict.fromkeys(_LISTS, list),
}


def _typed(argument: str) -> str:
    """An argument as a shell reads it, so far as it has plain characters."""
    if argument and all(c.isalnum() or c in "@%+=:,./-_" for c in argument):
        return argument
    return "'" + argument.replace("'", "'\\''") + "'"
