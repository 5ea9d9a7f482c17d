"""Files that are given on the command line, ``-`` for the standard input."""

from __future__ import annotations

import sys

from macvnet.errors import InvalidRequest, NotFound, PermissionDenied
from macvnet.text import quoted


def content(file: str, largest: int) -> str:
    """The text of a file, of ``largest`` bytes at most.

    Raises NotFound, PermissionDenied, or InvalidRequest for what is too large,
    no file, or not UTF-8.
    """
    try:
        if file == "-":
            read = sys.stdin.buffer.read(largest + 1)
        else:
            with open(file, "rb") as opened:
                read = opened.read(largest + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {quoted(file)}", "ls -l") from None
    except PermissionError:
        raise PermissionDenied(f"the file {quoted(file)} cannot be read", "ls -l") from None
    except (OSError, ValueError) as error:
        from macvnet import failures

        reason = failures.reason(error) if isinstance(error, OSError) else error
        raise InvalidRequest(f"the file {quoted(file)} cannot be read: {reason}", "ls -l") from None
    if len(read) > largest:
        raise InvalidRequest(f"the file {quoted(file)} is larger than {largest} bytes", "ls -l")
    try:
        return read.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"the file {quoted(file)} is not UTF-8", f"file {file}") from None
