"""What is wrong inside a target: what its own root, or its runtime, has set there."""

from __future__ import annotations

from collections.abc import Iterator

from macvnet.doctor.facts import Facts, Target, TargetLink
from macvnet.doctor.findings import Cause, Finding
from macvnet.text import quoted

ARP_NEVER = 8
STRICT = 1

CAUSES = (
    Cause(
        "target-lo-down",
        "Programs in the target do not reach themselves: no 127.0.0.1, and nothing that is sent to "
        "an address of its own.",
        "The link lo in the target lacks the flag UP.",
        "Set it up there.",
    ),
    Cause(
        "target-ipv6-disabled",
        "The endpoint has no IPv6, though its network has.",
        "`disable_ipv6` is 1 on the endpoint's link, in the target.",
        "Enable it there, and let macvnet put the addresses back.",
    ),
    Cause(
        "target-arp-ignore",
        "Nobody on the LAN learns the endpoint's MAC.",
        "`arp_ignore` is 8 in the target, for its link or for all.",
        "Set it to 0 there.",
    ),
    Cause(
        "target-arp-filter",
        "The endpoint answers ARP only by the link that its answers leave by, and that is another "
        "one.",
        "`arp_filter` is 1 in the target, and another of its links is in the same subnet.",
        "Set it to 0 there, or connect the target to the subnet once.",
    ),
    Cause(
        "target-rp-filter",
        "What comes in by the endpoint from outside its subnet is dropped.",
        "`rp_filter` is 1 (strict) in the target, and the way back leaves by another link, without "
        "policy routes.",
        "Set it to 2 (loose) there.",
    ),
)


def examine(facts: Facts) -> Iterator[Finding]:
    """What is found in all targets."""
    for target in facts.targets:
        if not target.lo_up:
            yield Finding(
                "target-lo-down",
                target.owner,
                f"the loopback link lo is down in {target.owner}",
                f"{target.enter} ip link set lo up",
            )
        for link in target.links:
            yield from _link(target, link)


def _link(target: Target, link: TargetLink) -> Iterator[Finding]:
    subject = f"{target.owner} in network {link.network}"
    name = f"{quoted(link.name)} in {target.owner}"
    if link.ipv6 and link.ipv6_disabled:
        yield Finding(
            "target-ipv6-disabled",
            subject,
            f"IPv6 is disabled on {name}, and network {link.network} has IPv6",
            _set(target, f"net/ipv6/conf/{link.name}/disable_ipv6=0")
            + f" && macvnet repair {link.network}",
        )
    if link.asks and link.arp_ignore >= ARP_NEVER:
        yield Finding(
            "target-arp-ignore",
            subject,
            f"arp_ignore is {link.arp_ignore} for {name}: it never answers ARP",
            _zero(target, link, "arp_ignore"),
        )
    if link.asks and link.arp_filter and link.rivals:
        yield Finding(
            "target-arp-filter",
            subject,
            f"arp_filter is {link.arp_filter} for {name}, and {quoted(link.rivals[0])} is in the "
            "same subnet",
            _zero(target, link, "arp_filter"),
        )
    other = link.rivals[0] if link.rivals else link.default_by
    if link.answers and link.rp_filter == STRICT and other and other != link.name:
        back = "is in the same subnet" if link.rivals else "has the default route"
        yield Finding(
            "target-rp-filter",
            subject,
            f"rp_filter is strict for {name}, and {quoted(other)} {back}: what comes from "
            "elsewhere is dropped",
            _set(target, f"net/ipv4/conf/{link.name}/rp_filter=2"),
        )


def _set(target: Target, assignment: str) -> str:
    return f"{target.enter} sysctl -w {assignment}"


def _zero(target: Target, link: TargetLink, key: str) -> str:
    """The higher of the link's and of ``all`` is in force."""
    return _set(target, f"net/ipv4/conf/all/{key}=0 net/ipv4/conf/{link.name}/{key}=0")
