"""Numbers of the kernel's interface that others need too; imports nothing."""

from __future__ import annotations

NAME_MAX = 15
"""Longest interface name in bytes (IFNAMSIZ - 1)."""

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8, "source": 16}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
VLAN_8021Q = 0x8100

LOWEST_OWN_NSID = 1 << 16
"""The kernel and other programs number namespaces from 0 on; macvnet's numbers begin here."""
