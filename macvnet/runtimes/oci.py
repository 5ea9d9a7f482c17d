"""A container as an OCI runtime tells its hooks of it, on their standard input.

Source: github.com/opencontainers/runtime-spec, runtime.md, "State", and config.md,
"POSIX-platform Hooks". The runtime is the hook's parent and waits for it, so its
word is taken: the process it names is its own child, whose number cannot be given
to another meanwhile. Its state is not in its root yet when a container is created.
"""

from __future__ import annotations

import os

from macvnet import jsontext
from macvnet.errors import Conflict, InvalidRequest
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Owner
from macvnet.records import NamedTuple
from macvnet.runtimes import NoSandbox, Target, is_drawn_by_lot, runc
from macvnet.text import is_name, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST = 1 << 20
CREATING = ("creating", "created")
"""Statuses in the hook createRuntime: runc's, and what the specification also allows."""
STOPPED = "stopped"

# Not from its module, which loads all that it takes to ask podman.
_PODMAN = "podman"
# Podman keeps a bundle below the folder of its storage driver, and all names in a file there.
_PODMAN_FOLDER, _PODMAN_DATA = "-containers", "userdata"
_NAMES = "containers.json"
_NAME_LONGEST = 255


class Told(NamedTuple):
    """What is told of a container. ``pid`` is 0 where there is no process (any more)."""

    id: str
    status: str
    pid: int
    bundle: str
    annotations: dict[str, str]


def read(text: bytes) -> Told:
    """The state that a hook is given. InvalidRequest for anything else."""
    try:
        found: Any = jsontext.read(text.decode())
        annotations = found.get("annotations") or {}
        told = Told(
            found["id"], found["status"], found.get("pid") or 0, found["bundle"], dict(annotations)
        )
        words = (told.id, told.status, told.bundle, *annotations, *annotations.values())
        if not all(isinstance(word, str) for word in words) or type(told.pid) is not int:
            raise TypeError
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        raise InvalidRequest(
            "the standard input is not the state of an OCI container",
            "macvnet-oci-hook is called by runc or podman; see docs/how-to/oci-hook.md",
        ) from None
    return told


def owner(told: Told, root: str) -> Owner:
    """Whose endpoint it is: podman's by the bundle, else runc's; ``root`` "" is a usual one.

    InvalidRequest for what cannot be an ID.
    """
    folder, _, rest = told.bundle.rpartition(f"/{told.id}/")
    if is_drawn_by_lot(told.id) and rest == _PODMAN_DATA and folder.endswith(_PODMAN_FOLDER):
        name = _name_in(f"{folder}/{_NAMES}", told.id)
        return Owner(_PODMAN, name or told.id, told.id)
    return runc.owner(f"{root}/{told.id}" if root and root not in runc.ROOTS else told.id)


def _name_in(path: str, container: str) -> str:
    """The first name that storage knows a container by; "" where it knows none."""
    try:
        with open(path, "rb") as file:
            every: Any = jsontext.read(file.read(runc.LARGEST).decode())
        [names] = [one["names"] for one in every if one["id"] == container]
        name = names[0]
        good = is_name(name) and len(name) <= _NAME_LONGEST and not is_drawn_by_lot(name)
        return name if good else ""
    except (OSError, LookupError, TypeError, ValueError, RecursionError):
        return ""


def open_target(told: Told, owner: Owner) -> Target:
    """The container's network namespace, and the process that holds it.

    NoSandbox where there is no process. NotFound if it has ended.
    """
    if not told.pid:
        raise NoSandbox(
            f"the runtime names no process of the container {quoted(told.id)}",
            "call macvnet-oci-hook in createRuntime",
        )
    return Target(owner, Namespace.of_pid(told.pid), told.pid)


def refuse_user_namespace() -> None:
    """Conflict where the hook is in the user namespace of a user who is not root (rootless)."""
    try:
        with open("/proc/self/uid_map", encoding="utf-8") as file:
            if file.read().split() == ["0", "0", "4294967295"]:
                return
        if os.readlink("/proc/self/ns/user") == os.readlink("/proc/1/ns/user"):
            # All of this machine is in one: a container that is a host to others.
            return
    except OSError:
        pass
    raise Conflict(
        "the container is rootless: its runtime runs in a user namespace, which cannot put an "
        "interface on the host's links",
        "let root run it, or let root attach it by its PID: macvnet attach PID",
    )
