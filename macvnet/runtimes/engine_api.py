"""The REST interface that Docker has and Podman offers too: a container by name or ID.

Knows what is asked and how an answer is proved; must not know where either of
the two is to be found. What is there is believed only as far as this machine's
kernel confirms it, because the address may lead to another one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from macvnet.errors import InvalidRequest, NotFound, RuntimeUnavailable
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Owner
from macvnet.records import NamedTuple
from macvnet.runtimes import SHORTEST_ID, Listed, NoSandbox, Target, process, rest, when_it_starts
from macvnet.runtimes.rest import Place
from macvnet.text import quoted

ANSWER_SECONDS = 5.0
"""How long the runtime that is named may take."""
LOOK_UP_SECONDS = 2.0
"""How long one may take that might know a bare word."""

HERE_ONLY = "macvnet connects containers of this machine"
BY_SSH = "is asked through ssh, and " + HERE_ONLY

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_ID = re.compile(r"[0-9a-f]{64}")
# Their last parts are drawn by lot, so none is on two machines.
_SANDBOX = re.compile(
    r"/(?:var/)?run/(?:docker/netns/[0-9a-f]{12}"
    r"|netns/netns-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)


class Api(NamedTuple):
    """One runtime that speaks it.

    ``place`` finds out where to ask. ``start`` is what to type where nobody answers,
    ``absent`` where there is no container of a name.
    """

    name: str
    place: Callable[[], Place]
    start: str
    absent: str

    def owner(self, name: str) -> Owner:
        """``NAME:name``; InvalidRequest where no container can be called so."""
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{quoted(name)} cannot name a container of {self.name}", f"{self.name} ps"
            )
        return Owner(self.name, name)

    def open_target(self, name: str) -> Target:
        """The sandbox of a running container, by name, ID or the beginning of its ID."""
        self.owner(name)
        place = self._here()
        found = self._inspect(place, name, ANSWER_SECONDS)
        if found is None:
            raise NotFound(f"{self.name} has no container {quoted(name)}", self.absent)
        if not found.pid:
            raise NoSandbox(
                f"the container {found.owner} does not run",
                when_it_starts(f"{self.name} start {found.owner.name}", found.owner, watched=True),
            )
        namespace = process.hold(found.pid, found.is_proved)
        if namespace is None:
            raise NotFound(self._not_here(found, place), self._back_here(place))
        return Target(found.owner, namespace, found.pid)

    def knows(self, name: str) -> bool:
        """Whether a container of this machine has that name, or ID (its first 12 digits do)."""
        place = self.place()
        if not _NAME.fullmatch(name) or not os.path.exists(place.path):
            return False
        found = self._inspect(place, name, LOOK_UP_SECONDS)
        if found is None:
            return False
        return name == found.owner.name or len(name) >= SHORTEST_ID

    def listed(self, prefix: str, seconds: float) -> list[Listed]:
        """Running containers by name, and their images."""
        place = self.place()
        if not os.path.exists(place.path):
            return []
        answer = rest.get(self.name, place, "/containers/json", seconds, self._answer(place))
        return [
            Listed(name, str(one.get("Image", "")))
            for one in answer.body
            for name in sorted(text.removeprefix("/") for text in one["Names"])
            if name.startswith(prefix)
        ]

    def _here(self) -> Place:
        place = self.place()
        if place.elsewhere:
            raise NotFound(
                f"{place.said_by} {quoted(place.url)} {place.elsewhere}", self._back_here(place)
            )
        return place

    def _inspect(self, place: Place, name: str, seconds: float) -> _Found | None:
        answer = rest.get(
            self.name, place, f"/containers/{name}/json", seconds, self._answer(place)
        )
        if answer.status == 200:
            try:
                return _found(self.name, answer.body)
            except (AttributeError, LookupError, ArithmeticError, TypeError, ValueError):
                pass
        said = answer.body.get("message") if isinstance(answer.body, dict) else None
        if answer.status == 404 or (answer.status == 400 and said):
            return None
        raise RuntimeUnavailable(
            f"{self.name} at {place} does not say what {quoted(name)} is: "
            + (quoted(said) if said else f"HTTP status {answer.status}"),
            self._answer(place),
        )

    def _answer(self, place: Place) -> str:
        """What to type where nobody answers: the place may be the wrong one."""
        return f"{self.start}, or {self._back_here(place)}" if place.said_by else self.start

    def _not_here(self, found: _Found, place: Place) -> str:
        asked = f"{self.name} at {place}" + (f" ({place.said_by})" if place.said_by else "")
        return (
            f"the container {found.owner} is not proved to be on this machine: here, process "
            f"{found.pid}, which {asked} says is its, is in no control group of its"
        )

    def _back_here(self, place: Place) -> str:
        if place.said_by.startswith("context"):
            return f"{self.name} context use default"
        if place.said_by:
            return f"unset {place.said_by}"
        return "run macvnet on the machine itself, outside of any container"


class _Found(NamedTuple):
    """A container as the runtime tells of it. ``pid`` is 0 while it does not run."""

    owner: Owner
    pid: int
    sandbox: str

    def is_proved(self, held: process.Process, namespace: Namespace) -> bool:
        """Whether a process is this container's: by its control group, else by the sandbox."""
        if held.is_in_group_of(self.owner.id):
            return True
        if not _SANDBOX.fullmatch(self.sandbox):
            return False
        with Namespace.open(self.sandbox) as sandbox:
            return sandbox.same_as(namespace)


def _found(runtime: str, body: Any) -> _Found:
    """ValueError and its like where the answer has not the shape that it should have."""
    name, container = body["Name"].removeprefix("/"), body["Id"]
    if not _NAME.fullmatch(name) or not _ID.fullmatch(container):
        raise ValueError(name)
    state = body["State"]
    # To Podman, one that is paused does not run.
    runs = state["Running"] or state.get("Paused")
    pid = int(state["Pid"]) if runs else 0
    sandbox = (body.get("NetworkSettings") or {}).get("SandboxKey") or ""
    return _Found(Owner(runtime, name, container), pid, str(sandbox))
