"""Networks on VLANs: the sub-interface made on the fly, tagged on the wire, isolated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import (
    CONFLICT,
    LAN,
    NOT_FOUND,
    REQUEST,
    create,
    join,
    networks,
    refused,
)
from tests.kernel.trunk import gateway_of, on_vlan, route_vlans, settled, vlan_of
from tests.lab import Frame, Lab

pytestmark = pytest.mark.needs("vlan")


def echo(frame: Frame) -> bool:
    return frame.ping


def test_seed_s_vlan_50_is_made_tagged_used_and_removed(lab: Lab) -> None:
    """Up, 50 in every frame on the cable, and the host afterwards as it was before."""
    route_vlans(lab, 50)
    before = lab.host.snapshot()
    create(lab.host, "macvlan50", *on_vlan(50))
    assert vlan_of(lab.host, "eth0.50") == ("eth0", 50, True)
    one, other = lab.container(), lab.container()
    assert join(lab.host, one, "macvlan50", "--ip=192.168.50.10").gateways == ["192.168.50.1"]
    join(lab.host, other, "macvlan50")
    assert other.ping("192.168.50.10")
    with lab.switch.capture(lab.switch.port(lab.host)) as cable:
        assert one.ping("192.168.50.1")
        frames = cable.wait_for(lambda frame: frame.icmp_type in (0, 8), count=2)
    assert {frame.vlans for frame in frames} == {(50,)}
    with lab.router.tcp_server(port=8050):
        assert one.tcp_connect("192.168.50.1", 8050) == "192.168.50.10"
    for container in (one, other):
        lab.host.macvnet("disconnect", "macvlan50", container.target).checked()
    lab.host.macvnet("rm", "macvlan50").checked()
    assert before.changes(lab.host.snapshot()) == []


@pytest.mark.parametrize("vid", [1, 4094])
def test_first_and_last_vlan_id_work(lab: Lab, vid: int) -> None:
    route_vlans(lab, vid)
    create(lab.host, "net", *on_vlan(vid))
    assert vlan_of(lab.host, f"eth0.{vid}") == ("eth0", vid, True)
    container = lab.container()
    join(lab.host, container, "net")
    with lab.switch.capture(lab.switch.port(lab.host), keep=echo) as cable:
        assert container.ping(gateway_of(vid))
        (frame, *_) = cable.wait_for(echo)
    assert frame.vlan == vid


def test_vlans_of_one_trunk_are_isolated_and_meet_through_the_router(lab: Lab) -> None:
    """Two VLANs and the untagged network on one eth0; only a router leads across."""
    route_vlans(lab, 50, 60)
    create(lab.host, "macvlan50", *on_vlan(50))
    create(lab.host, "macvlan60", *on_vlan(60), "-o", "macvlan_mode=bridge")
    create(lab.host, "pub_net", *LAN)
    one, other, untagged = (lab.container() for _ in range(3))
    joined = join(lab.host, one, "macvlan50")
    far = join(lab.host, other, "macvlan60")
    flat = join(lab.host, untagged, "pub_net")
    with other.capture(keep=echo) as seen:
        assert one.ping(far.ip)
        (frame, *_) = seen.wait_for(echo)
    assert frame.ttl == 63 and frame.src == lab.router.mac("eth0.60")
    assert untagged.ping(joined.ip) and one.ping(flat.ip)
    # One subnet on both: nothing but the VLAN keeps them apart now.
    other.batch("addr add 192.168.50.200/24 dev eth0", "link set eth0 up")
    with other.capture() as seen:
        assert one.silent("192.168.50.200")
    assert not seen.matching(lambda frame: frame.arp_sha == joined.mac)
    lab.switch.cable(lab.router, plugged=False)
    assert one.silent(far.ip) and one.silent(flat.ip)
    assert sorted(networks(lab.host)) == ["macvlan50", "macvlan60", "pub_net"]
    # Of three networks on one trunk each takes only its own link away.
    lab.host.macvnet("disconnect", "macvlan50", one.target).checked()
    lab.host.macvnet("rm", "macvlan50").checked()
    assert {"eth0", "eth0.60"} <= set(lab.host.links()) and "eth0.50" not in lab.host.links()


def test_vlan_under_another_name_is_refused_and_the_hint_makes_it_work(lab: Lab) -> None:
    """And such a link, which is not macvnet's, is used as it is and outlives the network."""
    route_vlans(lab, 50)
    lab.host.batch(
        "link add link eth0 name tenant-a type vlan id 50",
        "link set tenant-a up",
        "addr add 192.168.50.250/24 dev tenant-a",
    )
    before = settled(lab.host, "tenant-a")
    done = lab.host.macvnet("create", *on_vlan(50), "net")
    hint = refused(done, CONFLICT, "VLAN 50", "'tenant-a'", "eth0")
    assert hint == "-o parent=tenant-a"
    assert networks(lab.host) == [] and before.changes(lab.host.snapshot()) == []
    create(lab.host, "net", *on_vlan(50)[:-1], "parent=tenant-a")
    container = lab.container()
    join(lab.host, container, "net")
    with lab.switch.capture(lab.switch.port(lab.host), keep=echo) as cable:
        assert container.ping("192.168.50.1")
        (frame, *_) = cable.wait_for(echo)
    assert frame.vlan == 50
    lab.host.macvnet("disconnect", "net", container.target).checked()
    lab.host.macvnet("rm", "net").checked()
    assert before.changes(lab.host.snapshot()) == []


def test_name_is_split_at_the_last_dot(make_lab: Callable[..., Lab]) -> None:
    """A NIC whose own name looks like a sub-interface carries one all the same."""
    lab = make_lab(host=())
    route_vlans(lab, 60)
    lab.host.batch("link set eth0 down", "link set eth0 name lan.5", "link set lan.5 up")
    create(lab.host, "net", *on_vlan(60, "lan.5"))
    assert vlan_of(lab.host, "lan.5.60") == ("lan.5", 60, True)
    container = lab.container()
    join(lab.host, container, "net")
    assert container.ping("192.168.60.1")
    # lan.5 was not made by macvnet, whatever its name says.
    lab.host.macvnet("disconnect", "net", container.target).checked()
    lab.host.macvnet("rm", "net").checked()
    create(lab.host, "flat", *LAN[:2], "-o", "parent=lan.5")
    lab.host.macvnet("rm", "flat").checked()
    assert "lan.5" in lab.host.links()


def test_what_cannot_be_made_is_refused_and_leaves_nothing_behind(
    make_lab: Callable[..., Lab],
) -> None:
    """A VLAN in a VLAN, a lower link that is down or missing, names that are too long."""
    lab = make_lab(nics=2)
    lab.host.add_vlan(7)
    lab.host.batch(
        "link add link eth0 name tenant-a type vlan id 8",
        "link set eth1 down",
        "link add link eth0 name abcdefghijkl type macvlan mode bridge",
        "link set abcdefghijkl up",
    )
    before = settled(lab.host, "eth0.7", "abcdefghijkl")

    def create_on(parent: str, status: int, *words: str) -> str:
        done = lab.host.macvnet("create", "--subnet=10.4.0.0/24", "-o", f"parent={parent}", "net")
        return refused(done, status, *words)

    for parent in ("eth0.7.50", "tenant-a.50"):
        lower = parent.rpartition(".")[0]
        hint = create_on(parent, REQUEST, repr(lower), "VLANs in VLANs are not supported")
        assert "-o parent=" in hint and lower not in hint
    assert create_on("eth1.50", CONFLICT, "'eth1'", "down") == "ip link set eth1 up"
    assert "-o parent=eth0" in create_on("eht0.50", NOT_FOUND, "'eht0.50'", "'eht0'")
    hint = create_on("abcdefghijkl.4000", REQUEST, "'abcdefghijkl.4000'", "15")
    assert "-o parent=vlan4000" in hint
    for wrong, corrected in (("050", 50), ("+5", 10), ("0", 1), ("4095", 4094), ("abc", 10)):
        hint = create_on(f"eth0.{wrong}", REQUEST, repr(wrong))
        assert hint == f"-o parent=eth0.{corrected}"
    assert networks(lab.host) == []
    assert before.changes(lab.host.snapshot()) == []


def test_dry_run_says_what_would_be_made_and_removed(lab: Lab) -> None:
    before = lab.host.snapshot()
    planned = lab.host.macvnet("create", "--dry-run", *on_vlan(50), "net").checked()
    assert any("eth0.50" in line and "vlan id 50" in line for line in planned.lines)
    assert before.changes(lab.host.snapshot()) == [] and networks(lab.host) == []
    create(lab.host, "net", *on_vlan(50))
    made = lab.host.snapshot()
    planned = lab.host.macvnet("rm", "--dry-run", "net").checked()
    assert any("eth0.50" in line and "remove" in line for line in planned.lines)
    assert made.changes(lab.host.snapshot()) == [] and networks(lab.host) == ["net"]
