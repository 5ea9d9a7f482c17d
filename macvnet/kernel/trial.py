"""A macvlan that is made to try whether its MAC gets through, and is gone afterwards.

It is in a namespace that nobody else has: whatever happens to this process, nothing
is left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from macvnet import chance
from macvnet.addresses import IPV4, Address
from macvnet.kernel import links, sysctl
from macvnet.kernel.arp import Question
from macvnet.kernel.links import IFF_UP, LinkInfo
from macvnet.kernel.namespaces import Namespace, entered
from macvnet.kernel.rtnetlink import NetlinkError, Rtnetlink
from macvnet.model import LinkPlan

CARRIER_SECONDS = 1.0
MODE = "bridge"


@contextmanager
def macvlan(netlink: Rtnetlink, parent: LinkInfo) -> Iterator[Question]:
    """A macvlan on ``parent``, up and silent, with a MAC of its own: who can ask by it.

    NetlinkError where the kernel makes none, PermissionDenied without the right to.
    """
    name = f"mv{chance.token(6)}"
    digits = chance.token(5)
    mac = ":".join(["02", *(digits[at : at + 2] for at in range(0, 10, 2))])
    plan = LinkPlan("macvlan", (("IFLA_MACVLAN_MODE", MODE),), f"mode {MODE}", mac)
    with Namespace.new() as namespace:
        made = links.add(
            plan,
            name,
            lower=parent.ifindex,
            lower_name=parent.name,
            namespace_fd=namespace.fd,
            namespace_words="NEW",
        )
        netlink.change(made)
        with Rtnetlink(namespace) as inside:
            ifindex = inside.ifindex(name) or 0
            try:
                with entered(namespace):
                    sysctl.write("ipv6", name, "disable_ipv6", "1")
                inside.change(links.change(ifindex, name, flags=IFF_UP))
                _await_carrier(inside, ifindex)
                yield Question(namespace, name, mac, Address(IPV4, 0))
            finally:
                # Before the namespace goes, for the kernel frees its links late then.
                _remove(inside, ifindex, name)


def _await_carrier(inside: Rtnetlink, ifindex: int) -> None:
    end = time.monotonic() + CARRIER_SECONDS
    while time.monotonic() < end:
        link = links.by_index(inside, ifindex)
        if link is None or link.carrier:
            return
        time.sleep(0.01)


def _remove(inside: Rtnetlink, ifindex: int, name: str) -> None:
    try:
        inside.change(links.delete(ifindex, name))
    except NetlinkError:
        return  # the parent went, and took it along
