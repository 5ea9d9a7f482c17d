"""The process that becomes the command: forked, furnished, held back, released.

Speaks with whoever brings the networks up over one socket, a message each way
at a time: "ready" with the PID, then the word to go, then why the command could
not be executed, or the end of the stream when it was.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
from collections.abc import Collection
from types import TracebackType
from typing import Any, NoReturn

from macvnet import failures
from macvnet.errors import (
    InvalidRequest,
    KernelRefused,
    MacvnetError,
    NotFound,
    PermissionDenied,
)
from macvnet.kernel.namespaces import Namespace, entered
from macvnet.records import NamedTuple
from macvnet.runner import libc, sandbox, terminal
from macvnet.runner.request import RunRequest
from macvnet.text import printable, quoted

GO = b"go"
LONGEST_MESSAGE = 1 << 16
NOT_FOUND = 127
NOT_EXECUTABLE = 126


class Ready(NamedTuple):
    """The command's process waits for the word. ``supervisor`` is its parent."""

    pid: int
    supervisor: int
    notes: tuple[str, ...]


class Streams(NamedTuple):
    """The command's standard input, output and error; ``master`` and ``writer`` are ours.

    ``slave`` is a terminal that is all three of them. ``writer``, never written
    to, keeps an input open that nobody types into. -1: there is none.
    """

    inputs: int
    outputs: int
    slave: int
    master: int
    writer: int

    @classmethod
    def of(cls, request: RunRequest) -> Streams:
        if request.tty:
            master, slave = os.openpty()
            terminal.copy_size(master)
            return cls(-1, -1, slave, master, -1)
        outputs = os.open(os.devnull, os.O_RDWR) if request.detach else -1
        if request.interactive and not request.detach:
            return cls(-1, outputs, -1, -1, -1)
        if request.interactive:
            reader, writer = os.pipe()
            return cls(reader, outputs, -1, -1, writer)
        return cls(os.open(os.devnull, os.O_RDONLY), outputs, -1, -1, -1)

    def become(self) -> None:
        """Make them this process's own."""
        if self.slave >= 0:
            os.login_tty(self.slave)
            return
        if self.inputs >= 0:
            os.dup2(self.inputs, 0)
        if self.outputs >= 0:
            os.dup2(self.outputs, 1)
            os.dup2(self.outputs, 2)

    def close_theirs(self) -> None:
        for fd in (self.inputs, self.outputs, self.slave):
            if fd >= 0:
                os.close(fd)


class Launched:
    """A process about to become the command, or become it; a context manager that ends it."""

    def __init__(self, pid: int, namespace: Namespace, master: int, writer: int) -> None:
        self.pid = pid
        self.namespace = namespace
        self.master = master
        self.writer = writer
        self.status: int | None = None

    @property
    def descriptors(self) -> set[int]:
        return {fd for fd in (self.namespace.fd, self.master, self.writer) if fd >= 0}

    def reap(self, *, wait: bool = False) -> int | None:
        """Exit status if it has ended (or as soon as it has): 128 + N for signal N."""
        if self.status is None:
            pid, waited = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(waited)
                self.status = code if code >= 0 else 128 - code
        return self.status

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.reap() is None:
            os.kill(self.pid, number)

    def end(self) -> None:
        """Kill it if it still runs. The namespace stays open."""
        self.signal(signal.SIGKILL)
        self.reap(wait=True)

    def __enter__(self) -> Launched:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        self.namespace.close()
        for fd in (self.master, self.writer):
            if fd >= 0:
                os.close(fd)


def launch(request: RunRequest, channel: socket.socket, mask: Collection[int]) -> Launched:
    """Fork the process that will be the command; it reports on ``channel``.

    ``mask`` is the signal mask the command gets. Raises sandbox.Failed.
    """
    namespace = sandbox.new_network()
    streams = Streams.of(request)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(request, channel, mask, namespace, streams, parent)
    streams.close_theirs()
    return Launched(pid, namespace, streams.master, streams.writer)


def _become(
    request: RunRequest,
    channel: socket.socket,
    mask: Collection[int],
    namespace: Namespace,
    streams: Streams,
    parent: int,
) -> NoReturn:
    status = NOT_EXECUTABLE
    try:
        reset_signals(mask)
        # Without its supervisor nobody would take the endpoint away at the command's end,
        # and its address would stay in use unnoticed: better that both end together.
        libc.die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(status)
        if request.detach and not request.tty:
            os.setsid()
        streams.become()
        close_all_but({0, 1, 2, channel.fileno(), namespace.fd})
        with entered(namespace):
            notes = sandbox.furnish(sandbox.Inside(request.name, request.dns))
            send(channel, {"pid": os.getpid(), "supervisor": parent, "notes": notes})
            if channel.recv(len(GO)) == GO:
                status = _execute(request.command, channel)
    except sandbox.Failed as failed:
        send_failure(channel, failed)
    finally:
        os._exit(status)


def _execute(command: tuple[str, ...], channel: socket.socket) -> int:
    try:
        os.execvp(command[0], command)  # noqa: S606 - that no shell is in between is the point
    except OSError as error:
        number = error.errno or errno.ENOENT
        send(channel, {"exec": number})
        return NOT_FOUND if number in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE


def reset_signals(mask: Collection[int]) -> None:
    """What is handled here is at its default; what was ignored before us stays ignored."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    # Python itself ignores these two.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def close_all_but(kept: set[int]) -> None:
    """Close every other descriptor: stores, locks, whatever was inherited."""
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd not in kept:
            try:
                os.close(fd)
            except OSError:
                # The one that listed the folder.
                continue


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Send a message; nobody may be there any more to receive it."""
    try:
        channel.send(json.dumps(message).encode()[:LONGEST_MESSAGE])
    except OSError:
        return


def send_failure(channel: socket.socket, failed: sandbox.Failed) -> None:
    """Say which step the kernel refused."""
    send(channel, {"operation": failed.operation, "errno": failed.errno})


def refusal(failed: sandbox.Failed) -> MacvnetError:
    """A refused step in words for people."""
    if failed.errno in (errno.EPERM, errno.EACCES):
        missing = "CAP_NET_ADMIN" if failed.operation == sandbox.LOOPBACK else "CAP_SYS_ADMIN"
        return PermissionDenied(
            f"the capability {missing} is missing to {failed.operation}", "run macvnet as root"
        )
    error = OSError(failed.errno, os.strerror(failed.errno))
    return KernelRefused(
        failed.operation, failed.errno, failures.reason(error), failures.advice(error)
    )


def receive_ready(channel: socket.socket) -> Ready:
    """Wait until the process is furnished. PermissionDenied, KernelRefused."""
    message = _receive(channel)
    if message is None:
        raise KernelRefused(
            "start the command's process", errno.ECHILD, "it was killed", "dmesg | tail"
        )
    if "operation" in message:
        raise refusal(sandbox.Failed(message["operation"], message["errno"]))
    return Ready(message["pid"], message["supervisor"], tuple(message["notes"]))


def release(channel: socket.socket, command: tuple[str, ...]) -> None:
    """Let the process become the command.

    An error whose exit status is 127 (there is no such command) or 126 (it
    cannot be executed), as a shell has them.
    """
    try:
        channel.send(GO)
    except OSError:
        # Killed meanwhile: its exit status tells.
        return
    message = _receive(channel)
    if message is None:
        return
    shown = quoted(command[0])
    refused: MacvnetError
    if message["exec"] in (errno.ENOENT, errno.ENOTDIR):
        there = "/" in command[0] and os.path.exists(command[0])
        what = (
            f"the interpreter of {shown} does not exist" if there else f"no command {shown} found"
        )
        hint = (
            f"head -n 1 {printable(command[0])}" if there else "an absolute path, or another PATH"
        )
        refused = NotFound(what, hint)
        refused.exit_status = NOT_FOUND
    else:
        reason = os.strerror(message["exec"])
        refused = InvalidRequest(
            f"command {shown} cannot be executed: {reason}", f"ls -l {printable(command[0])}"
        )
        refused.exit_status = NOT_EXECUTABLE
    raise refused


def _receive(channel: socket.socket) -> dict[str, Any] | None:
    data = channel.recv(LONGEST_MESSAGE)
    message: dict[str, Any] | None = json.loads(data) if data else None
    return message
