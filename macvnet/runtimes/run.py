"""A sandbox that ``macvnet run`` made, by the name it was given.

Knows how a run is found to live still; making and ending one is the runner's.
"""

from __future__ import annotations

from typing import Any

from macvnet import keys
from macvnet.errors import InvalidRequest, NotFound
from macvnet.kernel.namespaces import Namespace, boot_id
from macvnet.model import Endpoint, Owner
from macvnet.runtimes import Listed, Target
from macvnet.store import Reader, Store
from macvnet.text import quoted

NAME = "run"
ISOLATED = "macvnet run -- COMMAND"
LISTED = 500


def owner(name: str) -> Owner:
    """``run:NAME``."""
    if not name or "/" in name or "\0" in name:
        raise InvalidRequest(f"{quoted(name)} cannot name a run", "run:NAME")
    return Owner(NAME, name)


def open_target(name: str, store: Store) -> Target:
    """The namespace of the run's command; NotFound once it has ended."""
    found = owner(name)
    pid, path = resolve_run(store, name)
    namespace = Namespace.open(path)
    record = store.get(keys.run(name)) or {}
    # Between the look-up and the opening the PID may have become somebody else's.
    if record.get("cookie") != namespace.cookie:
        namespace.close()
        raise NotFound(f"there is no run {quoted(name)} any more", "macvnet ls")
    return Target(found._replace(id=str(record.get("id", ""))), namespace, pid)


def knows(name: str, store: Store) -> bool:
    """Whether a run of that name is recorded."""
    return bool(name) and "/" not in name and store.get(keys.run(name)) is not None


def present(endpoint: Endpoint, store: Store) -> bool:
    """Whether its command lives."""
    record = store.get(keys.run(endpoint.owner.name))
    return record is not None and lives(record)


def listed(prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    """The first of the runs whose command lives, and their commands."""
    found = []
    for key, record in reader.scan(keys.RUNS + prefix, limit=LISTED):
        if lives(record):
            found.append(Listed(key.removeprefix(keys.RUNS), " ".join(record["command"])))
    return found


def resolve_run(store: Reader, name: str) -> tuple[int, str]:
    """PID of the run's command and the path of its namespace; NotFound unless it lives."""
    record = store.get(keys.run(name))
    if record is None or not lives(record):
        raise NotFound(f"there is no run {quoted(name)}", "macvnet run --name NAME ...")
    pid = int(record["pid"])
    return pid, f"/proc/{pid}/ns/net"


def lives(record: dict[str, Any]) -> bool:
    """Whether the recorded command is still the same process, in the same boot."""
    if record["boot_id"] != boot_id():
        return False
    return start_time(int(record["pid"])) == int(record["start"])


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot (proc(5)); None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
