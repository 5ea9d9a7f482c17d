"""The seed's simple bridge mode: its first example, word for word, and what it says of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import (
    EXHAUSTED,
    GATEWAY,
    LAN,
    NOT_FOUND,
    ON_ETH0,
    SUBNET,
    create,
    join,
    networks,
    notes,
    refused,
)
from tests.lab import Lab


def pub_net(lab: Lab) -> None:
    """The seed's own line."""
    made = lab.host.macvnet(
        *("create", "-d", "macvlan", "--subnet=172.16.86.0/24", "--gateway=172.16.86.1"),
        *("-o", "parent=eth0", "pub_net"),
    ).checked()
    assert len(made.stdout) == 65 and set(made.stdout.strip()) <= set("0123456789abcdef")


def test_first_example_gives_what_the_document_prints(lab: Lab) -> None:
    """``ip a show eth0`` and ``ip route`` in the second container, line by line."""
    pub_net(lab)
    first, second = lab.container(), lab.container()
    assert lab.host.macvnet("connect", "--ip=172.16.86.10", "pub_net", first.target).stdout == ""
    lab.host.macvnet("connect", "pub_net", second.target).checked()

    link = second.link()
    assert {"BROADCAST", "MULTICAST", "UP", "LOWER_UP"} <= set(link["flags"])
    assert (link["mtu"], link["link_type"]) == (1500, "ether")
    assert link["linkinfo"]["info_data"]["mode"] == "bridge"
    (address,) = second.address_info()
    assert (address["local"], address["prefixlen"]) == ("172.16.86.2", 24)
    assert address["scope"] == "global"
    default, connected = second.routes()
    assert (default["dst"], default["gateway"], default["dev"]) == (
        "default",
        "172.16.86.1",
        "eth0",
    )
    assert (connected["dst"], connected["prefsrc"]) == ("172.16.86.0/24", "172.16.86.2")
    assert first.addresses() == ["172.16.86.10/24"]
    assert second.ping("172.16.86.10")


def test_containers_reach_each_other_without_any_gateway(lab: Lab) -> None:
    """On a network made without --gateway, and with the cable of the router pulled."""
    made = create(lab.host, "net", SUBNET, *ON_ETH0)
    assert any("there is no default route" in note for note in notes(made))
    lab.switch.cable(lab.router, plugged=False)
    one, other = lab.container(), lab.container()
    join(lab.host, one, "net")
    joined = join(lab.host, other, "net")
    assert joined.gateways == []
    assert one.ping(joined.ip)
    assert one.default_route() is None and other.default_route() is None


def test_containers_reach_the_external_gateway(lab: Lab) -> None:
    """The echo request is on the router's wire, from the endpoint's own MAC and address."""
    pub_net(lab)
    container = lab.container()
    joined = join(lab.host, container, "pub_net")
    with lab.router.capture() as wire:
        assert container.ping("172.16.86.1")
        (frame, *_) = wire.wait_for(lambda frame: frame.ping)
    assert (frame.src, frame.ip_src) == (joined.mac, "172.16.86.2")
    assert frame.vlans == ()


def test_external_machine_opens_a_tcp_connection_to_a_container(lab: Lab) -> None:
    """Without any port mapping: the server sees the caller's own address."""
    pub_net(lab)
    container, caller = lab.container(), lab.external("172.16.86.77/24")
    joined = join(lab.host, container, "pub_net")
    with container.tcp_server(port=80) as server:
        assert caller.tcp_connect(joined.ip, 80) == "172.16.86.77"
    assert server.peers == ["172.16.86.77"]


def test_containers_do_not_reach_the_parent_s_own_address(lab: Lab) -> None:
    """Neither direction, by ping or TCP, while everybody else reaches the host."""
    pub_net(lab)
    container = lab.container()
    joined = join(lab.host, container, "pub_net")
    assert lab.router.ping("172.16.86.250") and lab.router.ping(joined.ip)
    assert container.silent("172.16.86.250")
    assert lab.host.silent(joined.ip)
    with lab.host.tcp_server(port=80):
        assert container.tcp_connect("172.16.86.250", 80, within=0.5) is None
        assert lab.router.tcp_connect("172.16.86.250", 80) == "172.16.86.1"


def test_parent_needs_no_address(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(host=())
    made = create(lab.host, "net", *LAN)
    assert not any("right LAN" in note for note in notes(made))
    container = lab.container()
    join(lab.host, container, "net")
    assert container.ping("172.16.86.1")
    assert lab.host.addresses() == []


def test_subnet_without_an_address_of_the_parent_is_noted_and_never_refused(lab: Lab) -> None:
    made = create(lab.host, "other", "--subnet=10.7.0.0/24", "--gateway=10.7.0.1", *ON_ETH0)
    (note,) = (note for note in notes(made) if "172.16.86.0/24" in note)
    assert "eth0" in note and "no --subnet contains an address of it" in note
    lab.host.macvnet("rm", "other").checked()
    made = create(lab.host, "fitting", *LAN)
    assert not any("contains an address" in note for note in notes(made))


def test_host_looks_the_same_while_containers_are_connected(lab: Lab) -> None:
    """Links, addresses, routes, rules and every sysctl of the host's namespace."""
    before = lab.host.snapshot()
    pub_net(lab)
    container = lab.container()
    join(lab.host, container, "pub_net")
    during = lab.host.snapshot()
    # The kernel's own count of macvlans that listen on a NIC without address filters.
    assert during.links["eth0"].pop("promiscuity") == 1
    during.links["eth0"]["promiscuity"] = before.links["eth0"]["promiscuity"]
    assert before.changes(during) == []
    lab.host.macvnet("detach", container.target).checked()
    lab.host.macvnet("rm", "pub_net").checked()
    assert before.changes(lab.host.snapshot()) == []


def test_auxiliary_address_is_never_handed_out(lab: Lab) -> None:
    """The lowest free ones are, first, until all are taken; the host's own may be named."""
    create(
        *(lab.host, "net", "--subnet=172.16.86.248/29", "--gateway=172.16.86.249", *ON_ETH0),
        *("--aux-address=exclude_host=172.16.86.250", "--aux-address", "172.16.86.252"),
    )
    given = [join(lab.host, lab.container(), "net").ip for _ in range(3)]
    assert given == ["172.16.86.251", "172.16.86.253", "172.16.86.254"]
    full = lab.host.macvnet("connect", "net", lab.container().target)
    refused(full, EXHAUSTED, "'net'", "172.16.86.248/29")
    named = lab.host.macvnet("connect", "--ip=172.16.86.252", "net", lab.container().target)
    refused(named, 5, "172.16.86.252", "auxiliary")
    shown = lab.host.macvnet("inspect", "net").json()[0]["IPAM"]["Config"][0]
    assert shown["AuxiliaryAddresses"] == {
        "exclude_host": "172.16.86.250",
        "172.16.86.252": "172.16.86.252",
    }


def test_ip_range_starts_at_its_first_address_and_counts_up(lab: Lab) -> None:
    """The seed's macnet32: 192.168.32.128 is the first; --ip may lie outside the range."""
    create(
        *(lab.host, "macnet32", "--subnet=192.168.32.0/24", "--ip-range=192.168.32.128/25"),
        *("--gateway=192.168.32.254", *ON_ETH0),
    )
    one, two = lab.container(), lab.container()
    assert join(lab.host, one, "macnet32").addresses == ["192.168.32.128/24"]
    assert join(lab.host, two, "macnet32").ip == "192.168.32.129"
    assert join(lab.host, lab.container(), "macnet32", "--ip=192.168.32.7").ip == "192.168.32.7"
    assert one.ping("192.168.32.129")


@pytest.mark.parametrize("word", ["disconnect", "detach"])
def test_released_address_is_free_again_and_the_lowest_is_given_first(lab: Lab, word: str) -> None:
    pub_net(lab)
    containers = [lab.container() for _ in range(3)]
    assert [join(lab.host, c, "pub_net").ip[-2:] for c in containers] == [".2", ".3", ".4"]
    leaving = containers[1].target
    if word == "disconnect":
        lab.host.macvnet("disconnect", "pub_net", leaving).checked()
    else:
        lab.host.macvnet("detach", leaving).checked()
    assert containers[1].links() == ["lo"]
    assert join(lab.host, lab.container(), "pub_net").ip == "172.16.86.3"
    assert join(lab.host, lab.container(), "pub_net").ip == "172.16.86.5"


def test_rm_takes_a_name_an_id_or_the_beginning_of_one(lab: Lab) -> None:
    """At least four characters of the ID; what was given is what is printed."""
    create(lab.host, "one", *LAN)
    assert lab.host.macvnet("rm", "one").stdout == "one\n"
    for length in (64, 12, 4):
        term = create(lab.host, "one", *LAN).lines[0][:length]
        assert lab.host.macvnet("rm", term).checked().lines == [term]
        assert networks(lab.host) == []
    term = create(lab.host, "one", *LAN).lines[0][:3]
    refused_result = lab.host.macvnet("rm", term)
    assert refused_result.status == NOT_FOUND and term in refused_result.stderr
    assert networks(lab.host) == ["one"]


def test_network_with_a_living_endpoint_is_not_removed(lab: Lab) -> None:
    pub_net(lab)
    container = lab.container()
    joined = join(lab.host, container, "pub_net")
    done = lab.host.macvnet("rm", "pub_net")
    assert done.status == 5 and "active endpoints" in done.stderr
    assert f"macvnet disconnect pub_net pid:{container.pid}" in done.stderr
    assert lab.router.ping(joined.ip)


def test_internal_network_has_no_default_route_and_keeps_layer_2(lab: Lab) -> None:
    made = create(lab.host, "inner", "--internal", SUBNET, GATEWAY, *ON_ETH0)
    assert any("no default route" in note and "'inner'" in note for note in notes(made))
    container = lab.container()
    joined = join(lab.host, container, "inner")
    assert joined.ip == "172.16.86.2"
    assert container.default_route() is None
    assert container.ping("172.16.86.1")
    assert lab.external("172.16.86.77/24").ping(joined.ip)
