"""Networks on one parent, and networks whose subnets overlap: who has which address."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.kernel.steps import (
    CONFLICT,
    GATEWAY,
    LAN,
    ON_ETH0,
    SUBNET,
    create,
    join,
    networks,
    notes,
    refused,
)
from tests.lab import Lab, executable

SHARED = (*ON_ETH0, "-o", "share_parent=true")
LOW = (SUBNET, GATEWAY, "--ip-range=172.16.86.64-172.16.86.69")
HIGH = (SUBNET, GATEWAY, "--ip-range=172.16.86.66-172.16.86.71")


def test_second_network_on_a_parent_is_refused_and_the_hint_allows_it(lab: Lab) -> None:
    create(lab.host, "first", *LAN)
    other = ("--subnet=10.2.0.0/24", "--gateway=10.2.0.1", *ON_ETH0)
    hint = refused(lab.host.macvnet("create", *other, "second"), CONFLICT, "'first'", "eth0")
    assert "-o share_parent=true" in hint
    assert networks(lab.host) == ["first"]
    made = create(lab.host, "second", *other, "-o", "share_parent=true")
    (note,) = (note for note in notes(made) if "layer 2 segment" in note)
    assert "'first'" in note
    assert networks(lab.host) == ["first", "second"]


def test_other_spelling_of_the_parent_is_the_same_parent(lab: Lab) -> None:
    """An alternative name, and the name it has been given since."""
    lab.host.ip("link", "property", "add", "dev", "eth0", "altname", "uplink0")
    create(lab.host, "first", *LAN)
    words = ("create", "--subnet=10.2.0.0/24", "--gateway=10.2.0.1")
    refused(lab.host.macvnet(*words, "-o", "parent=uplink0", "second"), CONFLICT, "'first'")
    lab.host.ip("link", "set", "eth0", "down")
    lab.host.ip("link", "set", "eth0", "name", "lan0")
    lab.host.ip("link", "set", "lan0", "up")
    refused(lab.host.macvnet(*words, "-o", "parent=lan0", "second"), CONFLICT, "'first'")


def test_sharers_are_one_segment_on_the_wire(lab: Lab) -> None:
    """Containers of two sharers reach each other, without the router."""
    create(lab.host, "low", *LOW, *SHARED)
    create(lab.host, "high", SUBNET, GATEWAY, "--ip-range=172.16.86.128/25", *SHARED)
    lab.switch.cable(lab.router, plugged=False)
    one, other = lab.container(), lab.container()
    join(lab.host, one, "low")
    joined = join(lab.host, other, "high")
    assert joined.ip == "172.16.86.128"
    assert one.ping(joined.ip)


def test_addresses_never_collide_between_sharers(lab: Lab) -> None:
    """Ranges that overlap, given out by six commands at a time."""
    create(lab.host, "low", *LOW, *SHARED)
    create(lab.host, "high", *HIGH, *SHARED)
    wanted = [(name, lab.named()) for name in ("low", "high", "low", "high", "low", "high")]
    running = [
        subprocess.Popen(
            [*lab.host.enter, executable(), "attach", "--network", name, namespace.target],
            env={**lab.host.env, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, namespace in wanted
    ]
    lines = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 6
    given = [line.split()[2].partition("/")[0] for line in lines]
    assert len(set(given)) == len({line.split()[1] for line in lines}) == 6
    for (name, _), address in zip(wanted, given, strict=True):
        first = 64 if name == "low" else 66
        assert first <= int(address.rpartition(".")[2]) <= first + 5
    taken = lab.host.macvnet("connect", f"--ip={given[0]}", "high", lab.container().target)
    refused(taken, CONFLICT, given[0], "netns:")


def test_overlapping_subnets_are_refused_unless_each_has_a_range(
    make_lab: Callable[..., Lab],
) -> None:
    """Docker's rule, on parents of their own; both may then name the same gateway."""
    lab = make_lab(nics=2)
    create(lab.host, "first", *LAN)
    second = ("create", SUBNET, GATEWAY, "-o", "parent=eth1")
    refused(lab.host.macvnet(*second, "second"), CONFLICT, "172.16.86.0/24", "'first'")
    ranged = (*second, "--ip-range=172.16.86.128/25")
    refused(lab.host.macvnet(*ranged, "second"), CONFLICT, "172.16.86.0/24", "'first'")
    assert networks(lab.host) == ["first"]
    lab.host.macvnet("rm", "first").checked()
    create(lab.host, "first", *LAN, "--ip-range=172.16.86.128/26")
    create(lab.host, "second", *ranged[1:])
    one, other = lab.container(), lab.container()
    assert join(lab.host, one, "first").addresses == ["172.16.86.128/24"]
    assert join(lab.host, other, "second").addresses == ["172.16.86.129/24"]
    assert one.ping("172.16.86.1") and other.ping("172.16.86.1")
    third = lab.container().target
    refused(lab.host.macvnet("connect", "--ip=172.16.86.128", "second", third), CONFLICT, ".128")


def test_segments_of_their_own_may_have_one_plan(make_lab: Callable[..., Lab]) -> None:
    """Two tenants on two LANs: the same subnet, gateway and address, each reached on its own."""
    lab = make_lab(host=(), nics=2)
    far = lab.external("172.16.86.77/24")
    lab.switch.batch(
        "link set host-eth1 nomaster",
        "link set ext1-eth0 nomaster",
        "link add br1 type bridge stp_state 0 forward_delay 0",
        "link set br1 up",
        "link set host-eth1 master br1",
        "link set ext1-eth0 master br1",
    )
    create(lab.host, "a", *LAN, "-o", "segment=tenant-a")
    create(lab.host, "b", SUBNET, GATEWAY, "-o", "parent=eth1", "-o", "segment=tenant-b")
    one, other = lab.container(), lab.container()
    mine, theirs = join(lab.host, one, "a"), join(lab.host, other, "b")
    assert mine.ip == theirs.ip == "172.16.86.2"
    assert mine.mac != theirs.mac
    with far.capture() as seen_far, lab.router.capture() as seen_near:
        assert far.ping("172.16.86.2") and lab.router.ping("172.16.86.2")
        (reply, *_) = seen_far.wait_for(lambda f: f.icmp_type == 0 and not f.outgoing)
        (reply_near, *_) = seen_near.wait_for(lambda f: f.icmp_type == 0 and not f.outgoing)
    assert (reply.src, reply_near.src) == (theirs.mac, mine.mac)


def test_sharers_always_have_one_segment(lab: Lab) -> None:
    create(lab.host, "first", *LOW, *SHARED, "-o", "segment=tenant-a")
    words = ("create", *HIGH, *SHARED)
    hint = refused(lab.host.macvnet(*words, "-o", "segment=tenant-b", "second"), CONFLICT)
    assert "-o segment=tenant-a" in hint
    create(lab.host, "second", *words[1:])
    shown = lab.host.macvnet("inspect", "second").json()[0]
    assert shown["Macvnet"]["Segment"] == "tenant-a"


@pytest.mark.parametrize("order", [("bridge", "passthru"), ("passthru", "bridge")])
def test_passthru_shares_with_nobody(make_lab: Callable[..., Lab], order: tuple[str, str]) -> None:
    lab = make_lab(host=())
    create(lab.host, "first", *LOW, *SHARED, "-o", f"macvlan_mode={order[0]}")
    done = lab.host.macvnet("create", *HIGH, *SHARED, "-o", f"macvlan_mode={order[1]}", "second")
    hint = refused(done, CONFLICT, "'first'", "passthru")
    assert "share_parent" not in hint


def test_foreign_passthru_child_of_the_parent_is_named(make_lab: Callable[..., Lab]) -> None:
    """A link that somebody else put on the parent: left alone, and said who it is."""
    lab = make_lab(host=())
    lab.host.ip("link", "add", "vm7", "link", "eth0", "type", "macvlan", "mode", "passthru")
    refused(lab.host.macvnet("create", *LAN, "net"), CONFLICT, "'vm7'", "passthru")
    lab.host.ip("link", "del", "vm7")
    lab.host.ip("link", "add", "vm7", "link", "eth0", "type", "macvlan", "mode", "bridge")
    create(lab.host, "net", *LAN)
    container = lab.container()
    join(lab.host, container, "net")
    assert container.ping("172.16.86.1") and "vm7" in lab.host.links()


def test_macvlan_as_a_parent_means_its_lower_link_and_a_note_says_so(lab: Lab) -> None:
    """The kernel attaches there anyway: the effective parent is what counts and what is shown."""
    lab.host.ip("link", "add", "vm7", "link", "eth0", "type", "macvlan", "mode", "bridge")
    made = create(lab.host, "net", SUBNET, GATEWAY, "-o", "parent=vm7")
    assert any("'vm7'" in note and "eth0" in note for note in notes(made))
    parent = lab.host.macvnet("inspect", "net").json()[0]["Macvnet"]["Parent"]
    assert parent == {"Requested": "vm7", "Effective": "eth0"}
    refused(lab.host.macvnet("create", "--subnet=10.2.0.0/24", *ON_ETH0, "b"), CONFLICT, "'net'")
