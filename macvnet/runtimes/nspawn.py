"""Containers that systemd-machined knows: those of systemd-nspawn, by machine name.

machined keeps a file for each machine, which systemd's own programs and library
read as well; so nobody has to be asked, and nothing can hang. What it says is
believed only if the leader is in the unit that the file names.
"""

from __future__ import annotations

import os
import re

from macvnet.errors import InvalidRequest, NotFound, RuntimeUnavailable
from macvnet.model import Endpoint, Owner
from macvnet.runtimes import Listed, NoSandbox, Target, process
from macvnet.store import Reader, Store
from macvnet.text import quoted

NAME = "nspawn"
ISOLATED = "systemd-nspawn --private-network ..."
DIRECTORY = "/run/systemd/machines"
BOOTED = "/run/systemd/system"
"""There where systemd is the first process (sd_booted(3))."""
LARGEST = 1 << 16

_MACHINE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_ESCAPED = re.compile(r"\\(.)")


def owner(name: str) -> Owner:
    """``nspawn:NAME``, which ``machine:NAME`` means too."""
    if not _MACHINE.fullmatch(name):
        raise InvalidRequest(f"{quoted(name)} cannot name a machine", "machinectl list")
    return Owner(NAME, name)


def open_target(name: str, store: Store) -> Target:
    """The network namespace of the machine's leader, its first process."""
    found = owner(name)
    machine = _machine(name)
    if machine is None:
        # machined starts with the first machine.
        if not os.path.isdir(DIRECTORY) and not os.path.isdir(BOOTED):
            raise RuntimeUnavailable(
                f"systemd-machined cannot be there: systemd does not run here, {BOOTED} is missing",
                "the PID of the container's first process, instead of its name",
            )
        raise NotFound(f"there is no machine {quoted(name)}", "machinectl list")
    if machine.get("CLASS") != "container":
        raise NoSandbox(
            f"the machine {quoted(name)} is no container, its class is "
            f"{quoted(machine.get('CLASS', ''))}",
            "machinectl list",
        )
    leader = machine.get("LEADER", "")
    unit = machine.get("SCOPE", "")
    pid = int(leader) if leader.isascii() and leader.isdecimal() else 0
    namespace = process.hold(pid, lambda held, _: held.is_in_group_of(unit))
    if namespace is None:
        raise NotFound(
            f"the machine {quoted(name)} has ended: process {pid} is none of its unit "
            f"{quoted(unit)}",
            f"machinectl status {name}",
        )
    return Target(found._replace(id=machine.get("ID", "")), namespace, pid)


def knows(name: str, store: Store) -> bool:
    """Whether machined has a file of that name."""
    return _machine(name) is not None


def present(endpoint: Endpoint, store: Store) -> bool:
    """The same, for the process that the endpoint was made with."""
    machine = _machine(endpoint.owner.name)
    return machine is not None and machine.get("LEADER") == str(endpoint.pid)


def listed(prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    """Containers, and what runs them."""
    found = []
    for name in sorted(os.listdir(DIRECTORY)):
        machine = _machine(name) if name.startswith(prefix) else None
        if machine is not None and machine.get("CLASS") == "container":
            found.append(Listed(name, machine.get("SERVICE", "")))
    return found


def _machine(name: str) -> dict[str, str] | None:
    """What machined's file says of a machine; None where there is none.

    The file is a shell's assignments, a backslash before what is special.
    """
    if not _MACHINE.fullmatch(name):
        return None
    try:
        with open(f"{DIRECTORY}/{name}", encoding="utf-8", errors="replace") as file:
            lines = file.read(LARGEST).splitlines()
    except OSError:
        return None
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {key: _ESCAPED.sub(r"\1", value.strip('"')) for key, value in pairs}
