"""Tasks of containerd, by their container's ID: those of ctr, nerdctl and Kubernetes.

containerd keeps a directory for each task in its state directory, with the PID
of its first process; so nobody has to be asked, and nothing can hang. The PID is
believed if the runtime below says when that process began, or if the process's
control group is named after the container.
"""

from __future__ import annotations

import os
import re

from macvnet.errors import (
    Conflict,
    InvalidRequest,
    MacvnetError,
    NotFound,
    RuntimeUnavailable,
)
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Endpoint, Owner
from macvnet.records import NamedTuple
from macvnet.runtimes import Listed, NoSandbox, Target, process, runc, when_it_starts
from macvnet.store import Reader, Store
from macvnet.text import quoted

NAME = "containerd"
ISOLATED = "ctr run, without --net-host"
STATES = ("/run/containerd", "/run/docker/containerd/daemon", "/run/k3s/containerd")
"""State directories: containerd's own, the one of Docker's, the one of k3s."""
TASKS = "io.containerd.runtime.v2.task"
DOCKERS = "moby"
"""The namespace that Docker's containers are in."""

_WORD = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
LONGEST = 76
"""containerd's limit for both kinds of word."""


class Task(NamedTuple):
    """A container's task: in which state directory, in which namespace."""

    state: str
    namespace: str
    container: str

    @property
    def directory(self) -> str:
        return f"{self.state}/{TASKS}/{self.namespace}/{self.container}"

    def pid(self) -> int:
        """The PID of its first process; 0 where there is none."""
        try:
            with open(f"{self.directory}/init.pid", encoding="ascii") as file:
                text = file.read(32).strip()
        except (OSError, ValueError):
            return 0
        return int(text) if text.isdecimal() else 0

    def proves(self, held: process.Process) -> bool:
        """Whether a process is the task's first one."""
        below = runc.read(f"{runc.CONTAINERD_ROOTS}/{self.namespace}/{self.container}")
        if below is not None and below.pid == held.pid:
            return held.began() == below.began
        return held.is_in_group_of(self.container)


def _parts(name: str) -> tuple[str, str]:
    """Namespace ("" where it is not said) and ID; InvalidRequest for what is neither."""
    namespace, slash, container = name.rpartition("/")
    words = (namespace, container) if slash else (container,)
    if not all(_WORD.fullmatch(word) and len(word) <= LONGEST for word in words):
        raise InvalidRequest(
            f"{quoted(name)} is no ID of a container of containerd", "ctr -n NAMESPACE tasks ls"
        )
    return namespace, container


def owner(name: str) -> Owner:
    """``containerd:NAMESPACE/ID``, or ``containerd:ID`` where the namespace is not known."""
    return Owner(NAME, name, _parts(name)[1])


def open_target(name: str, store: Store) -> Target:
    """The network namespace of the first process of the container's task."""
    namespace, container = _parts(name)
    found = _tasks(namespace, container)
    if not found and not any(os.path.isdir(state) for state in STATES):
        raise RuntimeUnavailable(
            f"containerd is not there: there is no directory {STATES[0]}",
            "systemctl start containerd",
        )
    if not found:
        raise NotFound(
            f"containerd has no task of a container {quoted(name)}", "ctr -n NAMESPACE tasks ls"
        )
    if len(found) > 1:
        raise Conflict(
            f"there are {len(found)} containers {quoted(container)} of containerd",
            " or ".join(f"containerd:{task.namespace}/{container}" for task in found),
        )
    (task,) = found

    def proof(held: process.Process, opened: Namespace) -> bool:
        return task.proves(held)

    pid = task.pid()
    opened = process.hold(pid, proof)
    if opened is None:
        raise NoSandbox(
            f"the task of the container {quoted(container)} of containerd does not run",
            when_it_starts(
                f"ctr -n {task.namespace} tasks rm {container}; "
                f"ctr -n {task.namespace} tasks start -d {container}",
                owner(f"{task.namespace}/{container}"),
            ),
        )
    return Target(owner(f"{task.namespace}/{container}"), opened, pid)


def _tasks(namespace: str, container: str) -> list[Task]:
    found = []
    for state in STATES:
        try:
            namespaces = [namespace] if namespace else sorted(os.listdir(f"{state}/{TASKS}"))
        except OSError:
            continue
        tasks = (Task(state, each, container) for each in namespaces)
        found += [task for task in tasks if os.path.isdir(task.directory)]
    return found


def knows(name: str, store: Store) -> bool:
    """Whether a container of that ID has a task."""
    return bool(_WORD.fullmatch(name)) and bool(_tasks("", name))


def present(endpoint: Endpoint, store: Store) -> bool:
    """Whether the task still has the process that the endpoint was made with."""
    try:
        tasks = [each for each in _tasks(*_parts(endpoint.owner.name)) if each.pid()]
        with process.Process(endpoint.pid or 0) as held:
            return any(each.pid() == held.pid and each.proves(held) for each in tasks)
    except MacvnetError:
        return False


def listed(prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    """Tasks, but not Docker's; with their namespace where the ID alone is not enough."""
    wanted, slash, _ = prefix.rpartition("/")
    found: dict[str, list[str]] = {}
    for state in STATES:
        try:
            namespaces = [wanted] if slash else sorted(os.listdir(f"{state}/{TASKS}"))
        except OSError:
            continue
        for namespace in namespaces:
            if namespace != DOCKERS and _WORD.fullmatch(namespace):
                for container in _listdir(f"{state}/{TASKS}/{namespace}"):
                    found.setdefault(container, []).append(namespace)
    names = [
        Listed(container, f"in {spaces[0]}")
        if not slash and len(spaces) == 1
        else Listed(f"{namespace}/{container}")
        for container, spaces in sorted(found.items())
        for namespace in spaces
    ]
    return [one for one in names if one.name.startswith(prefix)]


def _listdir(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
