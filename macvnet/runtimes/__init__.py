"""Runtimes: what turns a target as the user names it into an open sandbox.

A runtime is a module with a row in ``table``; the rest of macvnet sees only the
``Target`` it returns. The sandbox, not its spelling, is the identity.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from macvnet.errors import Conflict, NotFound
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Owner
from macvnet.records import NamedTuple
from macvnet.store import Reader, Store
from macvnet.text import quoted

SPELLINGS = "a PID, pid:4242, netns:NAME, run:NAME or a path such as /run/netns/NAME"


class Target(NamedTuple):
    """An open sandbox, and whose it is. ``pid`` is a process in it where one is known."""

    owner: Owner
    namespace: Namespace
    pid: int | None

    @property
    def enter(self) -> str:
        """What stands before a command to run it in the sandbox, for people to read."""
        if self.owner.runtime == "netns":
            return f"ip netns exec {self.owner.name}"
        path = f"/proc/{self.pid}/ns/net" if self.pid else self.owner.name
        return f"nsenter --net={path}"


class Listed(NamedTuple):
    """A container that is there: its name, and a few words about it ("" where there are none)."""

    name: str
    about: str = ""


class Runtime(Protocol):
    """What a runtime module offers."""

    NAME: str

    def owner(self, name: str) -> Owner:
        """Whose endpoint a target of that name has, whether or not it is there."""

    def open_target(self, name: str, store: Store) -> Target:
        """The open sandbox; NotFound if there is none of that name."""

    def knows(self, name: str, store: Store) -> bool:
        """Whether a bare word names something here; cheap, never raises."""

    def present(self, name: str, store: Store) -> bool:
        """Whether a target of that name seems to be there: from /proc and files, no proof."""

    def listed(self, prefix: str, reader: Reader, seconds: float) -> Iterable[Listed]:
        """What is there whose name begins with ``prefix``, for the Tab key.

        Gives up after ``seconds``, with what it has until then. May raise, which
        lists nothing; changes nothing.
        """


def table() -> dict[str, Runtime]:
    """Every runtime by its name."""
    from macvnet.runtimes import netns, path, pid, run

    return {kind.NAME: kind for kind in (pid, netns, run, path)}


def split(text: str, store: Store) -> tuple[Runtime, str]:
    """Which runtime a target's spelling belongs to, and its name there.

    NotFound for a spelling that nothing knows, Conflict where several do.
    """
    kinds = table()
    if text.isascii() and text.isdecimal():
        return kinds["pid"], text
    if "/" in text and text.partition(":")[0] not in kinds:
        return kinds["path"], text
    scheme, colon, name = text.partition(":")
    if colon and scheme in kinds:
        return kinds[scheme], name
    if not colon and text:
        known = [kind for kind in kinds.values() if kind.knows(text, store)]
        if len(known) == 1:
            return known[0], text
        if known:
            raise Conflict(
                f"{quoted(text)} is known to several runtimes",
                " or ".join(f"{kind.NAME}:{text}" for kind in known),
            )
    raise NotFound(f"there is no container {quoted(text)}", f"give {SPELLINGS}")


def owner_of(text: str, store: Store) -> Owner:
    """Whose endpoint a target's spelling means, also when the target is gone."""
    kind, name = split(text, store)
    return kind.owner(name)


def resolve(text: str, store: Store) -> Target:
    """Open the sandbox that ``text`` names; the caller closes ``namespace``."""
    kind, name = split(text, store)
    return kind.open_target(name, store)


def listed(typed: str, reader: Reader, seconds: float) -> list[Listed]:
    """The spellings of containers that begin with ``typed``; never raises.

    ``RUNTIME:NAME``, and the bare name where something of it was typed, and it
    means one container only. No runtime takes the time of those after it.
    """
    end = time.monotonic() + seconds
    found: list[Listed] = []
    bare: dict[str, list[Listed]] = {}
    kinds = list(table().values())
    for place, kind in enumerate(kinds):
        scheme = f"{kind.NAME}:"
        all_of_it = scheme.startswith(typed)
        if ":" in typed and not all_of_it and not typed.startswith(scheme):
            continue
        prefix = "" if all_of_it else typed.removeprefix(scheme)
        for one in _tried(kind, prefix, reader, (end - time.monotonic()) / (len(kinds) - place)):
            if (scheme + one.name).startswith(typed):
                found.append(Listed(scheme + one.name, one.about))
            if typed and ":" not in typed and stands_alone(kind, one.name):
                bare.setdefault(one.name, []).append(Listed(one.name, one.about or kind.NAME))
    known_once = [same[0] for same in bare.values() if len(same) == 1]
    return found + [one for one in known_once if one.name.startswith(typed)]


def stands_alone(kind: Runtime, name: str) -> bool:
    """Whether ``split`` would take the bare name for a word to look up, or for this one's PID."""
    return not set(name) & set(":/") and (not name.isdecimal() or kind is table()["pid"])


def _tried(kind: Runtime, prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    try:
        return list(kind.listed(prefix, reader, seconds)) if seconds > 0 else []
    except Exception:  # whatever it is: what one cannot say must not silence the others
        return []
