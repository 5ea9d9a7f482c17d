"""systemd's units: filled in, installed and removed.

A unit is enabled by the link that systemctl would make (systemd.unit(5),
"[Install]"), so no program has to be called; systemd reads it at the next boot
or ``systemctl daemon-reload``.
"""

from __future__ import annotations

import contextlib
import os

from macvnet.errors import Conflict, InvalidRequest, KernelRefused, PermissionDenied
from macvnet.records import NamedTuple
from macvnet.text import printable, quoted

UNITS = ("macvnet-restore.service",)
DIRECTORY = "/etc/systemd/system"
WANTS = "multi-user.target.wants"
MARK = "# Written by 'macvnet integrate systemd --install'"
_TEMPLATES = os.path.join(os.path.dirname(__file__), "systemd")


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
    with open(os.path.join(_TEMPLATES, unit), encoding="utf-8") as file:
        text = file.read()
    words = " ".join(map(_word, (place.executable, *place.options)))
    return text.replace("@MACVNET@", words).replace("@STATE_DIR@", _specifiers(place.state_dir))


def _word(text: str) -> str:
    """A word of a command line as systemd.service(5) reads it."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return _specifiers(f'"{plain}"' if set(" \t\"'\\") & set(text) else plain)


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def install(place: Place) -> list[str]:
    """Write and enable all units; the paths that were made or changed.

    Conflict where somebody else's file is in the way, before anything is written.
    """
    for unit in UNITS:
        _refuse_foreign(unit)
    changed = []
    for unit in UNITS:
        path = os.path.join(DIRECTORY, unit)
        text = filled(unit, place)
        if _content(path) != text:
            _written(path, text)
            changed.append(path)
        link = os.path.join(DIRECTORY, WANTS, unit)
        if not os.path.islink(link):
            with _explained(link):
                os.makedirs(os.path.dirname(link), exist_ok=True)
                os.symlink(os.path.join("..", unit), link)
            changed.append(link)
    return changed


def installed() -> list[str]:
    """The units that are there and that macvnet wrote."""
    return [unit for unit in UNITS if MARK in _content(os.path.join(DIRECTORY, unit))]


def remove() -> list[str]:
    """Take away what ``install`` made; the paths that are gone. What is not ours stays."""
    gone = []
    for unit in installed():
        path = os.path.join(DIRECTORY, unit)
        link = os.path.join(DIRECTORY, WANTS, unit)
        for each in (link, path):
            with _explained(each), contextlib.suppress(FileNotFoundError):
                os.unlink(each)
                gone.append(each)
    return gone


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except OSError as error:
        raise _refusal(path, error) from None


def _refuse_foreign(unit: str) -> None:
    path = os.path.join(DIRECTORY, unit)
    if os.path.lexists(path) and (os.path.islink(path) or MARK not in _content(path)):
        raise Conflict(
            f"{quoted(path)} is there already, and macvnet did not write it",
            f"mv {printable(path)} {printable(path)}.old",
        )


def _written(path: str, text: str) -> None:
    """Whole or not at all: systemd never reads half a unit."""
    unfinished = f"{path}.{os.getpid()}"
    with _explained(path):
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
def _explained(path: str):  # type: ignore[no-untyped-def]  # an iterator's type costs an import
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _refusal(path, error) from None


def _refusal(path: str, error: OSError) -> PermissionDenied | KernelRefused:
    if isinstance(error, PermissionError):
        return PermissionDenied(f"no permission to write {quoted(path)}", "run macvnet as root")
    return KernelRefused(f"write {quoted(path)}", error.errno or 0)
