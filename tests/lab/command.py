"""Run macvnet and other programs inside a machine of the lab.

Two ways to run macvnet, one result: the installed executable as a subprocess,
or (``MACVNET_TEST_INPROCESS=1``, for User Mode Linux, where starting Python
costs seconds) a fork of this process, which has macvnet loaded, calling the
same entry point with real file descriptors of its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from tests.lab.processes import inside

IN_PROCESS = "MACVNET_TEST_INPROCESS"
# The command inherits the streams' own ends there; only a real process has the real start.
ALWAYS_SUBPROCESS = {"run"}
ROOT = Path(__file__).resolve().parents[2]


# Inside functions, by commands of every kind.
IMPORTED_LATE = ("tomli", "difflib", "encodings.ascii")


class CommandFailed(AssertionError):
    """A command that had to succeed did not."""


class Result(NamedTuple):
    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    def json(self) -> Any:
        return json.loads(self.stdout)

    def checked(self) -> Result:
        """Itself; CommandFailed, with both streams, unless the status is 0."""
        if self.status:
            raise CommandFailed(str(self))
        return self

    def __str__(self) -> str:
        return f"$ {' '.join(self.argv)}\n{self.stdout}{self.stderr}[status {self.status}]"


def run(
    argv: tuple[str, ...],
    *,
    enter: list[str],
    env: Mapping[str, str],
    stdin: str | None = None,
    timeout: float = 60,
) -> Result:
    """Run a program with ``enter`` (an nsenter call) before it."""
    done = subprocess.run(
        [*enter, *argv],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **env},
        check=False,
    )
    return Result(argv, done.returncode, done.stdout, done.stderr)


def executable() -> str:
    """The installed ``macvnet`` of this virtual environment."""
    path = Path(sys.executable).parent / "macvnet"
    if not path.exists():
        raise FileNotFoundError(
            f"macvnet is not installed beside {sys.executable}: pip install -e '.[test]'"
        )
    return str(path)


def in_process() -> bool:
    return os.environ.get(IN_PROCESS) == "1"


def macvnet(
    argv: tuple[str, ...],
    *,
    namespace: int,
    enter: list[str],
    env: Mapping[str, str],
    stdin: str | None = None,
    timeout: float = 60,
    fork: bool = False,
    kill_after: float | None = None,
) -> Result:
    """``fork`` asks for the fork also where starting Python costs little.

    ``kill_after`` (seconds; only with a fork) kills the command then, if it still runs.
    """
    shown = ("macvnet", *argv)
    if (fork or in_process()) and not ALWAYS_SUBPROCESS.intersection(argv[:4]):
        status, stdout, stderr = _forked(
            argv, namespace, env, stdin, timeout, kill_after=kill_after
        )
        return Result(shown, status, stdout, stderr)
    done = run((executable(), *argv), enter=enter, env=env, stdin=stdin, timeout=timeout)
    return done._replace(argv=shown)


def struck(
    argv: tuple[str, ...], *, namespace: int, enter: list[str], env: Mapping[str, str]
) -> Result:
    """macvnet with something going wrong: MODE NUMBER ARGUMENT... for ``tests.lab.faults``.

    In a fork: there are hundreds of points, and a start of Python for each takes minutes.
    """
    if not ALWAYS_SUBPROCESS.intersection(argv[2:6]):
        status, stdout, stderr = _forked(argv, namespace, env, None, 60, _struck)
        return Result(argv, status, stdout, stderr)
    words = (sys.executable, "-m", "tests.lab.faults", *argv)
    return run(words, enter=enter, env={**env, "PYTHONPATH": str(ROOT)})


def _struck() -> int:
    from tests.lab import faults

    return faults.main()


def load() -> None:
    """Import all that commands use, so that a forked one starts at once."""
    import macvnet

    for module in pkgutil.walk_packages(macvnet.__path__, "macvnet."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    gc.freeze()


def _forked(
    argv: tuple[str, ...],
    namespace: int,
    env: Mapping[str, str],
    stdin: str | None,
    timeout: float,
    main: Callable[[], object] | None = None,
    *,
    kill_after: float | None = None,
) -> tuple[int, str, str]:
    load()
    from macvnet.cli.entry import main as installed

    (out_read, out), (err_read, err) = os.pipe(), os.pipe()
    source = io.BytesIO() if stdin is None else io.BytesIO(stdin.encode())
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _child(argv, namespace, env, source.getvalue(), out, err, main or installed)
    os.close(out)
    os.close(err)
    texts = {out_read: b"", err_read: b""}
    deadline = time.monotonic() + timeout
    strike = deadline if kill_after is None else time.monotonic() + kill_after
    with selectors.DefaultSelector() as ready:
        for fd in texts:
            ready.register(fd, selectors.EVENT_READ)
        while ready.get_map():
            for key, _ in ready.select(max(0.0, min(strike, deadline) - time.monotonic())):
                part = os.read(key.fd, 65536)
                if part:
                    texts[key.fd] += part
                else:
                    ready.unregister(key.fd)
            if strike < deadline and time.monotonic() >= strike:
                # It is ours until we have waited for it, so the number is nobody else's.
                os.kill(pid, signal.SIGKILL)
                strike = deadline
            if time.monotonic() >= deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise subprocess.TimeoutExpired(["macvnet", *argv], timeout)
    _, waited = os.waitpid(pid, 0)
    for fd in texts:
        os.close(fd)
    stdout, stderr = texts[out_read].decode(), texts[err_read].decode()
    return os.waitstatus_to_exitcode(waited), stdout, stderr


def _child(
    argv: tuple[str, ...],
    namespace: int,
    env: Mapping[str, str],
    stdin: bytes,
    out: int,
    err: int,
    main: Callable[[], object],
) -> NoReturn:
    status = 1
    try:
        source, sink = os.pipe()
        os.write(sink, stdin)
        os.close(sink)
        for fd, standard in ((source, 0), (out, 1), (err, 2)):
            os.dup2(fd, standard)
        os.closerange(3, namespace)
        os.closerange(namespace + 1, 4096)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdin = os.fdopen(0, encoding="utf-8")
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1)
        os.environ.update(env)
        sys.argv = ["macvnet", *argv]
        status = _entry(namespace, main)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(status)


def _entry(namespace: int, main: Callable[[], object]) -> int:
    """What the installed script does: sys.exit(main())."""
    with inside(namespace):
        try:
            code = main()
        except SystemExit as leaving:
            code = leaving.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1
