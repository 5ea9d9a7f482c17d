"""Causes instead of errnos: what stands between a container and its LAN, in words.

Pure: ``examine`` is a function of ``Facts``. Who gathers them is ``engine.observing``,
who is asked for them ``engine.diagnosing``. A cause is a row of its module's
``CAUSES`` and what ``examine`` there yields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from macvnet.doctor.facts import Facts
    from macvnet.doctor.findings import Cause, Finding


def groups() -> tuple[str, ...]:
    """The modules that know causes, in the order of their findings."""
    return ("machine", "parents", "lan", "targets")


def causes() -> list[Cause]:
    """Every cause there is."""
    from importlib import import_module

    return [one for name in groups() for one in import_module(f"{__name__}.{name}").CAUSES]


def examine(facts: Facts) -> list[Finding]:
    """What is found, each once, the machine's first."""
    from importlib import import_module

    modules = [import_module(f"{__name__}.{name}") for name in groups()]
    found = (one for module in modules for one in module.examine(facts))
    return list(dict.fromkeys(found))
