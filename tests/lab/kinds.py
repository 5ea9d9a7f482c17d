"""Which kinds of link and qdisc this kernel has, found by making one of each.

Versions and configuration files lie; a kind is there if one of it can be made in
a throw-away namespace.
"""

from __future__ import annotations

import functools
import subprocess

KINDS: dict[str, str] = {
    "veth": "ip link add probe type veth peer name probe2",
    "bridge": "ip link add probe type bridge",
    "macvlan": "ip link add link lower name probe type macvlan",
    "vlan": "ip link add link lower name probe type vlan id 7",
    "ipvlan": "ip link add link lower name probe type ipvlan",
    "dummy": "ip link add probe type dummy",
    "bond": "ip link add probe type bond",
    "vrf": "ip link add probe type vrf table 77",
    "tbf": "tc qdisc add dev lower root tbf rate 1mbit burst 16k limit 32k",
}
MODULES = {"vlan": "8021q", "bond": "bonding", "tbf": "sch_tbf"}


@functools.cache
def available() -> frozenset[str]:
    """The kinds of KINDS that the running kernel can make."""
    script = "ip link add lower type veth peer name lower2;" + ";".join(
        f"{command} && echo {kind} && ip link del probe 2>/dev/null"
        for kind, command in KINDS.items()
    )
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    return frozenset(done.stdout.split())


def missing(kinds: tuple[str, ...]) -> list[str]:
    """Those of ``kinds`` that the running kernel lacks."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"no such kind of link: {', '.join(unknown)}")
    return [kind for kind in kinds if kind not in available()]


def module(kind: str) -> str:
    """The kernel module that brings a kind."""
    return MODULES.get(kind, kind)
