"""Runtimes: what turns a target as the user names it into an open sandbox.

A runtime is a module with a row in ``table``; the rest of macvnet sees only the
``Target`` it returns. The sandbox, not its spelling, is the identity.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from macvnet.errors import Conflict, NotFound
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Owner
from macvnet.store import Store
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
