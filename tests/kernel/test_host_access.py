"""Host access: host and containers reach each other, and nobody else notices."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.kernel.steps import (
    CONFLICT,
    LAN,
    REQUEST,
    Joined,
    attach,
    create,
    join,
    notes,
    refused,
    wait_until,
)
from tests.lab import Frame, Lab, Machine
from tests.lab.processes import inside

DUAL = (*LAN, "--subnet=fd00:9::/64", "--gateway=fd00:9::1")
HOST, SHIM = "172.16.86.250", "mvh-eth0"
STRICT = "for c in all default eth0; do echo 1 > /proc/sys/net/ipv4/conf/$c/rp_filter; done"
THIRD = ("create", "--subnet=10.3.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1")
OTHER = ("--subnet=10.2.0.0/24", "--gateway=10.2.0.1", "-o", "parent=eth0", "-o", "share_parent=1")


def meet(host: Machine, container: Machine, joined: Joined, host6: str = "") -> None:
    """Ping and TCP, from both sides; each is seen under the address it is known by."""
    pairs = [(HOST, joined.ip)]
    if host6:
        pairs.append((host6, joined.ip6))
    for mine, theirs in pairs:
        assert host.ping(theirs) and container.ping(mine), (mine, theirs)
        with host.tcp_server(mine), container.tcp_server(theirs):
            assert host.tcp_connect(theirs) == mine
            assert container.tcp_connect(mine) == theirs


def kinds(host: Machine, *networks: str) -> list[str]:
    """The kinds of the differences that ``check`` finds."""
    return [
        one["kind"] for one in host.macvnet("check", "--format=json", *networks, fork=True).json()
    ]


def host_routes(host: Machine) -> list[str]:
    """Where macvnet's routes out of the shim lead to."""
    return [
        route["dst"]
        for family in (4, 6)
        for route in host.routes(family)
        if route["dev"] == SHIM and route["protocol"] == "109"
    ]


def heard(host: Machine, sender: Machine) -> int:
    """How often the host hears a datagram that is sent to all in its subnet."""
    with inside(host.fd):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind(("", 7777))
    with inside(sender.fd):
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with ear, mouth, host.capture(SHIM, keep=lambda frame: frame.dport == 7777) as seen:
        mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        mouth.sendto(b"once", ("172.16.86.255", 7777))
        # The shim has its copy later than the parent.
        seen.wait_for(lambda frame: True)
        mouth.sendto(b"end", (HOST, 7777))
        ear.settimeout(5)
        count = 0
        while ear.recv(100) != b"end":
            count += 1
    return count


def test_host_and_containers_meet_and_the_lan_sees_one_host(lab: Lab) -> None:
    """With strict rp_filter, and with a router that advertises itself; without a trace at the end.

    Containers that were there before, that come later, and that leave.
    """
    host, before = lab.host, lab.container()
    host.run("sh", "-c", STRICT).checked()
    untouched = host.snapshot()
    create(host, "net", *DUAL)
    early = join(host, before, "net")
    assert host.silent(early.ip) and before.silent(HOST)
    alone = host.snapshot()

    foreseen = host.macvnet("host-access", "enable", "--dry-run", "net", fork=True).checked()
    assert foreseen.lines == [
        "create link mvh-eth0 type macvlan on eth0",
        "create address fd00:9::3/128 dev mvh-eth0",
        "create route 172.16.86.2/32 dev mvh-eth0 src 172.16.86.250 on the host",
        "create route fd00:9::2/128 dev mvh-eth0 src fd00:9::3 on the host",
    ]
    assert alone.changes(host.snapshot()) == []
    done = host.macvnet("--verbose", "host-access", "enable", "net").checked()
    assert "ip route add 172.16.86.2/32 dev mvh-eth0 scope link src 172.16.86.250" in done.stderr
    (shown,) = host.macvnet("inspect", "net", fork=True).json()
    assert shown["Macvnet"]["HostAccess"] == {"Interface": SHIM, "IPv6Address": "fd00:9::3"}
    meet(host, before, early, "fd00:9::3")

    later = lab.container()
    foreseen = host.macvnet("attach", "--dry-run", later.target, fork=True).checked()
    assert "create route 172.16.86.3/32 dev mvh-eth0 src 172.16.86.250 on the host" in (
        foreseen.lines
    )
    joined = join(host, later, "net")
    assert joined.ip6 == "fd00:9::4"
    meet(host, later, joined, "fd00:9::3")
    assert later.ping(early.ip)
    assert kinds(host) == []

    asker = lab.external("172.16.86.77/24", "fd00:9::77/64")
    with asker.capture(keep=lambda frame: frame.arp_op == 2 and not frame.outgoing) as seen:
        assert asker.ping(HOST)
        asker.ip("neigh", "flush", "all")
        assert asker.ping(HOST)
        answers = [frame for frame in seen.frames if frame.arp_spa == HOST]
    assert len(answers) >= 2 and {frame.arp_sha for frame in answers} == {host.mac()}

    def advertised(frame: Frame) -> bool:
        return frame.icmp_type == 134

    with lab.router.advertising("2001:db8:86::/64"), host.capture(SHIM, keep=advertised) as ras:
        ras.wait_for(advertised, count=2)
    assert host.addresses(SHIM, link_local=True) == ["fd00:9::3/128"]
    assert all(route["dev"] != SHIM for route in host.routes(6) if route["dst"] == "default")

    assert host.macvnet("detach", "--dry-run", later.target, fork=True).checked().lines[-2:] == [
        "remove route 172.16.86.3/32 dev mvh-eth0 on the host",
        "remove route fd00:9::4/128 dev mvh-eth0 on the host",
    ]
    host.macvnet("detach", later.target, fork=True).checked()
    assert sorted(host_routes(host)) == [early.ip, early.ip6]
    # What the router's advertisements gave the parent is the parent's own.
    host.ip("-6", "route", "flush", "proto", "ra")
    host.ip("-6", "addr", "flush", "dev", "eth0", "scope", "global")
    host.macvnet("host-access", "disable", "net", fork=True).checked()
    assert alone.without("eth0").changes(host.snapshot().without("eth0")) == []
    assert alone.addresses["eth0"] == host.snapshot().addresses["eth0"]
    assert host.silent(early.ip)
    assert (
        "has no host access"
        in notes(host.macvnet("host-access", "disable", "net", fork=True).checked())[0]
    )
    # The host's address is free again.
    assert join(host, later, "net", "--ip6=fd00:9::3").ip6 == "fd00:9::3"
    host.macvnet("disconnect", "--all", "net", fork=True).checked()
    host.macvnet("rm", "net", fork=True).checked()
    assert untouched.without("eth0").changes(host.snapshot().without("eth0")) == []


def test_networks_of_a_parent_share_one_shim_and_the_last_one_takes_it_away(lab: Lab) -> None:
    """IPv6 is on as long as one of them has it; each has its own routes."""
    host = lab.host
    host.add_address("10.2.0.250/24")
    untouched = host.snapshot()
    create(host, "one", *DUAL, "--host-access")
    create(host, "two", *OTHER, "--host-access")
    assert [name for name in host.links() if name.startswith("mvh")] == [SHIM]
    first, second = lab.container(), lab.container()
    one, two = join(host, first, "one"), join(host, second, "two")
    meet(host, first, one, "fd00:9::2")
    assert host.ping(two.ip) and second.ping("10.2.0.250")
    asker = lab.external("172.16.86.77/24")
    assert heard(host, asker) == 1
    hint = refused(
        host.macvnet(*THIRD, "-o", "macvlan_mode=private", "--host-access", "three", fork=True),
        REQUEST,
        "mode private",
    )
    assert hint == "-o macvlan_mode=bridge"

    host.macvnet("host-access", "disable", "one", fork=True).checked()
    assert host_routes(host) == [two.ip] and host.addresses(SHIM) == []
    assert host.sysctl(f"net/ipv6/conf/{SHIM}/disable_ipv6") == "1"
    assert host.ping(two.ip) and host.silent(one.ip)
    assert kinds(host) == []
    host.macvnet("host-access", "enable", "one", fork=True).checked()
    meet(host, first, one, "fd00:9::2")
    host.macvnet("detach", first.target, fork=True).checked()
    host.macvnet("detach", second.target, fork=True).checked()
    assert "remove link mvh-eth0 type macvlan" not in (
        host.macvnet("rm", "--dry-run", "one", fork=True).checked().lines
    )
    host.macvnet("rm", "one", fork=True).checked()
    assert host.addresses(SHIM) == []
    assert "remove link mvh-eth0 type macvlan" in (
        host.macvnet("rm", "--dry-run", "two", fork=True).checked().lines
    )
    host.macvnet("rm", "two", fork=True).checked()
    assert untouched.changes(host.snapshot()) == []


def test_what_changes_around_it_is_found_and_mended(lab: Lab) -> None:
    """Another address of the host, a shim that is gone or changed, routes of others."""
    host, container = lab.host, lab.container()
    create(host, "net", *DUAL, "--host-access")
    joined = join(host, container, "net")

    # The host's address moves: its routes go with the old one.
    host.ip("addr", "del", f"{HOST}/24", "dev", "eth0")
    assert kinds(host) == ["host-unreachable"]
    left = host.macvnet("repair", fork=True)
    assert left.status == 11 and "a parent is never changed" in left.stdout
    host.add_address("172.16.86.251/24")
    assert kinds(host) == ["host-route-missing"]
    host.macvnet("repair", fork=True).checked()
    assert kinds(host) == []
    assert host.ping(joined.ip) and container.ping("172.16.86.251")
    # A second one, and the first one goes: the kernel leaves the route, with another source.
    host.ip("addr", "del", "172.16.86.251/24", "dev", "eth0")
    host.add_address(f"{HOST}/24")
    host.macvnet("restore", fork=True).checked()
    meet(host, container, joined, "fd00:9::2")

    # A driver is loaded again, an administrator tries something.
    for harm, found in (
        (f"link del {SHIM}", ["host-link-missing"]),
        (f"link set {SHIM} down", ["host-link-changed", "host-route-missing"]),
        (f"-6 addr del fd00:9::2/128 dev {SHIM}", ["host-address-missing"]),
        (f"route del {joined.ip}/32", ["host-route-missing"]),
        (f"route add 172.16.86.99/32 dev {SHIM} proto 109", ["host-route-left"]),
    ):
        host.ip(*harm.split())
        assert set(found) <= set(kinds(host)), harm
        host.macvnet("repair", fork=True).checked()
        assert kinds(host) == [], harm
    meet(host, container, joined, "fd00:9::2")
    assert host_routes(host) == [joined.ip, joined.ip6]
    host.sysctl(f"net/ipv4/conf/{SHIM}/arp_filter", "0")
    assert kinds(host) == ["host-link-changed"]
    host.ip("link", "del", SHIM)
    foreseen = host.macvnet("restore", "--dry-run", fork=True).checked()
    assert foreseen.lines == [f"create link {SHIM}"]
    host.macvnet("restore", fork=True).checked()
    assert host.sysctl(f"net/ipv4/conf/{SHIM}/arp_filter") == "1"
    meet(host, container, joined, "fd00:9::2")

    # Somebody has a route to an address that a container gets.
    host.ip("route", "add", "172.16.86.40/32", "dev", "eth0")
    other = lab.container()
    result = host.macvnet("attach", other.target, "--ip=172.16.86.40", fork=True).checked()
    assert "a route 172.16.86.40/32 that macvnet did not make" in notes(result)[0]
    assert kinds(host) == ["host-route-foreign"]
    left = host.macvnet("repair", fork=True)
    assert left.status == 11 and "macvnet did not make it" in left.stdout
    host.macvnet("detach", other.target, fork=True).checked()
    assert "172.16.86.40" in [route["dst"] for route in host.routes()]
    host.ip("route", "del", "172.16.86.40/32")

    # Somebody uses the shim: it stays, and says why.
    host.ip("addr", "add", "10.99.0.1/32", "dev", SHIM)
    host.macvnet("detach", container.target, fork=True).checked()
    stays = notes(host.macvnet("rm", "net", fork=True).checked())
    assert stays == [f"the link {SHIM} stays: it has the address 10.99.0.1"]
    assert host.addresses(SHIM) == ["10.99.0.1/32"]
    refused(
        host.macvnet("create", *DUAL, "--host-access", "net", fork=True),
        CONFLICT,
        SHIM,
        "somebody else",
    )


def test_routes_go_with_containers_that_are_gone_and_come_with_many(lab: Lab) -> None:
    host = lab.host
    create(host, "net", *DUAL, "--host-access")
    named = lab.named("web")
    (joined,) = attach(host, named)
    assert host.ping(joined.ip)
    named.close()
    # Its name comes again and asks for another address: the old one's route is nobody's.
    named = lab.named("web")
    (again,) = attach(host, named, "--ip=172.16.86.77")
    assert host_routes(host) == ["172.16.86.77", again.ip6]
    named.close()
    host.macvnet("gc", "--grace=0", fork=True).checked()
    assert host_routes(host) == []

    many = [lab.container() for _ in range(3)]
    host.macvnet("attach", "--atomic", *(each.target for each in many), fork=True).checked()
    assert len(host_routes(host)) == 6
    assert all(host.ping(f"172.16.86.{last}") for last in (2, 3, 4))
    document = host.macvnet("state", "export", fork=True).checked().stdout
    many[0].close()
    assert wait_until(lambda: kinds(host) == ["target-dead"])
    host.macvnet("repair", fork=True).checked()
    assert len(host_routes(host)) == 4
    host.macvnet("disconnect", "--all", "net", fork=True).checked()
    assert host_routes(host) == []
    host.macvnet("rm", "net", fork=True).checked()
    # What was exported has host access again, on a link that is made anew.
    host.macvnet("state", "import", "-", stdin=document, fork=True).checked()
    assert SHIM not in host.links()
    host.macvnet("restore", fork=True).checked()
    assert len(host_routes(host)) == 4
    assert host.addresses(SHIM) == ["fd00:9::2/128"]
    damaged = document.replace('"shim_address": "fd00:9::2"', '"shim_address": "fd00:8::2"')
    env = {"MACVNET_STATE_DIR": str(lab.folder / "other")}
    refused(
        host.macvnet("state", "import", "-", stdin=damaged, env=env, fork=True),
        REQUEST,
        "fd00:8::2",
    )


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((*LAN, "-o", "macvlan_mode=vepa"), REQUEST, "mode vepa"),
        (("-o", "parent=eth0", "--ipam-driver=null"), REQUEST, "gives none"),
        ((*LAN, "--config-only"), REQUEST, "--host-access belongs to the network made from it"),
        (OTHER[:4], CONFLICT, "an address of the host in 10.2.0.0/24"),
        (("-d", "ipvlan", *LAN), REQUEST, "needs the driver macvlan"),
    ],
)
def test_where_host_and_containers_could_not_meet_it_is_refused(
    lab: Lab, words: tuple[str, ...], status: int, said: str
) -> None:
    before = lab.host.snapshot()
    refused(lab.host.macvnet("create", *words, "--host-access", "net", fork=True), status, said)
    assert before.changes(lab.host.snapshot()) == []


def test_parent_without_an_address_is_refused_saying_so(make_lab: Callable[..., Lab]) -> None:
    """Also for a network that is there; IPv6 alone needs none."""
    lab = make_lab(host=())
    host = lab.host
    create(host, "net", *LAN)
    hint = refused(
        host.macvnet("host-access", "enable", "net", fork=True),
        CONFLICT,
        "eth0 has no address",
        "host access",
    )
    assert hint == "ip address add ADDRESS/24 dev eth0"
    host.macvnet("rm", "net", fork=True).checked()
    create(host, "net", "--subnet=fd00:9::/64", "-o", "parent=eth0", "--host-access")
    container = lab.container()
    joined = join(host, container, "net")
    assert host.ping(joined.ip6) and container.ping("fd00:9::2")
    host.sysctl("net/ipv4/conf/all/arp_ignore", "1")
    again = host.macvnet("host-access", "enable", "net", fork=True).checked()
    assert "has host access already" in notes(again)[0]
