"""Links: what they are, and the requests that make, change and remove them.

Pure except for the functions that take an ``Rtnetlink``; must not know
networks or records.
"""

from __future__ import annotations

import errno

from macvnet.kernel.constants import IPVLAN_FLAGS, IPVLAN_MODES, NAME_MAX
from macvnet.kernel.messages import Value, formed, ifinfmsg
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


def read(message: Any) -> LinkInfo:
    """A LinkInfo from a decoded RTM_NEWLINK."""
    attributes = dict(message["attrs"])
    linkinfo = attributes.get("IFLA_LINKINFO")
    kind = slave_kind = mode = flag = ""
    vlan_id = vlan_protocol = None
    if linkinfo is not None:
        kind = linkinfo.get_attr("IFLA_INFO_KIND") or ""
        slave_kind = linkinfo.get_attr("IFLA_INFO_SLAVE_KIND") or ""
        data = linkinfo.get_attr("IFLA_INFO_DATA")
        if kind == "vlan" and data is not None:
            vlan_id = data.get_attr("IFLA_VLAN_ID")
            vlan_protocol = data.get_attr("IFLA_VLAN_PROTOCOL")
        elif kind in ("macvlan", "macvtap") and data is not None:
            mode = str(data.get_attr(f"IFLA_{kind.upper()}_MODE") or "")
        elif kind in ("ipvlan", "ipvtap") and data is not None:
            mode = _name_of(data.get_attr("IFLA_IPVLAN_MODE") or 0, IPVLAN_MODES)
            flag = _name_of(data.get_attr("IFLA_IPVLAN_FLAGS") or 0, IPVLAN_FLAGS)
    names = attributes.get("IFLA_PROP_LIST")
    altnames: tuple[str, ...] = ()
    if names is not None:
        altnames = tuple(v for k, v in names["attrs"] if k == "IFLA_ALT_IFNAME")
    return LinkInfo(
        message["index"],
        attributes.get("IFLA_IFNAME", ""),
        kind,
        attributes.get("IFLA_ADDRESS") or "",
        # An ipvlan shows its lower link's as its own.
        "" if attributes.get("IFLA_LINK") else attributes.get("IFLA_PERM_ADDRESS") or "",
        message["flags"],
        attributes.get("IFLA_MTU", 0),
        attributes.get("IFLA_LINK", 0) or 0,
        attributes.get("IFLA_LINK_NETNSID"),
        attributes.get("IFLA_MASTER", 0) or 0,
        slave_kind,
        attributes.get("IFLA_IFALIAS", ""),
        altnames,
        vlan_id,
        vlan_protocol,
        mode,
        flag,
    )


def all_links(netlink: Rtnetlink, *, nsid: int | None = None) -> list[LinkInfo]:
    """Every link of the namespace, or of the one that ``nsid`` names."""
    where = (("IFLA_IF_NETNSID", nsid),) if nsid is not None else ()
    return [read(message) for message in netlink.dump(ifinfmsg, RTM_GETLINK, where)]


def by_name(netlink: Rtnetlink, name: str) -> LinkInfo | None:
    """The link with that name or alternative name, or None."""
    attribute = "IFLA_IFNAME" if len(name.encode()) <= NAME_MAX else "IFLA_ALT_IFNAME"
    message = ifinfmsg()
    message["attrs"] = [[attribute, name]]
    answer = netlink.get(message, RTM_GETLINK)
    return read(answer) if answer is not None else None


def by_index(netlink: Rtnetlink, ifindex: int, *, nsid: int | None = None) -> LinkInfo | None:
    """The link with that ifindex, in the namespace that ``nsid`` names if given."""
    answer = netlink.get(_question(ifindex, nsid), RTM_GETLINK)
    return read(answer) if answer is not None else None


def _question(ifindex: int, nsid: int | None) -> bytes:
    def build(ifindex: int, **attributes: Any) -> Any:
        message = ifinfmsg()
        message["index"] = ifindex
        message["attrs"] = [list(item) for item in attributes.items()]
        return message

    where: dict[str, Value] = {} if nsid is None else {"IFLA_IF_NETNSID": nsid}
    return formed(("by index",), build, ifindex=ifindex, **where)


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
) -> Request:
    """Make a link, straight in another namespace if ``namespace_fd`` is given."""
    values: dict[str, Value] = {"IFLA_IFNAME": name}
    command = ["link", "add"]
    if lower:
        values["IFLA_LINK"] = lower
        command += ["link", lower_name]
    command += ["name", name]
    if namespace_fd is not None:
        values["IFLA_NET_NS_FD"] = namespace_fd
        command += ["netns", namespace_words]
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
        message = ifinfmsg()
        message["attrs"] = [*map(list, values.items()), ["IFLA_LINKINFO", {"attrs": info}]]
        return message

    message = formed(("add", plan.kind, plan.data), build, **values)
    return Request(
        message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, " ".join(word for word in command if word)
    )


def change(ifindex: int, name: str, *, flags: int | None = None, **values: str | int) -> Request:
    """Change a link: ``flags`` IFF_UP or 0; ``ifname``, ``ifalias``, ``address``; ``mtu`` in bytes.

    All that is given is changed in one message.
    """

    def build(ifindex: int, **attributes: Any) -> Any:
        message = ifinfmsg()
        message["index"] = ifindex
        message["attrs"] = [list(item) for item in attributes.items()]
        if flags is not None:
            message["flags"] = flags
            message["change"] = IFF_UP
        return message

    given: dict[str, Value] = {f"IFLA_{key.upper()}": value for key, value in values.items()}
    if "address" in values:
        given["IFLA_ADDRESS"] = bytes.fromhex(str(values["address"]).replace(":", ""))
    words = {"ifname": "name", "ifalias": "alias", "address": "address", "mtu": "mtu"}
    command = [f"link set dev {name}"]
    command += [f"{words[key]} {value}" for key, value in values.items()]
    if flags is not None:
        command.append("up" if flags & IFF_UP else "down")
    message = formed(("change", flags), build, ifindex=ifindex, **given)
    return Request(message, RTM_SETLINK, 0, " ".join(command))


def change_kind(link: LinkInfo, plan: LinkPlan) -> Request:
    """Give a link of the plan's kind the plan's attributes, such as another mode."""
    message = ifinfmsg()
    message["index"] = link.ifindex
    data = {"attrs": [list(item) for item in plan.data]}
    info = [["IFLA_INFO_KIND", plan.kind], ["IFLA_INFO_DATA", data]]
    message["attrs"] = [["IFLA_LINKINFO", {"attrs": info}]]
    command = f"link set dev {link.name} type {plan.kind} {plan.words}"
    return Request(message, RTM_NEWLINK, 0, command)


def delete(ifindex: int, name: str, *, nsid: int | None = None) -> Request:
    """Remove a link, in the namespace that ``nsid`` names if given."""
    message = _question(ifindex, nsid)
    command = f"link delete dev {name}"
    if nsid is not None:
        command = f"-n (nsid {nsid}) {command}"
    return Request(message, RTM_DELLINK, 0, command)
