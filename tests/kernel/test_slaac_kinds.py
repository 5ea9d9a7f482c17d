"""IPv6 that a router gives, where endpoints share the parent's MAC, and on a VLAN."""

from __future__ import annotations

from functools import partial

import pytest

from tests.kernel.steps import create, join, wait_until
from tests.kernel.test_slaac import ALONE, PREFIX, SLAAC, by_router, learned_of
from tests.lab import Lab


@pytest.mark.needs("ipvlan")
def test_endpoints_with_one_mac_have_addresses_of_their_own_that_come_again(lab: Lab) -> None:
    host = lab.host
    host.sysctl("net/ipv6/conf/eth0/accept_ra", "0")
    create(host, "six", "-d", "ipvlan", *ALONE)
    before = host.snapshot()
    one, two, three = (lab.named(name) for name in ("one", "two", "three"))
    join(host, one, "six")
    join(host, two, "six")
    join(host, three, "six", "--ip6-token=::7")
    with lab.router.advertising(PREFIX):
        for target in (one, two, three):
            assert wait_until(partial(learned_of, target), 20)
            assert wait_until(partial(by_router, target), 20)
        found = [[address for address, _ in learned_of(each)] for each in (one, two, three)]
        assert found[2] == ["2001:db8:7::7/64"]
        assert found[0] != found[1] and len(found[0]) == len(found[1]) == 1
        assert host.macvnet("check", fork=True).checked().lines == []
        # In another order: what decides is whose they are.
        for target in (one, two):
            host.macvnet("disconnect", "six", target.target, fork=True).checked()
        join(host, two, "six")
        join(host, one, "six")
        for target in (one, two):
            assert wait_until(partial(learned_of, target), 20)
        again = [[address for address, _ in learned_of(each)] for each in (one, two)]
        assert again == found[:2]
    for target in (one, two, three):
        host.macvnet("disconnect", "six", target.target, fork=True).checked()
    assert before.changes(host.snapshot()) == []


@pytest.mark.needs("vlan")
def test_on_a_vlan_the_target_hears_the_router_and_the_host_does_not(lab: Lab) -> None:
    host = lab.host
    lab.router.add_vlan(50)
    before = host.snapshot()
    create(host, "six", "-o", "parent=eth0.50", *SLAAC, "--ipv4=false")
    made = host.snapshot()
    web = lab.container()
    join(host, web, "six", "--ip6-token=::5")
    with lab.router.advertising(PREFIX, "eth0.50"):
        assert wait_until(partial(by_router, web), 20)
        assert [address for address, _ in learned_of(web)] == ["2001:db8:7::5/64"]
        assert host.macvnet("doctor", "six", fork=True).checked().lines == []
    assert host.addresses("eth0.50", link_local=True) == []
    host.macvnet("disconnect", "six", web.target).checked()
    assert made.changes(host.snapshot()) == []
    host.macvnet("rm", "six").checked()
    assert before.changes(host.snapshot()) == []
