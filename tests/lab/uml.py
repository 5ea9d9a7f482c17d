"""Run tests, or any command, inside User Mode Linux, whose kernel has every kind of link.

    python -m tests.lab.uml [--timeout SECONDS] [--everything] [PYTEST ARGUMENTS...]
    python -m tests.lab.uml --command COMMAND...

``linux.uml`` is an ordinary process that boots this machine's file system as
it is, under an overlay in memory. Its exit status is worth nothing: what counts
is a file that the work leaves, and a list of tests that were really executed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab import processes

ROOT = Path(__file__).resolve().parents[2]
INIT = Path(__file__).with_name("uml-init.sh")
MEMORY = 1024  # MiB
BEGIN = "=== User Mode Linux begins"
END = "=== User Mode Linux ends"


class Unusable(Exception):
    """User Mode Linux cannot run here; the text says what to do."""


def check_usable() -> None:
    if os.geteuid() != 0:
        raise Unusable("the tests in User Mode Linux need root (sudo make uml)")
    for program, package in (("linux.uml", "user-mode-linux"), ("insmod", "kmod")):
        if not shutil.which(program):
            raise Unusable(f"{program} is missing: apt-get install {package}")
    if not list(Path("/usr/lib/uml/modules").glob("*/kernel/fs/overlayfs/overlay.ko")):
        raise Unusable("its kernel modules are missing: apt-get install user-mode-linux")


def _memory_folder(fallback: Path) -> str:
    """Where the machine's memory is kept: in memory, if that is big enough and executable."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return str(fallback)
    free = found.f_bavail * found.f_frsize
    executable = not found.f_flag & os.ST_NOEXEC
    return "/dev/shm" if executable and free > (MEMORY + 256) << 20 else str(fallback)


class Outcome:
    """``status`` of the work, None if it never ended; all that was printed, if nothing began."""

    def __init__(self, status: int | None, began: bool, preamble: str) -> None:
        self.status = status
        self.began = began
        self.preamble = preamble


def boot(script: str, job: Path, *, timeout: float) -> Outcome:
    """Run a shell script inside; its folder ``job`` is /run/job there, its output comes live."""
    check_usable()
    (job / "work.sh").write_text(script)
    machine = subprocess.Popen(
        [
            # In a PID namespace, because its helper processes would survive its violent end.
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *("unshare", "--pid", "--fork", "--kill-child", "--"),
            *("linux.uml", f"mem={MEMORY}M", "root=/dev/root", "rootfstype=hostfs"),
            *("rootflags=/", "ro", "quiet", "con=null", "con0=fd:0,fd:1"),
            *(f"macvnet_job={job}", "init=/bin/sh", "--", str(INIT)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": _memory_folder(job)},
        start_new_session=True,
    )

    def stop() -> None:
        try:
            os.killpg(machine.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    watch = threading.Timer(timeout, stop)
    watch.start()
    try:
        began, preamble = _relay(machine)
        machine.wait()
    finally:
        watch.cancel()
        stop()
        machine.wait()
        if machine.stdout:
            machine.stdout.close()
    try:
        status = int((job / "status").read_text())
    except (OSError, ValueError):
        status = None
    return Outcome(status, began, preamble)


def _relay(machine: subprocess.Popen[bytes]) -> tuple[bool, str]:
    """Pass the work's output on, without what the kernel says before and after."""
    assert machine.stdout is not None
    began, ended, preamble = False, False, ""
    for raw in machine.stdout:
        text = raw.decode(errors="replace").replace("\r", "")
        if text.startswith(BEGIN):
            began = True
        elif text.startswith(END):
            ended = True
        elif began and not ended:
            sys.stdout.write(text)
            sys.stdout.flush()
        elif not began:
            preamble += text
    return began, preamble


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def script_for(argv: Sequence[str], env: dict[str, str]) -> str:
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in env.items())
    return f"{exports}cd {shlex.quote(str(ROOT))} || exit 1\nexec {shlex.join(argv)}\n"


@contextlib.contextmanager
def _job() -> Iterator[Path]:
    """A folder for one job; those that killed runs left go first."""
    processes.reap_dead_labs()
    folder = processes.temporary_folder(processes.new_lab_id())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(argv: Sequence[str], *, timeout: float, env: dict[str, str] | None = None) -> int:
    """Run a command inside; its exit status, or 1 with a message."""
    with _job() as job:
        return _status(boot(script_for(argv, env or {}), job, timeout=timeout), timeout)


def _status(outcome: Outcome, timeout: float) -> int:
    if not outcome.began:
        print(outcome.preamble, end="")
        print("User Mode Linux did not start", file=sys.stderr)
        return 1
    if outcome.status is None:
        print(f"User Mode Linux did not finish within {timeout:.0f} s", file=sys.stderr)
        return 1
    return outcome.status


def run_pytest(arguments: Sequence[str], *, timeout: float, everything: bool) -> int:
    """Run pytest inside; non-zero also if no test was executed."""
    env = {
        "MACVNET_TEST_UML": "1",
        "MACVNET_TEST_INPROCESS": "1",
        "MACVNET_TEST_EVERYTHING": "1" if everything else "0",
        "MACVNET_TEST_LEDGER": "/run/job",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]
    with _job() as job:
        status = _status(boot(script_for(argv, env), job, timeout=timeout), timeout)
        executed = _lines(job / "executed")
        ledger = os.environ.get("MACVNET_TEST_LEDGER")
        for name in ("collected", "executed"):
            if ledger:
                with Path(ledger, name).open("a") as file:
                    file.writelines(f"{line}\n" for line in _lines(job / name))
    if status == 0 and not executed:
        print("no test was executed in User Mode Linux", file=sys.stderr)
        return 1
    print(f"{len(executed)} tests executed in User Mode Linux, exit status {status}")
    return status


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.uml")
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS")
    parser.add_argument("--everything", action="store_true", help="also tests without a mark")
    parser.add_argument("--command", action="store_true", help="the rest is a command, not pytest")
    options, rest = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.command:
            return run(rest, timeout=options.timeout)
        arguments = rest or ["tests/kernel"]
        return run_pytest(arguments, timeout=options.timeout, everything=options.everything)
    except Unusable as reason:
        print(f"macvnet tests: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
