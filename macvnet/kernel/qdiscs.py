"""What a link may send in a second: a token bucket as its root qdisc (tc-tbf(8)).

Knows the messages; must not know whose links they are. Numbers and structures:
linux/pkt_sched.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import struct

from macvnet.kernel.messages import HEADER, attributes, formed, nested, number, text
from macvnet.kernel.rtnetlink import NLM_F_CREATE, NLM_F_EXCL, Request, Rtnetlink
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from macvnet.kernel.messages import Value

RTM_NEWQDISC, RTM_GETQDISC = 36, 38
NLM_F_REPLACE = 0x100
TC_H_ROOT = 0xFFFFFFFF
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_TBF_PARMS, TCA_TBF_RATE64 = 1, 4
TC_LINKLAYER_ETHERNET = 1
KIND = "tbf"

OWN = int.from_bytes(b"mv", "big") << 16
"""The handle of macvnet's: the kernel chooses 8000: and above, and people small numbers."""

_BODY = struct.Struct("=BBHiIII")
"""struct tcmsg: family, -, -, ifindex, handle, parent, info."""
_RATE_AT = 8
"""Bytes before the rate in struct tc_tbf_qopt."""
_WIDEST = 0xFFFFFFFF

FRAME = 22
"""Bytes of a frame beside its payload: addresses, type, two VLAN tags."""
BURST, WAIT = 0.010, 0.050
"""Seconds at the rate that may be sent at once, and that a frame waits at most."""
SMALLEST_BURST = 1 << 14
"""Bytes: more than a frame of any usual size, which would never be sent otherwise."""
LARGEST = 1 << 30


class Qdisc(NamedTuple):
    """The root qdisc of a link: its kind and handle; ``rate`` in bytes per second, 0 where none."""

    kind: str
    handle: int
    rate: int


def bucket(rate: int, mtu: int) -> tuple[int, int]:
    """Burst and limit of a bucket, in bytes; ``rate`` in bytes per second, ``mtu`` in bytes."""
    burst = max(int(rate * BURST), SMALLEST_BURST, 2 * (mtu + FRAME))
    waiting = max(int(rate * WAIT), 4 * (mtu + FRAME))
    return min(burst, LARGEST), min(burst + waiting, 2 * LARGEST)


def limit(ifindex: int, rate: int, mtu: int, *, anew: bool = True) -> Request:
    """Limit what a link sends to ``rate`` bytes per second.

    ``anew``: EEXIST where it has a root qdisc of somebody's; else macvnet's own is changed.
    """
    burst, most = bucket(rate, mtu)
    values: dict[str, Value] = {"ifindex": ifindex, "limit": most, "burst": burst}
    wide = rate > _WIDEST
    if wide:
        values["high"], values["low"] = rate >> 32, rate & _WIDEST
    else:
        values["rate"] = rate

    def build(
        ifindex: int, limit: int, burst: int, rate: int = _WIDEST, high: int = 0, low: int = 0
    ) -> Any:
        from macvnet.kernel.classes import tcmsg

        message = tcmsg()
        message["index"], message["handle"], message["parent"] = ifindex, OWN, TC_H_ROOT
        parameters = {"rate": rate, "rate___reserved": TC_LINKLAYER_ETHERNET, "limit": limit}
        options = [["TCA_TBF_PARMS", parameters], ["TCA_TBF_BURST", burst]]
        if wide:
            options.append(["TCA_TBF_RATE64", high << 32 | low])
        message["attrs"] = [["TCA_KIND", KIND], ["TCA_OPTIONS", {"attrs": options}]]
        return message

    message = formed(("limit", wide), build, values)
    flags = NLM_F_CREATE | (NLM_F_EXCL if anew else NLM_F_REPLACE)
    return Request(message, RTM_NEWQDISC, flags, "")


def words(name: str, rate: int, mtu: int) -> str:
    """The ``tc`` command that would do what ``limit`` does."""
    burst, most = bucket(rate, mtu)
    return (
        f"tc qdisc replace dev {name} root handle {OWN >> 16:x}: {KIND} rate {rate}bps "
        f"burst {burst} limit {most}"
    )


def root(netlink: Rtnetlink, ifindex: int) -> Qdisc | None:
    """The qdisc that somebody gave a link, None where it has the kernel's own."""

    def wanted(raw: bytes) -> bool:
        _, _, _, index, handle, parent, _ = _BODY.unpack_from(raw, HEADER)
        return bool(index == ifindex and parent == TC_H_ROOT and handle)

    for raw in netlink.dump("tcmsg", RTM_GETQDISC, keep=wanted):
        values = dict(attributes(raw, _BODY.size))
        kind = text(values.get(TCA_KIND))
        options = dict(nested(values.get(TCA_OPTIONS, b""))) if kind == KIND else {}
        parameters = options.get(TCA_TBF_PARMS, b"")
        rate = number(options.get(TCA_TBF_RATE64)) or number(parameters[_RATE_AT : _RATE_AT + 4])
        return Qdisc(kind, _BODY.unpack_from(raw, HEADER)[4], rate)
    return None
