"""Functions of the C library that Python does not offer, by name.

``ctypes`` defines a class for each of C's types when it is loaded, which costs a
sixteenth of a short command; a call with numbers and bytes needs one of them. Where
the module behind it is not as expected, ``ctypes`` itself is used;
``tests/unit/test_libc.py`` fails when it comes to that.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_functions: dict[str, Any] = {}
_library: tuple[Callable[[str], Any], Callable[[], int]] | None = None


def call(name: str, *arguments: int | bytes) -> None:
    """Call a function that returns an int, 0 for success. OSError with errno otherwise."""
    global _library
    if _library is None:
        try:
            _library = _light()
        except (ImportError, AttributeError, TypeError):
            _library = _plain()
    find, error_number = _library
    function = _functions.get(name)
    if function is None:
        function = _functions[name] = find(name)
    if function(*arguments) != 0:
        number = error_number()
        raise OSError(number, os.strerror(number))


def _light() -> tuple[Callable[[str], Any], Callable[[], int]]:
    import _ctypes

    library: Any = _ctypes

    class Int(library._SimpleCData):  # type: ignore[misc]  # a class out of an Any
        _type_ = "i"

    class Function(library.CFuncPtr):  # type: ignore[misc]  # the same
        _flags_ = library.FUNCFLAG_CDECL | library.FUNCFLAG_USE_ERRNO
        _restype_ = Int

    class Program:
        _handle = library.dlopen(None, 0)

    return lambda name: Function((name, Program)), library.get_errno


def _plain() -> tuple[Callable[[str], Any], Callable[[], int]]:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    return lambda name: getattr(library, name), ctypes.get_errno
