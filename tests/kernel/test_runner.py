"""The runner alone, with real processes and namespaces and an engine that only records.

Each test runs a program of its own, as the command line would: the runner
forks, and a forked pytest would be two.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from macvnet import keys
from macvnet.errors import NotFound
from macvnet.runner import resolve_run
from macvnet.store import open_store

PROGRAM = """
import json, os, signal, sys
from macvnet.errors import Exhausted, MacvnetError, NotFound
from macvnet.model import EndpointRequest
from macvnet.runner import RunRequest, run, supervise
from macvnet.store import open_store

folder, options = sys.argv[1], json.loads(sys.argv[2])
supervise.GRACE_SECONDS = options.pop("grace", 10.0)
refusing = options.pop("refusing", False)

class Engine:
    opened = None

    @property
    def store(self):
        if self.opened is None:
            self.opened = open_store(folder)
        return self.opened

    def close(self):
        if self.opened is not None:
            self.opened.close()
        self.opened = None

    def log(self, verb, target, **more):
        entry = {"verb": verb, "owner": str(target.owner), "id": target.owner.id,
                 "inode": target.namespace.inode, "by": os.getpid(), **more}
        with open(folder + "/log", "a") as file:
            file.write(json.dumps(entry) + "\\n")

    def attach_target(self, target, wanted):
        self.log("attach", target, pid=target.pid, wanted=[term for term, _ in wanted])
        if refusing:
            raise Exhausted("no free address is left", "another --subnet")

    def detach_target(self, target, terms):
        self.log("detach", target)

    def detach(self, container, terms):
        with open(folder + "/log", "a") as file:
            file.write(json.dumps({"verb": "free", "owner": container}) + "\\n")
        raise NotFound("nothing of it")

engine = Engine()
engine.store.get("an engine that was used before")
request = RunRequest(
    wanted=(("lan", EndpointRequest()),), command=tuple(options.pop("command")),
    **{key: tuple(value) if isinstance(value, list) else value for key, value in options.items()},
)
try:
    status = run(engine, request, note=lambda text: print("note:", text, file=sys.stderr),
                 on_started=lambda text: print(text, flush=True))
except MacvnetError as error:
    print("error:", error.message, "| hint:", error.hint, file=sys.stderr)
    status = error.exit_status
sys.exit(status)
"""


class Runner:
    """Starts the program; knows what its engine was asked and what is recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o700)

    def argv(self, *command: str, **options: Any) -> list[str]:
        asked = json.dumps({"command": command, **options})
        return [sys.executable, "-c", PROGRAM, str(self.folder), asked]

    def __call__(
        self, *command: str, stdin: str | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*command, **options), capture_output=True, text=True, input=stdin, timeout=30
        )

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*command, **options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def verbs(self) -> list[str]:
        return [str(entry["verb"]) for entry in self.log]

    @property
    def records(self) -> list[dict[str, Any]]:
        with open_store(str(self.folder), read_only=True) as store:
            return [record for _, record in store.scan(keys.RUNS)]

    def record(self, name: str) -> dict[str, Any]:
        (found,) = [record for record in self.records if record["name"] == name]
        return found


def wait_until(condition: Callable[[], object], seconds: float = 8) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = Runner(tmp_path)
    yield made
    for record in made.records:
        for pid in (record["supervisor"], record["pid"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


SHELL = ("sh", "-c")
SHELL_PATH = ("/bin/sh", "-c")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("true",), 0),
        ((*SHELL, "exit 7"), 7),
        ((*SHELL, "kill -TERM $$"), 143),
        ((*SHELL, "kill -KILL $$"), 137),
    ],
)
def test_exit_status_is_the_commands_own(
    runner: Runner, command: tuple[str, ...], status: int
) -> None:
    done = runner(*command)
    assert (done.returncode, done.stdout) == (status, "")
    assert runner.verbs == ["attach", "detach"]
    assert runner.records == []


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("no-such-command", 127, "error: no command 'no-such-command' found"),
        ("/no/such/command", 127, "error: no command '/no/such/command' found"),
        ("/etc/passwd", 126, "error: command '/etc/passwd' cannot be executed: Permission denied"),
        ("/tmp", 126, "error: command '/tmp' cannot be executed"),
    ],
)
def test_command_that_cannot_be_executed_leaves_nothing(
    runner: Runner, command: str, status: int, message: str, detach: bool
) -> None:
    done = runner(command, detach=detach)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert runner.verbs == ["attach", "detach"]
    assert runner.records == []


@pytest.mark.parametrize("detach", [False, True])
def test_refused_network_leaves_nothing_and_the_command_never_ran(
    runner: Runner, detach: bool, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    done = runner("touch", str(ran), refusing=True, detach=detach, name="web")
    assert done.returncode == 6
    assert done.stderr == "error: no free address is left | hint: another --subnet\n"
    pid = runner.log[0]["pid"]
    wait_until(lambda: not running(pid))
    assert not ran.exists()
    assert runner.records == []


def test_engine_gets_the_commands_own_namespace(runner: Runner) -> None:
    done = runner(
        *SHELL, "echo $$; stat -L -c %i /proc/self/ns/net; stat -L -c %i /proc/self/ns/mnt"
    )
    pid, net, mnt = map(int, done.stdout.split())
    attach, detach = runner.log
    assert (attach["pid"], attach["inode"], detach["inode"]) == (pid, net, net)
    assert attach["wanted"] == ["lan"]
    assert net != os.stat("/proc/self/ns/net").st_ino
    assert mnt != os.stat("/proc/self/ns/mnt").st_ino
    assert re.fullmatch("run:run-[0-9a-f]{12}", attach["owner"])
    assert re.fullmatch("[0-9a-f]{64}", attach["id"])


def test_own_sys_and_lo_up_and_no_mount_leaks(runner: Runner) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    done = runner(*SHELL, "ls /sys/class/net; ip -br address show lo; ls /sys/kernel | head -1")
    lines = done.stdout.splitlines()
    assert lines[0] == "lo"
    assert "127.0.0.1/8" in lines[1]
    assert lines[2]
    assert Path("/proc/self/mountinfo").read_text() == before


def test_command_inherits_three_streams_and_nothing_else(runner: Runner) -> None:
    done = runner(*SHELL, "exec ls -l /proc/self/fd")
    numbers = re.findall(r" (\d+) ->", done.stdout)
    # ls itself has opened the folder as the next one.
    assert numbers == ["0", "1", "2", "3"]
    assert "/proc/" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("interactive", "read"), [(False, ""), (True, "typed")])
def test_stdin_is_the_callers_only_on_request(runner: Runner, interactive: bool, read: str) -> None:
    assert runner("cat", stdin="typed", interactive=interactive).stdout == read


def test_ignored_and_blocked_signals_are_the_callers(runner: Runner) -> None:
    status = runner("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status").stdout
    outside = subprocess.run(
        ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"], capture_output=True, text=True
    ).stdout
    assert status == outside


TRAPS = (
    "n=0; trap 'n=$((n+1))' USR1; trap 'echo $n; exit 3' TERM; echo ready;"
    "while :; do sleep 0.02; done"
)


def test_signals_are_passed_on_once(runner: Runner) -> None:
    process = runner.start(*SHELL, TRAPS)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert (out, process.returncode) == ("1\n", 3)
    assert runner.verbs == ["attach", "detach"]


def test_command_dies_with_its_killed_supervisor(runner: Runner) -> None:
    process = runner.start(*SHELL, "echo $$; exec sleep 60", name="web")
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate()
    wait_until(lambda: not running(pid))
    # What nobody could take away stays known, and the next run of the name frees it.
    assert runner.record("web")["pid"] == pid
    with open_store(str(runner.folder)) as store, pytest.raises(NotFound):
        resolve_run(store, "web")
    assert runner("true", name="web").returncode == 0
    assert runner.verbs == ["attach", "free", "attach", "detach"]
    assert runner.log[1]["owner"] == "run:web"
    assert runner.records == []


# -- detached ---------------------------------------------------------------


def test_detached_run_prints_its_id_and_is_a_target_until_it_ends(runner: Runner) -> None:
    began = time.monotonic()
    done = runner("sleep", "60", detach=True, name="web")
    assert time.monotonic() - began < 5
    assert done.returncode == 0
    record = runner.record("web")
    assert done.stdout == record["id"] + "\n"
    assert record["command"] == ["sleep", "60"]
    with open_store(str(runner.folder)) as store:
        assert resolve_run(store, "web") == (record["pid"], f"/proc/{record['pid']}/ns/net")
    assert os.getsid(record["pid"]) != os.getsid(0)
    assert os.getsid(record["supervisor"]) != os.getsid(0)
    taken = runner("true", name="web")
    assert taken.returncode == 5
    assert f"'web' is there already (PID {record['pid']})" in taken.stderr
    assert runner.record("web") == record
    os.kill(record["pid"], signal.SIGKILL)
    wait_until(lambda: not runner.records)
    assert runner.verbs == ["attach", "detach"]
    assert runner.log[1]["by"] == record["supervisor"]
    assert runner.log[1]["inode"] == runner.log[0]["inode"]


def test_supervisor_holds_no_stream_store_or_folder(runner: Runner) -> None:
    runner("sleep", "60", detach=True, name="web")
    supervisor = runner.record("web")["supervisor"]
    proc = Path(f"/proc/{supervisor}")
    wait_until(lambda: (proc / "comm").read_text() == "macvnet-run\n")
    files = {os.readlink(fd) for fd in (proc / "fd").iterdir()}
    assert {re.sub(r"\[.*", "", name) for name in files} == {
        "/dev/null",
        "net:",
        "pipe:",
        "anon_inode:",
    }
    assert os.readlink(proc / "cwd") == "/"


def test_sigterm_to_the_supervisor_ends_the_command(runner: Runner) -> None:
    runner("sleep", "60", detach=True, name="web")
    record = runner.record("web")
    os.kill(record["supervisor"], signal.SIGTERM)
    wait_until(lambda: not runner.records)
    assert not running(record["pid"])
    wait_until(lambda: not running(record["supervisor"]))


def test_command_that_ignores_sigterm_is_killed_after_a_while(runner: Runner) -> None:
    runner(*SHELL, "trap '' TERM; while :; do sleep 0.1; done", detach=True, name="web", grace=0.5)
    record = runner.record("web")
    time.sleep(0.3)
    os.kill(record["supervisor"], signal.SIGTERM)
    time.sleep(0.2)
    assert running(record["pid"])
    wait_until(lambda: not runner.records)
    assert not running(record["pid"])


@pytest.mark.parametrize("tty", [False, True])
def test_detached_shell_stays_alive(runner: Runner, tty: bool) -> None:
    runner("sh", detach=True, interactive=True, tty=tty, name="web")
    pid = runner.record("web")["pid"]
    time.sleep(0.5)
    assert running(pid)
    assert os.readlink(f"/proc/{pid}/fd/0").startswith("/dev/pts/" if tty else "pipe:")


def test_detached_output_to_a_terminal_never_blocks_the_command(runner: Runner) -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' x"
    runner(*SHELL, script, detach=True, tty=True, name="web")
    wait_until(lambda: not runner.records)


# -- /etc -------------------------------------------------------------------

OWN_ETC = """
set -e
mount -t tmpfs etc {folder}
cp -a /etc/. {folder}
rm -f {folder}/resolv.conf
mkdir -p {folder}/netns/web {folder}/real
{prepare}
mount --bind {folder} /etc
exec "$@"
"""


def with_etc(tmp_path: Path, argv: list[str], prepare: str) -> subprocess.CompletedProcess[str]:
    """Run with an /etc that is nobody else's; ``prepare`` sees it as the current folder."""
    folder = tmp_path / "etc"
    folder.mkdir()
    script = OWN_ETC.format(folder=folder, prepare=f"(cd {folder}; {prepare})")
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "--", *SHELL, script, "sh", *argv],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_etc_netns_is_honoured_by_name(runner: Runner, tmp_path: Path) -> None:
    done = with_etc(
        tmp_path,
        runner.argv(*SHELL, "cat /etc/motto /etc/resolv.conf", name="web"),
        "echo outer >motto; echo inner >netns/web/motto; echo x >netns/web/new;"
        "echo nameserver 127.0.0.1 >resolv.conf; echo nameserver 192.0.2.7 >netns/web/resolv.conf",
    )
    assert done.stdout == "inner\nnameserver 192.0.2.7\n"
    assert done.stderr == (
        "note: /etc/netns/web/new does not replace /etc/new: No such file or directory\n"
    )


def test_dns_goes_over_what_a_linked_resolv_conf_points_to(runner: Runner, tmp_path: Path) -> None:
    done = with_etc(
        tmp_path,
        runner.argv(*SHELL, "cat /etc/resolv.conf; ls /sys/class/net", dns=["192.0.2.53"]),
        "printf 'nameserver 127.0.0.53\\nsearch lan\\n' >real/stub; ln -s real/stub resolv.conf",
    )
    assert (done.stdout, done.stderr) == ("nameserver 192.0.2.53\nsearch lan\nlo\n", "")


def test_dns_without_a_resolv_conf_is_refused(runner: Runner, tmp_path: Path) -> None:
    done = with_etc(tmp_path, runner.argv("true", dns=["192.0.2.53"]), "ln -s nowhere resolv.conf")
    assert done.returncode == 3
    assert "/etc/resolv.conf" in done.stderr


def test_loopback_resolver_is_noted(runner: Runner, tmp_path: Path) -> None:
    done = with_etc(tmp_path, runner.argv("true"), "echo nameserver 127.0.0.53 >resolv.conf")
    assert done.returncode == 0
    assert "the resolver 127.0.0.53," in done.stderr
    assert "--dns" in done.stderr


# -- terminals --------------------------------------------------------------


class Terminal:
    """A terminal with the program in its foreground, as a person would start it."""

    def __init__(self, argv: list[str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)
        self.text = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("=HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, text: str, seconds: float = 8) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, self.text
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode()
                except OSError:
                    assert text in self.text, self.text
        self.text = self.text.partition(text)[2]

    @property
    def flags(self) -> int:
        return int(termios.tcgetattr(self.fd)[3])

    def status(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self.fd)


def test_terminal_is_passed_through_and_restored(runner: Runner) -> None:
    script = (
        "stty size; tty; trap 'stty size' WINCH; while :; do read line && break; done;"
        "echo [$line]; exit 4"
    )
    argv = runner.argv(*SHELL, script, tty=True, interactive=True)
    terminal = Terminal([*SHELL_PATH, 'stty rows 33 cols 77; "$@"; echo done $?', "sh", *argv])
    try:
        terminal.expect("33 77")
        terminal.expect("/dev/pts/")
        assert not terminal.flags & (termios.ICANON | termios.ECHO | termios.ISIG)
        terminal.resize(44, 88)
        terminal.expect("44 88")
        terminal.type("hello\r")
        terminal.expect("[hello]")
        terminal.expect("done 4")
        assert terminal.flags & termios.ICANON
        assert terminal.flags & termios.ECHO
        assert terminal.status() == 0
    finally:
        terminal.close()


def test_interrupt_key_goes_to_the_command_in_its_terminal(runner: Runner) -> None:
    terminal = Terminal(
        runner.argv(*SHELL, "echo ready; exec sleep 60", tty=True, interactive=True)
    )
    try:
        terminal.expect("ready")
        terminal.type("\x03")
        assert terminal.status() == 130
    finally:
        terminal.close()
    assert runner.verbs == ["attach", "detach"]


def test_interrupt_key_reaches_a_command_on_our_own_terminal_once(runner: Runner) -> None:
    script = (
        "n=0; trap 'n=$((n+1))' INT; echo ready; sleep 0.5; sleep 0.5; sleep 0.1; echo counted $n"
    )
    terminal = Terminal(runner.argv(*SHELL, script, interactive=True))
    try:
        terminal.expect("ready")
        terminal.type("\x03")
        terminal.expect("counted 1")
        assert terminal.status() == 0
    finally:
        terminal.close()


def test_terminal_is_restored_when_the_supervisor_is_told_to_end(runner: Runner) -> None:
    terminal = Terminal(
        runner.argv(*SHELL, "echo ready; exec sleep 60", tty=True, interactive=True)
    )
    try:
        terminal.expect("ready")
        os.kill(terminal.pid, signal.SIGTERM)
        wait_until(lambda: terminal.flags & termios.ICANON)
        assert terminal.status() == 143
    finally:
        terminal.close()
