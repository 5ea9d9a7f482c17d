"""Seats: targets that are being connected, each with all that it is to have.

What several of them have in common is the ``Host``'s, looked up once.
"""

from __future__ import annotations

from macvnet.drivers import Driver
from macvnet.engine import endpoint_link, parent_search
from macvnet.engine.context import Context
from macvnet.engine.joining import Joined, Joining
from macvnet.engine.requests import Wanted
from macvnet.engine.undo import Undo, apart
from macvnet.errors import MacvnetError
from macvnet.kernel import addressing, nsid
from macvnet.kernel.links import LinkInfo
from macvnet.model import Change, Endpoint, Network, SandboxId
from macvnet.records import NamedTuple
from macvnet.runtimes import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager


class Connected(NamedTuple):
    """A network and the endpoint made in it (or, dry, the endpoint as it would be)."""

    network: Network
    endpoint: Endpoint
    changes: tuple[Change, ...] = ()


class Step(NamedTuple):
    """One network to connect to, judged."""

    network: Network
    driver: Driver
    wanted: Wanted


class Seat:
    """One target that is being connected: what it shall have, what it has by now.

    ``error`` is what kept it from being connected; then nothing is left of it.
    ``recorded``: whether there are endpoints in its sandbox already. ``tentative``:
    its endpoints, where the LAN is to be asked first whether their addresses are free.
    ``lo_down`` tells that the loopback link in the target is down. To be closed.
    """

    def __init__(self, ctx: Context, target: Target, steps: Sequence[Step]) -> None:
        self.target = target
        self.steps = steps
        self.undo = Undo(ctx.note)
        self.joined: list[Joined] = []
        self.tentative: list[Joining] = []
        self.error: MacvnetError | None = None
        self.lo_down = False
        self.at = endpoint_link.inside(ctx, target)
        try:
            number = nsid.assign(ctx.netlink, target.namespace)
        except BaseException:
            self.close()
            raise
        self.sandbox = SandboxId(ctx.boot_id, target.namespace.cookie, number)
        self.recorded = False

    def close(self) -> None:
        self.at.netlink.close()

    def reopen(self, ctx: Context) -> None:
        """Another socket in the target: the one that is there may have answers to another's
        questions waiting."""
        self.at.netlink.close()
        self.at = endpoint_link.inside(ctx, self.target)

    def trying(self) -> AbstractContextManager[None]:
        """What is refused inside the block ends this one's attempt, not that of the others."""
        return apart(self.refuse)

    def refuse(self, error: MacvnetError) -> None:
        """End the attempt, and undo what there is of it."""
        self.error = error
        self.give_up()

    def give_up(self) -> None:
        """Undo what there is of it."""
        self.undo.back()
        self.joined.clear()

    @property
    def connected(self) -> list[Connected]:
        return [Connected(joined.network, joined.endpoint) for joined in self.joined]


class Host:
    """What the seats of one part have in common, looked up once."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._parents: dict[str, LinkInfo] = {}
        self.addresses = {info.address for info in addressing.all_addresses(ctx.netlink)}
        """The host's own addresses: looked up at each choice, never stored."""

    def parent(self, network: Network) -> LinkInfo:
        """The parent of a network, made again where it is macvnet's own and missing."""
        found = self._parents.get(network.id)
        if found is None:
            found = parent_search.ensure(self._ctx, network)
            if not found.carrier and network.link.parent:
                self._ctx.note(f"the parent {found.name} has no carrier")
            self._parents[network.id] = found
        return found
