"""The file that tells podman of the OCI hook: written, printed and removed.

Source: oci-hooks(5). Podman reads it at each start of a container, so nothing has
to be restarted; other engines with hooks.d (CRI-O) read the same form.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from macvnet.annotations import KEY
from macvnet.errors import InvalidRequest
from macvnet.integration import files
from macvnet.records import NamedTuple
from macvnet.text import quoted

DIRECTORY = "/usr/share/containers/oci/hooks.d"
"""Where every podman looks by itself; /etc/containers/oci/hooks.d only some do."""
FILE = "macvnet-oci-hook.json"
PROGRAM = "macvnet-oci-hook"
# Any key of ours, so that a misspelled one is refused and not passed over.
_WHEN = "^" + KEY.partition(".")[0] + r"\."


class Call(NamedTuple):
    """What podman is to call: the executable, with the options for state and settings."""

    executable: str
    options: tuple[str, ...]


def path() -> str:
    """Where the file goes."""
    return os.path.join(DIRECTORY, FILE)


def filled(call: Call) -> str:
    """The file's text. InvalidRequest for a word that is no text."""
    for word in (call.executable, *call.options):
        if not word.isprintable():
            raise InvalidRequest(
                f"{quoted(word)} has characters that no hook's path should have",
                "a path of printable characters",
            )
    hook = {"path": call.executable, "args": [PROGRAM, *call.options]}
    document = {
        "version": "1.0.0",
        "hook": hook,
        "when": {"annotations": {_WHEN: ".*"}},
        "stages": ["createRuntime", "poststop"],
    }
    return json.dumps(document, indent=2) + "\n"


def install(call: Call) -> list[str]:
    """Write the file; its path if that changed anything. Conflict where another's is there."""
    files.refuse_foreign(path(), _is_ours)
    text = filled(call)
    if files.content(path()) == text:
        return []
    files.write(path(), text)
    return [path()]


def installed() -> list[str]:
    """The file's path, if it is there and macvnet wrote it."""
    return [path()] if _is_ours(files.content(path())) else []


def remove() -> list[str]:
    """Take the file away; its path, if it was there and ours."""
    gone = []
    for each in installed():
        with files.explained(each), contextlib.suppress(FileNotFoundError):
            os.unlink(each)
            gone.append(each)
    return gone


def _is_ours(text: str) -> bool:
    """JSON has no comments: what calls our hook by its name was written by us."""
    try:
        found: Any = json.loads(text)
        return bool(found["hook"]["args"][0] == PROGRAM)
    except (LookupError, TypeError, ValueError, RecursionError):
        return False
