"""The scripts, and what they call: always an answer, never a word too much, no time lost."""

from __future__ import annotations

import json
import os
import pwd
import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from macvnet.cli import shells
from macvnet.cli.completion import NAMES
from macvnet.cli.shells import SHELLS
from macvnet.drivers import ipvlan
from macvnet.store import open_store
from tests.cli import large
from tests.cli.conftest import Macvnet
from tests.lab.command import executable

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_files_are_what_the_command_prints(macvnet: Macvnet, shell: str) -> None:
    said = macvnet("completion", shell)
    assert (said.status, said.err) == (0, "")
    file = ROOT / "completions" / SHELLS[shell].file
    assert file.read_text(encoding="utf-8") == said.out, "make completions"


def test_every_shell_has_a_file_and_every_file_a_shell() -> None:
    assert tuple(SHELLS) == NAMES
    files = {path.name for path in (ROOT / "completions").iterdir()}
    assert files == {shell.file for shell in SHELLS.values()}


@pytest.mark.parametrize(
    ("name", "hint"), [("fsh", "fish"), ("tcsh", "bash"), ("", "bash"), ("\x1b[31m", "bash")]
)
def test_another_shell_is_refused(macvnet: Macvnet, name: str, hint: str) -> None:
    said = macvnet("completion", name)
    assert (said.status, said.out) == (3, "")
    assert said.err.endswith(f"hint: macvnet completion {hint}\n")
    assert "\x1b" not in said.err


def test_the_entry_is_no_command(macvnet: Macvnet) -> None:
    assert "__" not in macvnet("--help").out
    assert macvnet("ls", "__complete").status == 2


def entry(*words: str | bytes, **changed: str) -> subprocess.CompletedProcess[bytes]:
    """Call the entry; ``changed`` in the environment."""
    return subprocess.run(
        [executable(), "__complete", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        env={**os.environ, **changed},
    )


def silent(done: subprocess.CompletedProcess[bytes]) -> bytes:
    assert (done.returncode, done.stderr) == (0, b"")
    return bytes(done.stdout)


NONSENSE = [
    (),
    ("bash",),
    ("tcsh", "0", ""),
    ("bash", "macvnet rm ", ""),
    ("bash", "macvnet rm 'x", "", "other"),
    ("zsh", "x", ""),
    ("zsh", "7", ""),
    ("zsh", "-3", "rm", ""),
    ("zsh", "99999999999999999999", ""),
    ("fish",),
    ("fish", "0"),
    ("zsh", "1", "rm", "a\n\x1b[31m$(reboot)"),
    ("zsh", "1", "connect", "\udcff\udcfe"),
    ("zsh", "2", "connect", "lan", "/" * 5000),
    ("zsh", "3", "--config", "/nonexistent", "rm", ""),
    ("zsh", "3", "--state-dir", "", "rm", ""),
    ("zsh", "3", "--state-dir", "/dev/null", "rm", ""),
    ("zsh", "3", "connect", "lan", "--ip", "9" * 5000),
    ("zsh", "3", "connect", "lan", "--ip", "1.2.3.4.5.6"),
    ("zsh", "2", "disconnect", "\x1b", ""),
]


@pytest.mark.parametrize("words", NONSENSE)
def test_nonsense_has_no_answer_and_is_no_error(words: tuple[str, ...]) -> None:
    encoded = [word.encode(errors="surrogateescape") for word in words]
    lines = silent(entry(*encoded)).split(b"\n")
    assert lines in ([b""], [b"words", b""], [b"files\t", b""])


@pytest.mark.parametrize(
    ("before", "after", "replaced", "lines"),
    [
        ("macvnet create -o macvlan_mode=v", "", "v", ["words", "vepa"]),
        ("macvnet create -o macvlan_mode=v", "", "macvlan_mode=v", ["words", "macvlan_mode=vepa"]),
        ("macvnet create -omacvlan_mode=v", "", "v", ["words", "vepa"]),
        ("macvnet create --scope=", "", "", ["words", "local"]),
        ("macvnet create --scope=", "", "=", ["words", "local"]),
        ("macvnet create --scope ", "", "", ["words", "local"]),
        ("macvnet create --scope", "", "--scope", ["words", "--scope"]),
        ('macvnet create --scope "lo', "", "lo", ["words", "local"]),
        ('macvnet create --scope "lo', "", '"lo', ["words", "local"]),
        ("macvnet create --scope lo\\c", "", "lo\\c", ["words", "local"]),
        ("macvnet create -o ipvlan_flag=", " -d ipvlan x", "", ["words", *ipvlan.FLAGS]),
        ("macvnet create -o ipvlan_flag=p", "riv -d ipvlan", "p", ["words", "private"]),
        ("macvnet create -o ipvlan_flag=", "x -d ipvlan", "", ["words", *ipvlan.FLAGS]),
        ("macvnet create --scope ", "x -d ipvlan", "", ["words", "local"]),
        ("  macvnet   state  im", "", "im", ["words", "import"]),
        ("macvnet run --net 'a b' -- ", "", "", ["command\t27"]),
        ("macvnet run --net 'a b' -- ca", "", "ca", ["command\t27"]),
        ("macvnet run --net 'a b' -- cat x", "", "x", ["command\t27"]),
        ("macvnet --config=/e", "", "/e", ["files"]),
        ("macvnet --state-dir /e", "", "/e", ["directories"]),
        ("macvnet create --driver-opt", "", "other", ["words"]),
    ],
)
def test_bash_is_given_what_it_replaces(
    before: str, after: str, replaced: str, lines: list[str]
) -> None:
    assert silent(entry("bash", before, after, replaced)).decode().splitlines() == lines


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state"
    monkeypatch.setenv("MACVNET_STATE_DIR", str(path))
    with open_store(str(path)) as store:
        store.transact(lambda tx: tx.put("name/lan", {"id": "x"}))
    return path


RM = ("zsh", "1", "rm", "")


def test_a_damaged_state_offers_nothing(state: Path) -> None:
    files = [path for path in state.iterdir() if path.is_file()]
    for path in files:
        path.write_bytes(b"nonsense" * 4096)
    before = {path.name: path.read_bytes() for path in files}
    begun = time.monotonic()
    assert silent(entry(*RM)) == b""
    # SQLite alone tries such an index again and again, for more than 10 s.
    assert time.monotonic() - begun < 9
    assert {path.name: path.read_bytes() for path in files} == before
    assert b"create" in silent(entry("zsh", "0", ""))


@pytest.mark.parametrize("record", ["{", "[]", '{"id": 7}', "null"])
def test_a_damaged_record_offers_nothing(state: Path, record: str) -> None:
    connection = sqlite3.connect(state / "state.db")
    connection.execute("UPDATE kv SET value = ? WHERE key = 'name/lan'", (record,))
    connection.commit()
    connection.close()
    assert silent(entry(*RM)) in (b"", b"words\n")


def test_where_there_is_no_state_none_is_made(state: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for words in (RM, ("zsh", "2", "disconnect", "lan", ""), ("zsh", "1", "attach", "")):
        silent(entry(*words, MACVNET_STATE_DIR=str(other)))
    assert not other.exists()


def test_who_may_not_read_the_state_is_offered_the_rest(state: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    state.parent.chmod(0o700)
    # As a library's: what this interpreter is made of may be out of a stranger's reach.
    program = "import os, sys; from macvnet.cli import calling, formats, shells\n"
    program += "import click.shell_completion, macvnet.engine.suggesting, macvnet.store.sqlite\n"
    program += "os.setuid(int(sys.argv.pop(1))); sys.exit(calling.main())"

    def ask(*words: str) -> bytes:
        argv = [sys.executable, "-c", program, str(nobody.pw_uid), "__complete", *words]
        return silent(subprocess.run(argv, capture_output=True, timeout=60))

    assert ask(*RM) == b""
    assert b"--force" in ask("zsh", "1", "rm", "--f")
    assert b"parent=" in ask("zsh", "2", "create", "-o", "par")


def test_a_closed_output_is_no_error(state: Path) -> None:
    program = [executable(), "__complete", "zsh", "0", ""]
    for redirection in (">&-", ">/dev/full", "2>&- >&-", "<&- 2>&- >&-"):
        done = subprocess.run(
            ["sh", "-c", f'"$@" {redirection}', "sh", *program], capture_output=True, timeout=60
        )
        assert silent(done) == b""


def test_a_tab_that_has_to_wait_gives_up(tmp_path: Path) -> None:
    """A file system that does not answer is played by a state directory that is read for ever."""
    program = """
import sys, time
from macvnet.cli import calling, shells
from macvnet.store import sqlite
shells.PATIENCE = 0.2
sqlite.SqliteBackend.scan = lambda *given, **bounds: time.sleep(3600)
sys.exit(calling.main())
"""
    argv = [sys.executable, "-c", program, "__complete", *RM]
    assert silent(subprocess.run(argv, capture_output=True, timeout=60)) == b""


@pytest.fixture(scope="module")
def large_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "state"
    large.write(path)
    return path


# What is done between key and answer, told on stderr as the process ends.
ACCOUNT = """
import json, os, sys, time
began = time.perf_counter()
from macvnet.cli import calling
from macvnet.store import sqlite
rows = 0
def counted(kind):
    def ask(*given, **bounds):
        global rows
        found = kind(*given, **bounds)
        rows += len(found) if isinstance(found, list) else 1
        return found
    return ask
for name in ("get", "scan"):
    setattr(sqlite.SqliteBackend, name, counted(getattr(sqlite.SqliteBackend, name)))
leave = os._exit
def last(status):
    told = [rows, sorted(sys.modules)]
    sys.stderr.write(json.dumps(told))
    sys.stderr.flush()
    leave(status)
os._exit = last
sys.exit(calling.main())
"""

HEAVY = ("pyroute2", "netaddr", "rich", "tomli", "difflib", "asyncio", "dataclasses", "subprocess")
TABS = {
    "commands": ("0", ""),
    "flags": ("1", "create", "--"),
    "all networks": ("1", "rm", ""),
    "some networks": ("1", "rm", "net00"),
    "configurations": ("2", "create", "--config-from", ""),
    "parents": ("2", "create", "-o", "parent="),
    "containers": ("2", "connect", "big", ""),
    "endpoints": ("2", "disconnect", "big", ""),
    "some endpoints": ("2", "disconnect", "big", "netns:c6"),
    "endpoints by bare name": ("2", "disconnect", "big", "c64"),
    "everything connected": ("1", "detach", ""),
    "addresses": ("2", "connect", "--ip", "", "big"),
    "addresses begun": ("2", "connect", "--ip", "10.0.255.", "big"),
    "keys of a network": ("2", "run", "--net", "big,ip="),
}
EMPTY = ("configurations", "containers")
MOST_ROWS = 2100


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_loads_and_reads_little_however_large_the_state_is(
    large_state: Path, tab: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ACCOUNT, "__complete", "zsh", *TABS[tab]],
        env={**os.environ, "MACVNET_STATE_DIR": str(large_state), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
    )
    rows, modules = json.loads(done.stderr)
    assert rows <= MOST_ROWS
    assert not {name.partition(".")[0] for name in modules}.intersection(HEAVY)
    assert (len(done.stdout.splitlines()) > 1) or tab in EMPTY


def test_the_time_of_a_tab(
    large_state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """150 ms, measured as processor time: a busy machine makes a Tab wait, not work."""
    monkeypatch.setenv("MACVNET_STATE_DIR", str(large_state))
    told = []
    for tab, words in TABS.items():
        used, passed = [], []
        for _ in range(3):
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            silent(entry("zsh", *words))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            passed.append(time.perf_counter() - begun)
            used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        # Far above what is promised, and far below what a library too much would cost here.
        assert min(used) < 1.0, tab
        told.append(f"{tab}: {min(passed) * 1000:.0f} ms, processor {min(used) * 1000:.0f} ms")
    with capsys.disabled():
        print("\n  a Tab with 1,000 networks and 65,000 leases", *told, sep="\n    ")


def test_the_scripts_name_no_command_and_no_flag() -> None:
    for shell in SHELLS.values():
        assert "disconnect" not in shell.script
        assert "eval" not in shell.script
        assert shells.PATIENCE < 10
