"""Rules of policy routing: which table is looked into for which source (ip-rule(8)).

Knows the messages, which only endpoints with rules need: their class is loaded
here and nowhere else. Must not know whose rules they are.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from macvnet import sockets
from macvnet.addresses import IPV4, IPV6, WIDTH, Address
from macvnet.kernel.addressing import ROUTE_PROTOCOL, RT_TABLE_COMPAT
from macvnet.kernel.messages import HEADER, attributes, number
from macvnet.kernel.rtnetlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_DELRULE,
    RTM_GETROUTE,
    RTM_GETRULE,
    RTM_NEWRULE,
    Request,
    Rtnetlink,
)
from macvnet.records import NamedTuple

FRA_SRC, FRA_PRIORITY, FRA_TABLE, FRA_PROTOCOL = 2, 6, 15, 21
FR_ACT_TO_TBL = 1
RTA_TABLE = 15

_RULE = struct.Struct("=BBBBBBBBI")
"""struct fib_rule_hdr: family, lengths of destination and source, tos, table, -, -, action."""
_ROUTE_SIZE, _ROUTE_TABLE = 12, 4
_FAMILY = {IPV4: sockets.AF_INET, IPV6: sockets.AF_INET6}


class RuleInfo(NamedTuple):
    """A rule that sends what has a source (None: any; a subnet, if so) to a table."""

    family: int
    source: Address | None
    prefixlen: int
    table: int
    priority: int
    protocol: int = ROUTE_PROTOCOL

    @property
    def words(self) -> str:
        """The rule as ``ip rule`` would be given it."""
        whole = self.prefixlen == WIDTH[self.family]
        source = str(self.source or "all") + ("" if whole else f"/{self.prefixlen}")
        return f"from {source} lookup {self.table}"


def rule_for(address: Address, table: int) -> RuleInfo:
    """The rule that macvnet makes for an address; its priority is the number of the table."""
    return RuleInfo(address.family, address, WIDTH[address.family], table, table)


def all_rules(netlink: Rtnetlink, families: Sequence[int]) -> list[RuleInfo]:
    """Every rule of the namespace, of these families."""
    found = []
    for raw in netlink.dump("fibmsg", RTM_GETRULE):
        af, _, length, _, table, *_ = _RULE.unpack_from(raw, HEADER)
        family = next((each for each in families if _FAMILY[each] == af), None)
        if family is None:
            continue
        values = dict(attributes(raw, _RULE.size))
        source = values.get(FRA_SRC)
        found.append(
            RuleInfo(
                family,
                Address(family, int.from_bytes(source, "big")) if source else None,
                length,
                number(values.get(FRA_TABLE)) or table,
                number(values.get(FRA_PRIORITY)),
                number(values.get(FRA_PROTOCOL)),
            )
        )
    return found


def tables_in_use(netlink: Rtnetlink) -> set[int]:
    """The numbers of the tables that any route is in."""
    found = set()
    for raw in netlink.dump("rtmsg", RTM_GETROUTE):
        own = dict(attributes(raw, _ROUTE_SIZE)).get(RTA_TABLE)
        found.add(number(own) or raw[HEADER + _ROUTE_TABLE])
    return found


def add_rule(rule: RuleInfo) -> Request:
    """Make a rule; EEXIST where the same is there."""
    flags = NLM_F_CREATE | NLM_F_EXCL
    return Request(_message(rule), RTM_NEWRULE, flags, _command("add", rule))


def delete_rule(rule: RuleInfo) -> Request:
    """Remove exactly that rule: source, table, priority and protocol have to match."""
    return Request(_message(rule), RTM_DELRULE, 0, _command("delete", rule))


def _message(rule: RuleInfo) -> Any:
    from macvnet.kernel.classes import fibmsg

    message = fibmsg()
    message["family"] = int(_FAMILY[rule.family])
    message["src_len"] = rule.prefixlen
    message["table"] = RT_TABLE_COMPAT
    message["action"] = FR_ACT_TO_TBL
    message["attrs"] = [
        ["FRA_SRC", str(rule.source)],
        ["FRA_PRIORITY", rule.priority],
        ["FRA_TABLE", rule.table],
        ["FRA_PROTOCOL", rule.protocol],
    ]
    return message


def _command(verb: str, rule: RuleInfo) -> str:
    family = "-6 " if rule.family == IPV6 else ""
    return f"{family}rule {verb} {rule.words} priority {rule.priority} protocol {rule.protocol}"
