"""What a run would make, found out without making it.

The engine foresees for an open sandbox: an empty one stands in, which nobody
sees and which is gone when this returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from macvnet.model import Change
from macvnet.runner import sandbox
from macvnet.runner.launch import refusal
from macvnet.runner.registry import refuse_taken
from macvnet.runner.request import Identity, RunRequest, judge
from macvnet.runtimes import Target

if TYPE_CHECKING:
    from macvnet.engine import Engine


def foresee(engine: Engine, request: RunRequest) -> tuple[Change, ...]:
    """The changes that ``run`` would make. Raises what it would refuse before starting."""
    judge(request)
    identity = Identity.of(request)
    owner = identity.owner
    refuse_taken(engine.reader, identity.name)
    try:
        namespace = sandbox.new_network()
    except sandbox.Failed as failed:
        raise refusal(failed) from None
    with namespace:
        joined = engine.attach_target(Target(owner, namespace, None), request.wanted, dry_run=True)
    shown = str(owner) if request.name else "run:run-ID"
    return (
        Change("create", "sandbox", shown),
        *(change for one in joined for change in one.changes),
    )
