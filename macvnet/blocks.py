"""Blocks for ``with``, and abstract collections, as the standard library has them.

For the modules that a short command loads: ``contextlib`` and ``collections.abc`` take a
thirtieth of its instructions to load. For the reader and for mypy these are the standard
library's, and ``tests/unit/test_blocks.py`` holds the two against each other.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
else:
    from _collections_abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    class _Block:
        """A generator that yields once, as a block."""

        def __init__(self, generator):
            self._generator = generator

        def __enter__(self):
            try:
                return next(self._generator)
            except StopIteration:
                raise RuntimeError("generator didn't yield") from None

        def __exit__(self, kind, error, trace):
            if kind is None:
                try:
                    next(self._generator)
                except StopIteration:
                    return False
                raise RuntimeError("generator didn't stop")
            try:
                self._generator.throw(error)
            except StopIteration as stop:
                return stop is not error
            except BaseException as raised:
                # A generator that lets StopIteration out raises RuntimeError in its place.
                replaced = isinstance(error, StopIteration) and raised.__cause__ is error
                if raised is not error and not replaced:
                    raise
                error.__traceback__ = trace
                return False
            raise RuntimeError("generator didn't stop after throw()")

    def contextmanager(function):
        """A generator function as one that returns a block."""

        def block(*values, **named):
            return _Block(function(*values, **named))

        block.__name__, block.__qualname__ = function.__name__, function.__qualname__
        block.__doc__, block.__module__ = function.__doc__, function.__module__
        block.__wrapped__ = function
        return block

    class suppress:
        """A block that ends quietly where one of these exceptions is raised."""

        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            pass

        def __exit__(self, kind, error, trace):
            return kind is not None and issubclass(kind, self._kinds)

    class nullcontext:
        """A block that does nothing."""

        def __init__(self, value=None):
            self._value = value

        def __enter__(self):
            return self._value

        def __exit__(self, *exception):
            pass

    class closing:
        """A block that closes something in the end."""

        def __init__(self, thing):
            self._thing = thing

        def __enter__(self):
            return self._thing

        def __exit__(self, *exception):
            self._thing.close()

    class ExitStack:
        """A block that ends others, and calls functions, last in, first out."""

        def __init__(self):
            self._ends = []

        def enter_context(self, block):
            """Begin a block, which ends with this one; what it gives."""
            kind = type(block)
            enter, leave = kind.__enter__, kind.__exit__
            value = enter(block)
            self._ends.append(lambda *exception: leave(block, *exception))
            return value

        def callback(self, function, *values, **named):
            """Have a function called in the end."""

            def end(*exception):
                function(*values, **named)

            self._ends.append(end)
            return function

        def close(self):
            """End all now."""
            self.__exit__(None, None, None)

        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            now = error
            while self._ends:
                end = self._ends.pop()
                try:
                    if end(type(now), now, now.__traceback__) if now else end(None, None, None):
                        now = None
                except BaseException as raised:
                    now = raised
            if now is not None and now is not error:
                raise now
            return error is not None and now is None


__all__ = [
    "Callable",
    "Container",
    "ExitStack",
    "Iterable",
    "Iterator",
    "Mapping",
    "Sequence",
    "closing",
    "contextmanager",
    "nullcontext",
    "suppress",
]
