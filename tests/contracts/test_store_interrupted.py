"""A signal that ends a command comes at any moment; what is undone then reads and writes."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from macvnet.store import Store, open_store

ROUNDS = 3000


class Stop(BaseException):
    """As that of a command: no Exception, so that nobody takes it for a failed step."""


@contextmanager
def stopped_at(seconds: float) -> Iterator[None]:
    """SIGTERM comes some time after the beginning of the block, and raises Stop; once at most."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stop

    before = signal.signal(signal.SIGTERM, stop)
    main = threading.main_thread().ident
    assert main is not None
    sender = threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGTERM))
    sender.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sender.cancel()
        sender.join()
        signal.signal(signal.SIGTERM, before)


def changed(store: Store) -> None:
    store.transact(lambda tx: tx.put("k", (tx.get("k") or 0) + 1), durable=False)


def noted(store: Store, number: int) -> None:
    store.transact(lambda tx: tx.put("l", number), durable=False)


def read(store: Store) -> None:
    with store.viewing():
        store.get("k")
        store.get("l")


@pytest.mark.parametrize("work", [changed, read])
def test_whatever_it_interrupts_the_next_change_is_made(
    tmp_path: Path, work: Callable[[Store], None]
) -> None:
    store = open_store(str(tmp_path / "state"))
    changed(store)
    stopped = 0
    for number in range(ROUNDS):
        with suppress(Stop), stopped_at(random.uniform(0, 100e-6)):
            for _ in range(3):
                work(store)
            stopped -= 1
        stopped += 1
        noted(store, number)
        assert store.get("l") == number
    print(f"{stopped} of {ROUNDS} stopped")
    assert stopped > ROUNDS / 10
