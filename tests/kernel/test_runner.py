"""A run in the foreground: its namespaces and mounts, its streams and signals, its exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from macvnet.errors import NotFound
from macvnet.runner import resolve_run
from macvnet.store import open_store
from tests.kernel.runner_program import SHELL, Runner, runner_in, running, wait_until


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    with runner_in(tmp_path) as made:
        yield made


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
    done = runner(
        *SHELL, "cd /sys/class/net; ls -d */; ip -br address show lo; ls /sys/kernel | head -1"
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "lo/"
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
    wait_until(lambda: not running(pid))
    process.communicate()
    # What nobody could take away stays known, and the next run of the name frees it.
    assert runner.record("web")["pid"] == pid
    with open_store(str(runner.folder)) as store, pytest.raises(NotFound):
        resolve_run(store, "web")
    assert runner("true", name="web").returncode == 0
    assert runner.verbs == ["attach", "free", "attach", "detach"]
    assert runner.log[1]["owner"] == "run:web"
    assert runner.records == []


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
        "note: /etc/netns/web/new does not replace /etc/new: it is not there "
        "(No such file or directory)\n"
    )


def test_dns_goes_over_what_a_linked_resolv_conf_points_to(runner: Runner, tmp_path: Path) -> None:
    done = with_etc(
        tmp_path,
        runner.argv(
            *SHELL, "cat /etc/resolv.conf; cd /sys/class/net; ls -d */", dns=["192.0.2.53"]
        ),
        "printf 'nameserver 127.0.0.53\\nsearch lan\\n' >real/stub; ln -s real/stub resolv.conf",
    )
    assert (done.stdout, done.stderr) == ("nameserver 192.0.2.53\nsearch lan\nlo/\n", "")


def test_dns_without_a_resolv_conf_is_refused(runner: Runner, tmp_path: Path) -> None:
    done = with_etc(tmp_path, runner.argv("true", dns=["192.0.2.53"]), "ln -s nowhere resolv.conf")
    assert done.returncode == 3
    assert "/etc/resolv.conf" in done.stderr


def test_loopback_resolver_is_noted(runner: Runner, tmp_path: Path) -> None:
    done = with_etc(tmp_path, runner.argv("true"), "echo nameserver 127.0.0.53 >resolv.conf")
    assert done.returncode == 0
    assert "the resolver 127.0.0.53," in done.stderr
    assert "--dns" in done.stderr
