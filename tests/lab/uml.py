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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.lab import processes

ROOT = Path(__file__).resolve().parents[2]
INIT = Path(__file__).with_name("uml-init.sh")
MEMORY = 1024  # MiB
BEGIN = "=== User Mode Linux begins"
END = "=== User Mode Linux ends"
POWER_OFF_SECONDS = 20.0
"""How long the machine may take to go off when its work is done; the result is out by then."""
CABLE = ("02:00:5e:00:53:01", "02:00:5e:00:53:02")
"""The permanent MACs of eth0 and eth1 where they are plugged into each other."""


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
    """``status`` of the work, None if it never ended; all that was printed, if nothing began.

    ``cut``: the power was cut, as wanted.
    """

    def __init__(self, status: int | None, began: bool, preamble: str, cut: bool) -> None:
        self.status = status
        self.began = began
        self.preamble = preamble
        self.cut = cut

    def __str__(self) -> str:
        if not self.began:
            return f"User Mode Linux did not start:\n{self.preamble}"
        return "it did not finish" if self.status is None else f"exit status {self.status}"


class Cut(NamedTuple):
    """A power cut ``seconds`` after the work has printed the line ``said``."""

    said: str
    seconds: float


def make_disk(path: Path) -> None:
    """An empty ext4 file system in a file, to be a machine's disk."""
    with path.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True)


def _arguments(job: Path, disk: Path | None, cable: bool, systemd: bool) -> list[str]:
    """What makes a machine: the programs in front of linux.uml, and its own arguments."""
    # In a PID namespace, because its helper processes would survive its violent end.
    front = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--pid", "--fork", "--kill-child"]
    hardware = []
    if cable:
        # The cable is a pair of UDP ports, in a namespace where they are free.
        front += ["--net", "--", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
        for number, mac in enumerate(CABLE):
            ports = f"{7001 + number},{7002 - number}"
            hardware.append(f"eth{number}=ucast,{mac},127.0.0.1,{ports}")
    else:
        front.append("--")
    if disk is not None:
        hardware += [f"ubd0={disk}", "macvnet_disk=/dev/ubda"]
    if systemd:
        hardware.append("macvnet_systemd=1")
    return [
        *front,
        # It switches to another process for each system call: much faster on one processor.
        *("taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))),
        *("linux.uml", f"mem={MEMORY}M", "root=/dev/root", "rootfstype=hostfs"),
        *("rootflags=/", "ro", "quiet", "con=null", "con0=fd:0,fd:1", *hardware),
        # Its control socket; a machine that is cut off leaves it behind.
        f"uml_dir={job}/uml/",
        *(f"macvnet_job={job}", "init=/bin/sh", "--", str(INIT)),
    ]


def boot(
    script: str,
    job: Path,
    *,
    timeout: float,
    disk: Path | None = None,
    cable: bool = False,
    cut: Cut | None = None,
    systemd: bool = False,
) -> Outcome:
    """Run a shell script inside; its folder ``job`` is /run/job there, its output comes live.

    ``disk`` (of ``make_disk``) is mounted on /run/disk: unlike the job's folder it
    has a page cache of its own, so what was not synced is lost in a power cut.
    With ``cable`` there are eth0 and eth1, plugged into each other. With ``systemd``
    that is the first process there, as it is on most machines.
    """
    check_usable()
    (job / "work.sh").write_text(script)
    (job / "status").unlink(missing_ok=True)
    machine = subprocess.Popen(
        _arguments(job, disk, cable, systemd),
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

    was_cut = threading.Event()
    timers: list[threading.Timer] = []

    def cut_power() -> None:
        was_cut.set()
        stop()

    def after(seconds: float, action: Callable[[], None]) -> None:
        timers.append(threading.Timer(seconds, action))
        timers[-1].start()

    def heard(line: str) -> None:
        if line == END:
            after(POWER_OFF_SECONDS, stop)
        elif cut is not None and line == cut.said:
            after(cut.seconds, cut_power)

    after(timeout, stop)
    try:
        began, preamble = _relay(machine, heard)
        machine.wait()
    finally:
        for timer in timers:
            timer.cancel()
        stop()
        machine.wait()
        if machine.stdout:
            machine.stdout.close()
    try:
        status = int((job / "status").read_text())
    except (OSError, ValueError):
        status = None
    return Outcome(status, began, preamble, was_cut.is_set())


def _relay(machine: subprocess.Popen[bytes], heard: Callable[[str], None]) -> tuple[bool, str]:
    """Pass the work's output on, without what the kernel says before and after."""
    assert machine.stdout is not None
    began, ended, preamble = False, False, ""
    for raw in machine.stdout:
        text = raw.decode(errors="replace").replace("\r", "")
        heard(text.rstrip())
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
    if outcome.status is None:
        print(f"User Mode Linux, at most {timeout:.0f} s: {outcome}", file=sys.stderr)
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
        "MACVNET_TEST_FAULTS": os.environ.get("MACVNET_TEST_FAULTS", ""),
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
    # The last processor: machines that are booted by a test of their own take the first.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
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
