"""What endpoints have learned from routers: looked up when somebody wants to know, never recorded.

Only looks, and without pyroute2. What they are told to learn is ``autoconf``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from macvnet.engine import overview
from macvnet.errors import PermissionDenied
from macvnet.kernel.learned import Learned
from macvnet.kernel.sight import Sight
from macvnet.model import Endpoint, Network

Learnt = dict[str, tuple[Learned, ...]]
"""By the endpoint's ID; nothing of one whose link cannot be seen."""


def look(
    network: Network,
    endpoints: Sequence[Endpoint],
    boot_id: str,
    present: Callable[[Endpoint], bool],
) -> Learnt:
    """The addresses that endpoints of a network have made themselves."""
    try:
        with Sight() as sight:
            leaves = overview.conditions(sight, endpoints, (network,), boot_id, present)
    except PermissionDenied:
        return {}
    return {leaf.endpoint.id: leaf.learned for leaf in overview.with_learned(leaves)}
