"""Containers of runc and of what keeps its state as runc or crun does, by their ID.

The state is a file in the runtime's root, which says when the container's first
process began. That proves the process, since no two with one number begin at one
time. Must not start a runtime: its own program would be root's, and unknown.
"""

from __future__ import annotations

import os

from macvnet import jsontext
from macvnet.errors import (
    Conflict,
    InvalidRequest,
    MacvnetError,
    NotFound,
    PermissionDenied,
)
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Endpoint, Owner
from macvnet.records import NamedTuple
from macvnet.runtimes import Listed, NoSandbox, Target, process, when_it_starts
from macvnet.store import Reader, Store
from macvnet.text import NAME_CHARACTERS, only, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "runc"
ISOLATED = '{"type": "network"} among the namespaces of config.json'
ROOTS = ("/run/runc", "/run/crun")
"""Where people's own containers are, and Podman's."""
DOCKER_ROOT = "/run/docker/runtime-runc/moby"
CONTAINERD_ROOTS = "/run/containerd/runc"
"""A root for each of containerd's namespaces."""
LARGEST = 1 << 24
ID_LENGTH = 64

# The file, the keys of PID and of its beginning in clock ticks: runc's, then crun's.
_FILES = (
    ("state.json", "init_process_pid", "init_process_start"),
    ("status", "pid", "process-start-time"),
)
_ID_CHARACTERS = NAME_CHARACTERS + "+"
_ID_LONGEST = 255


class State(NamedTuple):
    """What a root says of a container: its first process, and when that began."""

    pid: int
    began: int


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _ID_LONGEST and only(text, _ID_CHARACTERS) and text[0] not in ".+-"


def _parts(name: str) -> tuple[str, str]:
    """Root ("" where it is not said) and ID; InvalidRequest for what is neither."""
    root, slash, container = name.rpartition("/")
    good = not slash or (root.startswith("/") and os.path.normpath(root) == root)
    if not _is_id(container) or not good or not root.isprintable():
        raise InvalidRequest(
            f"{quoted(name)} is no ID of a container", "runc list; runc:/ROOT/ID for another root"
        )
    return root, container


def owner(name: str) -> Owner:
    """``runc:ID``, or ``runc:/ROOT/ID`` where the root is said."""
    return Owner(NAME, name, _parts(name)[1])


def open_target(name: str, store: Store) -> Target:
    """The network namespace of the container's first process, created or running."""
    root, container = _parts(name)
    found = [(each, state) for each in _roots(root) if (state := read(f"{each}/{container}"))]
    if not found:
        where = f"in {root}" if root else "in " + ", ".join(_roots(""))
        raise NotFound(
            f"there is no container {quoted(container)} {where}",
            "runc list; runc:/ROOT/ID for another root",
        )
    if len(found) > 1:
        raise Conflict(
            f"there are {len(found)} containers {quoted(container)}",
            " or ".join(f"runc:{each}/{container}" for each, _ in found),
        )
    root, state = found[0]
    namespace = hold(state)
    if namespace is None:
        raise NoSandbox(
            f"the container {quoted(container)} in {root} does not run",
            when_it_starts(f"runc --root {root} delete {container}", owner(name)),
        )
    return Target(owner(name), namespace, state.pid)


def hold(state: State) -> Namespace | None:
    """The network namespace of that very process; None once it has ended."""
    return process.hold(state.pid, lambda held, _: held.began() == state.began)


def read(directory: str) -> State | None:
    """The state that is kept in a directory; None where there is none.

    PermissionDenied where somebody else than root could have written it.
    """
    for name, pid, began in _FILES:
        try:
            with open(f"{directory}/{name}", "rb") as file:
                status = os.fstat(file.fileno())
                text = file.read(LARGEST)
        except OSError:
            continue
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
            raise PermissionDenied(
                f"the state {quoted(f'{directory}/{name}')} could have been written by others",
                f"ls -l {directory}/{name}",
            )
        if state := _state(text, pid, began):
            return state
    return None


def _state(text: bytes, pid: str, began: str) -> State | None:
    try:
        found: Any = jsontext.read(text.decode())
        return State(int(found[pid]), int(found[began]))
    except (LookupError, ArithmeticError, TypeError, ValueError, RecursionError):
        return None


def _roots(root: str) -> list[str]:
    if root:
        return [root]
    try:
        namespaces = sorted(os.listdir(CONTAINERD_ROOTS))
    except OSError:
        namespaces = []
    return [*ROOTS, DOCKER_ROOT, *(f"{CONTAINERD_ROOTS}/{each}" for each in namespaces)]


def knows(name: str, store: Store) -> bool:
    """Whether one of the usual roots has that ID."""
    return _is_id(name) and any(_has_state(f"{root}/{name}") for root in _roots(""))


def _has_state(directory: str) -> bool:
    return any(os.path.exists(f"{directory}/{name}") for name, _, _ in _FILES)


def present(endpoint: Endpoint, store: Store) -> bool:
    """Whether the container still has the process that the endpoint was made with."""
    try:
        root, container = _parts(endpoint.owner.name)
        states = [read(f"{each}/{container}") for each in _roots(root)]
        with process.Process(endpoint.pid or 0) as held:
            return State(held.pid, held.began()) in states
    except MacvnetError:
        return False


def listed(prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    """What people named themselves; other tools' IDs once something of one is typed."""
    root, slash, begun = prefix.rpartition("/")
    found: set[str] = set()
    for each in [root] if slash else ROOTS:
        try:
            names = os.listdir(each)
        except OSError:
            continue
        fitting = (name for name in names if name.startswith(begun) and _is_id(name))
        found.update(name for name in fitting if _has_state(f"{each}/{name}"))
    return [
        Listed(f"{root}{slash}{name}") for name in sorted(found) if begun or len(name) != ID_LENGTH
    ]
