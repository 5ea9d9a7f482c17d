"""What sysfs says of a link's hardware: none, a radio, a virtual function.

/sys shows the links of the namespace that it was mounted in, which need not be
this one; so a link is believed only with the ifindex and the MAC that the kernel
gave for it.
"""

from __future__ import annotations

import os

from macvnet.records import NamedTuple
from macvnet.surroundings import text_of


class Hardware(NamedTuple):
    """What is behind a link. ``physical_function`` is its name and our number there.

    ``driver`` is the kernel's name for what drives it, "" where sysfs shows none.
    """

    physical: bool = False
    wireless: bool = False
    physical_function: tuple[str, int] | None = None
    driver: str = ""


def look(root: str, name: str, ifindex: int, macs: tuple[str, ...]) -> Hardware:
    """The hardware of a link that has one of ``macs``."""
    folder = os.path.join(root, "sys/class/net", name)
    same = text_of(folder, "ifindex") == str(ifindex)
    if not same or (text_of(folder, "address") or "") not in macs:
        return Hardware()
    device = os.path.join(folder, "device")
    wireless = any(os.path.exists(os.path.join(folder, one)) for one in ("phy80211", "wireless"))
    there = os.path.exists(device)
    return Hardware(there or wireless, wireless, _function(device), _driver(device))


def _driver(device: str) -> str:
    try:
        return os.readlink(os.path.join(device, "driver")).rpartition("/")[2]
    except OSError:
        return ""


def _function(device: str) -> tuple[str, int] | None:
    """``virtfnN`` of the physical function leads back to this one's device."""
    above = os.path.join(device, "physfn")
    try:
        own = os.path.realpath(device)
        names = sorted(os.listdir(os.path.join(above, "net")))
        for entry in os.listdir(above):
            number = entry.removeprefix("virtfn")
            if not (entry.startswith("virtfn") and number.isdecimal() and names):
                continue
            if os.path.realpath(os.path.join(above, entry)) == own:
                return names[0], int(number)
    except OSError:
        return None
    return None
