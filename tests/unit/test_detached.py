"""What a command leaves to a process of its own, at once or as its last act."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from macvnet.kernel import detached


def in_a_process(work: Callable[[], None]) -> int:
    """The exit status of a child that does it."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def told(reading: int) -> bytes:
    with os.fdopen(reading, "rb") as file:
        return file.read()


def test_nothing_waits_for_the_end_of_a_process_that_may_go_on() -> None:
    assert detached.at_end(lambda: 0, keep=(), name="x") is False


def test_what_waits_is_left_in_order_when_the_process_ends_and_not_before() -> None:
    reading, writing = os.pipe()

    def telling(text: bytes, seconds: float = 0) -> Callable[[], int]:
        def work() -> int:
            time.sleep(seconds)
            return os.write(writing, text) * 0

        return work

    def work() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        detached.wait_for_end()
        assert detached.at_end(telling(b"2", 0.2), keep=(writing,), name="later")
        assert detached.at_end(telling(b"3", 0.4), keep=(writing,), name="latest")
        os.write(writing, b"1")
        time.sleep(0.1)
        detached.leave_waiting()
        # What was left goes on without us; a signal does not come between.
        os.kill(os.getpid(), signal.SIGTERM)

    assert in_a_process(work) == 0
    os.close(writing)
    assert told(reading) == b"123"


def test_a_process_that_cannot_be_had_is_no_failure_at_the_end() -> None:
    def work() -> None:
        def fork() -> int:
            raise BlockingIOError

        os.fork = fork
        detached.wait_for_end()
        detached.at_end(lambda: 0, keep=(), name="x")
        detached.leave_waiting()

    assert in_a_process(work) == 0
