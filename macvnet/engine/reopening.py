"""Opening the sandbox of an endpoint recorded earlier, if it is still (or again) there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from macvnet import runtimes
from macvnet.engine.context import Context
from macvnet.engine.liveness import alive
from macvnet.errors import MacvnetError
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Endpoint
from macvnet.records import NamedTuple
from macvnet.runtimes import Target

SAME, RETURNED, DEAD, UNREACHABLE = "same", "returned", "dead", "unreachable"


class Reopened(NamedTuple):
    """What became of an endpoint's sandbox.

    ``SAME``: it lives, and ``target`` is open. ``RETURNED``: it is dead, and
    its name leads to another one, open in ``target``. ``DEAD``: it is dead and
    its name leads nowhere. ``UNREACHABLE``: it lives, but no name or process
    known leads to it.
    """

    fate: str
    target: Target | None


@contextmanager
def reopened(ctx: Context, endpoint: Endpoint) -> Iterator[Reopened]:
    """The endpoint's sandbox, open inside the block."""
    found = _reopen(ctx, endpoint)
    try:
        yield found
    finally:
        if found.target is not None:
            found.target.namespace.close()


def _reopen(ctx: Context, endpoint: Endpoint) -> Reopened:
    lives = alive(ctx, endpoint)
    target = _by_name(ctx, endpoint)
    if target is not None:
        same = target.namespace.cookie == endpoint.sandbox.cookie
        if lives and same:
            return Reopened(SAME, target)
        if not lives and endpoint.owner.returns:
            return Reopened(RETURNED, target)
        target.namespace.close()
    if not lives:
        return Reopened(DEAD, None)
    by_pid = _by_pid(endpoint)
    return Reopened(SAME, by_pid) if by_pid else Reopened(UNREACHABLE, None)


def _by_name(ctx: Context, endpoint: Endpoint) -> Target | None:
    try:
        return runtimes.resolve(str(endpoint.owner), ctx.reader)
    except MacvnetError:
        return None


def _by_pid(endpoint: Endpoint) -> Target | None:
    if endpoint.pid is None:
        return None
    try:
        namespace = Namespace.of_pid(endpoint.pid)
    except MacvnetError:
        return None
    if namespace.cookie != endpoint.sandbox.cookie:
        namespace.close()
        return None
    return Target(endpoint.owner, namespace, endpoint.pid)
