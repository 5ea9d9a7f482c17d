"""Links: what they are, and the requests that make, change and remove them.

Pure except for the functions that take an ``Rtnetlink``; must not know
networks or records.
"""

from __future__ import annotations

import errno
import struct
import sys

from macvnet.kernel.constants import IPVLAN_FLAGS, IPVLAN_MODES, MACVLAN_MODES, NAME_MAX
from macvnet.kernel.messages import (
    HEADER,
    Value,
    attributes,
    formed,
    name_value,
    nested,
    number,
    text,
)
from macvnet.kernel.rtnetlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_NEWLINK,
    RTM_SETLINK,
    Request,
    Rtnetlink,
)
from macvnet.model import LinkPlan
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_RUNNING = 0x40
IFF_LOWER_UP = 0x10000

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
IFLA_IFALIAS, IFLA_GROUP, IFLA_LINK_NETNSID, IFLA_PROP_LIST, IFLA_ALT_IFNAME = 20, 27, 37, 52, 53
IFLA_PERM_ADDRESS = 54
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND = 1, 2, 4
IFLA_VLAN_ID, IFLA_VLAN_PROTOCOL = 1, 5
KIND_MODE, IPVLAN_FLAGS_KIND = 1, 2
"""Of macvlan's, macvtap's and ipvlan's attributes (linux/if_link.h)."""

_IFINFOMSG = struct.Struct("=BxHiII")

UNKNOWN_KIND = (errno.EOPNOTSUPP,)
"""What a kernel answers that does not know a kind of link."""


class LinkInfo(NamedTuple):
    """A link as the kernel shows it. ``lower`` is the lower link's ifindex or 0;

    ``lower_nsid`` the nsid of the namespace it is in, None where it is the same.
    ``permanent_mac`` is the hardware's own, "" for a link on another one.
    """

    ifindex: int
    name: str
    kind: str
    mac: str
    permanent_mac: str
    flags: int
    mtu: int
    lower: int
    lower_nsid: int | None
    master: int
    slave_kind: str
    alias: str
    altnames: tuple[str, ...]
    vlan_id: int | None
    vlan_protocol: int | None
    mode: str
    flag: str
    group: int = 0

    @property
    def up(self) -> bool:
        return bool(self.flags & IFF_UP)

    @property
    def carrier(self) -> bool:
        return bool(self.flags & IFF_LOWER_UP)

    @property
    def loopback(self) -> bool:
        return bool(self.flags & IFF_LOOPBACK)


def _name_of(value: int, names: dict[str, int]) -> str:
    return next((name for name, number in names.items() if number == value), str(value))


def _mac(raw: bytes) -> str:
    return raw.hex(":")


def read(message: bytes) -> LinkInfo:
    """A LinkInfo from an RTM_NEWLINK: of its sixty attributes those that macvnet knows."""
    _, _, ifindex, flags, _ = _IFINFOMSG.unpack_from(message, HEADER)
    values = dict(attributes(message, _IFINFOMSG.size))
    info = dict(nested(values.get(IFLA_LINKINFO, b"")))
    kind = text(info.get(IFLA_INFO_KIND))
    data = dict(nested(info.get(IFLA_INFO_DATA, b"")))
    mode = flag = ""
    vlan_id = vlan_protocol = None
    if kind == "vlan" and data:
        vlan_id = number(data.get(IFLA_VLAN_ID))
        vlan_protocol = int.from_bytes(data.get(IFLA_VLAN_PROTOCOL, b""), "big")
    elif kind in ("macvlan", "macvtap") and data:
        mode = _name_of(number(data.get(KIND_MODE)), MACVLAN_MODES)
    elif kind in ("ipvlan", "ipvtap") and data:
        mode = _name_of(number(data.get(KIND_MODE)), IPVLAN_MODES)
        flag = _name_of(number(data.get(IPVLAN_FLAGS_KIND)), IPVLAN_FLAGS)
    others = nested(values.get(IFLA_PROP_LIST, b""))
    lower_nsid = values.get(IFLA_LINK_NETNSID)
    return LinkInfo(
        ifindex,
        text(values.get(IFLA_IFNAME)),
        kind,
        _mac(values.get(IFLA_ADDRESS, b"")),
        # An ipvlan shows its lower link's as its own.
        "" if number(values.get(IFLA_LINK)) else _mac(values.get(IFLA_PERM_ADDRESS, b"")),
        flags,
        number(values.get(IFLA_MTU)),
        number(values.get(IFLA_LINK)),
        # Signed: -1 says that the namespace has no number here.
        None if lower_nsid is None else int.from_bytes(lower_nsid, sys.byteorder, signed=True),
        number(values.get(IFLA_MASTER)),
        text(info.get(IFLA_INFO_SLAVE_KIND)),
        text(values.get(IFLA_IFALIAS)),
        tuple(text(name) for one, name in others if one == IFLA_ALT_IFNAME),
        vlan_id,
        vlan_protocol,
        mode,
        flag,
        number(values.get(IFLA_GROUP)),
    )


def all_links(netlink: Rtnetlink, *, nsid: int | None = None) -> list[LinkInfo]:
    """Every link of the namespace, or of the one that ``nsid`` names."""
    where = {} if nsid is None else {"IFLA_IF_NETNSID": nsid}
    return [read(message) for message in netlink.dump("ifinfmsg", RTM_GETLINK, where)]


def by_name(netlink: Rtnetlink, name: str) -> LinkInfo | None:
    """The link with that name or alternative name, or None."""
    answer = netlink.get(question_named(name), RTM_GETLINK)
    return read(answer) if answer is not None else None


def question_named(name: str) -> bytes:
    """The message that asks for the link with that name or alternative name."""

    def build(**attributes: Value) -> Any:
        return _message(attributes)

    if len(name.encode()) <= NAME_MAX:
        return formed(("by name",), build, {"IFLA_IFNAME": name_value(name)})
    return formed(("by name",), build, {"IFLA_ALT_IFNAME": name})


def by_index(netlink: Rtnetlink, ifindex: int, *, nsid: int | None = None) -> LinkInfo | None:
    """The link with that ifindex, in the namespace that ``nsid`` names if given."""
    answer = netlink.get(question(ifindex, nsid), RTM_GETLINK)
    return read(answer) if answer is not None else None


def question(ifindex: int, nsid: int | None = None) -> bytes:
    """Asks for the link with that ifindex, in the namespace that ``nsid`` names if given."""

    def build(ifindex: int, **attributes: Value) -> Any:
        return _message(attributes, ifindex)

    where: dict[str, Value] = {} if nsid is None else {"IFLA_IF_NETNSID": nsid}
    return formed(("by index",), build, {"ifindex": ifindex, **where})


def _message(attributes: dict[str, Any], ifindex: int = 0) -> Any:
    from macvnet.kernel.classes import ifinfmsg

    message = ifinfmsg()
    message["index"] = ifindex
    message["attrs"] = [list(item) for item in attributes.items()]
    return message


def lower_of(netlink: Rtnetlink, link: LinkInfo) -> LinkInfo | None:
    """The lower link where it is in this namespace."""
    if not link.lower or link.lower_nsid is not None or link.lower == link.ifindex:
        return None
    return by_index(netlink, link.lower)


def add(
    plan: LinkPlan,
    name: str,
    *,
    lower: int = 0,
    lower_name: str = "",
    namespace_fd: int | None = None,
    namespace_words: str = "",
    group: int = 0,
) -> Request:
    """Make a link, straight in another namespace if ``namespace_fd`` is given."""
    values: dict[str, Value] = {"IFLA_IFNAME": name_value(name)}
    command = ["link", "add"]
    if lower:
        values["IFLA_LINK"] = lower
        command += ["link", lower_name]
    command += ["name", name]
    if namespace_fd is not None:
        values["IFLA_NET_NS_FD"] = namespace_fd
        command += ["netns", namespace_words]
    if group:
        values["IFLA_GROUP"] = group
        command += ["group", str(group)]
    if plan.mac:
        values["IFLA_ADDRESS"] = bytes.fromhex(plan.mac.replace(":", ""))
        command += ["address", plan.mac]
    if plan.mtu:
        values["IFLA_MTU"] = plan.mtu
        command += ["mtu", str(plan.mtu)]
    command += ["type", plan.kind, plan.words]

    def build(**values: Any) -> Any:
        info: list[list[Any]] = [["IFLA_INFO_KIND", plan.kind]]
        if plan.data:
            info.append(["IFLA_INFO_DATA", {"attrs": [list(item) for item in plan.data]}])
        return _message({**values, "IFLA_LINKINFO": {"attrs": info}})

    message = formed(("add", plan.kind, plan.data), build, values)
    return Request(
        message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, " ".join(word for word in command if word)
    )


def change(ifindex: int, name: str, *, flags: int | None = None, **values: str | int) -> Request:
    """Change a link: ``flags`` IFF_UP or 0; ``ifname``, ``ifalias``, ``address``, ``group``;
    ``mtu`` in bytes.

    All that is given is changed in one message.
    """

    def build(ifindex: int, **attributes: Value) -> Any:
        message = _message(attributes, ifindex)
        if flags is not None:
            message["flags"] = flags
            message["change"] = IFF_UP
        return message

    given: dict[str, Value] = {f"IFLA_{key.upper()}": value for key, value in values.items()}
    if "ifname" in values:
        given["IFLA_IFNAME"] = name_value(str(values["ifname"]))
    if "address" in values:
        given["IFLA_ADDRESS"] = bytes.fromhex(str(values["address"]).replace(":", ""))
    words = {"ifname": "name", "ifalias": "alias"}
    command = [f"link set dev {name}"]
    command += [f"{words.get(key, key)} {value}" for key, value in values.items()]
    if flags is not None:
        command.append("up" if flags & IFF_UP else "down")
    message = formed(("change", flags), build, {"ifindex": ifindex, **given})
    return Request(message, RTM_SETLINK, 0, " ".join(command))


def change_kind(link: LinkInfo, plan: LinkPlan) -> Request:
    """Give a link of the plan's kind the plan's attributes, such as another mode."""
    data = {"attrs": [list(item) for item in plan.data]}
    info = [["IFLA_INFO_KIND", plan.kind], ["IFLA_INFO_DATA", data]]
    message = _message({"IFLA_LINKINFO": {"attrs": info}}, link.ifindex)
    command = f"link set dev {link.name} type {plan.kind} {plan.words}"
    return Request(message, RTM_NEWLINK, 0, command)


def delete(ifindex: int, name: str, *, nsid: int | None = None) -> Request:
    """Remove a link, in the namespace that ``nsid`` names if given."""
    message = question(ifindex, nsid)
    command = f"link delete dev {name}"
    if nsid is not None:
        command = f"-n (nsid {nsid}) {command}"
    return Request(message, RTM_DELLINK, 0, command)
