"""How much an endpoint may send in a second (``--rate``): a tbf on its link, in its target.

Knows endpoints with a rate only; loaded for those alone. What comes in is not limited:
the LAN has carried it by then.
"""

from __future__ import annotations

import errno

from macvnet import rates
from macvnet.engine.endpoint_link import Inside
from macvnet.errors import Conflict, MacvnetError
from macvnet.kernel import links, qdiscs
from macvnet.kernel.links import LinkInfo
from macvnet.kernel.qdiscs import Qdisc
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import Change, Endpoint

UNKNOWN = (errno.ENOENT, errno.EOPNOTSUPP)
"""What a kernel answers that has no such qdisc, or none at all."""


def apply(endpoint: Endpoint, at: Inside) -> None:
    """Limit the link just made. KernelRefused, naming the module, where the kernel cannot."""
    link = links.by_index(at.netlink, endpoint.ifindex)
    if link is not None:
        _set(endpoint, link, at, anew=True)


def foresee(endpoint: Endpoint) -> Change:
    """What ``apply`` would make."""
    where = f"dev {endpoint.ifname} in {endpoint.owner}"
    return Change("create", "rate", f"{rates.written(endpoint.rate)} {where}")


def difference(endpoint: Endpoint, link: LinkInfo, at: Inside) -> str:
    """In what the link is not limited as it was; "" where it is."""
    now = qdiscs.root(at.netlink, link.ifindex)
    wanted = rates.written(endpoint.rate)
    if now is None:
        return f"{link.name} has lost its limit of {wanted}"
    if now.kind != qdiscs.KIND:
        return f"{link.name} has the qdisc {now.kind}, and is not limited to {wanted}"
    if now.rate * 8 != endpoint.rate:
        return f"{link.name} is limited to {rates.written(now.rate * 8)}, not {wanted}"
    return ""


def mend(endpoint: Endpoint, link: LinkInfo, at: Inside) -> None:
    """Limit the link again. Conflict where somebody else has given it a qdisc."""
    now = qdiscs.root(at.netlink, link.ifindex)
    if now is not None and not _is_own(now):
        raise Conflict(
            f"macvnet did not make the qdisc {now.kind} of {link.name} in {at.target.owner}",
            f"tc qdisc delete dev {link.name} root, in its network namespace",
        )
    _set(endpoint, link, at, anew=now is None)


def _is_own(qdisc: Qdisc) -> bool:
    return (qdisc.kind, qdisc.handle) == (qdiscs.KIND, qdiscs.OWN)


def _set(endpoint: Endpoint, link: LinkInfo, at: Inside, *, anew: bool) -> None:
    rate = endpoint.rate // 8
    at.netlink.tell(qdiscs.words(link.name, rate, link.mtu))
    try:
        at.netlink.change(qdiscs.limit(link.ifindex, rate, link.mtu, anew=anew))
    except NetlinkError as error:
        wanted = rates.written(endpoint.rate)
        raise _refusal(error, f"limit {link.name} in {at.target.owner} to {wanted}") from None


def _refusal(error: NetlinkError, operation: str) -> MacvnetError:
    if error.errno not in UNKNOWN:
        return error.during(operation)
    from macvnet.engine import refusals

    return refusals.missing_module(qdiscs.KIND, operation)
