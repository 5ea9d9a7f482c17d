"""What only the embedded store promises: files, permissions, damage, waiting, fsyncs."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from macvnet.errors import MacvnetError, PermissionDenied, StoreError
from macvnet.store import Store, Transaction, open_store, walguard
from macvnet.store import sqlite as module


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "some where" / "st%3fate?#"


def put(store: Store, key: str, value: object, *, durable: bool = True) -> None:
    store.transact(lambda tx: tx.put(key, value), durable=durable)


def put_all(store: Store, rows: Mapping[str, object]) -> None:
    def write(tx: Transaction) -> None:
        for key, value in rows.items():
            tx.put(key, value)

    store.transact(write)


def delete_all(store: Store, keys: Iterable[str]) -> None:
    def write(tx: Transaction) -> None:
        for key in keys:
            tx.delete(key)

    store.transact(write)


def refused(state: Path, message: str, *, kind: type[MacvnetError] = StoreError) -> None:
    """Reading and writing fail alike, with one sentence and a hint, and change no file."""
    for read_only in (False, True):
        before = contents(state)
        with pytest.raises(kind) as caught, open_store(str(state), read_only=read_only) as store:
            if read_only:
                store.get("k")
            else:
                put(store, "k", 1)
        assert message in caught.value.message
        assert "\n" not in caught.value.message
        assert caught.value.hint
        assert contents(state) == before


def contents(state: Path) -> dict[str, bytes]:
    if not state.is_dir():
        return {}
    return {p.name: p.read_bytes() for p in state.iterdir() if p.is_file() and p.suffix == ".db"}


def test_directory_and_file_are_private(state: Path) -> None:
    umask = os.umask(0)
    try:
        put(open_store(str(state)), "k", 1)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.rglob("*")}
    assert modes.pop("locks") == 0o700
    assert set(modes.values()) == {0o600}
    assert (state / "state.db").exists()


def test_reading_where_nothing_is_makes_nothing(state: Path) -> None:
    store = open_store(str(state), read_only=True)
    assert store.get("k") is None
    assert store.scan("") == []
    assert store.view(lambda tx: tx.scan("")) == []
    assert not state.parent.exists()
    state.mkdir(mode=0o700, parents=True)
    assert store.get("k") is None
    assert list(state.iterdir()) == []
    put(open_store(str(state)), "k", 1)
    assert store.get("k") == 1


def test_a_read_only_store_refuses_to_write(state: Path) -> None:
    put(open_store(str(state)), "k", 1)
    with open_store(str(state), read_only=True) as store:
        assert store.get("k") == 1
        with pytest.raises(StoreError, match="opened for reading only"):
            put(store, "k", 2)


def test_readers_see_the_last_commit_while_a_writer_is_at_work(state: Path) -> None:
    writer, reader = open_store(str(state)), open_store(str(state), read_only=True)
    put(writer, "k", 1)

    def change(tx: Transaction) -> None:
        tx.put("k", 2)
        assert reader.get("k") == 1

    writer.transact(change)
    assert reader.get("k") == 2


def test_a_writer_waits_for_another_and_never_runs_twice(state: Path) -> None:
    one, two = open_store(str(state)), open_store(str(state))
    put(one, "n", 0)
    runs = []
    inside = threading.Event()

    def slow(tx: Transaction) -> None:
        value = tx.get("n") or 0
        inside.set()
        time.sleep(0.3)
        tx.put("n", value + 1)

    def quick(tx: Transaction) -> None:
        runs.append(1)
        tx.put("n", (tx.get("n") or 0) + 1)

    thread = threading.Thread(target=lambda: one.transact(slow))
    thread.start()
    inside.wait()
    two.transact(quick)
    thread.join()
    assert two.get("n") == 2
    assert len(runs) == 1


def test_a_lock_that_is_never_released_is_explained(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.1)
    holder, store = open_store(str(state)), open_store(str(state))
    put(holder, "k", 1)

    def hold(tx: Transaction) -> None:
        with pytest.raises(StoreError, match="locked for") as caught:
            put(store, "k", 2)
        assert "fuser" in (caught.value.hint or "")

    holder.transact(hold)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_can_write_is_refused(state: Path, mode: int) -> None:
    put(open_store(str(state)), "k", 1)
    state.chmod(mode)
    refused(state, f"(mode {mode:04o}) can be written by others")


def test_a_file_that_others_can_write_is_refused(state: Path) -> None:
    put(open_store(str(state)), "k", 1)
    (state / "state.db").chmod(0o660)
    refused(state, "(mode 0660) can be written by others")


def test_a_directory_or_file_of_another_user_is_refused(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(str(state)) as store:
        put(store, "k", 1)
    if os.geteuid() == 0:
        os.chown(state / "state.db", 4242, 4242)
        refused(state, "belongs to user 4242")
        os.chown(state, 4242, 4242)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
    refused(state, "belongs to user")


def test_a_file_that_is_no_database_is_left_alone(state: Path) -> None:
    state.mkdir(mode=0o700, parents=True)
    file = state / "state.db"
    file.touch(0o600)
    file.write_text("my precious notes, which are longer than a header of SQLite is, by far\n" * 9)
    refused(state, "damaged or no database")


def test_another_programs_database_is_left_alone(state: Path) -> None:
    state.mkdir(mode=0o700, parents=True)
    connection = sqlite3.connect(state / "state.db")
    connection.execute("CREATE TABLE kv (precious TEXT)")
    connection.close()
    (state / "state.db").chmod(0o600)
    refused(state, "is a database, but not macvnet's")
    connection = sqlite3.connect(state / "state.db")
    connection.execute("DROP TABLE kv")
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    refused(state, "is a database, but not macvnet's")


def test_a_newer_schema_is_refused(state: Path) -> None:
    put(open_store(str(state)), "k", 1)
    connection = sqlite3.connect(state / "state.db")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    refused(state, "has schema version 2, this macvnet knows 1 only")


def test_a_directory_in_the_place_of_the_file_is_refused(state: Path) -> None:
    (state / "state.db").mkdir(parents=True)
    state.chmod(0o700)
    refused(state, "is not a regular file")


def test_a_link_in_the_place_of_the_file_is_refused(state: Path, tmp_path: Path) -> None:
    state.mkdir(mode=0o700, parents=True)
    (tmp_path / "victim").touch(0o600)
    (state / "state.db").symlink_to(tmp_path / "victim")
    refused(state, "is not a regular file")
    assert (tmp_path / "victim").read_bytes() == b""


def test_a_file_in_the_place_of_the_directory_is_refused(state: Path) -> None:
    state.parent.mkdir(parents=True)
    state.touch(0o600)
    refused(state, "is not a directory")
    refused(state / "below", "cannot be used: a file is where a directory should be (Not a dir")


def test_a_path_with_a_null_is_refused() -> None:
    with pytest.raises(StoreError):
        open_store("/tmp/a\0b").get("k")


def test_a_damaged_file_is_explained(state: Path) -> None:
    with open_store(str(state)) as store:
        for number in range(300):
            put(store, f"key/{number}", "x" * 200)
    connection = sqlite3.connect(state / "state.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    file = state / "state.db"
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    with pytest.raises(StoreError, match="damaged or no database"):
        open_store(str(state)).scan("")
    with pytest.raises(StoreError, match="damaged or no database"):
        put(open_store(str(state)), "key/5", 1)


def test_a_full_or_read_only_disk_is_explained_and_loses_nothing(tmp_path: Path) -> None:
    script = Path(__file__).with_name("full_disk.sh")
    done = subprocess.run(
        [
            "unshare",
            "-m" if os.geteuid() == 0 else "-Urm",
            "sh",
            str(script),
            sys.executable,
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stderr == ""
    full, kept, read_only, readable = done.stdout.splitlines()
    assert full.startswith("StoreError no space is left on the disk of")
    assert kept == "1"
    assert read_only.startswith(("StoreError the state in", "StoreError the state directory"))
    assert readable == "1"


def test_an_unreachable_directory_is_a_matter_of_permission(tmp_path: Path) -> None:
    state = tmp_path / "state"
    put(open_store(str(state)), "k", 1)
    code = (
        "import os, sys\n"
        "from macvnet.store import open_store\n"
        "from macvnet.errors import PermissionDenied\n"
        "import macvnet.store.sqlite\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(4242); os.setuid(4242)\n"
        "else: os.chmod(sys.argv[1], 0)\n"
        "try: print(open_store(sys.argv[1], read_only=True).get('k'))\n"
        "except PermissionDenied as error: print('refused', error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(state)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.startswith("refused run it as root"), done.stderr
    assert issubclass(PermissionDenied, MacvnetError)


def test_a_child_process_uses_a_connection_of_its_own(state: Path) -> None:
    store = open_store(str(state))
    put(store, "k", 1)
    child = os.fork()
    if not child:
        try:
            put(store, "child", store.get("k"))
            store.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    put(store, "k", 2)
    assert store.get("child") == 1


def test_a_session_inside_a_session_is_a_bug(state: Path) -> None:
    store = open_store(str(state))
    with pytest.raises(RuntimeError):
        store.transact(lambda tx: put(store, "k", 1))
    put(store, "k", 1)


def test_text_that_cannot_be_kept_is_explained(state: Path) -> None:
    store = open_store(str(state))
    with pytest.raises(StoreError, match="no text that can be kept"):
        put(store, "name/\udcff", 1)
    put(store, "k", "\udcff")
    assert store.get("k") == "\udcff"


def test_a_process_killed_at_work_leaves_the_last_commit(state: Path) -> None:
    code = (
        "import os, sys\n"
        "from macvnet.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "store.transact(lambda tx: tx.put('k', 1))\n"
        "def change(tx):\n"
        "    tx.put('k', 2)\n"
        "store.commit_hook = lambda stage, operations: os.kill(os.getpid(), 9)\n"
        "store.transact(change)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(state)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -9
    assert open_store(str(state), read_only=True).get("k") == 1


def test_a_commit_writes_and_syncs_the_log_only_also_when_the_process_ends(state: Path) -> None:
    """SQLite syncs the log once for a commit in FULL mode; the file waits for a checkpoint."""
    code = (
        "import sys\n"
        "from macvnet.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "store.transact(lambda tx: tx.put('k', (tx.get('k') or 0) + 1))\n"
        "print(store.backend._connection.execute('PRAGMA synchronous').fetchone()[0])\n"
        "if sys.argv[2] == 'close': store.close()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    put(open_store(str(state)), "first", 1)
    file, log = state / "state.db", state / "state.db-wal"
    for end in ("close", "exit", "close"):
        before, length = file.stat(), log.stat().st_size
        done = subprocess.run(
            [sys.executable, "-c", code, str(state), end],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert (done.stdout, done.stderr) == ("2\n", "")
        after = file.stat()
        assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
        assert log.stat().st_size > length
    assert open_store(str(state), read_only=True).get("k") == 3


def test_closing_one_store_leaves_the_locks_of_another_in_this_process(state: Path) -> None:
    one, two = open_store(str(state)), open_store(str(state), read_only=True)
    put(one, "k", 1)
    assert two.get("k") == 1

    inode = (state / "state.db").stat().st_ino

    def locked() -> bool:
        locks = Path("/proc/locks").read_text().splitlines()
        mine = [line for line in locks if f":{inode} " in line and "POSIX" in line]
        return any(f" {os.getpid()} " in line for line in mine)

    assert locked()
    one.close()
    assert locked()
    two.close()
    assert not locked()
    assert inode not in {number for _, number in walguard._guards}


def test_log_stays_short_where_every_process_commits_once(state: Path) -> None:
    """Else each that opens the state reads all of it."""
    for number in range(3 * module.CHECKPOINT_PAGES):
        with open_store(str(state)) as store:
            put(store, "k", number)
    log = (state / "state.db-wal").stat().st_size
    assert log < 2 * module.CHECKPOINT_BYTES
    assert open_store(str(state)).get("k") == 3 * module.CHECKPOINT_PAGES - 1


def test_log_of_a_process_at_work_is_cut_now_and_then_and_in_the_end(state: Path) -> None:
    log = state / "state.db-wal"
    store = open_store(str(state))
    sizes = []
    for number in range(400):
        rows = {f"k/{number}/{each}": "x" * 3000 for each in range(60)}
        put_all(store, rows)
        sizes.append(log.stat().st_size)
        if sizes[-1] < sizes[0]:
            break
    assert module.CHECKPOINT_BYTES < max(sizes[:-1]) <= module.LONGEST_BYTES < 60e6
    assert sizes[-1] < module.CHECKPOINT_BYTES
    for _ in range(10):
        delete_all(store, rows)
        put_all(store, rows)
    assert log.stat().st_size > module.CHECKPOINT_BYTES
    store.close()
    assert log.stat().st_size <= module.CHECKPOINT_BYTES
    assert open_store(str(state)).get("k/0/0") == "x" * 3000


def test_what_is_committed_while_it_is_written_out_is_there(state: Path) -> None:
    store = open_store(str(state))
    for number in range(30):
        put(store, "k", number, durable=False)
        store.begin_sync()
        put(store, "l", number, durable=number % 2 == 0)
        store.sync()
        assert open_store(str(state)).get("k") == number


def test_intents_are_written_and_not_synced_until_the_next_durable_commit(state: Path) -> None:
    """By SQLite's own setting: 1 writes the log, 2 syncs it too, with all that is in it."""
    code = (
        "import sys\n"
        "from macvnet.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "store.get('k')\n"
        "for number, durable in enumerate(sys.argv[2:]):\n"
        "    store.transact(lambda tx: tx.put('k', number), durable=durable == 'durable')\n"
        "print(store.backend._connection.execute('PRAGMA synchronous').fetchone()[0])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    put(open_store(str(state)), "k", "before")
    for words, level in ((["no"], "1"), (["no", "durable"], "2"), (["durable", "no"], "1")):
        done = subprocess.run(
            [sys.executable, "-c", code, str(state), *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == level
    # Whatever its level, the next process sees it.
    assert open_store(str(state), read_only=True).get("k") == 1


def test_a_store_that_is_collected_while_another_opens_is_let_go(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The garbage collector closes stores in the middle of anything, in the same thread."""
    other = open_store(str(state.parent / "other"))
    put(other, "k", 1)
    real = walguard._locked

    def locked(path: str) -> int:
        if path.startswith(str(state)):
            other.close()
        return real(path)

    monkeypatch.setattr(walguard, "_locked", locked)
    store = open_store(str(state))
    put(store, "k", 1)
    store.close()
    put(other, "k", 2)
    other.close()
    assert walguard._left == []
