"""Ordinary hosts and containers that the doctor has nothing to say about, and what is near to them.

A finding where nothing is wrong is as bad as one that is missing: a cron job tells of it
every hour.
"""

from __future__ import annotations

from collections.abc import Callable

from macvnet.addresses import Address
from macvnet.kernel import neighbours
from tests.kernel.steps import GATEWAY, LAN, SUBNET, create, join
from tests.kernel.test_doctor import asked, causes, only, typed
from tests.lab import Lab
from tests.lab.processes import inside

SHARE = ("-o", "parent=eth0", "-o", "share_parent=true")


def test_host_with_much_on_it(make_lab: Callable[..., Lab]) -> None:
    """Docker's bridge, a virtual machine's tap, a macvtap: all of it somebody else's."""
    lab = make_lab(default_route=True)
    host, router = lab.host, lab.router
    host.batch(
        "link add docker0 type bridge",
        "addr add 172.17.0.1/16 dev docker0",
        "link set docker0 up",
        "link add veth1 type veth peer name veth2",
        "link set veth1 master docker0",
        "link set veth1 up",
        "link add vmbr1 type bridge",
        "tuntap add tap7 mode tap",
        "link set tap7 master vmbr1",
        "link add link eth0 name macvtap0 type macvtap mode bridge",
        "link add link eth0 name mine type macvlan mode private",
    )
    create(host, "lan", *LAN, "--subnet=2001:db8:86::/64", "--host-access")
    # The LAN has another subnet too, in which this host has no address.
    router.ip("addr", "add", "10.7.0.1/24", "dev", "eth0")
    create(host, "second", "--subnet=10.7.0.0/24", "--gateway=10.7.0.1", *SHARE)
    create(host, "apart", "--subnet=10.8.0.0/24", "--internal", *SHARE)
    create(host, "six", "--ipv4=false", "--subnet=2001:db8:87::/64", *SHARE)
    for network in ("lan", "second", "apart", "six"):
        join(host, lab.container(), network)
    for words in ((), ("lan",), ("second",), ("apart",), ("six",), ("eth0",), ("mine",)):
        assert causes(host, *words) == [], words
    assert only(host, "parent-loopback", "lo")[1] == "-o parent=eth0"


def test_container_whose_default_route_is_elsewhere(make_lab: Callable[..., Lab]) -> None:
    """rp_filter 1, as some distributions have it: in the way of what nobody answers, if of that."""
    lab = make_lab(nics=2)
    host = lab.host
    create(host, "main", *LAN)
    create(host, "routed", "--subnet=10.1.0.0/24", "--gateway=10.1.0.1", "-o", "parent=eth1")
    words = ("--ipv4=false", "--subnet=2001:db8:87::/64", "-o", "parent=eth1")
    create(host, "six", *words, "-o", "share_parent=true")
    inner = ("--internal", "-o", "parent=eth1", "-o", "share_parent=true")
    create(host, "inner", "--subnet=10.8.0.0/24", *inner)
    quiet, loud = lab.container(), lab.container()
    for container, policy in ((quiet, ("--policy-routes",)), (loud, ())):
        container.sysctl("net/ipv4/conf/default/rp_filter", "1")
        container.sysctl("net/ipv4/conf/all/rp_filter", "1")
        join(host, container, "main")
        join(host, container, "routed", *policy)
        join(host, container, "six")
        join(host, container, "inner")
    found = [(one["id"], one["subject"]) for one in asked(host).json()]
    assert found == [("target-rp-filter", f"pid:{loud.target} in network routed")]


def test_network_that_is_not_on_its_lan(make_lab: Callable[..., Lab]) -> None:
    """Said when its gateway has been asked; what is to be typed makes it again where the LAN is."""
    lab = make_lab(default_route=True)
    host = lab.host
    create(host, "off", "--subnet=10.9.0.0/24", "--gateway=10.9.0.1", "-o", "parent=eth0")
    assert causes(host) == []
    silent, off = asked(host, "off").json()
    assert (silent["id"], off["id"]) == ("gateway-silent", "address-off-lan")
    typed(host, off["fix"])
    join(host, lab.container(), "off")
    assert causes(host, "off") == []
    # Without a gateway there is nobody to ask; who has been heard from is somebody.
    create(host, "bare", "--subnet=10.9.0.0/24", *SHARE)
    other = lab.container()
    join(host, other, "bare")
    assert causes(host) == [] and causes(host, "bare") == ["address-off-lan"]
    lab.router.ip("addr", "add", "10.9.0.1/24", "dev", "eth0")
    assert other.ping("10.9.0.1") and causes(host, "bare") == []


def test_host_that_does_not_answer_its_containers(lab: Lab) -> None:
    host = lab.host
    create(host, "lan", *LAN, "--host-access")
    web = lab.container()
    join(host, web, "lan")
    host.sysctl("net/ipv4/conf/all/arp_ignore", "1")
    assert not web.ping("172.16.86.250", within=1)
    for words in ((), ("lan",), (web.target,)):
        fix = only(host, "host-arp-ignore", *words)[1]
    typed(host, fix)
    assert causes(host, "lan") == []
    assert web.ping("172.16.86.250")


def test_answer_that_a_container_had_speaks_for_the_cloud(lab: Lab) -> None:
    """Without asking anybody: its ARP table knows the gateway, so its MAC gets through."""
    create(lab.host, "lan", SUBNET, GATEWAY, "-o", "parent=eth0")
    web = lab.container()
    join(lab.host, web, "lan")

    def heard() -> tuple[Address, ...]:
        with inside(web.fd):
            return neighbours.heard("eth0")

    web.ip(*"neigh replace 172.16.86.77 lladdr 02:00:5e:00:53:77 dev eth0 nud permanent".split())
    assert heard() == ()
    assert web.ping("172.16.86.1") and heard() == (Address.parse("172.16.86.1"),)
    web.ip("neigh", "flush", "all")
    assert not web.ping("172.16.86.99", within=1) and heard() == ()
