"""The record of a run: what makes ``run:NAME`` a target while its command lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from macvnet import keys
from macvnet.errors import Conflict, NotFound
from macvnet.kernel.namespaces import Namespace, boot_id
from macvnet.model import EndpointRequest
from macvnet.runner.request import Identity
from macvnet.runtimes import Target
from macvnet.runtimes.run import lives, start_time
from macvnet.store import Reader, Store, Transaction
from macvnet.text import quoted


class Networks(Protocol):
    """What a run needs of the engine."""

    @property
    def store(self) -> Store: ...

    def attach_target(
        self, target: Target, wanted: Sequence[tuple[str, EndpointRequest]]
    ) -> object: ...

    def detach_target(self, target: Target, terms: Sequence[str]) -> object: ...

    def detach(self, container: str, terms: Sequence[str]) -> object: ...

    def close(self) -> None: ...


def register(
    engine: Networks,
    identity: Identity,
    *,
    pid: int,
    supervisor: int,
    namespace: Namespace,
    command: tuple[str, ...],
) -> None:
    """Record the run. Conflict where one of that name lives.

    What a dead one of that name left, because its supervisor was killed, is
    taken away first.
    """
    key = keys.run(identity.name)
    left = engine.store.get(key)
    if left is not None and not lives(left):
        try:
            engine.detach(str(identity.owner), ())
        except NotFound:
            # It left a record and no endpoint.
            pass
    record = {
        "id": identity.id,
        "name": identity.name,
        "pid": pid,
        "start": start_time(pid),
        "boot_id": boot_id(),
        "cookie": namespace.cookie,
        "command": list(command),
        "supervisor": supervisor,
    }

    def write(tx: Transaction) -> None:
        refuse_taken(tx, identity.name)
        tx.put(key, record)

    engine.store.transact(write, durable=False)


def refuse_taken(reader: Reader, name: str) -> None:
    """Conflict where a run of that name lives."""
    known: dict[str, Any] | None = reader.get(keys.run(name))
    if known is not None and lives(known):
        raise Conflict(
            f"a run named {quoted(name)} is there already (PID {known['pid']})",
            f"another --name, or end it: kill {known['supervisor']}",
        )


def registered(engine: Networks, identity: Identity) -> bool:
    """Whether the record under the name is this run's, not a later one's."""
    record = engine.store.get(keys.run(identity.name))
    return record is not None and record["id"] == identity.id


def take_down(engine: Networks, identity: Identity, namespace: Namespace) -> None:
    """Remove the endpoints, then the record; nothing where the record is not ours.

    The links go while the namespace is held open, so that their MACs are free
    at once (the kernel frees those of a dead namespace some time later).
    """
    if not registered(engine, identity):
        return
    try:
        engine.detach_target(Target(identity.owner, namespace, None), ())
    except NotFound:
        # Disconnected meanwhile, by somebody else.
        pass
    forget(engine, identity)


def forget(engine: Networks, identity: Identity) -> None:
    """Remove the record, if it is this run's."""
    key = keys.run(identity.name)

    def write(tx: Transaction) -> None:
        record = tx.get(key)
        if record is not None and record["id"] == identity.id:
            tx.delete(key)

    engine.store.transact(write, durable=False)
