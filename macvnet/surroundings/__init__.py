"""What files say of the machine around macvnet: modules, rights, DMI, sysfs, other managers.

Reads below a root that is "/" but in tests, and returns values. Whatever cannot be
read is as if it were not there; nothing is written, and no program is run.
"""

from __future__ import annotations


def text_of(*parts: str) -> str | None:
    """What is in a file, without the space around it; None where it cannot be read."""
    import os

    try:
        with open(os.path.join(*parts), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return None
