"""What the LAN itself says: who answers for a gateway, and to whom.

An answer proves; silence only suggests.
"""

from __future__ import annotations

from collections.abc import Iterator

from macvnet.addresses import IPV6, Subnet
from macvnet.doctor.commands import again, ipvlan_for
from macvnet.doctor.facts import Facts, Gateway, Routers, Use
from macvnet.doctor.findings import Cause, Finding
from macvnet.text import quoted

CAUSES = (
    Cause(
        "address-off-lan",
        "Endpoints have addresses of another subnet than the LAN they are on.",
        "The parent has addresses, none of them in a --subnet of the network, and no gateway of "
        "the network answered; without a gateway, nobody has answered its containers. Nothing is "
        "said where nobody is asked.",
        "Make the network again with the LAN's subnet, or on another parent.",
    ),
    Cause(
        "gateway-silent",
        "Endpoints send what is not for the LAN to a gateway that is not there.",
        "Three ARP requests, or solicitations for IPv6, for the gateway had no answer, from an "
        "endpoint or from the parent.",
        "Correct the gateway, switch the router on, or see to the cable.",
    ),
    Cause(
        "gateway-two-macs",
        "Two machines have the gateway's address; endpoints reach now the one, now the other.",
        "ARP requests, or solicitations, for the gateway were answered with more than one MAC. A "
        "router with two cables into one LAN may do so too.",
        "Find the one that should not have it, by its MAC.",
    ),
    Cause(
        "vlan-not-carried",
        "The switch's port does not carry the VLAN.",
        "Nobody answers on the VLAN, while the gateway of the link below, without a VLAN, does. A "
        "suspicion: the VLAN's gateway may be silent for other reasons.",
        "Let the switch's port carry the VLAN, tagged.",
    ),
    Cause(
        "mac-filtered",
        "Something on the way drops frames with other MACs than the parent's: port security, a "
        "hypervisor, a cloud.",
        "The gateway answers the parent, but not a macvlan on it: an endpoint, or with `--active` "
        "one made for the purpose.",
        "Allow other MACs there, or use ipvlan.",
    ),
    Cause(
        "router-silent",
        "The endpoints of a network with `-o ipv6_mode=slaac` have no IPv6 addresses but fe80:: "
        "ones, and no route.",
        "Three router solicitations had no answer within five seconds, from an endpoint or from "
        "the parent.",
        "Let the router advertise, or give out addresses of an IPv6 `--subnet`.",
    ),
    Cause(
        "router-no-prefix",
        "The same, though a router is there: it tells of no prefix that addresses can be made of.",
        "No advertisement has a prefix of length 64 with the flag A (autonomous), which a router "
        "leaves out where addresses come by DHCPv6.",
        "Let the router advertise one, or give out addresses of an IPv6 `--subnet`.",
    ),
)
SHARED_GATEWAY = "00:07:b4:"
"""MACs of one gateway that several routers share by GLBP: each client is told another one."""
PREFIX_LENGTH = 64
"""The only one that the kernel makes addresses of (RFC 4291 2.5.1)."""


def examine(facts: Facts) -> Iterator[Finding]:
    """What is found of all gateways, and of the networks' subnets."""
    uses = {use.subject: use for use in facts.uses}
    filtered = set()
    for gateway in facts.gateways:
        for found in _gateway(gateway, uses.get(gateway.subject)) if gateway.asked else ():
            # What drops frames of other MACs does not look for their family.
            if found.cause != "mac-filtered" or found.subject not in filtered:
                yield found
            filtered.add(found.subject if found.cause == "mac-filtered" else "")
    for routers in facts.routers:
        yield from _routers(routers)
    asked = {gateway.subject for gateway in facts.gateways if gateway.asked}
    silent = asked - {gateway.subject for gateway in facts.gateways if gateway.macs}
    heard = {link.network for target in facts.targets for link in target.links if link.heard}
    for use in facts.uses:
        nobody = not (use.isolated or use.network in heard or any(p.gateway for p in use.pools))
        if use.subject in silent or (facts.asked and nobody):
            yield from _subnets(use)


def _gateway(gateway: Gateway, use: Use | None) -> Iterator[Finding]:
    subject, address = gateway.subject, gateway.address
    macs = gateway.macs
    if len(macs) > 1 and not all(mac.startswith(SHARED_GATEWAY) for mac in macs):
        yield Finding(
            "gateway-two-macs",
            subject,
            f"the gateway {address} on {gateway.parent} is answered for by {' and '.join(macs)}",
            f"ip neigh show {address}; look for these MACs in the switch's table",
        )
    if not macs and gateway.vlan_id and gateway.below:
        yield Finding(
            "vlan-not-carried",
            subject,
            f"nobody answers for the gateway {address} on VLAN {gateway.vlan_id}, while the "
            f"gateway of {gateway.lower} below it answers: the switch may not carry the VLAN",
            f"let the switch's port carry VLAN {gateway.vlan_id}, tagged",
        )
    elif not macs:
        yield Finding(
            "gateway-silent",
            subject,
            f"nobody answers for the gateway {address} on {gateway.parent}",
            f"ping -6 -I {gateway.parent} {address}"
            if address.family == IPV6
            else f"arping -I {gateway.parent} {address}",
        )
    elif gateway.by_endpoint == () and gateway.by_parent:
        who = "a macvlan made to try it" if gateway.active else "an endpoint on it"
        yield Finding(
            "mac-filtered",
            subject,
            f"the gateway {address} answers {gateway.parent}, but not {who}: frames with other "
            "MACs are dropped on the way",
            ipvlan_for(use) if use else f"macvnet create -d ipvlan -o parent={gateway.parent} NAME",
        )


def _routers(routers: Routers) -> Iterator[Finding]:
    seen = f"tcpdump -ni {routers.parent} 'icmp6 && ip6[40] == 134' to see who advertises what"
    if not routers.heard:
        yield Finding(
            "router-silent",
            routers.subject,
            f"no router on {routers.parent} advertises itself, and IPv6 addresses are to be made "
            "of what it says",
            f"let the router advertise a prefix; {seen}",
        )
    elif not any(p.prefixlen == PREFIX_LENGTH for _, prefixes in routers.heard for p in prefixes):
        macs = " and ".join(dict.fromkeys(mac for mac, _ in routers.heard))
        yield Finding(
            "router-no-prefix",
            routers.subject,
            f"the router with the MAC {macs} advertises no /64 that IPv6 addresses may be made of",
            f"let the router advertise one (flag A); {seen}",
        )


def _subnets(use: Use) -> Iterator[Finding]:
    own = [subnet for subnet, _ in use.parent.subnets]
    for family in (4, 6):
        here = [subnet for subnet in own if subnet.family == family]
        pools = [pool.subnet for pool in use.pools if pool.family == family]
        apart = not any(subnet.overlaps(other) for subnet in here for other in pools)
        if here and pools and apart and use.network:
            yield Finding(
                "address-off-lan",
                use.subject,
                f"the parent {quoted(use.parent.name)} is in {_list(here)}, and the network's "
                f"addresses are in {_list(pools)}",
                again(use, subnets=tuple(one for one in use.parent.subnets if one[0] == here[0])),
            )


def _list(subnets: list[Subnet]) -> str:
    return ", ".join(map(str, subnets))
