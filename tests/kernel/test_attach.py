"""attach, detach, connect, disconnect: several networks at once, and whatever names a target."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import (
    CONFLICT,
    LAN,
    NOT_FOUND,
    REQUEST,
    attach,
    create,
    join,
    notes,
    refused,
)
from tests.kernel.trunk import settled
from tests.lab import Lab

SHARED = ("-o", "parent=eth0", "-o", "share_parent=true")


@pytest.fixture
def three(make_lab: Callable[..., Lab]) -> Lab:
    """Networks a, b, c on one parent, with one router for all."""
    lab = make_lab(host=(), router=("10.1.0.1/24", "10.2.0.1/24", "10.3.0.1/24"))
    for number, name in enumerate("abc", 1):
        subnet = (f"--subnet=10.{number}.0.0/24", f"--gateway=10.{number}.0.1")
        create(lab.host, name, *subnet, *SHARED)
    return lab


def members(lab: Lab, network: str) -> list[str]:
    """The targets recorded in a network."""
    shown = lab.host.macvnet("inspect", network).json()[0]
    return sorted(item["Name"] for item in shown["Containers"].values())


def test_attach_prints_interface_mac_addresses_and_gateway(lab: Lab) -> None:
    create(lab.host, "net", *LAN, "--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1")
    container = lab.container()
    done = lab.host.macvnet("attach", container.target).checked()
    expected = (
        f"eth0 {container.mac()} 172.16.86.2/24 2001:db8:86::2/64 "
        "gateway 172.16.86.1 gateway 2001:db8:86::1\n"
    )
    assert done.stdout == expected


def test_the_only_network_needs_no_name_and_takes_the_single_flags(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    container = lab.container()
    (joined,) = attach(lab.host, container, "--ip=172.16.86.40", "--ifname=lan0")
    assert (joined.network, joined.interface, joined.ip) == ("net", "lan0", "172.16.86.40")
    assert container.ping("172.16.86.1")


def test_without_a_name_several_networks_are_listed(three: Lab) -> None:
    container = three.container()
    hint = refused(three.host.macvnet("attach", container.target), CONFLICT, "a, b, c")
    assert hint.startswith("--network ")
    refused(three.host.macvnet("attach", "--ip=10.1.0.9", container.target), CONFLICT, "a, b, c")
    assert container.links() == ["lo"]


def test_without_any_network_the_hint_makes_one(lab: Lab) -> None:
    hint = refused(lab.host.macvnet("attach", lab.container().target), NOT_FOUND)
    assert hint.startswith("macvnet create ")


def test_several_networks_in_one_command(three: Lab) -> None:
    """Each with what was asked for it, in the order typed; one line for each."""
    container = three.container()
    done = three.host.macvnet(
        *("attach", "--network", "b,ip=10.2.0.50,ifname=lan2", "--net=a,mac=02:00:5e:10:00:01"),
        *("--network=c,gw-priority=5", container.target),
    ).checked()
    assert [line.split()[0] for line in done.lines] == ["lan2", "eth0", "eth1"]
    assert container.addresses("lan2") == ["10.2.0.50/24"]
    assert container.mac("eth0") == "02:00:5e:10:00:01"
    for number in (1, 2, 3):
        assert container.ping(f"10.{number}.0.1")
    route = container.default_route()
    assert route is not None and route["dev"] == "eth1"


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ("c,ip=10.3.0.1", CONFLICT),
        ("c,ifname=eth1", CONFLICT),
        ("nosuch", NOT_FOUND),
        ("c,ip=10.9.0.1", REQUEST),
        ("a", REQUEST),
    ],
)
def test_all_or_none(three: Lab, last: str, status: int) -> None:
    """What was made for the first two is undone: kernel, addresses and announcements."""
    container = three.container()
    before = container.snapshot()
    words = ("--network=a", "--network=b", f"--network={last}")
    with three.router.capture(keep=lambda frame: frame.gratuitous_arp) as wire:
        done = three.host.macvnet("attach", *words, container.target)
        refused(done, status)
    assert before.changes(container.snapshot()) == []
    assert wire.frames == []
    assert [members(three, name) for name in "abc"] == [[], [], []]
    assert join(three.host, container, "a").ip == "10.1.0.2"


def test_failed_batch_keeps_what_was_there_before(three: Lab) -> None:
    """An earlier endpoint, and its default route."""
    container = three.container()
    join(three.host, container, "a")
    before = settled(container, "eth0")
    words = ("--network=b,gw-priority=9", "--network=c,ip=10.3.0.1")
    assert three.host.macvnet("attach", *words, container.target).status == CONFLICT
    assert before.changes(container.snapshot()) == []
    assert container.ping("10.1.0.1")


def test_single_flags_beside_several_networks_are_refused(three: Lab) -> None:
    target = three.container().target
    done = three.host.macvnet("attach", "--network=a", "--network=b", "--ip=10.1.0.5", target)
    refused(done, REQUEST, "--ip")


def test_detach_leaves_the_named_networks_or_all(three: Lab) -> None:
    container = three.container()
    attach(three.host, container, "--network=a", "--network=b", "--network=c")
    three.host.macvnet("detach", "--network=b", container.target).checked()
    assert container.links() == ["lo", "eth0", "eth2"]
    assert three.host.macvnet("detach", container.target).checked().stdout == ""
    assert container.links() == ["lo"]
    assert [members(three, name) for name in "abc"] == [[], [], []]
    refused(three.host.macvnet("detach", container.target), NOT_FOUND, container.target)
    done = three.host.macvnet("disconnect", "a", container.target)
    refused(done, NOT_FOUND, "'a'", container.target)


def test_two_spellings_of_one_namespace_are_one_target(lab: Lab) -> None:
    """Connected as a name, it is connected as a PID and as a path; any of them disconnects."""
    create(lab.host, "net", *LAN)
    web = lab.named("web")
    inside = web.start("sleep", "100")
    spellings = ("netns:web", "/run/netns/web", "web", str(inside.pid), f"pid:{inside.pid}")
    for number, connecting in enumerate(spellings):
        lab.host.macvnet("connect", "net", connecting).checked()
        done = lab.host.macvnet("connect", "net", spellings[number - 1])
        refused(done, CONFLICT, "connected to network 'net' already")
        assert web.links() == ["lo", "eth0"]
        lab.host.macvnet("disconnect", "net", spellings[number - 2]).checked()
        assert web.links() == ["lo"]


def test_endpoint_is_visible_under_the_name_it_was_connected_by(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    web = lab.named("web")
    lab.host.macvnet("connect", "net", "/run/netns/web").checked()
    assert members(lab, "net") == ["netns:web"]
    assert lab.router.ping(web.addresses()[0].partition("/")[0])


@pytest.mark.parametrize("kind", ["pid", "name"])
def test_disconnecting_a_vanished_target_frees_its_record_and_succeeds(lab: Lab, kind: str) -> None:
    """Once: afterwards nothing is known of it any more."""
    create(lab.host, "net", *LAN)
    gone = lab.container() if kind == "pid" else lab.named("gone")
    target = gone.target
    joined = join(lab.host, gone, "net")
    gone.close()
    lab.host.macvnet("disconnect", "net", target).checked()
    assert members(lab, "net") == []
    assert join(lab.host, lab.container(), "net").ip == joined.ip
    done = lab.host.macvnet("disconnect", "net", target)
    assert done.status == NOT_FOUND


def test_detach_frees_a_vanished_target_in_every_network(three: Lab) -> None:
    gone = three.named("gone")
    attach(three.host, gone, "--network=a", "--network=b")
    gone.close()
    three.host.macvnet("detach", "netns:gone").checked()
    assert [members(three, name) for name in "ab"] == [[], []]


def test_vanished_target_whose_namespace_lives_on_loses_its_link(lab: Lab) -> None:
    """The process is gone, somebody else is still inside: the address must not be there twice."""
    create(lab.host, "net", *LAN)
    container = lab.container()
    other = container.start("sleep", "100")
    joined = join(lab.host, container, "net")
    target = container.target
    container.kill()
    assert lab.router.ping(joined.ip)
    lab.host.macvnet("disconnect", "net", target).checked()
    assert lab.router.silent(joined.ip, seconds=0.4)
    assert other.poll() is None


def test_forced_disconnect_takes_the_endpoint_s_id(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    container = lab.container()
    joined = join(lab.host, container, "net")
    (key,) = lab.host.macvnet("inspect", "net").json()[0]["Containers"]
    endpoint = key.removeprefix("ep-")
    refused(lab.host.macvnet("disconnect", "net", endpoint), NOT_FOUND)
    lab.host.macvnet("disconnect", "-f", "net", endpoint[:12]).checked()
    assert container.links() == ["lo"]
    assert lab.router.silent(joined.ip, seconds=0.4)


@pytest.mark.parametrize("target", ["netns:nosuch", "/run/netns/nosuch", "nosuch", "999999999"])
def test_target_that_does_not_exist_is_not_found(lab: Lab, target: str) -> None:
    create(lab.host, "net", *LAN)
    refused(lab.host.macvnet("connect", "net", target), NOT_FOUND, target.rpartition(":")[2])


def test_file_that_is_no_network_namespace_is_refused(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    for path in ("/proc/self/ns/mnt", "/etc/hostname"):
        refused(lab.host.macvnet("connect", "net", path), NOT_FOUND, path, "namespace")


def test_removed_network_does_not_stop_for_dead_endpoints(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    gone = lab.named("gone")
    join(lab.host, gone, "net")
    gone.close()
    removed = lab.host.macvnet("rm", "net").checked()
    assert removed.stdout == "net\n" and notes(removed) == []
