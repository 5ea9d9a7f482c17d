"""Opening the sandbox of an endpoint recorded earlier, if it is still (or again) there."""

from __future__ import annotations

from macvnet import runtimes
from macvnet.blocks import contextmanager
from macvnet.engine import endpoint_link
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.liveness import alive, dies
from macvnet.errors import MacvnetError, RuntimeUnavailable
from macvnet.kernel.namespaces import Namespace
from macvnet.model import Endpoint
from macvnet.records import NamedTuple
from macvnet.runtimes import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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
    # The number costs nothing and is proved by the cookie; a name may be somebody else's to tell.
    reached = by_pid(ctx, endpoint)
    if reached is not None:
        return Reopened(SAME, reached)
    lives = alive(ctx, endpoint)
    target = _by_name(ctx, endpoint)
    if target is not None:
        same = target.namespace.cookie == endpoint.sandbox.cookie
        if lives and same:
            return Reopened(SAME, target)
        # It comes back so soon that the kernel has not yet taken its former sandbox apart.
        lives = lives and not dies(ctx, endpoint)
        if not lives and endpoint.owner.returns:
            return Reopened(RETURNED, target)
        target.namespace.close()
    return Reopened(UNREACHABLE if lives else DEAD, None)


def _by_name(ctx: Context, endpoint: Endpoint) -> Target | None:
    try:
        return runtimes.reopen(endpoint.owner, ctx.reader)
    except RuntimeUnavailable as error:
        ctx.note_once(f"{error.message}: its containers are left as they are")
    except MacvnetError:
        pass
    return None


def by_pid(ctx: Context, endpoint: Endpoint) -> Target | None:
    """The sandbox by the process it was recorded with, if that is still in it."""
    target = _at_number(ctx, endpoint)
    if target is None or target.namespace.cookie == endpoint.sandbox.cookie:
        return target
    target.namespace.close()
    return None


def inside_by_pid(ctx: Context, endpoint: Endpoint) -> Inside | None:
    """The same with a socket in it, which tells the cookie without entering it once more."""
    target = _at_number(ctx, endpoint)
    if target is None:
        return None
    try:
        at = endpoint_link.inside(ctx, target)
    except BaseException:
        target.namespace.close()
        raise
    if target.namespace.cookie == endpoint.sandbox.cookie:
        return at
    at.netlink.close()
    target.namespace.close()
    return None


def _at_number(ctx: Context, endpoint: Endpoint) -> Target | None:
    """Where the recorded process leads to, which may be anywhere by now."""
    if endpoint.pid is None or endpoint.sandbox.boot_id != ctx.boot_id:
        return None
    try:
        return Target(endpoint.owner, Namespace.of_pid(endpoint.pid), endpoint.pid)
    except MacvnetError:
        return None
