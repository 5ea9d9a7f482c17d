"""What is read of the kernel's messages is what pyroute2 decodes of the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from macvnet.addresses import IPV4, IPV6, Address
from macvnet.kernel import addressing, links
from macvnet.kernel.constants import IPVLAN_FLAGS, IPVLAN_MODES, MACVLAN_MODES
from macvnet.kernel.rtnetlink import RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, Rtnetlink
from tests.kernel.steps import LAN, create
from tests.lab import Lab
from tests.lab.processes import inside


def decoded(kind: type[Any], raw: bytes) -> Any:
    message = kind(raw)
    message.decode()
    return message


def messages(lab: Lab, name: str, kind: int, family: int = 0) -> list[bytes]:
    with inside(lab.host.fd), Rtnetlink() as netlink:
        return netlink.dump(name, kind, family=family)


def link_as_decoded(raw: bytes) -> dict[str, Any]:
    message = decoded(ifinfmsg, raw)
    info = message.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") if info else None) or ""
    data: Any = info.get_attr("IFLA_INFO_DATA") if info else None
    names = message.get_attr("IFLA_PROP_LIST")
    found = {
        "ifindex": message["index"],
        "name": message.get_attr("IFLA_IFNAME"),
        "kind": kind,
        "mac": message.get_attr("IFLA_ADDRESS") or "",
        "flags": message["flags"],
        "mtu": message.get_attr("IFLA_MTU"),
        "lower": message.get_attr("IFLA_LINK") or 0,
        "lower_nsid": message.get_attr("IFLA_LINK_NETNSID"),
        "master": message.get_attr("IFLA_MASTER") or 0,
        "slave_kind": (info.get_attr("IFLA_INFO_SLAVE_KIND") if info else None) or "",
        "alias": message.get_attr("IFLA_IFALIAS") or "",
        "altnames": tuple(names.get_attrs("IFLA_ALT_IFNAME")) if names else (),
    }
    if kind == "vlan":
        found["vlan_id"] = data.get_attr("IFLA_VLAN_ID")
        found["vlan_protocol"] = data.get_attr("IFLA_VLAN_PROTOCOL")
    elif kind == "macvlan":
        mode = data.get_attr("IFLA_MACVLAN_MODE")
        found["mode"] = mode if isinstance(mode, str) else names_of(MACVLAN_MODES)[mode]
    elif kind == "ipvlan":
        found["mode"] = names_of(IPVLAN_MODES)[data.get_attr("IFLA_IPVLAN_MODE")]
    return found


def names_of(numbers: dict[str, int]) -> dict[int, str]:
    return {number: name for name, number in numbers.items()}


def links_are_read_as_decoded(lab: Lab) -> dict[str, links.LinkInfo]:
    read = {}
    for raw in messages(lab, "ifinfmsg", RTM_GETLINK):
        link = links.read(raw)
        wanted = link_as_decoded(raw)
        assert {key: getattr(link, key) for key in wanted} == wanted
        read[link.name] = link
    return read


def test_links_of_all_plain_kinds(lab: Lab) -> None:
    host = lab.host
    create(host, "net", *LAN)
    host.macvnet("connect", "net", lab.named().target).checked()
    for words in (
        "link add br7 type bridge",
        "link add v0 mtu 1400 type veth peer name v1",
        "link set v0 master br7",
        "link set v0 alias a-long-alias-of-two-words",
        "link property add dev v1 altname another-name-that-is-longer-than-15",
        "link property add dev v1 altname third",
        "link add link eth0 name own mtu 1300 address 02:00:00:00:00:07 type macvlan mode private",
    ):
        host.ip(*words.split())
    read = links_are_read_as_decoded(lab)
    assert read["v0"].slave_kind == "bridge" and read["v0"].alias.startswith("a-long")
    assert read["v1"].altnames == ("another-name-that-is-longer-than-15", "third")
    assert (read["own"].mode, read["own"].mtu) == ("private", 1300) and read["lo"].loopback


@pytest.mark.needs("vlan", "ipvlan")
def test_links_that_only_some_kernels_have(lab: Lab) -> None:
    for words in (
        "link add link eth0 name eth0.7 type vlan id 7",
        "link add link eth0 name q.8 type vlan proto 802.1ad id 8",
        "link add link eth0.7 name ip0 type ipvlan mode l3s vepa",
    ):
        lab.host.ip(*words.split())
    read = links_are_read_as_decoded(lab)
    assert (read["q.8"].vlan_id, read["q.8"].vlan_protocol) == (8, 0x88A8)
    assert (read["ip0"].mode, read["ip0"].flag) == ("l3s", "vepa")
    assert read["ip0"].flag in IPVLAN_FLAGS


ROUTES = """
-4 route add 198.51.100.0/24 via 172.16.86.9 metric 77 proto 99
-4 route add 198.51.101.0/24 dev eth0 scope link src 172.16.86.250
-4 route add 198.51.102.0/24 table 4711 via 172.16.86.9
-4 route add 198.51.103.0/24 nexthop via 172.16.86.9 nexthop via 172.16.86.10 weight 3
-4 route add 198.51.104.1 via 203.0.113.1 dev eth0 onlink
-4 route add blackhole 198.51.105.0/24
-6 route add 2001:db8:7::/48 via 2001:db8:86::9 metric 5
-6 route add default via fe80::1 dev eth0
"""


def test_routes_and_addresses(lab: Lab) -> None:
    host = lab.host
    host.ip("address", "add", "172.16.87.251/32", "dev", "eth0", "scope", "link")
    host.ip("address", "add", "2001:db8:86::250/64", "dev", "eth0", "nodad")
    for line in ROUTES.strip().splitlines():
        host.ip(*line.split())
    for family, number in ((IPV4, 2), (IPV6, 10)):
        found = []
        for raw in messages(lab, "rtmsg", RTM_GETROUTE, family=number):
            message = decoded(rtmsg, raw)
            hops = message.get_attr("RTA_MULTIPATH") or [{"oif": message.get_attr("RTA_OIF") or 0}]
            for hop, route in zip(hops, addressing._read(family, raw), strict=True):
                assert (
                    str(route.destination) if route.destination else None,
                    route.prefixlen,
                    route.ifindex,
                    str(route.gateway) if route.gateway else None,
                    route.protocol,
                    route.metric,
                    route.scope,
                    route.onlink,
                    str(route.source) if route.source else None,
                    route.table,
                ) == (
                    message.get_attr("RTA_DST"),
                    message["dst_len"],
                    hop["oif"],
                    message.get_attr("RTA_GATEWAY"),
                    message["proto"],
                    message.get_attr("RTA_PRIORITY") or 0,
                    message["scope"],
                    bool(message["flags"] & 4),
                    message.get_attr("RTA_PREFSRC"),
                    message.get_attr("RTA_TABLE"),
                )
                found.append(route)
        assert len(found) > 6
    with inside(host.fd), Rtnetlink() as netlink:
        addresses = addressing.all_addresses(netlink)
        raws = netlink.dump("ifaddrmsg", RTM_GETADDR)
    wanted = []
    for raw in raws:
        message = decoded(ifaddrmsg, raw)
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        flags = message.get_attr("IFA_FLAGS")
        wanted.append(
            (message["index"], Address.parse(text), message["prefixlen"], message["scope"], flags)
        )
    assert [tuple(one) for one in addresses] == wanted and len(wanted) >= 4
