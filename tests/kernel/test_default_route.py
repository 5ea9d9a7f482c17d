"""Which network of a container has its default route, and the interface names it gets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import LAN, attach, create, join, notes
from tests.lab import Container, Lab

SHARED = ("-o", "parent=eth0", "-o", "share_parent=true")


@pytest.fixture
def three(make_lab: Callable[..., Lab]) -> Lab:
    """Networks a, b, c on one parent; a and b dual stack, c IPv4 only; one router for all."""
    lab = make_lab(
        host=(),
        router=(
            *("10.1.0.1/24", "10.2.0.1/24", "10.3.0.1/24", "203.0.113.1/24"),
            *("2001:db8:1::1/64", "2001:db8:2::1/64"),
        ),
    )
    for number, name in enumerate("abc", 1):
        words = [f"--subnet=10.{number}.0.0/24", f"--gateway=10.{number}.0.1"]
        if name != "c":
            words += [f"--subnet=2001:db8:{number}::/64", f"--gateway=2001:db8:{number}::1"]
        create(lab.host, name, *words, *SHARED)
    return lab


def defaults(container: Container) -> tuple[str | None, str | None]:
    """The gateways of the IPv4 and IPv6 default routes; there is at most one of each."""
    found = []
    for family in (4, 6):
        routes = [route for route in container.routes(family) if route["dst"] == "default"]
        assert len(routes) <= 1
        found.append(routes[0]["gateway"] if routes else None)
    return found[0], found[1]


A, B = ("10.1.0.1", "2001:db8:1::1"), ("10.2.0.1", "2001:db8:2::1")


def test_network_connected_first_keeps_the_default_route(three: Lab) -> None:
    """Not the one whose name sorts first; and it is what packets to the world take."""
    container = three.container()
    join(three.host, container, "b")
    join(three.host, container, "a")
    assert defaults(container) == B
    with three.router.capture() as wire:
        assert container.ping("203.0.113.1")
        (frame, *_) = wire.wait_for(lambda frame: frame.ping)
    assert frame.ip_src == "10.2.0.2"


def test_highest_gw_priority_takes_the_default_route_whenever_it_comes(three: Lab) -> None:
    container = three.container()
    join(three.host, container, "a")
    join(three.host, container, "b", "--gw-priority=10")
    assert defaults(container) == B
    join(three.host, container, "c", "--gw-priority=5")
    assert defaults(container) == B


def test_negative_gw_priority_comes_last(three: Lab) -> None:
    container = three.container()
    join(three.host, container, "a", "--gw-priority=-1")
    assert defaults(container) == A
    join(three.host, container, "b")
    assert defaults(container) == B


def test_next_takes_over_when_the_winner_leaves(three: Lab) -> None:
    """By priority, then by the order of connecting; the last one leaves nothing behind."""
    container = three.container()
    target = container.target
    for name, priority in (("a", 0), ("b", 7), ("c", 0)):
        join(three.host, container, name, f"--gw-priority={priority}")
    assert defaults(container) == B
    three.host.macvnet("disconnect", "b", target).checked()
    assert defaults(container) == A
    assert container.ping("203.0.113.1")
    three.host.macvnet("disconnect", "a", target).checked()
    assert defaults(container) == ("10.3.0.1", None)
    three.host.macvnet("disconnect", "c", target).checked()
    assert defaults(container) == (None, None)
    assert container.links() == ["lo"]


def test_families_are_decided_separately(three: Lab) -> None:
    """The network with the highest priority has no IPv6: that one's default stays elsewhere."""
    container = three.container()
    join(three.host, container, "a")
    join(three.host, container, "c", "--gw-priority=10")
    assert defaults(container) == ("10.3.0.1", A[1])


def test_network_without_a_gateway_does_not_take_part(three: Lab) -> None:
    """However high its priority: the default route of the others is not lost to it."""
    create(three.host, "mute", "--subnet=10.9.0.0/24", *SHARED)
    create(
        *(three.host, "inner", "--internal", "--subnet=10.8.0.0/24", "--gateway=10.8.0.1"),
        *SHARED,
    )
    container = three.container()
    join(three.host, container, "mute", "--gw-priority=100")
    assert defaults(container) == (None, None)
    join(three.host, container, "a")
    join(three.host, container, "inner", "--gw-priority=100")
    assert defaults(container) == A


def test_foreign_default_route_is_kept_and_a_note_says_so(three: Lab) -> None:
    """As Docker's bridge makes it; ours is left out while it stands, also when networks leave."""
    container = three.container()
    container.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    container.add_address("192.0.2.2/24", "veth0")
    container.add_default("192.0.2.1", "veth0")
    done = three.host.macvnet("connect", "a", container.target).checked()
    assert "default route that macvnet did not make" in done.stderr
    assert "IPv4" in done.stderr and "IPv6" not in done.stderr
    assert defaults(container) == ("192.0.2.1", A[1])
    join(three.host, container, "b", "--gw-priority=9")
    three.host.macvnet("disconnect", "b", container.target).checked()
    assert defaults(container) == ("192.0.2.1", A[1])
    three.host.macvnet("detach", container.target).checked()
    assert defaults(container) == ("192.0.2.1", None)


def test_route_by_hand_over_our_link_is_not_ours(three: Lab) -> None:
    """macvnet's own routes carry its protocol number; what a user put there instead stays."""
    container = three.container()
    join(three.host, container, "a")
    route = container.default_route()
    assert route is not None and route["protocol"] == "109"
    container.ip("route", "replace", "default", "via", "10.1.0.77", "dev", "eth0")
    join(three.host, container, "b", "--gw-priority=9")
    assert defaults(container) == ("10.1.0.77", B[1])


def test_interfaces_get_the_lowest_free_number(three: Lab) -> None:
    """Also one that was given back, and never one that the target has already."""
    container = three.container()
    container.ip("link", "add", "eth1", "type", "bridge")
    names = [join(three.host, container, name).interface for name in "abc"]
    assert names == ["eth0", "eth2", "eth3"]
    three.host.macvnet("disconnect", "b", container.target).checked()
    assert join(three.host, container, "b").interface == "eth2"


def test_ifname_is_kept_and_one_that_exists_is_refused(three: Lab) -> None:
    container = three.container()
    assert join(three.host, container, "a", "--ifname=wan0").interface == "wan0"
    done = three.host.macvnet("connect", "--ifname=wan0", "b", container.target)
    assert done.status == 5 and "'wan0'" in done.stderr
    assert container.links() == ["lo", "wan0"]
    shown = three.host.macvnet("inspect", "b").json()[0]
    assert shown["Containers"] == {}
    words = ("connect", "--driver-opt", "com.docker.network.endpoint.ifname=dmz0", "b")
    three.host.macvnet(*words, container.target).checked()
    assert "dmz0" in container.links()


def test_loopback_is_not_touched_and_a_note_says_that_it_is_down(three: Lab) -> None:
    container, up = three.container(lo=False), three.container()
    before = container.link("lo")
    done = three.host.macvnet("connect", "a", container.target).checked()
    assert "lo is down" in done.stderr and "ip link set lo up" in done.stderr
    assert container.link("lo") == before
    assert three.host.macvnet("connect", "a", up.target).checked().stderr == ""


def test_gw_priority_in_one_command_decides_among_its_networks(three: Lab) -> None:
    container = three.container()
    attach(three.host, container, "--network=a", "--network=b,gw-priority=3", "--net=c")
    assert defaults(container) == B


@pytest.mark.parametrize("broken", ["link set eth0 down", "link del eth0", "addr flush dev eth0"])
def test_network_whose_interface_somebody_broke_does_not_keep_another_from_joining(
    make_lab: Callable[..., Lab], broken: str
) -> None:
    """The route goes to one that can have it; where none can, that is said."""
    lab = make_lab(nics=2)
    create(lab.host, "first", *LAN)
    create(lab.host, "second", "--subnet=10.2.0.0/24", "--gateway=10.2.0.1", "-o", "parent=eth1")
    container = lab.container()
    join(lab.host, container, "first")
    container.ip(*broken.split())
    done = lab.host.macvnet("attach", "--network=second,ifname=lan1", container.target).checked()
    route = container.default_route()
    if "flush" in broken:
        assert route is None and any("no default route now" in note for note in notes(done))
    else:
        assert route is not None and route["dev"] == "lan1"
    lab.host.macvnet("detach", "--network=second", container.target).checked()
