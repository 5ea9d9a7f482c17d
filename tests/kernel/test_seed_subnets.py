"""Several subnets in one network, and both families: macvlan on an untagged parent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import ON_ETH0, create, join, wait_until
from tests.lab import Container, Lab

TWO = (
    *("--subnet=192.168.216.0/24", "--subnet=192.168.218.0/24"),
    *("--gateway=192.168.216.1", "--gateway=192.168.218.1"),
)
DUAL = (*TWO, "--subnet=2001:db8:abc8::/64", "--gateway=2001:db8:abc8::10", *ON_ETH0)
ROUTER = ("192.168.216.1/24", "192.168.218.1/24", "2001:db8:abc8::10/64")


@pytest.fixture
def routed(make_lab: Callable[..., Lab]) -> Lab:
    """A lab whose router is the gateway of every subnet; the host has no address."""
    return make_lab(host=(), router=ROUTER)


def test_ip_picks_the_subnet_and_gateways_belong_to_the_subnet_that_contains_them(
    routed: Lab,
) -> None:
    """Also when the gateways are typed in another order than the subnets."""
    create(
        *(routed.host, "net", "--subnet=192.168.216.0/24", "--subnet=192.168.218.0/24"),
        *("--gateway=192.168.218.1", "--gateway=192.168.216.1", *ON_ETH0),
    )
    for address, gateway in (
        ("192.168.216.10", "192.168.216.1"),
        ("192.168.218.10", "192.168.218.1"),
    ):
        container = routed.container()
        joined = join(routed.host, container, "net", f"--ip={address}")
        assert (joined.addresses, joined.gateways) == ([f"{address}/24"], [gateway])
        default = container.default_route()
        assert default is not None and default["gateway"] == gateway
        assert container.ping(gateway)


def test_automatic_addresses_come_from_the_subnets_in_the_order_typed(routed: Lab) -> None:
    """The second is used when the first is full, whichever is lower."""
    create(
        *(routed.host, "net", "--subnet=192.168.218.0/30", "--subnet=192.168.216.0/24"),
        *("--gateway=192.168.218.1", "--gateway=192.168.216.1", *ON_ETH0),
    )
    given = [join(routed.host, routed.container(), "net").addresses for _ in range(3)]
    assert given == [["192.168.218.2/30"], ["192.168.216.2/24"], ["192.168.216.3/24"]]


def test_containers_of_one_subnet_meet_and_those_of_two_need_the_router(routed: Lab) -> None:
    """Through the router each frame has one hop less; without it there is silence."""
    create(routed.host, "net", *TWO, *ON_ETH0)
    one, same, other = (routed.container() for _ in range(3))
    join(routed.host, one, "net", "--ip=192.168.216.10")
    join(routed.host, same, "net", "--ip=192.168.216.11")
    join(routed.host, other, "net", "--ip=192.168.218.10")
    with other.capture() as seen:
        assert one.ping("192.168.218.10")
        (frame, *_) = seen.wait_for(lambda frame: frame.ping)
    assert (frame.src, frame.ttl) == (routed.router.mac(), 63)
    routed.switch.cable(routed.router, plugged=False)
    assert one.silent("192.168.218.10")
    assert one.ping("192.168.216.11")


def test_dual_stack_example_gives_what_the_document_prints(routed: Lab) -> None:
    """Three containers with --ip; IPv6 lowest free, global, nodad; both default routes."""
    create(routed.host, "macvlan216", *DUAL, "-o", "macvlan_mode=bridge")
    wanted = ("192.168.216.10", "192.168.218.10", "192.168.216.11")
    containers: list[Container] = []
    for number, address in enumerate(wanted):
        containers.append(routed.container())
        joined = join(routed.host, containers[-1], "macvlan216", f"--ip={address}")
        assert joined.addresses == [f"{address}/24", f"2001:db8:abc8::{number + 1}/64"]
    last = containers[-1]
    (info,) = (a for a in last.address_info() if a["local"] == "2001:db8:abc8::3")
    assert (info["scope"], info["nodad"]) == ("global", True)
    assert "tentative" not in info and "dadfailed" not in info
    default, default6 = last.default_route(), last.default_route(6)
    assert default is not None and default["gateway"] == "192.168.216.1"
    assert default6 is not None
    assert (default6["gateway"], default6["metric"]) == ("2001:db8:abc8::10", 1024)
    assert "2001:db8:abc8::/64" in [route["dst"] for route in last.routes(6)]
    assert last.ping("192.168.216.10") and last.ping("2001:db8:abc8::1")
    assert last.ping("192.168.218.10")
    assert last.ping("2001:db8:abc8::10")


def test_ipv6_address_is_usable_the_moment_the_command_returns(routed: Lab) -> None:
    """A server bound to it at once is reached from outside at once; no tentative second."""
    create(routed.host, "net", *DUAL)
    container, caller = routed.container(), routed.external("2001:db8:abc8::77/64")
    joined = join(routed.host, container, "net")
    with container.tcp_server(joined.ip6, port=80):
        assert caller.tcp_connect(joined.ip6, 80, within=1) == "2001:db8:abc8::77"


def test_router_advertisement_gives_the_additional_address(routed: Lab) -> None:
    """As the seed's `ip a` shows; macvnet's own address and default route stay."""
    create(routed.host, "net", *DUAL)
    container = routed.container()
    joined = join(routed.host, container, "net")
    with routed.router.advertising("2001:db8:abc4::/64"):
        assert wait_until(lambda: any(":abc4:" in address for address in container.addresses()))
        assert wait_until(
            lambda: any(r["dst"] == "2001:db8:abc4::/64" for r in container.routes(6))
        )
    assert f"{joined.ip6}/64" in container.addresses()
    gateways = [r.get("gateway") for r in container.routes(6) if r["dst"] == "default"]
    assert "2001:db8:abc8::10" in gateways
    assert container.ping("2001:db8:abc8::10")


def test_ip6_picks_the_address_and_ipv4_network_has_no_ipv6(routed: Lab) -> None:
    """IPv6 is switched off on the interface of a network without an IPv6 subnet."""
    create(routed.host, "net", *DUAL, "-o", "share_parent=true")
    create(
        *(routed.host, "four", "--subnet=10.4.0.0/24", "--gateway=10.4.0.1", *ON_ETH0),
        *("-o", "share_parent=true"),
    )
    container = routed.container()
    joined = join(routed.host, container, "net", "--ip6=2001:db8:abc8::abcd")
    assert joined.ip6 == "2001:db8:abc8::abcd"
    assert join(routed.host, container, "four").interface == "eth1"
    assert container.sysctl("net/ipv6/conf/eth0/disable_ipv6") == "0"
    assert container.sysctl("net/ipv6/conf/eth1/disable_ipv6") == "1"
    assert container.addresses("eth1", link_local=True) == ["10.4.0.2/24"]


def test_target_with_ipv6_disabled_gets_it_on_its_endpoint(routed: Lab) -> None:
    """Docker's sandboxes of IPv4 networks are such; the other links stay as they are."""
    create(routed.host, "net", *DUAL)
    container = routed.container(ipv6=False)
    joined = join(routed.host, container, "net")
    assert f"{joined.ip6}/64" in container.addresses()
    assert container.ping("2001:db8:abc8::10")
    assert container.sysctl("net/ipv6/conf/lo/disable_ipv6") == "1"


def test_v6_only_network_drags_in_no_ipv4(routed: Lab) -> None:
    create(
        *(routed.host, "six", "--subnet=2001:db8:abc8::/64", "--gateway=2001:db8:abc8::10"),
        *ON_ETH0,
    )
    shown = routed.host.macvnet("inspect", "six").json()[0]
    assert (shown["EnableIPv4"], shown["EnableIPv6"]) == (False, True)
    assert [config["Subnet"] for config in shown["IPAM"]["Config"]] == ["2001:db8:abc8::/64"]
    container = routed.container()
    assert join(routed.host, container, "six").addresses == ["2001:db8:abc8::1/64"]
    assert container.routes(4) == []
    assert container.ping("2001:db8:abc8::10")
