"""systemd's units: filled in, installed and removed.

A unit is enabled by the link that systemctl would make (systemd.unit(5),
"[Install]"), so no program has to be called; systemd reads it at the next boot
or ``systemctl daemon-reload``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from macvnet.errors import InvalidRequest
from macvnet.integration import files
from macvnet.records import NamedTuple
from macvnet.text import quoted

RESTORE, WATCH = "macvnet-restore.service", "macvnet-watch.service"
UNITS = (RESTORE, WATCH)
"""Every unit. ``WATCH`` is a process that stays, so it is installed on request only."""
DIRECTORY = "/etc/systemd/system"
WANTS = "multi-user.target.wants"
MARK = "# Written by 'macvnet integrate systemd --install'"


class Place(NamedTuple):
    """What a unit is to call: the executable, and its state directory and settings."""

    executable: str
    state_dir: str
    options: tuple[str, ...]


def filled(unit: str, place: Place) -> str:
    """The text of a unit. InvalidRequest for a word that would end the line it stands in."""
    for word in (place.executable, place.state_dir, *place.options):
        if not word.isprintable():
            raise InvalidRequest(
                f"{quoted(word)} has characters that no unit of systemd's can hold",
                "a path of printable characters",
            )
    import pkgutil

    # Not by its path: it may be inside of an archive.
    found = pkgutil.get_data(__package__, f"systemd/{unit}")
    assert found is not None
    text = found.decode()
    words = " ".join(map(_word, (place.executable, *place.options)))
    return text.replace("@MACVNET@", words).replace("@STATE_DIR@", _specifiers(place.state_dir))


def _word(text: str) -> str:
    """A word of a command line as systemd.service(5) reads it."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return _specifiers(f'"{plain}"' if set(" \t\"'\\") & set(text) else plain)


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def install(place: Place, units: Sequence[str]) -> list[str]:
    """Write and enable units; the paths that were made or changed.

    Conflict where somebody else's file is in the way, before anything is written.
    """
    for unit in units:
        files.refuse_foreign(os.path.join(DIRECTORY, unit), _is_ours)
    changed = []
    for unit in units:
        path = os.path.join(DIRECTORY, unit)
        text = filled(unit, place)
        if files.content(path) != text:
            files.write(path, text)
            changed.append(path)
        link = os.path.join(DIRECTORY, WANTS, unit)
        if not os.path.islink(link):
            with files.explained(link):
                os.makedirs(os.path.dirname(link), exist_ok=True)
                os.symlink(os.path.join("..", unit), link)
            changed.append(link)
    return changed


def installed() -> list[str]:
    """The units that are there and that macvnet wrote."""
    return [unit for unit in UNITS if _is_ours(files.content(os.path.join(DIRECTORY, unit)))]


def remove() -> list[str]:
    """Take away what ``install`` made; the paths that are gone. What is not ours stays."""
    gone = []
    for unit in installed():
        path = os.path.join(DIRECTORY, unit)
        link = os.path.join(DIRECTORY, WANTS, unit)
        for each in (link, path):
            with files.explained(each), contextlib.suppress(FileNotFoundError):
                os.unlink(each)
                gone.append(each)
    return gone


def _is_ours(text: str) -> bool:
    return MARK in text
