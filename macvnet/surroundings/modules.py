"""Which kinds of link and qdisc the kernel can have, told without asking it to load anything.

A module is loaded (/sys/module), built in (modules.builtin, or its functions are
among the kernel's symbols) or on the disk (modules.dep). Where none of these can
be read, nothing is said.
"""

from __future__ import annotations

import os

from macvnet.surroundings import text_of

MODULES = {
    "vlan": "8021q",
    "macvlan": "macvlan",
    "ipvlan": "ipvlan",
    "dummy": "dummy",
    "tbf": "sch_tbf",
}
"""The module that brings a kind of link, or of qdisc."""

SYMBOLS = {
    "vlan": b" register_vlan_dev",
    "macvlan": b" macvlan_link_register",
    "ipvlan": b" ipvlan_link_register",
    "dummy": b" dummy_xmit",
    "tbf": b" tbf_init",
}
"""A function that only that module has."""


def on_disk(root: str, release: str, kind: str) -> bool:
    """Whether the running kernel's modules on the disk have the one for a kind."""
    return _listed(root, release, "modules.dep", MODULES.get(kind, kind))


def folder_there(root: str, release: str) -> bool:
    """Whether the running kernel's modules are on the disk at all."""
    return os.path.isdir(os.path.join(root, "lib/modules", release))


def lacking(root: str, release: str, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``kinds`` that this kernel neither has nor can load."""
    closed = text_of(root, "proc/sys/kernel/modules_disabled") == "1"
    missing = [kind for kind in kinds if not _there(root, release, kind, closed)]
    if not missing:
        return ()
    symbols = _symbols(root)
    # Without the list of symbols, what is built in cannot be told from what is missing.
    return tuple(kind for kind in missing if symbols and SYMBOLS.get(kind, b" ") not in symbols)


def _there(root: str, release: str, kind: str, closed: bool) -> bool:
    module = MODULES.get(kind, kind)
    if os.path.isdir(os.path.join(root, "sys/module", module)):
        return True
    if _listed(root, release, "modules.builtin", module):
        return True
    return not closed and _listed(root, release, "modules.dep", module)


def _listed(root: str, release: str, name: str, module: str) -> bool:
    text = text_of(root, "lib/modules", release, name) or ""
    return any(
        line.partition(":")[0].rpartition("/")[2].partition(".ko")[0] == module
        for line in text.splitlines()
    )


def _symbols(root: str) -> bytes:
    try:
        with open(os.path.join(root, "proc/kallsyms"), "rb") as file:
            return file.read()
    except OSError:
        return b""
