"""Links that macvnet makes on the host: no address, no route, no answer of their own accord."""

from __future__ import annotations

import pytest

from tests.kernel.steps import create, join, wait_until
from tests.kernel.trunk import on_vlan
from tests.lab import Frame, Lab

PREFIX = "2001:db8:50::/64"


def arp_reply(frame: Frame) -> bool:
    return frame.arp_op == 2 and not frame.outgoing


@pytest.mark.needs("vlan")
def test_router_advertising_on_the_vlan_gives_the_host_nothing(lab: Lab) -> None:
    """A link made by hand, under the same router, gets an address and a default route."""
    lab.router.add_vlan(50)
    lab.router.add_vlan(60)
    before = lab.host.snapshot()
    create(lab.host, "net", *on_vlan(50))
    alone = lab.host.snapshot()
    container = lab.container()
    join(lab.host, container, "net")
    lab.host.add_vlan(60)
    with (
        lab.router.advertising(PREFIX, "eth0.50"),
        lab.router.advertising("2001:db8:60::/64", "eth0.60"),
        lab.host.capture("eth0.50", keep=lambda frame: frame.icmp_type == 134) as heard,
    ):
        # By hand: what would have happened.
        assert wait_until(lambda: lab.host.addresses("eth0.60") != [])
        assert wait_until(lambda: lab.host.default_route(6) is not None)
        heard.wait_for(lambda frame: frame.protocol == 58, count=2)
    assert lab.host.addresses("eth0.50", link_local=True) == []
    lab.host.ip("link", "del", "eth0.60")
    after = lab.host.snapshot()
    assert alone.routes == after.routes == before.routes
    assert alone.addresses == after.addresses
    assert lab.host.sysctl("net/ipv6/conf/eth0.50/disable_ipv6") == "1"
    assert lab.host.sysctl("net/ipv6/conf/eth0.50/accept_ra") == "0"
    # Even where somebody turns IPv6 on, no router is believed.
    lab.host.sysctl("net/ipv6/conf/eth0.50/disable_ipv6", "0")
    with (
        lab.router.advertising(PREFIX, "eth0.50"),
        lab.host.capture("eth0.50", keep=lambda frame: frame.icmp_type == 134) as heard,
    ):
        heard.wait_for(lambda frame: frame.protocol == 58, count=3)
    assert lab.host.addresses("eth0.50") == [] and lab.host.default_route(6) is None


@pytest.mark.needs("vlan")
def test_nobody_on_the_vlan_is_told_the_host_s_addresses(lab: Lab) -> None:
    """The host answers ARP for 172.16.86.250 on a link made by hand, not on macvnet's."""
    create(lab.host, "net", *on_vlan(50))
    lab.host.add_vlan(60)
    asked = lab.external()
    for vid, answered in ((60, True), (50, False)):
        name = asked.add_vlan(vid, "172.16.86.9/24")
        with asked.capture(name) as wire:
            asked.silent("172.16.86.250")
            if answered:
                wire.wait_for(arp_reply)
            else:
                assert wire.matching(lambda frame: frame.arp_op == 1)
                assert not wire.matching(arp_reply)
        asked.ip("link", "del", name)


@pytest.mark.needs("vlan")
def test_link_is_quiet_before_it_is_up(lab: Lab) -> None:
    """Not one frame leaves the host when the sub-interface is made."""
    with lab.switch.capture(lab.switch.port(lab.host)) as cable:
        create(lab.host, "net", *on_vlan(50))
        lab.host.add_vlan(60)
        # By hand: the solicitations and reports of a link that has IPv6.
        cable.wait_for(lambda frame: frame.vlan == 60)
    assert not cable.matching(lambda frame: frame.vlan == 50)


@pytest.mark.needs("dummy")
def test_dummy_parent_gets_no_address_and_no_route(lab: Lab) -> None:
    """Not even the fe80:: one that a dummy made by hand gets."""
    before = lab.host.snapshot()
    identity = create(lab.host, "net").lines[0]
    name = f"dm-{identity[:12]}"
    assert lab.host.addresses(name, link_local=True) == []
    after = lab.host.snapshot().without(name)
    assert before.changes(after) == []
    for key, value in (("ipv6/conf/{}/disable_ipv6", "1"), ("ipv6/conf/{}/accept_ra", "0")):
        assert lab.host.sysctl("net/" + key.format(name)) == value
    assert lab.host.sysctl(f"net/ipv4/conf/{name}/arp_ignore") == "8"
    lab.host.batch("link add by-hand type dummy", "link set by-hand up")
    assert wait_until(lambda: lab.host.addresses("by-hand", link_local=True) != [])
