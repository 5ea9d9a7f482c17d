"""What the doctor finds where VLANs, bonds and ipvlan are: one lab, each cause made for real."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import CONFLICT, LAN, create, join, refused, wait_until
from tests.kernel.test_doctor import causes, guarded, only, typed
from tests.kernel.trunk import on_vlan, route_vlans
from tests.lab import Lab

__all__ = ["guarded"]
pytestmark = pytest.mark.needs("vlan", "ipvlan", "bond")


def test_what_speaks_against_a_parent_of_another_kind(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(nics=3)
    host = lab.host
    target = lab.container()
    create(host, "lan", *LAN)
    create(host, "two", "--subnet=10.1.0.0/24", "-o", "parent=eth1")
    assert causes(host, "eth1") == causes(host, "eth1.50") == []

    # Where there is no way out, or no ARP, no gateway is missed.
    host.macvnet("create", "--subnet=10.7.0.0/24", "--gateway=10.7.0.1", "alone").checked()
    create(
        *(host, "l3", "-d", "ipvlan", "--subnet=10.8.0.0/24", "--gateway=10.8.0.1"),
        *("-o", "parent=eth2", "-o", "ipvlan_mode=l3"),
    )
    for network in ("alone", "l3"):
        join(host, target, network)
        assert causes(host, network) == []
        host.macvnet("detach", target.target).checked()
        host.macvnet("rm", network).checked()

    host.bond("bond0", "eth1", "eth2")
    evidence, fix = only(host, "parent-port", "two")
    assert evidence == "'eth1' is a port of the bond 'bond0' and cannot be a parent"
    done = host.macvnet("connect", "two", target.target)
    assert refused(done, CONFLICT, "'bond0'") == "-o parent=bond0"
    typed(host, fix)
    assert causes(host, "two") == causes(host, "bond0") == []
    host.macvnet("rm", "two").checked()
    host.batch("link set eth1 nomaster", "link set eth1 up", "link del bond0")
    create(host, "two", "--subnet=10.1.0.0/24", "-o", "parent=eth1")

    for where in ("host", "a namespace that macvnet has numbered"):
        host.ip(*"link add link eth1 name ipvl0 type ipvlan mode l2".split())
        if where != "host":
            join(host, target, "lan")
            host.ip("link", "set", "ipvl0", "netns", str(target.pid))
        evidence, fix = only(host, "drivers-mixed", "two")
        assert "'ipvl0'" in evidence and "create -d ipvlan --subnet 10.1.0.0/24" in fix
        assert ("nsid" in evidence) == (where != "host")
        # On a parent that nobody has named a driver for, it is the one to go with.
        assert causes(host, "eth1") == []
        done = host.macvnet("connect", "two", target.target)
        assert refused(done, CONFLICT, "'ipvl0'") == "-d ipvlan"
        if where == "host":
            host.ip("link", "del", "ipvl0")
    typed(host, fix)
    assert causes(host, "two") == []
    target.ip("link", "del", "ipvl0")
    host.macvnet("rm", "two").checked()

    create(
        host,
        "l3",
        "-d",
        "ipvlan",
        "--subnet=10.1.0.0/24",
        "-o",
        "parent=eth1",
        "-o",
        "ipvlan_mode=l3",
    )
    host.ip(*"link add link eth1 name ipvl0 type ipvlan mode l2".split())
    evidence, fix = only(host, "ipvlan-modes-differ", "l3")
    assert "'ipvl0'" in evidence and "-o ipvlan_mode=l2 -o ipvlan_flag=bridge" in fix
    typed(host, fix)
    assert causes(host, "l3") == []


def test_what_speaks_against_a_vlan(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(default_route=True, nics=2)
    host = lab.host
    host.ip(*"link add link eth1 name dmz type vlan id 50".split())
    assert only(host, "vlan-other-name", "eth1.50") == (
        "VLAN 50 is present on eth1 already, under the name 'dmz'",
        "-o parent=dmz",
    )
    host.batch("link del dmz", "link set eth1 down")
    assert "no sub-interface" in only(host, "parent-down", "eth1.50")[0]

    route_vlans(lab, 50)
    create(host, "v50", *on_vlan(50))
    join(host, lab.container(), "v50")
    assert causes(host, "v50") == []
    # The switch's port for the host now takes untagged frames only.
    lab.switch.filter_vlans(True)
    evidence, _ = only(host, "vlan-not-carried", "v50")
    assert "VLAN 50" in evidence and "eth0 below it answers" in evidence
    lab.router.ip("link", "set", "eth0", "down")
    assert causes(host, "v50") == ["gateway-silent"]

    host.ip("link", "set", "eth0", "down")
    evidence, fix = only(host, "parent-down", "v50")
    assert "no sub-interface" in evidence
    lab.router.ip("link", "set", "eth0", "up")
    lab.switch.filter_vlans(False)
    typed(host, fix)
    assert wait_until(lambda: causes(host, "v50") == [])


def test_ipvlan_gets_through_where_other_macs_do_not(guarded: Lab) -> None:
    host = guarded.host
    create(host, "lan", *LAN)
    join(host, guarded.container(), "lan")
    typed(host, only(host, "mac-filtered", "lan")[1])
    web = guarded.container()
    join(host, web, "lan")
    assert web.ping("172.16.86.1") and causes(host, "lan") == []
