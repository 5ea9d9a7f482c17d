"""What every use case works with: settings, state, the host's namespace, locks.

Opened lazily, so that a command pays only for what it touches.
"""

from __future__ import annotations

import fcntl
import os
from functools import cached_property

from macvnet import chance, keys
from macvnet.blocks import ExitStack, contextmanager, suppress
from macvnet.errors import Conflict, MacvnetError, StoreError
from macvnet.kernel.namespaces import Likeness, Namespace, boot_id, likeness_of
from macvnet.settings import Settings
from macvnet.store import Store, Transaction, open_store
from macvnet.store.turns import LOCKS
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from macvnet.kernel.rtnetlink import Rtnetlink

LOCK_SLOTS = 64
PATIENCE_SECONDS = 3.0
"""How long a command waits for another one before it says so."""


class Context:
    """``note`` takes a sentence for the user; ``trace`` each kernel operation as an ip command."""

    def __init__(
        self,
        settings: Settings,
        note: Callable[[str], None],
        trace: Callable[[str], None] | None,
    ) -> None:
        self.settings = settings
        self.note = note
        self.trace = trace
        self._store: Store | None = None
        self._reader: Store | None = None
        self._netlink: Rtnetlink | None = None
        self._checked = False
        self._stateless = False
        self._noted: set[str] = set()
        self._locks: dict[str, int] = {}
        self.real_links: dict[int, bool] = {}
        # When this command stops waiting for namespaces to be gone (time.monotonic).
        self.dying_until: float | None = None

    def note_once(self, text: str) -> None:
        """A note that each of many endpoints may be the reason for."""
        if text not in self._noted:
            self._noted.add(text)
            self.note(text)

    def retrace(self, told: Iterable[str]) -> None:
        """Trace what a hand has done, as it has told."""
        if self.trace is not None:
            for text in told:
                self.trace(text)

    @contextmanager
    def beside(self, trace: Callable[[str], None] | None) -> Iterator[Context]:
        """The same for a hand, with a netlink socket of its own, and without the state."""
        other = Context(self.settings, self.note, trace)
        other.__dict__.update({**self.__dict__, "trace": trace})
        other._netlink = other._store = other._reader = None
        other._stateless = True
        try:
            yield other
        finally:
            opened = other.__dict__["_netlink"]
            if opened is not None:
                opened.close()

    @property
    def reader(self) -> Store:
        """The state for reading: makes nothing where there is none."""
        if self._store is not None:
            return self._store
        assert not self._stateless
        if self._reader is None:
            self._reader = open_store(self.settings.state_dir, read_only=True)
        return self._reader

    @property
    def store(self) -> Store:
        """The state for changing. Conflict where it belongs to another network namespace."""
        assert not self._stateless
        if self._store is None:
            self._store = open_store(self.settings.state_dir)
            if self._reader is not None:
                self._store.learn(self._reader)
        if not self._checked:
            self._claim(self._store)
            self._checked = True
        return self._store

    @property
    def netlink(self) -> Rtnetlink:
        """The socket in the namespace that macvnet was started in."""
        if self._netlink is None:
            # Commands that only read the state do without.
            from macvnet.kernel.rtnetlink import Rtnetlink

            self._netlink = Rtnetlink(trace=self.trace)
        return self._netlink

    @cached_property
    def namespace(self) -> Namespace:
        """The namespace that macvnet was started in."""
        return Namespace.current()

    @cached_property
    def in_first_namespace(self) -> bool:
        """Whether that is the one of PID 1."""
        return self.namespace.is_like(self.first_namespace)

    @cached_property
    def first_namespace(self) -> Likeness | None:
        """How that of PID 1 is known; looked up once, PID 1 stays where it is."""
        return likeness_of(1)

    @cached_property
    def boot_id(self) -> str:
        return boot_id()

    @cached_property
    def installation(self) -> str:
        """This installation's random id (32 hexadecimal digits), made on first use."""
        known = self.reader.get(keys.META_INSTALLATION)
        return str(known["id"]) if known else ""

    def claim(self) -> None:
        """Before anything is changed: Conflict where the state is another namespace's."""
        _ = self.store

    def _claim(self, store: Store) -> None:
        """Remember which namespace and boot the state is of; refuse another one."""
        here = {"boot_id": self.boot_id, "cookie": self.netlink.cookie}
        known = store.get(keys.META_HOST)
        if known == here:
            return
        if known is not None and known["boot_id"] == here["boot_id"]:
            raise Conflict(
                f"the state in {self.settings.state_dir} belongs to another network namespace "
                "than the one this command was started in",
                "--state-dir DIR names a state of its own for this namespace",
            )

        def write(tx: Transaction) -> None:
            tx.put(keys.META_HOST, here)
            if tx.get(keys.META_INSTALLATION) is None:
                tx.create(keys.META_INSTALLATION, {"id": chance.token(16)})

        store.transact(write, durable=False)

    def close(self) -> None:
        for opened in (self._store, self._reader, self._netlink):
            if opened is not None:
                opened.close()
        if "namespace" in self.__dict__:
            # Opened anew when it is asked for again.
            self.__dict__.pop("namespace").close()
        self._store = self._reader = self._netlink = None

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        directory = os.path.join(self.settings.state_dir, LOCKS)
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            fd = os.open(
                os.path.join(directory, name),
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
            )
        except OSError as error:
            raise _unlockable(f"{directory}/{name}", error) from None
        try:
            self._take(fd)
            self._locks[name] = fd
            yield
        finally:
            self._locks.pop(name, None)
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def _take(self, fd: int) -> None:
        """Wait for a lock; who waits long is told for whom."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        import threading

        def tell() -> None:
            self.note(f"waiting for another macvnet to finish{holder(os.fstat(fd))}")

        timer = threading.Timer(PATIENCE_SECONDS, tell)
        timer.daemon = True
        timer.start()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        finally:
            timer.cancel()

    def structure_lock(self) -> Any:
        """Held by create and rm, and whenever a link in the host's namespace is made or removed."""
        return self._locked("structure")

    def sandbox_lock(self, cookie: int) -> Any:
        """Held while one sandbox's links and routes change."""
        return self.sandbox_locks((cookie,))

    @contextmanager
    def sandbox_locks(self, cookies: Iterable[int]) -> Iterator[None]:
        """The same for several sandboxes: taken in one order, so that nobody waits for another.

        Whose holder has lent its locks (``lent``) is waited for without holding any.
        """
        wanted = sorted(set(cookies))
        while True:
            with ExitStack() as stack:
                for name in _slots(wanted):
                    stack.enter_context(self._locked(name))
                away = self._lent_by_another(wanted)
                if away is None:
                    yield
                    return
            try:
                self._take(away)
            finally:
                os.close(away)

    @contextmanager
    def lent(self, cookies: Iterable[int]) -> Iterator[None]:
        """The locks of these sandboxes, which this command holds, are free inside the block.

        Locks are shared by many sandboxes; of these here nobody gets hold all the
        same: a file for each, all of them one that is locked, says so.
        """
        from macvnet.signals import Uninterrupted

        wanted = sorted(set(cookies))
        marks = [self._mark(cookie) for cookie in wanted]
        fd = -1
        try:
            try:
                fd = os.open(marks[0], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for mark in marks[1:]:
                    os.link(marks[0], mark)
            except OSError as error:
                raise _unlockable(marks[0], error) from None
            for name in _slots(wanted):
                fcntl.flock(self._locks[name], fcntl.LOCK_UN)
            try:
                yield
            finally:
                # What is undone on the way out is undone under the locks.
                with Uninterrupted():
                    for name in _slots(wanted):
                        self._take(self._locks[name])
        finally:
            if fd >= 0:
                for mark in marks:
                    with suppress(FileNotFoundError):
                        os.unlink(mark)
                os.close(fd)

    def _mark(self, cookie: int) -> str:
        return os.path.join(self.settings.state_dir, LOCKS, f"lent-{cookie:016x}")

    def _lent_by_another(self, cookies: Iterable[int]) -> int | None:
        """The file that says that one of the sandboxes is lent, open; None where none is."""
        for cookie in cookies:
            try:
                fd = os.open(self._mark(cookie), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return fd
            # Its command died.
            os.unlink(self._mark(cookie))
            os.close(fd)
        return None


def _unlockable(path: str, error: OSError) -> MacvnetError:
    from macvnet import failures

    if error.errno in failures.SHORTAGES:
        told = failures.told(error)
        if told is not None:
            return told
    advice = failures.advice(error, os.path.dirname(path))
    return StoreError(f"cannot lock {quoted(path)}: {failures.reason(error)}", advice)


def _slots(cookies: Iterable[int]) -> list[str]:
    """The names of the locks that sandboxes have, in the order in which they are taken."""
    return [f"sandbox-{slot:02x}" for slot in sorted({each % LOCK_SLOTS for each in cookies})]


def holder(status: os.stat_result) -> str:
    """`` (PID N)`` of the process that holds a lock on a file, or "" (proc(5), /proc/locks)."""
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open("/proc/locks", encoding="utf-8") as file:
            for line in file:
                words = line.split()
                if "->" not in words and device in words:
                    return f" (PID {words[4]})"
    except (OSError, ValueError, IndexError):
        return ""
    return ""
