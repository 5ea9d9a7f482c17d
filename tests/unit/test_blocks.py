"""Our blocks behave as those of the standard library do."""

from __future__ import annotations

import collections.abc
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from macvnet import blocks


class Stop(BaseException):
    """No Exception, as that of a signal."""


RAISED = [
    None,
    ValueError("x"),
    KeyError("k"),
    StopIteration("s"),
    RuntimeError("r"),
    SystemExit(3),
    Stop("stop"),
]


def outcome(work: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "returned", work()
    except BaseException as error:
        return type(error).__name__, str(error)


def generators(log: list[str]) -> list[Callable[[], Iterator[int]]]:
    def plain() -> Iterator[int]:
        log.append("in")
        try:
            yield 7
        finally:
            log.append("out")

    def swallowing() -> Iterator[int]:
        with contextlib.suppress(BaseException):
            yield 7
        log.append("swallowed")

    def replacing() -> Iterator[int]:
        try:
            yield 7
        except BaseException:
            raise OSError("replaced") from None

    def chained() -> Iterator[int]:
        try:
            yield 7
        except BaseException as error:
            raise RuntimeError("chained") from error

    def silent() -> Iterator[int]:
        yield from ()

    def twice() -> Iterator[int]:
        yield 7
        yield 8

    def caught_and_twice() -> Iterator[int]:
        with contextlib.suppress(BaseException):
            yield 7
        yield 8

    return [plain, swallowing, replacing, chained, silent, twice, caught_and_twice]


@pytest.mark.parametrize("raised", RAISED, ids=repr)
@pytest.mark.parametrize("number", range(7))
def test_generators_as_blocks(number: int, raised: BaseException | None) -> None:
    def used(module: Any) -> Any:
        log: list[str] = []
        made = module.contextmanager(generators(log)[number])

        def work() -> str:
            with made() as value:
                log.append(f"with {value}")
                if raised is not None:
                    raise raised
            return "after"

        return outcome(work), log, made.__name__, made.__wrapped__.__qualname__

    assert used(blocks) == used(contextlib)


@pytest.mark.parametrize("raised", RAISED, ids=repr)
@pytest.mark.parametrize("ends", ["", "c", "cbc", "bsb", "sc", "xbx", "xsx", "bxsb"])
def test_stacks(ends: str, raised: BaseException | None) -> None:
    """b: a block; c: a callback; s: one that swallows; x: one that raises in the end."""

    def used(module: Any) -> Any:
        log: list[Any] = []

        class End:
            def __init__(self, name: str) -> None:
                self.name = name

            def __enter__(self) -> str:
                return self.name

            def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
                log.append((self.name, kind, str(error), trace is not None))
                if self.name == "x":
                    raise OSError(f"x{len(log)}")
                return self.name == "s"

        def work() -> str:
            with module.ExitStack() as stack:
                for end in ends:
                    if end == "c":
                        assert stack.callback(log.append, "called") == log.append
                    else:
                        assert stack.enter_context(End(end)) == end
                if raised is not None:
                    raise raised
            return "after"

        return outcome(work), log

    assert used(blocks) == used(contextlib)


def test_a_stack_can_be_closed_and_used_again() -> None:
    log: list[int] = []
    stack = blocks.ExitStack()
    stack.callback(log.append, 1)
    stack.close()
    stack.callback(log.append, 2)
    stack.close()
    assert log == [1, 2]


@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_the_small_ones(raised: BaseException | None) -> None:
    def used(module: Any) -> Any:
        closed: list[str] = []

        class Thing:
            def close(self) -> None:
                closed.append("closed")

        def work() -> Any:
            thing: Any = Thing()
            found: list[Any] = []
            with module.suppress(LookupError, ValueError), module.nullcontext(5) as five:
                with module.closing(thing) as same, module.nullcontext() as none:
                    found += [same is thing, five, none]
                    if raised is not None:
                        raise raised
                found.append("inside")
            return found

        return outcome(work), closed

    assert used(blocks) == used(contextlib)


def test_the_collections_are_those_of_the_standard_library() -> None:
    for name in ("Callable", "Container", "Iterable", "Iterator", "Mapping", "Sequence"):
        assert getattr(blocks, name) is getattr(collections.abc, name)
