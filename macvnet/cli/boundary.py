"""The one place where a failure becomes words on stderr and an exit status.

Nothing else prints an error of its own or ends the process.
"""

from __future__ import annotations

import os
import sys

from macvnet import signals
from macvnet.cli.invocation import Invocation, OutputClosed, flush
from macvnet.errors import Interrupted, MacvnetError, UsageError
from macvnet.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import NoReturn

BROKEN_PIPE = 128 + signals.SIGPIPE


class Stop(KeyboardInterrupt):
    """A signal asked us to end. Not an Exception, so that nobody takes it for a failed step."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _stop(number: int, frame: FrameType | None) -> None:
    # One is enough: what follows is the undoing, which must not be cut short.
    for again in (signals.SIGINT, signals.SIGTERM, signals.SIGHUP):
        signals.signal(again, signals.SIG_IGN)
    raise Stop(number)


def listen() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into an orderly end. Ignored ones (nohup) stay ignored."""
    for number in (signals.SIGINT, signals.SIGTERM, signals.SIGHUP):
        if signals.getsignal(number) in (signals.SIG_DFL, signals.default_int_handler):
            signals.signal(number, _stop)


def guarded(invocation: Invocation, work: Callable[[], int]) -> int:
    """Run ``work``, report what goes wrong, return the exit status."""
    status = _reported(invocation, work)
    last = _reported(invocation, _flushed)
    if last:
        # The interpreter flushes once more when it ends, and would complain of its own.
        _silence_stdout()
    return status or last


def end(status: int) -> NoReturn:
    """The last step of a process: tell all that is to be told, leave what waits for it, and go."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            # What could be told of it has been told.
            continue
    detached = sys.modules.get("macvnet.kernel.detached")
    if detached is not None:
        detached.leave_waiting()
    os._exit(status)


def record(invocation: Invocation, arguments: Sequence[str], status: int) -> None:
    """Write a command that changes something into the log. Never fails, never raises."""
    if invocation.began is None:
        return
    from macvnet import journal

    try:
        made = journal.entry(
            arguments,
            status,
            invocation.errors,
            invocation.operations,
            began=invocation.began,
        )
        failure = journal.record(invocation.settings.state_dir, made)
        # Who was refused for want of a privilege need not hear of it twice.
        if failure and (made.operations or not status):
            invocation.note(f"this command is not in the log, {failure}")
    except (MacvnetError, OutputClosed, KeyboardInterrupt):
        # Without settings there is no log; and what was done stays done.
        return


def _flushed() -> int:
    flush()
    return 0


def _reported(invocation: Invocation, work: Callable[[], int]) -> int:
    try:
        return work()
    except MacvnetError as error:
        return _tell(invocation, error)
    except Stop as stop:
        return _tell(invocation, Interrupted(stop.number))
    except KeyboardInterrupt:
        return _tell(invocation, Interrupted(signals.SIGINT))
    except OutputClosed:
        return BROKEN_PIPE
    except Exception as error:
        status = _clicks(invocation, error) if "click" in sys.modules else None
        return _unforeseen(invocation, error) if status is None else status


def _clicks(invocation: Invocation, error: Exception) -> int | None:
    """The exit status for what click raises; None for anything else."""
    import click

    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        return _tell(invocation, Interrupted(signals.SIGINT))
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path} --help" if context else "macvnet --help"
        return _tell(invocation, UsageError(error.format_message().rstrip("."), hint))
    return None


def _tell(invocation: Invocation, error: MacvnetError) -> int:
    invocation.error(error)
    return error.exit_status


def _silence_stdout() -> None:
    """Let the interpreter's own last flush go nowhere."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass


def _unforeseen(invocation: Invocation, error: Exception) -> int:
    """A machine in distress is no bug of ours."""
    from macvnet import failures

    told = failures.told(error)
    return _bug(invocation, error) if told is None else _tell(invocation, told)


def _bug(invocation: Invocation, error: Exception) -> int:
    what = f"a bug in macvnet: {type(error).__name__}"
    path = _log(invocation)
    if path is None:
        invocation.error(MacvnetError(what, "macvnet --version, for a report"))
    else:
        invocation.error(MacvnetError(f"{what}, recorded in '{path}'", f"cat {path}"))
    return MacvnetError.exit_status


def _log(invocation: Invocation) -> str | None:
    """Write the traceback into a new private file, in the state directory where that can be."""
    import tempfile
    import traceback

    from macvnet import __version__

    text = f"macvnet {__version__}, arguments {sys.argv[1:]!r}\n{traceback.format_exc()}"
    for directory in (_state_dir(invocation), None):
        try:
            descriptor, path = tempfile.mkstemp(prefix="bug-", suffix=".log", dir=directory)
        except OSError:
            continue
        with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
            file.write(text)
        return printable(path)
    return None


def _state_dir(invocation: Invocation) -> str | None:
    try:
        directory = invocation.settings.state_dir
        status = os.lstat(directory)
    except (OSError, MacvnetError):
        return None
    safe = status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return directory if safe else None
