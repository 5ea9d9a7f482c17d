"""ipvlan networks on one parent, and macvlan and ipvlan on one parent: what goes, what cannot."""

from __future__ import annotations

import pytest

from tests.kernel.steps import CONFLICT, LAN, ON_ETH0, create, join, networks, notes, refused
from tests.lab import Lab

pytestmark = pytest.mark.needs("ipvlan")

FIRST = ("-d", "ipvlan", *LAN)
SECOND = ("-d", "ipvlan", "--subnet=10.2.0.0/24", *ON_ETH0)
SHARED = ("-o", "share_parent=true")


def test_second_ipvlan_network_is_refused_and_the_hint_allows_it(lab: Lab) -> None:
    create(lab.host, "first", *FIRST)
    hint = refused(lab.host.macvnet("create", *SECOND, "second"), CONFLICT, "'first'", "eth0")
    assert "-o share_parent=true" in hint
    made = create(lab.host, "second", *SECOND, *SHARED)
    assert any("layer 2 segment" in note and "'first'" in note for note in notes(made))
    one, other = lab.container(), lab.container()
    assert join(lab.host, one, "first").addresses == ["172.16.86.2/24"]
    joined = join(lab.host, other, "second")
    # One segment: an address of the second subnet on the first is all it takes.
    one.add_address("10.2.0.77/24")
    assert one.ping(joined.ip)


@pytest.mark.parametrize(
    ("option", "values"),
    [("ipvlan_mode", ("l2", "l3")), ("ipvlan_mode", ("l3", "l3s")), ("ipvlan_flag", ("", "vepa"))],
)
def test_ipvlan_sharers_have_one_mode_and_flag(
    lab: Lab, option: str, values: tuple[str, str]
) -> None:
    """Both belong to the parent: the second would change the first, whose traffic goes on."""
    first, second = values
    create(lab.host, "first", *FIRST, "-o", f"{option}={first}")
    container, sibling = lab.container(), lab.container()
    join(lab.host, container, "first")
    done = lab.host.macvnet("create", *SECOND, *SHARED, "-o", f"{option}={second}", "second")
    hint = refused(done, CONFLICT, "'first'", "mode and flag")
    assert f"-o ipvlan_mode={'l2' if option == 'ipvlan_flag' else first}" in hint
    assert networks(lab.host) == ["first"]
    assert container.ping(join(lab.host, sibling, "first").ip)
    create(lab.host, "second", *SECOND, *hint.split())


@pytest.mark.parametrize("drivers", [("macvlan", "ipvlan"), ("ipvlan", "macvlan")])
def test_macvlan_and_ipvlan_never_share_a_parent(lab: Lab, drivers: tuple[str, str]) -> None:
    first, second = drivers
    create(lab.host, "first", "-d", first, *LAN)
    words = ("-d", second, "--subnet=10.2.0.0/24", *ON_ETH0)
    for option in ((), SHARED):
        done = lab.host.macvnet("create", *words, *option, "second")
        hint = refused(done, CONFLICT, "'first'", first, "not both")
        assert f"-d {first}" in hint
    assert networks(lab.host) == ["first"]


@pytest.mark.parametrize("drivers", [("macvlan", "ipvlan"), ("ipvlan", "macvlan")])
def test_foreign_child_of_the_other_kind_is_named(lab: Lab, drivers: tuple[str, str]) -> None:
    kind, driver = drivers
    lab.host.ip("link", "add", "vm7", "link", "eth0", "type", kind)
    before = lab.host.snapshot()
    done = lab.host.macvnet("create", "-d", driver, *LAN, "net")
    hint = refused(done, CONFLICT, "'eth0'", f"{kind} link 'vm7'", "not both")
    assert hint == f"-d {kind}"
    assert before.changes(lab.host.snapshot()) == []
    # In a namespace of its own it cannot be seen, and the kernel's refusal is explained.
    other, container = lab.container(), lab.container()
    lab.host.ip("link", "set", "vm7", "netns", str(other.pid))
    create(lab.host, "net", "-d", driver, *LAN)
    done = lab.host.macvnet("connect", "net", container.target)
    refused(done, CONFLICT, "'eth0'", kind, "whatever namespace")
    assert container.links() == ["lo"] and "vm7" in other.links()
    shown = lab.host.macvnet("inspect", "net").json()[0]
    assert shown["Containers"] == {}


def test_foreign_ipvlan_child_of_another_mode_is_named(lab: Lab) -> None:
    """A network that would change its mode is refused; one that agrees works beside it."""
    lab.host.ip("link", "add", "vm7", "link", "eth0", "type", "ipvlan", "mode", "l3")
    done = lab.host.macvnet("create", *FIRST, "net")
    hint = refused(done, CONFLICT, "'vm7'", "l3")
    assert "-o ipvlan_mode=l3" in hint
    info = lab.host.link("vm7")["linkinfo"]["info_data"]
    create(lab.host, "net", *FIRST, "-o", "ipvlan_mode=l3")
    join(lab.host, lab.container(), "net")
    assert lab.host.link("vm7")["linkinfo"]["info_data"] == info
