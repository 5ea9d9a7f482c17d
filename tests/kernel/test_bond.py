"""Bonds as parents, and VLANs on bonds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import CONFLICT, GATEWAY, LAN, SUBNET, create, join, refused
from tests.kernel.trunk import on_vlan, route_vlans, settled, vlan_of
from tests.lab import Lab

pytestmark = pytest.mark.needs("bond", "vlan")

ON_BOND0 = (SUBNET, GATEWAY, "-o", "parent=bond0")


@pytest.fixture
def bonded(make_lab: Callable[..., Lab]) -> Lab:
    """A host whose two NICs are bond0."""
    lab = make_lab(host=(), nics=2)
    lab.host.bond("bond0", "eth0", "eth1")
    return lab


def test_bond_carries_a_network_and_a_network_on_a_vlan(bonded: Lab) -> None:
    """Both at once, through either cable; rm takes the VLAN away and leaves the bond alone."""
    host = bonded.host
    route_vlans(bonded, 50)
    create(host, "flat", *ON_BOND0)
    create(host, "macvlan50", *on_vlan(50, "bond0"))
    assert vlan_of(host, "bond0.50") == ("bond0", 50, True)
    flat, tagged, sibling = (bonded.container() for _ in range(3))
    joined = join(host, flat, "flat")
    join(host, tagged, "macvlan50")
    reached = join(host, sibling, "macvlan50")
    assert tagged.ping(reached.ip)
    assert flat.ping("172.16.86.1") and tagged.ping("192.168.50.1")
    assert bonded.router.ping(joined.ip)
    for cut, kept in (("eth0", "eth1"), ("eth1", "eth0")):
        bonded.switch.cable(host, plugged=False, ifname=cut)
        with bonded.switch.capture(bonded.switch.port(host, kept)) as cable:
            assert tagged.ping("192.168.50.1") and flat.ping("172.16.86.1")
            cable.wait_for(lambda frame: frame.ping and frame.vlan == 50)
            cable.wait_for(lambda frame: frame.ping and frame.vlan is None)
        bonded.switch.cable(host, plugged=True, ifname=cut)
    for network, container in (("macvlan50", tagged), ("macvlan50", sibling), ("flat", flat)):
        host.macvnet("disconnect", network, container.target).checked()
    host.macvnet("rm", "macvlan50", "flat").checked()
    assert "bond0.50" not in host.links() and host.link("bond0")["operstate"] == "UP"
    assert {"eth0", "eth1"} <= set(host.links())


def test_port_of_a_bond_is_refused_and_the_hint_names_the_bond(bonded: Lab) -> None:
    before = settled(bonded.host, "bond0", "eth0", "eth1")
    done = bonded.host.macvnet("create", *LAN, "net")
    assert refused(done, CONFLICT, "'eth0'", "'bond0'") == "-o parent=bond0"
    assert before.changes(bonded.host.snapshot()) == []
    create(bonded.host, "net", *ON_BOND0)
