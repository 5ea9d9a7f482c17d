"""Networks without a parent: a dummy link of their own, default pools, no way out."""

from __future__ import annotations

from ipaddress import IPv6Network, ip_network

import pytest

from tests.kernel.steps import create, join, networks, notes
from tests.lab import Lab

pytestmark = pytest.mark.needs("dummy")


def remove(lab: Lab, network: str, *containers: str) -> list[str]:
    for container in containers:
        lab.host.macvnet("disconnect", network, container).checked()
    return notes(lab.host.macvnet("rm", network).checked())


@pytest.mark.needs("ipvlan")
@pytest.mark.parametrize(("driver", "prefix"), [("macvlan", "dm-"), ("ipvlan", "di-")])
def test_without_parent_containers_reach_each_other_and_nothing_else(
    lab: Lab, driver: str, prefix: str
) -> None:
    """A dummy named after the network, up; no default route even with --gateway; gone with rm."""
    before = lab.host.snapshot()
    words = ("-d", driver, "--subnet=10.6.0.0/24", "--gateway=10.6.0.1")
    made = create(lab.host, "net", *words)
    name = prefix + made.lines[0][:12]
    (note,) = notes(made)
    assert name in note and "no -o parent" in note and "no default route" in note
    link = lab.host.link(name)
    assert link["linkinfo"]["info_kind"] == "dummy" and "UP" in link["flags"]
    one, other = lab.container(), lab.container()
    join(lab.host, one, "net")
    joined = join(lab.host, other, "net")
    assert joined.addresses == ["10.6.0.3/24"]
    with other.tcp_server():
        assert one.tcp_connect("10.6.0.3") == "10.6.0.2"
    assert one.default_route() is None and one.default_route(6) is None
    with lab.switch.capture(lab.switch.port(lab.host)) as cable:
        assert one.silent("172.16.86.1") and one.silent("10.6.0.1")
    assert not cable.matching(lambda frame: frame.src == joined.mac)
    lab.host.macvnet("disconnect", "net", one.target).checked()
    lab.host.macvnet("disconnect", "net", other.target).checked()
    assert remove(lab, "net") == []
    assert before.changes(lab.host.snapshot()) == []


def test_default_pools_serve_networks_without_parent(lab: Lab) -> None:
    """Docker's pools in their order, the lowest free; a freed one is free again."""
    create(lab.host, "a")
    create(lab.host, "b")
    one, other = lab.container(), lab.container()
    # On a network nobody else is on, the first address is nobody's router.
    assert join(lab.host, one, "a").addresses == ["172.17.0.1/16"]
    assert join(lab.host, other, "b").addresses == ["172.18.0.1/16"]
    assert one.silent("172.18.0.1")
    remove(lab, "a", one.target)
    create(lab.host, "c")
    assert join(lab.host, one, "c").addresses == ["172.17.0.1/16"]


def test_default_pools_keep_clear_of_the_host_s_own_routes(lab: Lab) -> None:
    lab.host.batch("addr add 172.17.9.9/24 dev eth0", "route add 172.18.0.0/15 dev eth0")
    create(lab.host, "net")
    assert join(lab.host, lab.container(), "net").addresses == ["172.20.0.1/16"]


def test_default_pools_of_the_configuration_are_used_in_order_until_none_is_left(lab: Lab) -> None:
    lab.config.write_text(
        "[[default_pools]]\nbase = '10.200.0.0/23'\nsize = 24\n"
        "[[default_pools]]\nbase = 'fd00:cafe::/63'\nsize = 64\n"
    )
    for name, subnet in (("a", "10.200.0.1/24"), ("b", "10.200.1.1/24")):
        create(lab.host, name, "--ipv6")
        joined = join(lab.host, lab.container(), name)
        assert joined.addresses[0] == subnet
    assert joined.addresses[1] == "fd00:cafe:0:1::1/64"
    before = lab.host.snapshot()
    full = lab.host.macvnet("create", "c")
    assert full.status == 6 and "hint: " in full.stderr
    assert before.changes(lab.host.snapshot()) == [] and networks(lab.host) == ["a", "b"]


def test_ipv6_default_pool_is_a_ula_of_this_installation(lab: Lab) -> None:
    """RFC 4193: fd00::/8, one /48 per installation, a /64 per network; reached at once."""
    create(lab.host, "a", "--ipv6")
    create(lab.host, "b", "--ipv6", "--ipv4=false")
    one, other, alone = (lab.container() for _ in range(3))
    joined = join(lab.host, one, "a")
    second = join(lab.host, other, "a")
    (third,) = join(lab.host, alone, "b").addresses
    assert joined.addresses[0] == "172.17.0.1/16"
    first, last = (ip_network(a, strict=False) for a in (joined.addresses[1], third))
    assert isinstance(first, IPv6Network) and isinstance(last, IPv6Network)
    assert first.prefixlen == last.prefixlen == 64 and first != last
    assert first.supernet(new_prefix=48) == last.supernet(new_prefix=48)
    assert first.subnet_of(IPv6Network("fd00::/8"))
    assert one.ping(second.ip6, within=1)
    # Another installation has another /48.
    elsewhere = lab.other_host()
    create(elsewhere, "a", "--ipv6", "--ipv4=false")
    foreign = join(elsewhere, lab.container(), "a").ip6
    assert ip_network(f"{foreign}/48", strict=False) != first.supernet(new_prefix=48)


def test_missing_dummy_is_made_again_by_the_next_connect(lab: Lab) -> None:
    identity = create(lab.host, "net").lines[0]
    name = f"dm-{identity[:12]}"
    lab.host.ip("link", "del", name)
    container, other = lab.container(), lab.container()
    done = lab.host.macvnet("connect", "net", container.target).checked()
    assert any(f"{name} was missing and has been made again" in note for note in notes(done))
    assert other.ping(join(lab.host, other, "net").ip)
    assert container.ping("172.17.0.2")
    assert remove(lab, "net", container.target, other.target) == []
    assert name not in lab.host.links()


def test_dummy_that_somebody_uses_stays(lab: Lab) -> None:
    """An address on it, or a macvlan in another namespace: then a note says so."""
    for script, named in (
        ("ip addr add 10.6.0.1/24 dev {}", "10.6.0.1/24"),
        ("ip link add vm7 link {} netns {} type macvlan mode bridge", "another namespace"),
    ):
        name = f"dm-{create(lab.host, 'net').lines[0][:12]}"
        other = lab.container()
        lab.host.run("sh", "-c", script.format(name, other.pid)).checked()
        (note,) = remove(lab, "net")
        assert name in note and named in note
        assert name in lab.host.links()
