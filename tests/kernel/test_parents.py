"""A parent that is renamed, replaced or gone after the network was made."""

from __future__ import annotations

from collections.abc import Callable

from tests.kernel.steps import LAN, create, join, wait_until
from tests.lab import Host, Lab


def rename(host: Host, old: str, new: str) -> None:
    host.batch(f"link set {old} down", f"link set {old} name {new}", f"link set {new} up")


def test_renamed_parent_is_still_the_parent(lab: Lab) -> None:
    """For the endpoint that is there, for a new one, and in what inspect shows."""
    create(lab.host, "net", *LAN)
    one, other = lab.container(), lab.container()
    joined = join(lab.host, one, "net")
    rename(lab.host, "eth0", "lan0")
    assert wait_until(lambda: lab.router.ping(joined.ip, within=0.3))
    later = join(lab.host, other, "net")
    assert one.ping(later.ip) and lab.router.ping(later.ip)
    parent = lab.host.macvnet("inspect", "net").json()[0]["Macvnet"]["Parent"]
    assert parent == {"Requested": "eth0", "Effective": "lan0"}
    for container in (one, other):
        lab.host.macvnet("detach", container.target).checked()
        assert container.links() == ["lo"]
    lab.host.macvnet("rm", "net").checked()


def test_other_link_under_the_parent_s_old_name_is_not_taken_for_it(
    make_lab: Callable[..., Lab],
) -> None:
    """Endpoints stay on the link that the network was made on: it is on the router's LAN."""
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN)
    lab.switch.cable(lab.host, plugged=False, ifname="eth1")
    rename(lab.host, "eth0", "lan0")
    rename(lab.host, "eth1", "eth0")
    container = lab.container()
    joined = join(lab.host, container, "net")
    assert container.link()["link_index"] == lab.host.link("lan0")["ifindex"]
    assert container.ping("172.16.86.1") and lab.router.ping(joined.ip)


def test_parent_that_is_gone_takes_its_endpoints_along_and_their_records_can_go(
    make_lab: Callable[..., Lab],
) -> None:
    """Nothing new can be connected, with a message that names the parent; the rest works."""
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN[:2], "-o", "parent=eth1")
    container = lab.container()
    join(lab.host, container, "net")
    lab.host.ip("link", "del", "eth1")
    assert wait_until(lambda: container.links() == ["lo"])
    done = lab.host.macvnet("connect", "net", lab.container().target)
    assert done.status in (4, 5) and "eth1" in done.stderr and "hint: " in done.stderr
    lab.host.macvnet("detach", container.target).checked()
    assert lab.host.macvnet("inspect", "net").json()[0]["Containers"] == {}
    lab.host.macvnet("rm", "net").checked()
    create(lab.host, "net", *LAN)


def test_parent_made_anew_carries_the_network_again(make_lab: Callable[..., Lab]) -> None:
    """A link that macvnet did not make is used as it is found, by its name."""
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN[:2], "-o", "parent=eth1")
    lab.host.ip("link", "del", "eth1")
    lab.switch.plug(lab.host, "eth1")
    container = lab.container()
    joined = join(lab.host, container, "net")
    assert container.ping("172.16.86.1") and lab.router.ping(joined.ip)
    lab.host.macvnet("detach", container.target).checked()
    assert container.links() == ["lo"]
