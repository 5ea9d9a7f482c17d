"""After a reboot: macvnet's own missing links come back by themselves, others' are left alone.

A reboot as macvnet sees one: another boot id, a new namespace, no link but the
NIC, and the state on disk. ``tests.boots`` has two real ones.
"""

from __future__ import annotations

import threading
import time

import pytest

from tests.kernel.steps import NOT_FOUND, create, join, networks, notes, refused
from tests.kernel.trunk import after_reboot, on_vlan, route_vlans, vlan_of
from tests.lab import Lab

PENDING = 12
SHARED = ("-o", "share_parent=true")


@pytest.mark.needs("vlan")
def test_connect_makes_the_sub_interface_again_and_rm_takes_it_away(lab: Lab) -> None:
    """Quiet, as at first; the endpoints of before are nobody's any more and hold nothing up."""
    route_vlans(lab, 50)
    create(lab.host, "net", *on_vlan(50))
    old = lab.container()
    assert join(lab.host, old, "net").ip == "192.168.50.2"
    with after_reboot(lab) as host:
        assert host.links() == ["lo", "eth0"]
        container = lab.container()
        done = host.macvnet("connect", "--ip=192.168.50.2", "net", container.target).checked()
        (note,) = (note for note in notes(done) if "eth0.50" in note)
        assert "was missing and has been made again" in note
        assert vlan_of(host, "eth0.50") == ("eth0", 50, True)
        assert host.sysctl("net/ipv6/conf/eth0.50/disable_ipv6") == "1"
        assert host.sysctl("net/ipv4/conf/eth0.50/arp_ignore") == "8"
        assert container.ping("192.168.50.1")
        host.macvnet("disconnect", "net", container.target).checked()
        assert notes(host.macvnet("rm", "net").checked()) == []
        assert host.links() == ["lo", "eth0"]


@pytest.mark.needs("vlan")
def test_link_found_after_boot_is_used_and_ownership_given_up(lab: Lab) -> None:
    """The administrator's own start-up files were quicker: never removed from now on."""
    route_vlans(lab, 50)
    create(lab.host, "net", *on_vlan(50), *SHARED)
    create(lab.host, "other", "--subnet=10.5.0.0/24", "-o", "parent=eth0.50", *SHARED)
    with after_reboot(lab) as host:
        host.add_vlan(50, "192.168.50.250/24")
        container, second = lab.container(), lab.container()
        done = host.macvnet("connect", "net", container.target).checked()
        (note,) = (note for note in notes(done) if "eth0.50" in note)
        assert "made by somebody else since boot" in note and "will not remove it" in note
        assert container.ping("192.168.50.1")
        # Said once.
        done = host.macvnet("connect", "other", second.target).checked()
        assert not [note for note in notes(done) if "somebody else" in note]
        host.macvnet("disconnect", "net", container.target).checked()
        host.macvnet("disconnect", "other", second.target).checked()
        host.ip("addr", "flush", "dev", "eth0.50")
        host.macvnet("rm", "net", "other").checked()
        assert vlan_of(host, "eth0.50") == ("eth0", 50, True)


@pytest.mark.needs("vlan")
def test_rm_after_a_reboot_leaves_a_link_of_that_name_alone(lab: Lab) -> None:
    """Without any connect in between; with no such link there is nothing to say."""
    for name, vid in (("a", 50), ("b", 60)):
        create(lab.host, name, *on_vlan(vid))
    with after_reboot(lab) as host:
        host.add_vlan(50)
        host.macvnet("rm", "a").checked()
        assert notes(host.macvnet("rm", "b").checked()) == []
        assert host.links() == ["lo", "eth0", "eth0.50"]
        assert networks(host) == []


@pytest.mark.needs("vlan")
def test_network_made_after_a_reboot_shares_the_missing_link(lab: Lab) -> None:
    """create makes it again for both; it goes with the last of them."""
    create(lab.host, "old", *on_vlan(50), *SHARED)
    with after_reboot(lab) as host:
        create(host, "new", "--subnet=10.5.0.0/24", "-o", "parent=eth0.50", *SHARED)
        assert vlan_of(host, "eth0.50") == ("eth0", 50, True)
        host.macvnet("rm", "new").checked()
        container = lab.container()
        done = host.macvnet("connect", "old", container.target).checked()
        assert "made again" not in done.stderr
        host.macvnet("disconnect", "old", container.target).checked()
        host.macvnet("rm", "old").checked()
        assert host.links() == ["lo", "eth0"]


@pytest.mark.needs("vlan")
def test_sub_interface_whose_lower_link_is_missing_or_down_is_said_so(lab: Lab) -> None:
    """And made as soon as that is mended; what is refused leaves nothing behind."""
    create(lab.host, "net", *on_vlan(50))
    with after_reboot(lab) as host:
        container = lab.container()
        words = ("connect", "net", container.target)
        host.batch("link set eth0 down", "link set eth0 name wan0")
        refused(host.macvnet(*words), NOT_FOUND, "'eth0.50'", "'eth0'")
        host.ip("link", "set", "wan0", "name", "eth0")
        done = host.macvnet(*words)
        assert refused(done, 5, "'eth0'", "down") == "ip link set eth0 up"
        assert host.links() == ["lo", "eth0"] and container.links() == ["lo"]
        host.ip("link", "set", "eth0", "up")
        host.macvnet(*words).checked()
        assert vlan_of(host, "eth0.50") == ("eth0", 50, True)


@pytest.mark.needs("vlan")
def test_restore_waits_until_the_lower_link_is_there_and_up(lab: Lab) -> None:
    """It says which of the two it waits for, and a dry run does too."""
    create(lab.host, "net", *on_vlan(50))
    with after_reboot(lab) as host:
        host.batch("link set eth0 down", "link set eth0 name wan0")
        for words in (("restore", "--dry-run"), ("restore",)):
            refused(host.macvnet(*words), PENDING, "network net", "eth0.50", "so is eth0")
        host.ip("link", "set", "wan0", "name", "eth0")
        for words in (("restore", "--dry-run"), ("restore",)):
            refused(host.macvnet(*words), PENDING, "network net", "eth0.50", "eth0", "down")
        host.ip("link", "set", "eth0", "name", "wan0")
        assert host.links() == ["lo", "wan0"]

        def arrive() -> None:
            time.sleep(0.5)
            host.ip("link", "set", "wan0", "name", "eth0")
            time.sleep(0.5)
            host.ip("link", "set", "eth0", "up")

        arriving = threading.Thread(target=arrive)
        arriving.start()
        done = host.macvnet("restore", "--wait=60")
        arriving.join()
        assert done.checked().lines == ["link eth0.50 for network net"]
        assert vlan_of(host, "eth0.50") == ("eth0", 50, True)


@pytest.mark.needs("dummy")
def test_connect_makes_the_dummy_again(lab: Lab) -> None:
    name = f"dm-{create(lab.host, 'net').lines[0][:12]}"
    with after_reboot(lab) as host:
        one, other = lab.container(), lab.container()
        done = host.macvnet("connect", "net", one.target).checked()
        assert any(f"{name} was missing and has been made again" in note for note in notes(done))
        assert one.ping(join(host, other, "net").ip)
        for container in (one, other):
            host.macvnet("disconnect", "net", container.target).checked()
        host.macvnet("rm", "net").checked()
        assert host.links() == ["lo", "eth0"]


@pytest.mark.needs("vlan")
def test_link_that_existed_before_is_not_made_again(lab: Lab) -> None:
    """macvnet never made it, so it is missed by name, and nothing is made."""
    lab.host.add_vlan(50)
    create(lab.host, "net", *on_vlan(50))
    with after_reboot(lab) as host:
        container = lab.container()
        refused(host.macvnet("connect", "net", container.target), NOT_FOUND, "'eth0.50'")
        assert host.links() == ["lo", "eth0"] and container.links() == ["lo"]
