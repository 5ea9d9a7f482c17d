"""Files of ours in directories of others: written whole, replaced only where they are ours.

Knows how a file is written and refused; must not know what is in one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from macvnet import failures
from macvnet.errors import Conflict, KernelRefused, PermissionDenied
from macvnet.text import printable, quoted

LARGEST = 1 << 16


def content(path: str) -> str:
    """What is in a file; "" where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except OSError as error:
        raise _refusal(path, error) from None


def refuse_foreign(path: str, is_ours: Callable[[str], bool]) -> None:
    """Conflict where somebody else's file is in the way; ``is_ours`` judges a content."""
    if os.path.lexists(path) and (os.path.islink(path) or not is_ours(content(path))):
        raise Conflict(
            f"{quoted(path)} is there already, and macvnet did not write it",
            f"mv {printable(path)} {printable(path)}.old",
        )


def write(path: str, text: str) -> None:
    """Whole or not at all: nobody ever reads half a file."""
    unfinished = f"{path}.{os.getpid()}"
    with explained(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(
            unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
        )
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(descriptor, 0o644)
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            os.rename(unfinished, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """What the kernel refuses inside the block becomes a refusal that names ``path``."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _refusal(path, error) from None


def _refusal(path: str, error: OSError) -> PermissionDenied | KernelRefused:
    if isinstance(error, PermissionError):
        return PermissionDenied(f"no permission to write {quoted(path)}", "run macvnet as root")
    return KernelRefused(
        f"write {quoted(path)}",
        error.errno or 0,
        failures.reason(error),
        failures.advice(error, path),
    )
