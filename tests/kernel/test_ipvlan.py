"""The ipvlan driver by its traffic: l2, l3 and l3s, flags, several subnets, routes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import REQUEST, attach, create, join, notes, refused
from tests.lab import Frame, Lab

pytestmark = pytest.mark.needs("ipvlan")

IPVLAN = ("-d", "ipvlan")
TWO = (
    *("--subnet=192.168.210.0/24", "--subnet=192.168.212.0/24"),
    *("--gateway=192.168.210.254", "--gateway=192.168.212.254"),
)
DUAL = (*TWO, "--subnet=2001:db8:210::/64", "--gateway=2001:db8:210::fe", "-o", "parent=eth0")


@pytest.fixture
def routed(make_lab: Callable[..., Lab]) -> Lab:
    """The router is the gateway of both subnets."""
    gateways = ("192.168.210.254/24", "192.168.212.254/24", "2001:db8:210::fe/64")
    return make_lab(host=(), router=gateways)


@pytest.mark.needs("dummy")
def test_seed_s_multi_subnet_network_works_within_each_subnet(lab: Lab) -> None:
    """The document's create line literally: without a parent, both pairs of containers."""
    create(lab.host, "ipvlan210", *IPVLAN, *TWO, "-o", "ipvlan_mode=l2")
    containers = {}
    for last in ("210.10", "210.9", "212.10", "212.9"):
        containers[last] = lab.container()
        joined = join(lab.host, containers[last], "ipvlan210", f"--ip=192.168.{last}")
        assert joined.addresses == [f"192.168.{last}/24"]
    assert containers["210.9"].ping("192.168.210.10")
    assert containers["212.9"].ping("192.168.212.10")
    assert containers["210.9"].silent("192.168.212.10")


def test_l2_subnets_meet_by_the_external_router_alone(routed: Lab) -> None:
    """Docker's routes: each container's default by the gateway of its own subnet."""
    create(routed.host, "net", *IPVLAN, *DUAL, "-o", "ipvlan_mode=l2")
    one, other = routed.container(), routed.container()
    join(routed.host, one, "net", "--ip=192.168.210.10")
    joined = join(routed.host, other, "net", "--ip=192.168.212.10")
    assert joined.gateways == ["192.168.212.254", "2001:db8:210::fe"]
    for container, gateway in ((one, "192.168.210.254"), (other, "192.168.212.254")):
        four, six = container.default_route(), container.default_route(6)
        assert four is not None and six is not None
        assert (four["gateway"], four["dev"]) == (gateway, "eth0")
        assert (six["gateway"], six["metric"]) == ("2001:db8:210::fe", 1024)
        assert container.ping(gateway) and container.ping("2001:db8:210::fe")
    with other.capture(keep=lambda frame: frame.ping) as seen:
        assert one.ping("192.168.212.10")
        (frame, *_) = seen.wait_for(lambda frame: frame.ping)
    assert frame.ttl == 63
    with routed.router.capture(keep=lambda frame: frame.ping) as seen:
        assert one.ping("2001:db8:210::2")
    assert not seen.frames
    with one.tcp_server(port=8210):
        assert routed.router.tcp_connect("192.168.210.10", 8210) == "192.168.210.254"
    routed.switch.cable(routed.router, plugged=False)
    assert one.silent("192.168.212.10")


def test_endpoints_have_the_parent_s_mac_and_refuse_one_of_their_own(routed: Lab) -> None:
    create(routed.host, "net", *IPVLAN, *DUAL)
    one, other = routed.container(), routed.container()
    done = routed.host.macvnet("connect", "--mac-address=02:00:5e:00:53:01", "net", one.target)
    assert "--mac-address" in refused(done, REQUEST, "ipvlan", "'02:00:5e:00:53:01'")
    assert one.links() == ["lo"]
    parent = routed.host.mac()
    for container in (one, other):
        assert join(routed.host, container, "net").mac == container.mac() == parent
    with routed.router.capture(keep=lambda frame: frame.ping) as wire:
        assert one.ping("192.168.210.254") and other.ping("192.168.210.254")
        frames = wire.wait_for(lambda frame: frame.ping, count=2)
        assert {frame.src for frame in frames} == {parent}


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_l3_routes_on_link_between_subnets_and_to_the_lan(lab: Lab, mode: str) -> None:
    """No ARP, no gateway: siblings of two subnets directly, the LAN by a route to the host."""
    words = ("--subnet=2001:db8:210::/64", "-o", "parent=eth0", "-o", f"ipvlan_mode={mode}")
    made = create(lab.host, "net", *IPVLAN, *TWO, *words)
    assert not any("default route" in note for note in notes(made))
    # What the router has to be told is printed; the host has no IPv6 address here.
    printed = [note.partition("ip route add ")[2] for note in notes(made) if "route add" in note]
    assert printed == [
        "192.168.210.0/24 via 172.16.86.250",
        "192.168.212.0/24 via 172.16.86.250",
        "2001:db8:210::/64 via an address of this host on eth0",
    ]
    lab.router.batch(*(f"route add {words}" for words in printed[:2]))
    one, other = lab.container(), lab.container()
    joined = join(lab.host, one, "net", "--ip=192.168.210.10")
    reached = join(lab.host, other, "net", "--ip=192.168.212.10")
    assert joined.gateways == reached.gateways == []
    for container in (one, other):
        four, six = container.default_route(), container.default_route(6)
        assert four is not None and six is not None
        assert "gateway" not in four and (four["dev"], four["scope"]) == ("eth0", "link")
        assert "gateway" not in six and six["metric"] == 1024
    (shown,) = lab.host.macvnet("inspect", "net").json()
    needed = [f"{one['Destination']} {one['Via']}" for one in shown["Macvnet"]["RouterRoutes"]]
    assert needed == [
        "192.168.210.0/24 172.16.86.250",
        "192.168.212.0/24 172.16.86.250",
        "2001:db8:210::/64 ",
    ]
    assert shown["IPAM"]["Config"][0]["Gateway"] == "192.168.210.254"
    with lab.switch.capture(lab.switch.port(lab.host)) as cable:
        assert one.ping("192.168.212.10") and one.ping(reached.ip6)
        with other.tcp_server():
            assert one.tcp_connect("192.168.212.10") == "192.168.210.10"
    assert not cable.matching(lambda frame: "192.168.212.10" in (frame.ip_dst, frame.arp_tpa))
    assert one.ping("172.16.86.1")
    with other.tcp_server(port=8212):
        assert lab.router.tcp_connect("192.168.212.10", 8212) == "172.16.86.1"


@pytest.mark.parametrize("flag", ["bridge", "private", "vepa"])
def test_flag_says_whether_siblings_meet(routed: Lab, flag: str) -> None:
    """bridge: directly; vepa: through a switch port with hairpin; private: not even so."""
    words = ("-o", "ipvlan_mode=l2", "-o", f"ipvlan_flag={flag}")
    create(routed.host, "net", *IPVLAN, *DUAL, *words)
    one, other = routed.container(), routed.container()
    join(routed.host, one, "net", "--ip=192.168.210.10")
    join(routed.host, other, "net", "--ip=192.168.210.11")
    assert one.ping("192.168.210.254") and other.ping("192.168.210.254")
    # They have one MAC, so a broadcast that a hairpin sends back is nobody's: name the neighbour.
    for container, sibling in ((one, "192.168.210.11"), (other, "192.168.210.10")):
        container.ip("neigh", "replace", sibling, "lladdr", container.mac(), "dev", "eth0")

    def echo(frame: Frame) -> bool:
        return frame.ping and frame.ip_dst == "192.168.210.11"

    for hairpin in (False, True):
        routed.switch.hairpin(routed.host, hairpin)
        with routed.switch.capture(routed.switch.port(routed.host), keep=echo) as cable:
            reached = one.ping("192.168.210.11", within=0.7)
        assert reached == (flag == "bridge" or (flag == "vepa" and hairpin))
        assert bool(cable.frames) == (flag == "vepa")


def test_released_address_is_free_for_the_next(routed: Lab) -> None:
    """ipvlan's kernel side refuses an address that a sibling has: the record must be right."""
    create(routed.host, "net", *IPVLAN, *DUAL)
    one, other, third = (routed.container() for _ in range(3))
    assert join(routed.host, one, "net").ip == "192.168.210.1"
    assert join(routed.host, other, "net").ip == "192.168.210.2"
    routed.host.macvnet("disconnect", "net", one.target).checked()
    assert join(routed.host, third, "net").ip == "192.168.210.1"
    assert third.ping("192.168.210.2") and third.ping("192.168.210.254")


@pytest.mark.needs("dummy")
def test_ipvlan_beside_a_macvlan_in_one_command_has_its_own_mode(lab: Lab) -> None:
    """Both are made in one process, and one is not described in the other's words."""
    create(lab.host, "first", "--subnet=10.6.0.0/24")
    words = ("-o", "ipvlan_mode=l2", "-o", "ipvlan_flag=private")
    create(lab.host, "second", *IPVLAN, "--subnet=10.7.0.0/24", *words)
    container = lab.container()
    attach(lab.host, container, "--network", "first", "--network", "second")
    data = container.link("eth1")["linkinfo"]["info_data"]
    assert data["mode"] == "l2" and "private" in container.ip("-d", "link", "show", "eth1")
    assert lab.host.macvnet("check").checked().lines == []
