"""What the doctor finds of IPv6: gateways that are silent or two, routers that do not advertise."""

from __future__ import annotations

from collections.abc import Callable

from tests.kernel.steps import GATEWAY, ON_ETH0, SUBNET, create, join, settled, wait_until
from tests.kernel.test_doctor import asked, causes, only
from tests.kernel.test_slaac import ALONE, PREFIX
from tests.lab import Frame, Lab

GATEWAY6 = "2001:db8:86::1"
STATIC = ("--subnet=2001:db8:86::/64", f"--gateway={GATEWAY6}")


def question(frame: Frame) -> bool:
    """A solicitation, of neighbours or of routers, that somebody wrote by hand or a kernel sent."""
    return frame.icmp_type in (133, 135)


def test_ipv6_gateways(make_lab: Callable[..., Lab]) -> None:
    """There, silent, twice; asked by the endpoint and the parent, of whom no trace is left."""
    lab = make_lab(default_route=True)
    host = lab.host
    create(host, "lan", SUBNET, GATEWAY, *ON_ETH0, *STATIC)
    web = lab.container()
    joined = join(host, web, "lan")
    assert wait_until(lambda: settled(web))
    lab.router.ip("-6", "neigh", "flush", "dev", "eth0")
    with lab.router.capture(keep=question) as wire:
        assert causes(host, "lan") == []
        wire.wait_for(lambda frame: frame.nd_target == GATEWAY6, count=2)
    seen = {(f.src, f.ip_src) for f in wire if f.nd_target == GATEWAY6}
    assert seen == {(joined.mac, "::"), (host.mac(), "::")}
    assert lab.router.query("-6", "neigh", "show", "dev", "eth0") == []

    twin = lab.external(f"{GATEWAY6}/64")
    evidence, _ = only(host, "gateway-two-macs", web.target)
    assert GATEWAY6 in evidence and twin.mac() in evidence and lab.router.mac() in evidence
    for machine in (twin, lab.router):
        machine.ip("addr", "del", f"{GATEWAY6}/64", "dev", "eth0")
    assert only(host, "gateway-silent", "lan") == (
        f"nobody answers for the gateway {GATEWAY6} on eth0",
        f"ping -6 -I eth0 {GATEWAY6}",
    )
    host.macvnet("disconnect", "lan", web.target, fork=True).checked()
    twin.add_address(f"{GATEWAY6}/64")
    # By the parent alone, which may have no IPv6 of its own.
    host.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1")
    assert causes(host, "lan") == []


def test_routers_of_a_slaac_network(lab: Lab) -> None:
    host = lab.host
    create(host, "six", *ALONE)
    web = lab.container()
    join(host, web, "six")
    assert wait_until(lambda: settled(web))
    with lab.router.advertising(PREFIX):
        assert causes(host, "six") == causes(host, web.target) == []
    with lab.router.advertising(None):
        evidence, fix = only(host, "router-no-prefix", "six")
        assert lab.router.mac() in evidence and "tcpdump -ni eth0 " in fix
    with lab.router.capture(keep=lambda frame: frame.icmp_type == 133) as wire:
        evidence, fix = only(host, "router-silent", "six")
        wire.wait_for(lambda frame: frame.src == host.mac(), count=3)
    assert "no router on eth0 advertises" in evidence and "let the router advertise" in fix
    assert {f.src for f in wire} == {web.mac(), host.mac()}
    web.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1")
    # Without a name nobody is asked.
    [found] = asked(host).json()
    assert found["id"] == "target-ipv6-disabled" and "disable_ipv6=0" in found["fix"]
