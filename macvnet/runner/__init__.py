"""``run``: a command in network and mount namespaces of its own, on networks.

The counterpart of ``docker run`` without images: what is new is the network,
everything else is the host's. A supervisor (this process, or with ``detach``
one that stays behind) waits for the command and takes the endpoints away when
it ends, however it ends. The command is killed with its supervisor, so a run
never goes on unattended; what a killed supervisor could not take away is
recorded, and freed by the next run of that name or by ``disconnect``.

There is no PID namespace: processes that the command leaves behind live on, in
a namespace without endpoints.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from macvnet.errors import MacvnetError
from macvnet.kernel.namespaces import Namespace
from macvnet.runner import registry, sandbox, supervise
from macvnet.runner.launch import (
    Launched,
    close_all_but,
    launch,
    receive_ready,
    refusal,
    release,
    reset_signals,
    send_failure,
)
from macvnet.runner.registry import Networks
from macvnet.runner.request import Identity, RunRequest, judge
from macvnet.runtimes import Target
from macvnet.runtimes.run import resolve_run

__all__ = ["Networks", "RunRequest", "resolve_run", "run"]

Note = Callable[[str], None]

SUPERVISOR_NAME = "macvnet-run"
"""What ps shows of the process that stays behind with ``detach``."""


def run(
    engine: Networks,
    request: RunRequest,
    *,
    note: Note,
    on_started: Callable[[str], None] | None = None,
) -> int:
    """Run a command on networks; its exit status, 128 + N where signal N killed it.

    With ``detach`` it returns 0 as soon as the command runs, and calls
    ``on_started`` with the run's ID. Raises what the engine refuses, Conflict
    for a name in use, and errors of exit status 127 and 126 where there is no
    such command or it cannot be executed; nothing is then left behind.
    """
    judge(request)
    identity = Identity.of(request)
    # Opened again by whoever needs it: no handle of the store crosses a fork.
    engine.close()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        if not request.detach:
            return _attended(engine, request, identity, ours, theirs, note)
        _detached(engine, request, identity, ours, theirs, note)
    if on_started is not None:
        on_started(identity.id)
    return 0


def _attended(
    engine: Networks,
    request: RunRequest,
    identity: Identity,
    ours: socket.socket,
    theirs: socket.socket,
    note: Note,
) -> int:
    try:
        launched = launch(request, theirs, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    except sandbox.Failed as failed:
        raise refusal(failed) from None
    theirs.close()
    with launched:
        _bring_up(engine, request, identity, ours, note)
        try:
            # From the moment the command runs, signals are the command's.
            with supervise.signals_held():
                release(ours, request.command)
                keyboard = request.tty and request.interactive
                status = supervise.wait_attended(launched, keyboard=keyboard)
                _finish(engine, identity, launched, note)
        except BaseException:
            # A signal that came just before they were held.
            launched.end()
            _finish(engine, identity, launched, note)
            raise
        return status


def _bring_up(
    engine: Networks,
    request: RunRequest,
    identity: Identity,
    channel: socket.socket,
    note: Note,
    *,
    begin: bool = False,
) -> None:
    """Register the run, attach it and, with ``begin``, let the command run: all or nothing."""
    ready = receive_ready(channel)
    for text in ready.notes:
        note(text)
    with Namespace.of_pid(ready.pid) as namespace:
        try:
            registry.register(
                engine,
                identity,
                pid=ready.pid,
                supervisor=ready.supervisor,
                namespace=namespace,
                command=request.command,
            )
            target = Target(identity.owner, namespace, ready.pid)
            engine.attach_target(target, request.wanted)
            if begin:
                # A signal comes before the command runs, and ends all, or too late.
                with supervise.signals_held():
                    release(channel, request.command)
        except BaseException:
            registry.take_down(engine, identity, namespace)
            raise


def _finish(engine: Networks, identity: Identity, launched: Launched, note: Note) -> None:
    """Take the endpoints away; a failure to is told, and leaves the command its status."""
    try:
        registry.take_down(engine, identity, launched.namespace)
    except MacvnetError as error:
        note(
            f"the endpoints of run:{identity.name} remain ({error.message}): "
            f"macvnet detach run:{identity.name}"
        )


def _detached(
    engine: Networks,
    request: RunRequest,
    identity: Identity,
    ours: socket.socket,
    theirs: socket.socket,
    note: Note,
) -> None:
    """Leave a supervisor behind, which launches the command; bring the networks up."""
    settled, unsettled = os.pipe()
    try:
        first = os.fork()
        if first == 0:
            _become_supervisor(engine, request, identity, theirs, settled)
        theirs.close()
        os.waitpid(first, 0)
        _bring_up(engine, request, identity, ours, note, begin=True)
    finally:
        # Its end tells the supervisor that this process is done, or dead.
        os.close(unsettled)
        os.close(settled)


def _become_supervisor(
    engine: Networks, request: RunRequest, identity: Identity, channel: socket.socket, settled: int
) -> NoReturn:
    try:
        os.setsid()
        if os.fork() == 0:
            with supervise.signals_held() as mask:
                _supervise(engine, request, identity, channel, settled, mask)
    finally:
        os._exit(0)


def _supervise(
    engine: Networks,
    request: RunRequest,
    identity: Identity,
    channel: socket.socket,
    settled: int,
    mask: set[int],
) -> None:
    try:
        launched = launch(request, channel, mask)
    except sandbox.Failed as failed:
        send_failure(channel, failed)
        return
    with launched:
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        reset_signals(held)
        close_all_but({settled, *launched.descriptors})
        for _ in range(3):
            os.open(os.devnull, os.O_RDWR)
        os.chdir("/")
        with open("/proc/self/comm", "w", encoding="ascii") as comm:
            comm.write(SUPERVISOR_NAME)
        supervise.wait_alone(launched)
        # Whoever started us may still be undoing what it began.
        os.read(settled, 1)
        registry.take_down(engine, identity, launched.namespace)
