"""The names of all ``-o`` keys: what the configuration file may set defaults for.

The drivers say what they mean; a test holds their tables against this list.
"""

from __future__ import annotations

COMMON: tuple[str, ...] = (
    "parent",
    "mtu",
    "com.docker.network.driver.mtu",
    "share_parent",
    "onlink",
    "segment",
    "watch",
    "com.docker.network.advertise_addr_nmsgs",
    "com.docker.network.advertise_addr_ms",
    "probe",
    "probe_ms",
    "ipv6_mode",
    "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6",
)
OF_DRIVER: dict[str, tuple[str, ...]] = {
    "macvlan": ("macvlan_mode", "passthru_force"),
    "ipvlan": ("ipvlan_mode", "ipvlan_flag"),
}
ALL = (*COMMON, *(key for keys in OF_DRIVER.values() for key in keys))
