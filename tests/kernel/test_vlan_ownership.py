"""Whose a sub-interface is: removed only if macvnet made it, it still is that link, and unused."""

from __future__ import annotations

import pytest

from tests.kernel.steps import CONFLICT, create, join, notes, refused
from tests.kernel.trunk import on_vlan, settled, vlan_of
from tests.lab import Lab

pytestmark = pytest.mark.needs("vlan")

SHARED = ("-o", "share_parent=true")
IPV6_ON = "echo 0 > /proc/sys/net/ipv6/conf/eth0.50/disable_ipv6"
USES = {
    "address": ("ip addr add 192.168.50.250/24 dev eth0.50", "192.168.50.250/24"),
    "address-of-link-scope": (
        "ip addr add 169.254.50.1/16 dev eth0.50 scope link",
        "169.254.50.1/16",
    ),
    "ipv6-address": (
        f"{IPV6_ON}; ip addr add 2001:db8:50::250/64 dev eth0.50",
        "2001:db8:50::250/64",
    ),
    "route": ("ip route add 10.77.0.0/16 dev eth0.50", "10.77.0.0/16"),
    "route-in-another-table": ("ip route add default dev eth0.50 table 77", "default"),
    "ipv6-route": (
        f"{IPV6_ON}; ip -6 route add 2001:db8:77::/64 dev eth0.50",
        "2001:db8:77::/64",
    ),
    "master": ("ip link add br7 type bridge && ip link set eth0.50 master br7", "'br7'"),
    "upper-macvlan": ("ip link add vm7 link eth0.50 type macvlan mode bridge", "'vm7'"),
    "upper-vlan": ("ip link add link eth0.50 name qinq type vlan id 7", "'qinq'"),
}


def remove(lab: Lab, network: str = "net") -> list[str]:
    """Remove a network; the notes."""
    return notes(lab.host.macvnet("rm", network).checked())


@pytest.mark.parametrize("use", USES)
def test_sub_interface_that_somebody_uses_stays(lab: Lab, use: str) -> None:
    """With a note that says what uses it."""
    script, named = USES[use]
    create(lab.host, "net", *on_vlan(50))
    lab.host.run("sh", "-c", script).checked()
    (note,) = remove(lab)
    assert "eth0.50" in note and named in note
    assert vlan_of(lab.host, "eth0.50") == ("eth0", 50, True)


def test_sub_interface_left_behind_once_is_the_user_s(lab: Lab) -> None:
    """The next network on it finds a link that existed before, used or not."""
    create(lab.host, "net", *on_vlan(50))
    lab.host.add_address("192.168.50.250/24", "eth0.50")
    assert len(remove(lab)) == 1
    lab.host.ip("addr", "flush", "dev", "eth0.50")
    create(lab.host, "later", *on_vlan(50))
    assert remove(lab, "later") == []
    assert vlan_of(lab.host, "eth0.50") == ("eth0", 50, True)


@pytest.mark.parametrize("mode", ["bridge", "private"])
def test_macvlan_in_another_namespace_keeps_it(lab: Lab, mode: str) -> None:
    """Invisible from the host, somebody else's, up or not; and it works on after rm."""
    create(lab.host, "net", *on_vlan(50))
    other = lab.container()
    lab.host.batch(
        f"link add vm7 link eth0.50 netns {other.pid} type macvlan mode {mode}",
    )
    (note,) = remove(lab)
    assert "eth0.50 stays" in note and "another namespace" in note
    assert "eth0.50" in lab.host.links() and "vm7" in other.links()
    assert not [name for name in lab.host.links() if name.startswith("mp")]
    lab.router.add_vlan(50, "192.168.50.1/24")
    other.add_address("192.168.50.7/24", "vm7")
    assert other.ping("192.168.50.1")


@pytest.mark.needs("ipvlan")
def test_ipvlan_in_another_namespace_keeps_it(lab: Lab) -> None:
    create(lab.host, "net", *on_vlan(50))
    other = lab.container()
    lab.host.batch(f"link add vm7 link eth0.50 netns {other.pid} type ipvlan mode l2")
    (note,) = remove(lab)
    assert "eth0.50 stays" in note and "another namespace" in note
    assert "vm7" in other.links()


def test_link_goes_with_the_last_of_the_networks_on_it(lab: Lab) -> None:
    """Whichever of them made it (Docker takes it away under the others)."""
    before = lab.host.snapshot()
    create(lab.host, "maker", *on_vlan(50), *SHARED)
    create(lab.host, "sharer", "--subnet=10.5.0.0/24", "-o", "parent=eth0.50", *SHARED)
    container = lab.container()
    joined = join(lab.host, container, "sharer")
    lab.host.macvnet("rm", "maker").checked()
    lab.router.add_vlan(50, "10.5.0.1/24")
    assert lab.router.ping(joined.ip)
    lab.host.macvnet("disconnect", "sharer", container.target).checked()
    remove(lab, "sharer")
    assert before.changes(lab.host.snapshot()) == []


def test_link_made_by_hand_before_is_left_as_it_is(lab: Lab) -> None:
    """Also down and with a name that macvnet would have chosen: never set up, never deleted."""
    lab.host.batch("link add link eth0 name eth0.50 type vlan id 50")
    before = lab.host.snapshot()
    create(lab.host, "net", *on_vlan(50))
    container = lab.container()
    done = lab.host.macvnet("connect", "net", container.target).checked()
    assert any("eth0.50" in note and "carrier" in note for note in notes(done))
    lab.host.macvnet("disconnect", "net", container.target).checked()
    assert remove(lab) == []
    assert before.changes(lab.host.snapshot()) == []


def test_link_re_created_by_hand_is_not_macvnet_s(lab: Lab) -> None:
    """rm leaves it; a connect before gives ownership up and uses it; both with a note."""
    recreate = (
        "link del eth0.50",
        "link add link eth0 name eth0.50 type vlan id 50",
        "link set eth0.50 up",
    )
    create(lab.host, "net", *on_vlan(50))
    lab.host.batch(*recreate)
    before = settled(lab.host, "eth0.50")
    (note,) = remove(lab)
    assert "eth0.50 is not the one that macvnet made" in note
    assert before.changes(lab.host.snapshot()) == []
    lab.host.ip("link", "del", "eth0.50")

    create(lab.host, "again", *on_vlan(50))
    lab.host.batch(*recreate)
    lab.router.add_vlan(50, "192.168.50.1/24")
    container = lab.container()
    done = lab.host.macvnet("connect", "again", container.target).checked()
    (note,) = (note for note in notes(done) if "eth0.50" in note)
    assert "somebody else" in note and "will not remove it" in note
    assert container.ping("192.168.50.1")
    lab.host.macvnet("disconnect", "again", container.target).checked()
    assert remove(lab, "again") == []
    assert "eth0.50" in lab.host.links()


def test_another_vlan_under_the_same_name_is_never_removed(lab: Lab) -> None:
    """Even with macvnet's own alias copied onto it."""
    create(lab.host, "net", *on_vlan(50))
    alias = lab.host.link("eth0.50")["ifalias"]
    lab.host.batch(
        "link del eth0.50",
        "link add link eth0 name eth0.50 type vlan id 51",
        f"link set eth0.50 alias {alias}",
    )
    (note,) = remove(lab)
    assert "eth0.50 is not the one" in note
    assert vlan_of(lab.host, "eth0.50") == ("eth0", 51, False)


def test_missing_sub_interface_is_made_again_by_the_next_connect(lab: Lab) -> None:
    """In the same boot too; it is macvnet's again, and quiet again."""
    before = lab.host.snapshot()
    lab.router.add_vlan(50, "192.168.50.1/24")
    create(lab.host, "net", *on_vlan(50))
    lab.host.ip("link", "del", "eth0.50")
    container = lab.container()
    done = lab.host.macvnet("connect", "net", container.target).checked()
    assert any("eth0.50 was missing and has been made again" in note for note in notes(done))
    assert container.ping("192.168.50.1")
    assert lab.host.sysctl("net/ipv6/conf/eth0.50/disable_ipv6") == "1"
    lab.host.macvnet("disconnect", "net", container.target).checked()
    assert remove(lab) == []
    assert before.changes(lab.host.snapshot()) == []


def test_missing_sub_interface_whose_vlan_has_another_name_now_is_said_so(lab: Lab) -> None:
    create(lab.host, "net", *on_vlan(50))
    lab.host.batch("link del eth0.50", "link add link eth0 name tenant-a type vlan id 50")
    before = lab.host.snapshot()
    container = lab.container()
    done = lab.host.macvnet("connect", "net", container.target)
    hint = refused(done, CONFLICT, "VLAN 50", "eth0", "'tenant-a'")
    assert "-o parent=tenant-a" in hint
    assert before.changes(lab.host.snapshot()) == [] and container.links() == ["lo"]
