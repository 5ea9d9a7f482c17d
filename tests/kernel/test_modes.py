"""macvlan modes, shown by traffic between siblings, with the port's hairpin off and on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.steps import CONFLICT, LAN, create, join, refused, wait_until
from tests.lab import Container, Lab

MODES = ("bridge", "private", "vepa")


def siblings(lab: Lab, mode: str) -> tuple[Container, Container]:
    """Two containers on a network of that mode: .2 and .3."""
    create(lab.host, "net", *LAN, "-o", f"macvlan_mode={mode}")
    one, other = lab.container(), lab.container()
    join(lab.host, one, "net")
    join(lab.host, other, "net")
    return one, other


def mode_of(container: Container) -> str:
    return str(container.link()["linkinfo"]["info_data"]["mode"])


def test_mode_is_bridge_by_default(lab: Lab) -> None:
    """Siblings meet inside the host: their frames never reach the switch."""
    create(lab.host, "net", *LAN)
    one, other = lab.container(), lab.container()
    joined = join(lab.host, one, "net", "--ip=172.16.86.10")
    join(lab.host, other, "net")
    assert mode_of(one) == "bridge"
    assert lab.host.macvnet("inspect", "net").json()[0]["Macvnet"]["Mode"] == "bridge"
    with lab.switch.capture("host-eth0") as wire:
        assert other.ping(joined.ip)
        assert lab.router.ping(joined.ip)
        wire.wait_for(lambda frame: frame.ping and frame.ip_src == "172.16.86.1")
    assert not wire.matching(lambda frame: frame.ping and frame.ip_src == "172.16.86.2")


def test_private_siblings_never_reach_each_other_not_even_through_a_hairpin(lab: Lab) -> None:
    one, other = siblings(lab, "private")
    assert mode_of(one) == "private"
    assert lab.router.ping("172.16.86.2") and other.ping("172.16.86.1")
    assert one.silent("172.16.86.3")
    lab.switch.hairpin(lab.host, on=True)
    assert one.silent("172.16.86.3") and other.silent("172.16.86.2")
    assert lab.router.ping("172.16.86.3")


def test_vepa_siblings_reach_each_other_only_through_a_hairpin(lab: Lab) -> None:
    """Off, on and off again; with it every frame is on the wire of the host."""
    one, other = siblings(lab, "vepa")
    assert mode_of(one) == "vepa"
    assert one.ping("172.16.86.1")
    assert one.silent("172.16.86.3")
    lab.switch.hairpin(lab.host, on=True)
    with lab.switch.capture("host-eth0") as wire:
        assert one.ping("172.16.86.3")
        wire.wait_for(lambda frame: frame.ping and frame.ip_dst == "172.16.86.3", count=2)
    lab.switch.hairpin(lab.host, on=False)
    assert other.silent("172.16.86.2")


@pytest.fixture
def bare(make_lab: Callable[..., Lab]) -> Lab:
    """A host whose eth0 it does not use itself, as passthru needs."""
    return make_lab(host=())


PASSTHRU = (*LAN, "-o", "macvlan_mode=passthru")


def test_passthru_endpoint_takes_the_parent_s_mac(bare: Lab) -> None:
    before = bare.host.mac()
    create(bare.host, "net", *PASSTHRU)
    container = bare.container()
    joined = join(bare.host, container, "net")
    assert joined.mac == container.mac() == before == bare.host.mac()
    assert mode_of(container) == "passthru"
    with bare.router.capture() as wire:
        assert container.ping("172.16.86.1")
        (frame, *_) = wire.wait_for(lambda frame: frame.ping)
    assert frame.src == before


def test_passthru_network_has_one_endpoint(bare: Lab) -> None:
    """The second is refused, naming the first; when that leaves, there is room."""
    create(bare.host, "net", *PASSTHRU)
    first, second = bare.container(), bare.container()
    join(bare.host, first, "net")
    done = bare.host.macvnet("connect", "net", second.target)
    assert f"pid:{first.pid}" in refused(done, CONFLICT, "passthru", f"pid:{first.pid}")
    assert second.links() == ["lo"]
    bare.host.macvnet("disconnect", "net", first.target).checked()
    join(bare.host, second, "net")
    assert second.ping("172.16.86.1")


def test_only_an_explicit_mac_changes_the_parent_s_and_it_gets_it_back(bare: Lab) -> None:
    before = bare.host.mac()
    create(bare.host, "net", *PASSTHRU)
    container = bare.container()
    joined = join(bare.host, container, "net", "--mac-address=02:00:5e:10:00:01")
    assert joined.mac == container.mac() == bare.host.mac() == "02:00:5e:10:00:01"
    assert container.ping("172.16.86.1")
    bare.host.macvnet("disconnect", "net", container.target).checked()
    assert bare.host.mac() == before
    join(bare.host, container, "net")
    assert container.mac() == before


def test_parent_gets_its_mac_back_after_the_target_has_vanished(bare: Lab) -> None:
    before = bare.host.mac()
    create(bare.host, "net", *PASSTHRU)
    container = bare.container()
    join(bare.host, container, "net", "--mac-address=02:00:5e:10:00:01")
    target = container.target
    assert bare.host.mac() == "02:00:5e:10:00:01"
    container.close()
    bare.host.macvnet("disconnect", "net", target).checked()
    # A kernel that is slow to tear the namespace down gives the MAC back itself, later.
    assert wait_until(lambda: bare.host.mac() == before)


def test_failed_passthru_connect_leaves_the_parent_s_mac(bare: Lab) -> None:
    """The address is taken inside the target by a route of its own: all is undone."""
    before = bare.host.mac()
    create(bare.host, "net", *PASSTHRU)
    container = bare.container()
    container.ip("link", "add", "taken", "type", "bridge")
    container.add_address("172.16.86.9/24", "taken")
    done = bare.host.macvnet("connect", "--mac-address=02:00:5e:10:00:01", "net", container.target)
    refused(done, CONFLICT, "172.16.86")
    assert bare.host.mac() == before
    assert sorted(container.links()) == ["lo", "taken"]
    assert bare.host.macvnet("inspect", "net").json()[0]["Containers"] == {}


@pytest.mark.parametrize(
    ("value", "hint"),
    [("brigde", "macvlan_mode=bridge"), ("VEPA", "macvlan_mode=vepa"), ("l2", "macvlan_mode=")],
)
def test_unknown_mode_is_refused_with_the_nearest(lab: Lab, value: str, hint: str) -> None:
    done = lab.host.macvnet("create", *LAN, "-o", f"macvlan_mode={value}", "net")
    assert hint in refused(done, 3, f"'{value}'")


@pytest.mark.parametrize("mode", MODES)
def test_mode_of_a_network_stays_with_its_endpoints(lab: Lab, mode: str) -> None:
    """inspect and the kernel agree, and an endpoint of another mode may sit beside it."""
    create(lab.host, "net", *LAN, "-o", f"macvlan_mode={mode}")
    container = lab.container()
    join(lab.host, container, "net")
    shown = lab.host.macvnet("inspect", "net").json()[0]
    assert (
        shown["Options"]["macvlan_mode"] == shown["Macvnet"]["Mode"] == mode_of(container) == mode
    )
