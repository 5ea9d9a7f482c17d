"""What endpoints have learned from routers: looked up when somebody wants to know, never recorded.

Only looks, and without pyroute2. What they are told to learn is ``autoconf``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from macvnet.engine import overview
from macvnet.errors import PermissionDenied
from macvnet.kernel.learned import Learned, learned
from macvnet.kernel.sight import Sight
from macvnet.model import Endpoint, Network

Learnt = dict[str, tuple[Learned, ...]]
"""By the endpoint's ID. One whose link cannot be seen is not in it."""


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
    seen = [(leaf.endpoint, leaf.link) for leaf in leaves if leaf.link is not None]
    answers = learned([(endpoint.sandbox.nsid or 0, link.ifindex) for endpoint, link in seen])
    return {
        endpoint.id: tuple(each)
        for (endpoint, _), each in zip(seen, answers, strict=True)
        if each is not None
    }
