"""MACs of endpoints, who else has them, and the host's own addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import CONFLICT, LAN, REQUEST, create, join, refused, wait_until
from tests.lab import Lab

MAC = "02:00:5e:10:00:01"


def test_mac_is_unicast_local_and_not_made_of_the_address(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    joined = [join(lab.host, lab.named(), "net") for _ in range(4)]
    assert len({endpoint.mac for endpoint in joined}) == 4
    for endpoint in joined:
        first = int(endpoint.mac[:2], 16)
        assert first & 1 == 0 and first & 2 == 2
        octets = ":".join(f"{int(part):02x}" for part in endpoint.ip.split("."))
        assert not endpoint.mac.endswith(octets)


def test_mac_of_a_name_is_stable_over_reconnect_whatever_address_it_gets(lab: Lab) -> None:
    """A namespace with a name, made anew, has its MAC again; another network gives another one."""
    create(lab.host, "net", *LAN)
    create(
        *(lab.host, "other", "--subnet=10.2.0.0/24", "-o", "parent=eth0"),
        *("-o", "share_parent=true"),
    )
    web = lab.named("web")
    first = join(lab.host, web, "net")
    elsewhere = join(lab.host, web, "other")
    assert first.mac != elsewhere.mac
    lab.host.macvnet("detach", web.target).checked()
    again = join(lab.host, web, "net", "--ip=172.16.86.99")
    assert (again.mac, again.ip) == (first.mac, "172.16.86.99")
    web.close()
    anew = lab.named("web")
    third = join(lab.host, anew, "net")
    assert third.mac == first.mac
    assert lab.router.ping(third.ip)


def test_mac_of_a_bare_pid_goes_with_its_address(lab: Lab) -> None:
    """A PID means nothing tomorrow: the same address again is the same MAC again."""
    create(lab.host, "net", *LAN)
    one, other = lab.container(), lab.container()
    first = join(lab.host, one, "net", "--ip=172.16.86.20")
    lab.host.macvnet("detach", one.target).checked()
    second = join(lab.host, other, "net", "--ip=172.16.86.20")
    assert second.mac == first.mac
    assert join(lab.host, one, "net", "--ip=172.16.86.21").mac != first.mac


def test_mac_differs_between_installations(lab: Lab) -> None:
    """The same name, network and address on two hosts of one LAN: two MACs on the wire."""
    other = lab.other_host("172.16.86.251/24")
    web = lab.named("web")
    macs = []
    for host in (lab.host, other):
        create(host, "net", *LAN)
        macs.append(join(host, web, "net", "--ip=172.16.86.50").mac)
        host.macvnet("detach", web.target).checked()
    assert macs[0] != macs[1]


def test_mac_address_overrides(lab: Lab) -> None:
    """In whatever spelling; it is what the LAN sees."""
    create(lab.host, "net", *LAN)
    container = lab.container()
    assert join(lab.host, container, "net", "--mac-address=02-00-5E-10-00-01").mac == MAC
    with lab.router.capture() as wire:
        assert container.ping("172.16.86.1")
        (frame, *_) = wire.wait_for(lambda frame: frame.ping)
    assert frame.src == MAC


@pytest.mark.parametrize(
    ("mac", "hint"),
    [
        ("01:00:5e:00:00:01", "--mac-address 02:00:5e:00:00:01"),
        ("ff:ff:ff:ff:ff:ff", "--mac-address fe:ff:ff:ff:ff:ff"),
        ("00:00:00:00:00:00", "--mac-address 02:"),
        ("02:00:5e:10:00", "--mac-address 02:"),
        ("02:00:5e:10:00:zz", "--mac-address 02:"),
    ],
)
def test_impossible_macs_are_refused_before_anything_is_made(lab: Lab, mac: str, hint: str) -> None:
    create(lab.host, "net", *LAN)
    container = lab.container()
    before = container.snapshot()
    done = lab.host.macvnet("connect", f"--mac-address={mac}", "net", container.target)
    assert hint in refused(done, REQUEST, mac)
    assert before.changes(container.snapshot()) == []


def test_mac_of_another_endpoint_is_refused_naming_it(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    holder, late = lab.named("holder"), lab.container()
    joined = join(lab.host, holder, "net")
    done = lab.host.macvnet("connect", f"--mac-address={joined.mac}", "net", late.target)
    refused(done, CONFLICT, joined.mac, "netns:holder")
    assert late.links() == ["lo"]


def test_mac_of_a_visible_link_is_refused_naming_it(lab: Lab) -> None:
    """The parent's own, and a macvlan that somebody else has on it."""
    create(lab.host, "net", *LAN)
    lab.host.ip("link", "add", "vm7", "link", "eth0", "address", MAC, "type", "macvlan")
    late = lab.container()
    for mac, name in ((MAC, "vm7"), (lab.host.mac(), "eth0")):
        done = lab.host.macvnet("connect", f"--mac-address={mac}", "net", late.target)
        refused(done, CONFLICT, mac, name)
    assert late.links() == ["lo"]


def hold(lab: Lab, mac: str) -> str:
    """A macvlan with this MAC, up, in a namespace that macvnet knows nothing of; its name."""
    foreign = lab.named("foreign")
    lab.host.ip(
        *("link", "add", "f0", "link", "eth0", "netns", foreign.name, "address", mac),
        *("type", "macvlan", "mode", "bridge"),
    )
    foreign.ip("link", "set", "f0", "up")
    return foreign.name


def test_mac_held_in_a_foreign_namespace_is_explained_and_all_is_undone(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    hold(lab, MAC)
    late = lab.container()
    before = late.snapshot()
    done = lab.host.macvnet("connect", f"--mac-address={MAC}", "net", late.target)
    hint = refused(done, CONFLICT, MAC, "other namespace")
    assert before.changes(late.snapshot()) == []
    assert lab.host.macvnet("inspect", "net").json()[0]["Containers"] == {}
    lab.host.macvnet("connect", *hint.split(), "net", late.target).checked()
    assert late.ping("172.16.86.1")


def test_mac_that_a_foreign_namespace_gives_up_in_time_is_waited_for(lab: Lab) -> None:
    """The kernel frees a dead namespace's MACs a little later: two seconds of patience."""
    create(lab.host, "net", *LAN)
    name = hold(lab, MAC)
    late = lab.container()
    giver = lab.router.start("sh", "-c", f"sleep 0.7; ip -n {name} link delete f0")
    assert join(lab.host, late, "net", f"--mac-address={MAC}").mac == MAC
    assert giver.wait(5) == 0
    assert late.ping("172.16.86.1")


def test_killed_container_and_its_successor_may_have_one_mac(lab: Lab) -> None:
    """Nobody detached the first: its namespace just dies while the second one comes."""
    create(lab.host, "net", *LAN)
    first = lab.named("web")
    mac = join(lab.host, first, "net").mac
    first.close()
    second = lab.named("web")
    assert join(lab.host, second, "net").mac == mac
    assert second.ping("172.16.86.1")


def test_host_s_own_addresses_are_not_handed_out(make_lab: Callable[..., Lab]) -> None:
    """On whatever link they are; looked up each time, so one that is gone is free."""
    lab = make_lab(host=("172.16.86.2/24",), nics=2)
    lab.host.add_address("172.16.86.3/24", "eth1")
    create(lab.host, "net", *LAN)
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.4"
    container = lab.container()
    for address in ("172.16.86.2", "172.16.86.3"):
        done = lab.host.macvnet("connect", f"--ip={address}", "net", container.target)
        refused(done, CONFLICT, address, "this host")
    lab.host.ip("addr", "del", "172.16.86.3/24", "dev", "eth1")
    assert join(lab.host, container, "net").ip == "172.16.86.3"


def test_gateway_may_be_the_host_s_own_address(lab: Lab) -> None:
    made = create(lab.host, "net", LAN[0], "--gateway=172.16.86.250", *LAN[2:])
    assert made.ok
    container = lab.container()
    assert join(lab.host, container, "net").gateways == ["172.16.86.250"]
    done = lab.host.macvnet("connect", "--ip=172.16.86.250", "net", lab.container().target)
    refused(done, CONFLICT, "172.16.86.250")


def test_link_local_address_and_aliases_are_kept(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    container, far = lab.container(), lab.external("169.254.7.8/16")
    words = ("--link-local-ip=169.254.7.7", "--alias=db", "--alias=sql")
    lab.host.macvnet("connect", *words, "net", container.target).checked()
    assert "169.254.7.7/16" in container.addresses()
    assert wait_until(lambda: far.ping("169.254.7.7", within=0.5))
    (endpoint,) = lab.host.macvnet("inspect", "net").json()[0]["Macvnet"]["Endpoints"]
    assert endpoint["Aliases"] == ["db", "sql"]
    assert endpoint["LinkLocalIPs"] == ["169.254.7.7"]
