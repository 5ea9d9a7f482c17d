"""check finds what differs from the records, repair mends what is safe; the rest is left, and said.

Each difference is made as people and accidents make it: by hand, with ``ip``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.kernel.steps import LAN, create, join, settled, wait_until
from tests.kernel.trunk import on_vlan, route_vlans, vlan_of
from tests.lab import Host, Lab, Named

DIFFERENCES = 11
DUAL = (*LAN, "--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1")


def kinds(host: Host, *words: str) -> list[str]:
    """The kinds of difference that check finds; its exit status says whether there are any."""
    done = host.macvnet("check", "--format", "json", *words)
    found = [str(one["kind"]) for one in done.json()]
    assert done.status == (DIFFERENCES if found else 0), done
    return found


def repaired(host: Host, *words: str) -> list[Any]:
    found: list[Any] = host.macvnet("repair", "--format", "json", *words).json()
    return found


def mended(host: Host) -> None:
    """Everything is mended by one call, and nothing is left to find."""
    before = [str(one["kind"]) for one in repaired(host, "--dry-run")]
    assert before == kinds(host)
    done = host.macvnet("repair").checked()
    assert all(line.startswith("mended ") for line in done.lines)
    assert kinds(host) == []
    assert host.macvnet("repair").checked().lines == []


def left(host: Host, kind: str) -> str:
    """A difference that repair leaves, with the reason."""
    (one,) = repaired(host)
    assert (one["kind"], one["mended"]) == (kind, False)
    assert host.macvnet("repair").status == DIFFERENCES
    assert kinds(host) == [kind]
    return str(one["reason"])


@pytest.fixture
def web(lab: Lab) -> Named:
    """A target in a dual-stack network, with nothing amiss."""
    create(lab.host, "net", *DUAL)
    target = lab.named("web")
    join(lab.host, target, "net")
    assert kinds(lab.host) == []
    return target


BY_HAND: dict[str, tuple[str, list[str]]] = {
    "link set dev eth0 address 02:00:5e:00:53:99": ("mac", ["wrong-mac"]),
    "link set dev eth0 mtu 1300": ("mtu", ["wrong-mtu"]),
    "link set dev eth0 type macvlan mode private": ("mode", ["wrong-mode"]),
    "link set dev eth0 down": (
        "down",
        ["endpoint-link-down", "address-missing", "wrong-route", "wrong-route"],
    ),
    "addr del 172.16.86.2/24 dev eth0": ("address", ["address-missing", "wrong-route"]),
    "addr del 2001:db8:86::2/64 dev eth0": ("address6", ["address-missing"]),
    "addr flush dev eth0": (
        "addresses",
        ["address-missing", "address-missing", "wrong-route"],
    ),
    "route del default": ("default", ["wrong-route"]),
    "-6 route del default": ("default6", ["wrong-route"]),
    "route del 172.16.86.0/24": ("connected", ["wrong-route"]),
    "link del eth0": ("link", ["endpoint-link-missing"]),
    "link set dev eth0 name lan0": ("name", []),
}


@pytest.mark.parametrize("command", BY_HAND, ids=[name for name, _ in BY_HAND.values()])
def test_what_was_changed_by_hand_in_the_target_is_found_and_mended(
    lab: Lab, web: Named, command: str
) -> None:
    before = web.mac()
    web.ip(*command.split())
    assert kinds(lab.host) == BY_HAND[command][1]
    mended(lab.host)
    (name,) = (link for link in web.links() if link != "lo")
    assert web.mac(name) == before
    assert set(web.addresses(name)) >= {"172.16.86.2/24", "2001:db8:86::2/64"}
    assert web.link(name)["mtu"] == 1500
    assert lab.router.ping("172.16.86.2") and lab.router.ping("2001:db8:86::2")
    for family in (4, 6):
        route = web.default_route(family)
        assert route is not None and route["gateway"].endswith("1")


@pytest.mark.parametrize("command", BY_HAND, ids=[name for name, _ in BY_HAND.values()])
def test_what_was_changed_by_hand_is_in_nobody_s_way_who_wants_it_gone(
    lab: Lab, web: Named, command: str
) -> None:
    web.ip(*command.split())
    assert lab.host.macvnet("disconnect", "net", web.target).checked().stderr == ""
    assert web.links() == ["lo"]
    assert lab.host.macvnet("rm", "net").checked().stderr == ""
    assert kinds(lab.host) == []


def test_address_with_another_prefix_length_is_put_right(lab: Lab, web: Named) -> None:
    web.batch("addr del 172.16.86.2/24 dev eth0", "addr add 172.16.86.2/16 dev eth0")
    assert "address-missing" in kinds(lab.host)
    mended(lab.host)
    assert "172.16.86.2/24" in web.addresses() and "172.16.86.2/16" not in web.addresses()


def test_addresses_and_routes_that_others_added_are_left_alone(lab: Lab, web: Named) -> None:
    web.batch("addr add 10.9.9.9/24 dev eth0", "route add 10.8.0.0/16 via 172.16.86.1")
    # The kernel's own address comes with a route when it has proved to be unique.
    assert wait_until(lambda: settled(web))
    before = web.snapshot()
    assert kinds(lab.host) == []
    lab.host.macvnet("repair").checked()
    lab.host.macvnet("restore").checked()
    assert before.changes(web.snapshot()) == []


def test_default_route_of_somebody_else_is_no_difference(lab: Lab, web: Named) -> None:
    web.batch("route del default", "route add default via 172.16.86.1 metric 50")
    before = web.snapshot()
    assert kinds(lab.host) == []
    lab.host.macvnet("repair").checked()
    assert before.changes(web.snapshot()) == []


def test_link_that_nothing_records_is_found_and_removed(lab: Lab, web: Named) -> None:
    """Of this installation alone; whatever else carries the same kind of alias stays."""
    alias = str(web.link()["ifalias"])
    installation = alias.split(":")[1]
    other = lab.named("other")
    join(lab.host, other, "net")
    other.batch(
        "link add dm0 type veth peer name dm1",
        f"link set dm0 alias macvnet:{'0' * 12}:{'1' * 64}",
        f"link set dm1 alias macvnet:{installation}:{'1' * 64}",
    )
    assert kinds(lab.host) == ["link-without-record"]
    mended(lab.host)
    assert other.links() == ["lo", "eth0"]


def test_process_that_is_gone_is_found_and_its_lease_freed(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    process, named = lab.container(), lab.named("web")
    join(lab.host, process, "net")
    join(lab.host, named, "net")
    process.close()
    assert kinds(lab.host) == ["target-dead"]
    mended(lab.host)
    named.close()
    # It may come back: its lease is kept, and that is as it should be.
    assert kinds(lab.host) == []
    again = lab.named("web")
    assert kinds(lab.host) == ["target-back"]
    mended(lab.host)
    assert again.addresses() == ["172.16.86.3/24"]


def test_parent_is_never_touched(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN[:2], "-o", "parent=eth1")
    lab.host.ip("link", "set", "eth1", "down")
    assert "never changed" in left(lab.host, "parent-down")
    assert "UP" not in lab.host.link("eth1")["flags"]
    lab.host.ip("link", "set", "eth1", "name", "lan1")
    assert kinds(lab.host) == ["parent-renamed"]
    lab.host.macvnet("repair").checked()
    assert "never changed" in left(lab.host, "parent-down")
    lab.host.ip("link", "del", "lan1")
    assert "never made" in left(lab.host, "parent-missing")


def test_only_the_networks_asked_for_are_looked_at(lab: Lab, web: Named) -> None:
    create(lab.host, "other", "--subnet=10.1.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1")
    web.ip("link", "del", "eth0")
    assert kinds(lab.host, "other") == []
    assert kinds(lab.host, "net", "other") == ["endpoint-link-missing"]
    lab.host.macvnet("repair", "other").checked()
    assert kinds(lab.host) == ["endpoint-link-missing"]
    done = lab.host.macvnet("check", "no-such-network")
    assert done.status == 4 and "no-such-network" in done.stderr


def test_parent_with_a_larger_mtu_is_followed(lab: Lab, web: Named) -> None:
    """Down by the kernel at once, up by repair."""
    lab.host.ip("link", "set", "eth0", "mtu", "1400")
    assert web.link()["mtu"] == 1400 and kinds(lab.host) == []
    lab.host.ip("link", "set", "eth0", "mtu", "1500")
    assert kinds(lab.host) == ["wrong-mtu"]
    mended(lab.host)
    assert web.link()["mtu"] == 1500


def test_parent_with_a_mtu_below_the_network_s_is_told_and_left(lab: Lab) -> None:
    """Endpoints have what the parent has; those that come could not be made at all."""
    host, web = lab.host, lab.named("web")
    create(host, "net", *LAN, "-o", "mtu=1450")
    join(host, web, "net")
    host.ip("link", "set", "eth0", "mtu", "1400")
    done = host.macvnet("check")
    said = "network net: the parent eth0 has the MTU 1400, below the network's 1450"
    assert done.lines == [f"{said} (ip link set eth0 mtu 1450)"]
    assert left(host, "parent-mtu") == "a parent is never changed"
    assert host.link()["mtu"] == web.link()["mtu"] == 1400
    host.ip("link", "set", "eth0", "mtu", "1500")
    assert kinds(host) == ["wrong-mtu"]
    mended(host)
    assert web.link()["mtu"] == 1450


def test_shim_of_host_access_follows_the_parent_s_mtu(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(host=("172.16.86.5/24",))
    host, web = lab.host, lab.named("web")
    create(host, "net", *LAN, "--host-access")
    join(host, web, "net")
    host.batch("link set eth0 mtu 1400", "link set eth0 mtu 1500")
    (shim,) = (name for name in host.links() if name.startswith("mvh-"))
    assert host.link(shim)["mtu"] == web.link()["mtu"] == 1400
    assert kinds(host) == ["host-link-changed", "wrong-mtu"]
    mended(host)
    assert host.link(shim)["mtu"] == web.link()["mtu"] == 1500


@pytest.mark.needs("vlan", "ipvlan")
def test_mtu_of_a_made_sub_interface_and_of_ipvlan_is_put_back(lab: Lab) -> None:
    """A VLAN's is lowered and not raised; the kernel gives ipvlan the parent's either way."""
    host, web = lab.host, lab.named("web")

    def macvnet(*words: str) -> list[str]:
        return host.macvnet(*words, fork=True).lines

    def mtus() -> list[int]:
        inside = {link["ifname"]: link["mtu"] for link in web.query("link")}
        return [host.link("eth0.50")["mtu"], inside["eth0"], inside["eth1"]]

    macvnet("create", *on_vlan(50), "net")
    macvnet("create", "-d", "ipvlan", *LAN, "-o", "mtu=1300", "ip")
    macvnet("attach", "--net=net", "--net=ip", web.target)
    host.batch("link set eth0 mtu 1400", "link set eth0 mtu 1450")
    assert mtus() == [1400, 1400, 1450]
    assert sorted(macvnet("repair")) == [
        "mended netns:web in network ip: eth1 has the MTU 1450, not 1300",
        "mended netns:web in network net: eth0 has the MTU 1400, not 1450",
        "mended network net: its link eth0.50 has the MTU 1400, not 1450 as the link below it",
    ]
    assert (mtus(), macvnet("check")) == ([1450, 1450, 1300], [])

    # One that macvnet did not make may have what it likes.
    macvnet("detach", web.target)
    macvnet("rm", "net", "ip")
    host.batch("link add link eth0 name eth0.60 type vlan id 60", "link set eth0.60 mtu 1400 up")
    macvnet("create", *on_vlan(60), "-o", "mtu=1400", "net")
    assert macvnet("check") == []
    host.ip("link", "set", "eth0.60", "mtu", "1300")
    [line] = macvnet("check")
    assert line.endswith("below the network's 1400 (ip link set eth0.60 mtu 1400)")


@pytest.mark.needs("vlan", "dummy")
def test_links_that_macvnet_made_on_the_host_are_made_again(lab: Lab) -> None:
    route_vlans(lab, 50)
    create(lab.host, "net", *on_vlan(50))
    create(lab.host, "alone", "--subnet=10.9.0.0/24")
    web = lab.named("web")
    joined = join(lab.host, web, "net")
    join(lab.host, web, "alone")
    lab.host.ip("link", "set", "eth0.50", "down")
    assert kinds(lab.host) == ["link-down"]
    mended(lab.host)
    (dummy,) = (link for link in lab.host.links() if link.startswith("dm-"))
    lab.host.batch("link del eth0.50", f"link del {dummy}")
    assert wait_until(lambda: web.links() == ["lo"])
    assert sorted(kinds(lab.host)) == [*["endpoint-link-missing"] * 2, *["link-missing"] * 2]
    mended(lab.host)
    assert vlan_of(lab.host, "eth0.50") == ("eth0", 50, True)
    assert lab.router.ping(joined.ip)
    lab.host.ip("link", "del", "eth0.50")
    lab.host.add_vlan(50)
    assert "link-foreign" in kinds(lab.host)
    mended(lab.host)
    lab.host.macvnet("disconnect", "net", "netns:web").checked()
    lab.host.macvnet("rm", "net").checked()
    assert vlan_of(lab.host, "eth0.50") == ("eth0", 50, True)


@pytest.mark.needs("ipvlan")
def test_ipvlan_mode_is_the_parents_and_left(lab: Lab) -> None:
    create(lab.host, "net", "-d", "ipvlan", *LAN)
    web = lab.named("web")
    join(lab.host, web, "net")
    web.ip("link", "set", "dev", "eth0", "type", "ipvlan", "mode", "l3")
    assert "disconnect" in left(lab.host, "wrong-mode")
