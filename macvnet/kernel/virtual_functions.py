"""Whether a physical function checks its virtual ones for foreign MACs (IFLA_VF_SPOOFCHK).

Constants: linux/if_link.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from macvnet.kernel.messages import HEADER, attributes, nested
from macvnet.kernel.rtnetlink import RTM_GETLINK, Rtnetlink

RTEXT_FILTER_VF = 1
IFLA_VFINFO_LIST, IFLA_VF_INFO, IFLA_VF_SPOOFCHK = 22, 1, 4
_BODY = 16


def spoof_checks(netlink: Rtnetlink, ifindex: int) -> dict[int, bool]:
    """For each virtual function of a link, by its number, whether it is checked."""
    found: dict[int, bool] = {}

    def look(raw: bytes) -> bool:
        if struct.unpack_from("=i", raw, HEADER + 4)[0] == ifindex:
            found.update(read(raw))
        return False

    netlink.dump("ifinfmsg", RTM_GETLINK, {"IFLA_EXT_MASK": RTEXT_FILTER_VF}, keep=look)
    return found


def read(raw: bytes) -> dict[int, bool]:
    """The same from one RTM_NEWLINK."""
    found = {}
    for kind, listed in attributes(raw, _BODY):
        for info in _nested(listed, IFLA_VF_INFO) if kind == IFLA_VFINFO_LIST else ():
            for value in _nested(info, IFLA_VF_SPOOFCHK):
                if len(value) >= 8:
                    number, setting = struct.unpack_from("=II", value)
                    found[number] = bool(setting)
    return found


def _nested(data: bytes, wanted: int) -> Iterator[bytes]:
    return (value for kind, value in nested(data) if kind == wanted)
