"""A sandbox that ``macvnet run`` made, by the name it was given."""

from __future__ import annotations

from macvnet import keys
from macvnet.errors import InvalidRequest, NotFound
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Owner
from macvnet.runtimes import Target
from macvnet.store import Store
from macvnet.text import quoted

NAME = "run"


def owner(name: str) -> Owner:
    """``run:NAME``."""
    if not name or "/" in name or "\0" in name:
        raise InvalidRequest(f"{quoted(name)} cannot name a run", "run:NAME")
    return Owner(NAME, name)


def open_target(name: str, store: Store) -> Target:
    """The namespace of the run's command; NotFound once it has ended."""
    from macvnet.runner import resolve_run

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
