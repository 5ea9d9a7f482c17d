"""What a namespace looks like, to show that nothing foreign was changed.

Holds links, addresses, routes of all tables, rules and every readable
``net.*`` sysctl; leaves out what moves by itself (lifetimes, counters).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.lab.processes import inside

MOVING = {
    "valid_life_time",
    "preferred_life_time",
    "expires",
    "dynamic",
    "tentative",
    "gc_timer",
    "hello_timer",
    "tcn_timer",
    "topology_change_timer",
    "users",
    "used",
}
SYSCTLS = "/proc/sys/net/"
MOVING_SYSCTLS = ("nf_conntrack_count", "tcp_fastopen_key", "route/flush")


class Snapshot(NamedTuple):
    """Compare two with ``==``, or read the differences with ``changes``."""

    links: dict[str, Any]
    addresses: dict[str, Any]
    routes: list[str]
    rules: list[str]
    sysctls: dict[str, str]

    def changes(self, later: Snapshot) -> list[str]:
        """One line for everything that is different in ``later``."""
        found = []
        for part in self._fields:
            before, after = getattr(self, part), getattr(later, part)
            if isinstance(before, dict):
                for key in sorted({*before, *after}):
                    if before.get(key) != after.get(key):
                        found.append(f"{part} {key}: {before.get(key)!r} -> {after.get(key)!r}")
            else:
                found += [f"{part} gone: {item}" for item in before if item not in after]
                found += [f"{part} new: {item}" for item in after if item not in before]
        return found

    def without(self, *ifnames: str) -> Snapshot:
        """The same without these links, their addresses, routes and sysctls."""
        return Snapshot(
            {name: link for name, link in self.links.items() if name not in ifnames},
            {name: value for name, value in self.addresses.items() if name not in ifnames},
            [route for route in self.routes if json.loads(route).get("dev") not in ifnames],
            self.rules,
            {k: v for k, v in self.sysctls.items() if not set(k.split("/")) & set(ifnames)},
        )


def _still(value: Any) -> Any:
    """Without what moves. The kernel says UP a while after it has said UNKNOWN (RFC 2863)."""
    if isinstance(value, dict):
        still = {key: _still(item) for key, item in value.items() if key not in MOVING}
        if still.get("operstate") == "UNKNOWN":
            still["operstate"] = "UP"
        return still
    if isinstance(value, list):
        return [_still(item) for item in value]
    return value


def _sysctls() -> dict[str, str]:
    """Many small files, and read often: pathlib would take ten times as long."""
    found = {}
    for folder, _, files in os.walk(SYSCTLS):
        for name in files:
            path = f"{folder}/{name}"
            if path.endswith(MOVING_SYSCTLS):
                continue
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                value = os.read(fd, 4096)
            except OSError:
                continue
            finally:
                os.close(fd)
            found[path[len(SYSCTLS) :]] = value.decode(errors="replace").strip()
    return found


def snapshot(queries: Callable[..., list[Any]], namespace: int) -> Snapshot:
    """``queries(options, *commands)`` answers ``ip -j`` with these, decoded."""
    shown, held = queries(("-d",), "link show", "addr show")
    links = {link["ifname"]: _still(link) for link in shown}
    addresses = {
        link["ifname"]: sorted(json.dumps(_still(item)) for item in link.get("addr_info", ()))
        for link in held
    }
    routes, rules = [], []
    for family in ("-4", "-6"):
        some, others = queries((family, "-d"), "route show table all", "rule show")
        routes += some
        rules += others
    with inside(namespace):
        sysctls = _sysctls()
    return Snapshot(
        links,
        addresses,
        sorted(json.dumps(_still(route), sort_keys=True) for route in routes),
        sorted(json.dumps(_still(rule), sort_keys=True) for rule in rules),
        sysctls,
    )
