"""The embedded store: one SQLite file in the state directory.

Knows SQL, file permissions and SQLite's error codes; the only module that
does. A writer takes the write lock before it reads, so it never has to begin
anew. One commit costs one fsync, that of the write-ahead log; the first one of
a process costs another, since SQLite syncs the directory when it first syncs a log.
"""

from __future__ import annotations

import os
from _thread import RLock

from macvnet import signals
from macvnet.blocks import ExitStack, contextmanager, suppress
from macvnet.errors import StoreError
from macvnet.store import explain, statedir, turns, walguard
from macvnet.store.backend import (
    ANY,
    Guard,
    KeyTaken,
    Operation,
    Row,
    StoreConflict,
    outside,
)
from macvnet.store.sqlite_module import sqlite3
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Thread

APPLICATION_ID = 0x6D76_6E74  # "mvnt"
SCHEMA_VERSION = 1
LOCK_SECONDS = 30.0
GLANCE_SECONDS = 0.05
# The log is read when a first connection opens it: short logs open quickly.
CHECKPOINT_PAGES = 200
CHECKPOINT_BYTES = CHECKPOINT_PAGES * (4096 + 24)
LONGEST_BYTES = 16 * CHECKPOINT_BYTES
"""While a process is at work its log may be so long: what many commits change is moved once."""

# The row with the empty key holds the revision of the last commit.
_SCHEMA = (
    "CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT, revision INTEGER) WITHOUT ROWID",
    "INSERT INTO kv VALUES ('', 'null', 0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_NEXT_REVISION = "UPDATE kv SET revision = revision + 1 WHERE key = '' RETURNING revision"
_CREATE = "INSERT INTO kv VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
_CHANGE = "UPDATE kv SET value = ?3, revision = ?4 WHERE key = ?1 AND revision = ?2"
_DELETE = "DELETE FROM kv WHERE key = ?1 AND revision = ?2"
_ERASE = "DELETE FROM kv WHERE key = ?1 AND key <> ''"
_GET = "SELECT key, value, revision FROM kv WHERE key = ? AND key <> ''"
_UPWARDS = (
    "SELECT key, value, revision FROM kv WHERE key >= ? AND key < ? AND key <> '' "
    "ORDER BY key LIMIT ?"
)
_DOWNWARDS = (
    "SELECT key, value, revision FROM kv WHERE key >= ? AND key < ? AND key <> '' "
    "ORDER BY key DESC LIMIT ?"
)

# A connection must not be used or closed by a process that inherited it
# (sqlite.org/howtocorrupt.html, 2.6): it is kept here, untouched.
_inherited: list[sqlite3.Connection] = []


class SqliteBackend:
    """Rows in ``state.db`` in a state directory, which is made when first written to."""

    most_operations = 256
    """A longer commit would keep others waiting for more than a few ms; shorter ones write the
    same pages of the log again."""

    def __init__(self, state_dir: str, *, read_only: bool = False, glance: bool = False) -> None:
        self.state_dir = state_dir
        self.path = os.path.join(state_dir, "state.db")
        self.read_only = read_only
        self._glance = glance
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._guard: tuple[int, int] | None = None
        self._lock = RLock()
        self._durable = True
        self._writing_out: Thread | None = None

    def __del__(self) -> None:
        with suppress(Exception):  # may come late, when the interpreter is going down
            self.close()

    def get(self, key: str) -> Row | None:
        """The row of a key."""
        rows = self._rows(_GET, (key,))
        return rows[0] if rows else None

    def scan(self, low: str, high: str, *, limit: int | None, reverse: bool) -> list[Row]:
        """Rows with low <= key < high, in order."""
        # A BLOB sorts after every TEXT.
        values = (low, high or b"", -1 if limit is None else limit)
        return self._rows(_DOWNWARDS if reverse else _UPWARDS, values)

    @contextmanager
    def session(self, *, write: bool, durable: bool = True) -> Iterator[None]:
        """One view of the data; with ``write``, under the write lock.

        Not durable means that the log is written and not synced. It is one
        file: the next commit that syncs it syncs what came before, too.
        """
        if write and self.read_only:
            raise StoreError("the state was opened for reading only")
        with self._lock:
            with self._explained():
                connection = self._connect()
            if connection is None:
                yield
                return
            if connection.in_transaction:
                if write:
                    raise RuntimeError("a session inside a session")
                yield
                return
            with self._turn(write):
                with self._explained():
                    if write:
                        self._durable = durable
                        if durable:
                            self._end_writing_out()
                        level = "FULL" if durable else "NORMAL"
                        connection.execute(f"PRAGMA synchronous = {level}")
                    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield
                finally:
                    self._roll_back(connection)

    @contextmanager
    def _turn(self, write: bool) -> Iterator[None]:
        """Whoever writes is not interrupted from here on: what is undone then has to write, too."""
        if not write:
            yield
            return
        with signals.Uninterrupted() as held, ExitStack() as stack:
            try:
                stack.enter_context(turns.in_turn(self.state_dir, LOCK_SECONDS, held))
            except TimeoutError:
                raise explain.locked_out(self.path, LOCK_SECONDS) from None
            yield

    def commit(self, operations: Sequence[Operation], guards: Sequence[Guard] = ()) -> None:
        """All operations or none, and on disk."""
        if len(operations) > self.most_operations:
            raise ValueError(f"{len(operations)} operations in one commit")
        connection = self._connection
        if connection is None or not connection.in_transaction or self._pid != os.getpid():
            with self.session(write=True):
                for guard in guards:
                    row = self.get(guard.key)
                    if (row.revision if row else 0) != guard.revision:
                        raise StoreConflict(guard.key)
                self.commit(operations)
            return
        with self._explained():
            [(revision,)] = connection.execute(_NEXT_REVISION).fetchall()
            new, erased, others = [], [], []
            for operation in operations:
                key, text, expected = operation
                if text is not None and not expected:
                    new.append((key, text, revision))
                elif text is None and expected == ANY:
                    erased.append((key,))
                else:
                    others.append(operation)
            # Many rows by one statement take half the time.
            if new and connection.executemany(_CREATE, new).rowcount < len(new):
                rows = ((key, self.get(key)) for key, _, _ in new)
                raise StoreConflict(next(key for key, row in rows if row and row[2] != revision))
            if erased:
                connection.executemany(_ERASE, erased)
            for operation in others:
                self._apply(connection, operation, revision)
            connection.execute("COMMIT")
            if self._durable:
                # What is not waits for no disk, and a durable one follows.
                self._cut_log(connection, LONGEST_BYTES)

    def begin_sync(self) -> None:
        """A thread has the system write the log; SQLite, which syncs it after that, waits less."""
        from threading import Thread

        self._end_writing_out()
        thread = Thread(target=_write_out, args=(self.path + "-wal",))
        thread.start()
        self._writing_out = thread

    def _end_writing_out(self) -> None:
        thread, self._writing_out = self._writing_out, None
        # A fork has no threads but the one that forked.
        if thread and self._pid == os.getpid():
            thread.join()

    def load(self, rows: Sequence[tuple[str, str]], *, apart_from: Sequence[str]) -> None:
        """Put many rows, all or none."""
        with self.session(write=True):
            foreign = outside(self, apart_from)
            if foreign is not None:
                raise KeyTaken(foreign)
            connection = self._connection
            assert connection is not None
            with self._explained():
                [(revision,)] = connection.execute(_NEXT_REVISION).fetchall()
                connection.executemany(
                    "INSERT OR REPLACE INTO kv VALUES (?, ?, ?)",
                    ((key, text, revision) for key, text in rows),
                )
                connection.execute("COMMIT")
                self._cut_log(connection, CHECKPOINT_BYTES)

    def close(self) -> None:
        """Close the connection, if this process has one."""
        self._end_writing_out()
        connection, self._connection = self._connection, None
        guard, self._guard = self._guard, None
        if connection and self._pid == os.getpid():
            with suppress(sqlite3.Error):
                if not (self.read_only or connection.in_transaction):
                    self._cut_log(connection, CHECKPOINT_BYTES)
                connection.close()
            if guard:
                walguard.leave(guard)
        elif connection:
            _inherited.append(connection)

    def _apply(self, connection: sqlite3.Connection, operation: Operation, revision: int) -> None:
        """A change of what is there, or a deletion of what must not be there."""
        key, text, expected = operation
        if text is not None:
            held = connection.execute(_CHANGE, (key, expected, text, revision)).rowcount == 1
        elif expected:
            held = connection.execute(_DELETE, (key, expected)).rowcount == 1
        else:
            held = self.get(key) is None
        if not held:
            raise StoreConflict(key)

    def _cut_log(self, connection: sqlite3.Connection, most: int) -> None:
        """Move a log of more than ``most`` bytes into the file, and begin it anew, unless somebody
        is reading it.

        SQLite's own way begins it anew with the next commit of the same process
        only, and most processes have no next one.
        """
        if _size(self.path + "-wal") <= most:
            return
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            # What was committed is safe either way: a failing disk is the next command's to tell.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {round(LOCK_SECONDS * 1000)}")

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        with self._explained():
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[Row]:
        with self._lock:
            connection = self._connection
            if connection is None or self._pid != os.getpid():
                with self._explained():
                    connection = self._connect()
            if connection is None:
                return []
            try:
                return [Row._make(row) for row in connection.execute(statement, values)]
            except sqlite3.Error as error:
                raise explain.explanation(error, self.path, LOCK_SECONDS) from error
            except UnicodeEncodeError:  # such a key can never have been stored
                return []

    def _connect(self) -> sqlite3.Connection | None:
        """This process's connection; None where there is nothing to read."""
        if self._connection and self._pid == os.getpid():
            return self._connection
        self.close()
        if not statedir.ready(self.state_dir, self.path, make=not self.read_only):
            return None
        self._refuse_truncated()
        connection = self._open()
        if connection is not None:
            self._connection, self._pid = connection, os.getpid()
            with suppress(OSError):  # no more descriptors: it works without
                self._guard = walguard.enter(self.path)
        return connection

    def _refuse_truncated(self) -> None:
        """An empty file with a log was not empty: SQLite would take it for new, and drop the log.

        The log first: another process may be making both at this moment.
        """
        try:
            log = os.stat(self.path + "-wal").st_size
            size = os.stat(self.path).st_size
        except OSError:
            return
        if log and not size:
            raise StoreError(
                f"the state in {quoted(self.path)} is damaged, the file has become empty",
                f"macvnet state import BACKUP, with {self.path} and {self.path}-wal moved away",
            )

    def _open(self) -> sqlite3.Connection | None:
        if self._glance:
            return self._glanced()
        mode = "ro" if self.read_only else "rw"
        connection = _connection(self.path, f"mode={mode}")
        try:
            try:
                current = self._recognised(connection)
            except sqlite3.OperationalError:
                # A log that nobody can set up (a read-only disk): fine if there is none.
                if not self.read_only or os.path.exists(self.path + "-wal"):
                    raise
                connection.close()
                connection = _connection(self.path, "mode=ro&immutable=1")
                current = self._recognised(connection)
            if current is None:
                connection = self._migrated(connection)
            elif not current and self.read_only:
                connection.close()
                return None
            elif not current:
                self._initialise(connection)
            if not self.read_only:
                self._use_log(connection)
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA wal_autocheckpoint = 0")
        except BaseException:
            connection.close()
            raise
        return connection

    def _glanced(self) -> sqlite3.Connection | None:
        """A connection that makes, changes and waits for nothing."""
        # Opened for reading only, SQLite still makes a log, and rewrites the log's index.
        parameters = "mode=ro&immutable=1"
        if _size(self.path + "-wal"):
            if not _size(self.path + "-shm"):
                raise StoreError(f"the log of {quoted(self.path)} has no index yet", "macvnet ls")
            parameters = "mode=ro&readonly_shm=1"
        connection = _connection(self.path, parameters, GLANCE_SECONDS)
        try:
            current = self._recognised(connection)
            if current is None:
                raise StoreError(f"{quoted(self.path)} is of an older macvnet", "macvnet ls")
        except BaseException:
            connection.close()
            raise
        if not current:
            connection.close()
            return None
        return connection

    def _use_log(self, connection: sqlite3.Connection) -> None:
        """A copy put in the place of the state may have no log, and the guard needs one."""
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            with statedir.locked(self.state_dir):
                connection.execute("PRAGMA journal_mode = WAL")

    def _migrated(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """An open file of an older schema, brought up to date by whoever finds it so."""
        from macvnet.store.migration import migrate

        if self.read_only:
            connection.close()
            connection = _connection(self.path, "mode=rw")
        try:
            with statedir.locked(self.state_dir):
                migrate(connection, self.path, SCHEMA_VERSION)
        except BaseException:
            connection.close()
            raise
        if self.read_only:
            connection.close()
            connection = _connection(self.path, "mode=ro")
        return connection

    def _recognised(self, connection: sqlite3.Connection) -> bool | None:
        """Whether the file is ours and current; False if it is still empty, None if it is older."""
        [(application, version)] = connection.execute(
            "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version"
        ).fetchall()
        if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
            return True
        if application == APPLICATION_ID and version > SCHEMA_VERSION:
            raise StoreError(
                f"the state in {quoted(self.path)} has schema version {version}, "
                f"this macvnet knows {SCHEMA_VERSION} only",
                "use the newer macvnet that wrote it, or another --state-dir",
            )
        if application == APPLICATION_ID:
            from macvnet.store.migration import possible

            if possible(version, SCHEMA_VERSION):
                return None
        [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        if application or version or tables:
            raise StoreError(
                f"{quoted(self.path)} is a database, but not macvnet's",
                "give another directory with --state-dir",
            )
        return False

    def _initialise(self, connection: sqlite3.Connection) -> None:
        # SQLite's own waiting does not cover the switch to WAL.
        with statedir.locked(self.state_dir):
            if self._recognised(connection):
                return
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's exceptions as StoreError; everything else passes."""
        try:
            yield
        except sqlite3.Error as error:
            raise explain.explanation(error, self.path, LOCK_SECONDS) from error
        except UnicodeEncodeError as error:
            raise StoreError(f"{quoted(str(error.object))} is no text that can be kept") from error


def _connection(path: str, parameters: str, seconds: float = LOCK_SECONDS) -> sqlite3.Connection:
    quoted_path = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"/_.-" else f"%{byte:02x}"
        for byte in os.fsencode(os.path.abspath(path))
    )
    return sqlite3.connect(
        f"file:{quoted_path}?{parameters}",
        timeout=seconds,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )


def _write_out(path: str) -> None:
    # What fails here fails again, and is told, when SQLite does it.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def _size(path: str) -> int:
    """In bytes; 0 where there is no such file."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
