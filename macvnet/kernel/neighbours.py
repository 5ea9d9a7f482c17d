"""Whose MACs a namespace knows: who has answered on a link before anybody asks anew.

From /proc, so IPv4 alone; must not know what follows from it.
"""

from __future__ import annotations

from macvnet.addresses import Address

# /proc/self is the process's first thread, which is in another namespace perhaps.
TABLE = "/proc/thread-self/net/arp"
ANSWERED, PERMANENT = 0x2, 0x4
"""ATF_COM and ATF_PERM of if_arp.h; what somebody has entered proves no answer."""


def heard(name: str) -> tuple[Address, ...]:
    """The addresses that were answered for on a link, in the namespace the thread is in."""
    try:
        with open(TABLE, encoding="ascii") as file:
            lines = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return ()
    return tuple(
        Address.parse(words[0])
        for words in lines
        if len(words) > 5
        and words[5] == name
        and int(words[2], 16) & (ANSWERED | PERMANENT) == ANSWERED
    )
