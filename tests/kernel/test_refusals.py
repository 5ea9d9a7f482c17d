"""What create refuses, and that what its hint says to type is then accepted."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.kernel.steps import (
    GATEWAY,
    LAN,
    NOT_FOUND,
    ON_ETH0,
    REQUEST,
    SUBNET,
    create,
    networks,
    notes,
    refused,
)
from tests.lab import Lab

FLAG = re.compile(r"(--[a-z-]+|-o)[ =](\S+)")


def flags(hint: str) -> list[str]:
    """The flags a hint has, as words to type."""
    return [word.rstrip(",") for found in FLAG.findall(hint) for word in found]


@pytest.mark.parametrize(
    ("wrong", "right", "named", "hint"),
    [
        ("--subnet=172.16.86.7/24", (), "'172.16.86.7/24'", "--subnet 172.16.86.0/24"),
        ("--subnet=172.16.86.0/33", (), "'172.16.86.0/33'", "--subnet 172.16.86.0/24"),
        ("--subnet=172.16.86.0", (), "'172.16.86.0'", "--subnet 172.16.86.0/24"),
        ("--subnet=2001:db8:86::1/64", (), "'2001:db8:86::1/64'", "--subnet 2001:db8:86::/64"),
        ("--ip-range=172.16.86.129/25", (SUBNET,), "86.129/25", "--ip-range 172.16.86.128/25"),
        (
            *("--ip-range=172.16.86.200-172.16.87.10", (SUBNET,), "-172.16.87.10"),
            "--ip-range 172.16.86.200-172.16.86.255",
        ),
        (
            *("--ip-range=172.16.86.20-172.16.86.10", (SUBNET,), "86.20-172.16.86.10"),
            "--ip-range 172.16.86.10-172.16.86.20",
        ),
        ("--gateway=172.16.86.0", (SUBNET,), "'172.16.86.0'", "--gateway 172.16.86.1"),
        ("--opt=mtu=10", (SUBNET,), "'10'", "-o mtu=68"),
        ("--opt=macvlan_mod=vepa", (SUBNET,), "'macvlan_mod'", "-o macvlan_mode="),
        ("--opt=ipvlan_mode=l2", (SUBNET,), "'ipvlan_mode'", "-o macvlan_mode="),
        ("--opt=share_parent=yes", (SUBNET,), "'yes'", "-o share_parent=true"),
        ("--driver=macvaln", (SUBNET,), "'macvaln'", "--driver macvlan"),
        ("--scope=swarm", (SUBNET,), "'swarm'", "--scope local"),
    ],
)
def test_wrong_value_is_refused_with_the_corrected_one(
    lab: Lab, wrong: str, right: tuple[str, ...], named: str, hint: str
) -> None:
    """The message names what was typed; nothing is recorded; the hint, typed, is accepted."""
    done = lab.host.macvnet("create", wrong, *right, *ON_ETH0, "net")
    given = refused(done, REQUEST, named)
    assert given.startswith(hint)
    assert networks(lab.host) == []
    value = "bridge" if hint.endswith("=") else ""
    flag, corrected = (hint + value).split(" ")
    create(lab.host, "net", flag, corrected, *right, *ON_ETH0)


def test_parent_that_does_not_exist_is_refused_with_one_that_does(lab: Lab) -> None:
    done = lab.host.macvnet("create", SUBNET, GATEWAY, "-o", "parent=etho", "net")
    hint = refused(done, NOT_FOUND, "'etho'")
    create(lab.host, "net", SUBNET, GATEWAY, *flags(hint))


def test_loopback_is_no_parent(lab: Lab) -> None:
    hint = refused(lab.host.macvnet("create", SUBNET, "-o", "parent=lo", "net"), REQUEST, "'lo'")
    assert hint == "-o parent=eth0"


def test_real_parent_without_a_subnet_is_refused_with_its_own(make_lab: Callable[..., Lab]) -> None:
    """The hint is the parent's subnet and gateway as flags, and typing it works."""
    lab = make_lab(default_route=True)
    hint = refused(lab.host.macvnet("create", *ON_ETH0, "net"), REQUEST, "eth0")
    assert hint == "--subnet 172.16.86.0/24 --gateway 172.16.86.1"
    made = create(lab.host, "net", *hint.split(), *ON_ETH0)
    assert not any("right LAN" in note for note in notes(made))


def test_ipv6_without_an_ipv6_subnet_is_refused_with_the_parent_s(
    make_lab: Callable[..., Lab],
) -> None:
    lab = make_lab(host=("172.16.86.250/24", "2001:db8:86::250/64"))
    lab.host.add_default("2001:db8:86::1")
    done = lab.host.macvnet("create", "--ipv6", *LAN, "net")
    hint = refused(done, REQUEST, "IPv6")
    assert hint == "--subnet 2001:db8:86::/64 --gateway 2001:db8:86::1"
    create(lab.host, "net", "--ipv6", *LAN, *hint.split())
    assert lab.host.macvnet("inspect", "net").json()[0]["EnableIPv6"] is True


def test_vlan_ids_that_are_not_canonical_are_refused(lab: Lab) -> None:
    """With the corrected name as hint, before any link is made."""
    before = lab.host.snapshot()
    for vid, corrected in (("050", "50"), ("0", "1"), ("4095", "4094"), ("x", "10"), ("+5", "10")):
        done = lab.host.macvnet("create", SUBNET, "-o", f"parent=eth0.{vid}", "net")
        assert refused(done, REQUEST, f"'{vid}'") == f"-o parent=eth0.{corrected}"
    done = lab.host.macvnet("create", SUBNET, "-o", "parent=nosuch.50", "net")
    refused(done, NOT_FOUND, "'nosuch'")
    assert before.changes(lab.host.snapshot()) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [("4242", "net4242"), ("a/b", "a-b"), ("-x", "x"), ("", ""), ("host", "my-host")],
)
def test_names_are_those_of_docker_containers_and_not_only_digits(
    lab: Lab, name: str, hint: str
) -> None:
    done = lab.host.macvnet("create", *LAN, "--", name)
    assert hint in refused(done, REQUEST, f"'{name}'" if name else "empty")
    create(lab.host, "0net_.-9", *LAN)


@pytest.mark.parametrize(
    ("words", "corrected"),
    [
        (("--ip=2001:db8:86::9",), "--ip6 2001:db8:86::9"),
        (("--ip6=172.16.86.9",), "--ip 172.16.86.9"),
        (("--ip=172.16.86.999",), "--ip 172.16.86."),
        (("--ip=10.0.0.1",), "172.16.86.0/24"),
        (("--ip=172.16.86.0",), "172.16.86.0/24"),
        (("--ifname=a-name-of-16-byte",), "--ifname "),
        (("--driver-opt=nosuch=1",), "--driver-opt "),
        (("--link-local-ip=10.0.0.1",), "--link-local-ip 169.254."),
    ],
)
def test_wrong_value_for_an_endpoint_is_refused_with_the_corrected_one(
    lab: Lab, words: tuple[str, ...], corrected: str
) -> None:
    """An --ip of the wrong family is not swallowed; the target stays as it was."""
    create(lab.host, "net", *LAN, "--subnet=2001:db8:86::/64")
    container = lab.container()
    before = container.snapshot()
    done = lab.host.macvnet("connect", *words, "net", container.target)
    assert done.status in (REQUEST, 5), done
    assert corrected in refused(done, done.status)
    assert before.changes(container.snapshot()) == []


def test_notes_tell_of_the_router_s_dhcp_range_unless_there_is_a_range(lab: Lab) -> None:
    made = create(lab.host, "net", *LAN)
    assert any("DHCP" in note and "--ip-range" in note for note in notes(made))
    lab.host.macvnet("rm", "net").checked()
    made = create(lab.host, "net", *LAN, "--ip-range=172.16.86.128/25")
    assert notes(made) == []


def test_exclusions_and_several_ranges_are_kept(lab: Lab) -> None:
    """Addresses out of two ranges in their order, without the excluded ones; --ip may name one."""
    words = ("--ip-range=172.16.86.10-172.16.86.12", "--ip-range=172.16.86.20/31")
    excluded = ("--exclude=172.16.86.11", "--exclude=172.16.86.21-172.16.86.30")
    create(lab.host, "net", *LAN, *words, *excluded)
    given = []
    for extra in ((), (), (), ("--ip=172.16.86.11",)):
        container = lab.container()
        lab.host.macvnet("connect", *extra, "net", container.target).checked()
        given += container.addresses()
    assert given == [f"172.16.86.{number}/24" for number in (10, 12, 20, 11)]
    assert lab.host.macvnet("connect", "net", lab.container().target).status == 6


def test_null_ipam_gives_a_link_without_addresses(lab: Lab) -> None:
    """For people with a DHCP client of their own: up, on the LAN, no route."""
    create(lab.host, "net", "--ipam-driver=null", *ON_ETH0)
    container = lab.container()
    lab.host.macvnet("connect", "net", container.target).checked()
    assert "LOWER_UP" in container.link()["flags"]
    assert container.addresses() == [] and container.routes() == []
    container.add_address("172.16.86.88/24")
    assert container.ping("172.16.86.1")
    lab.host.macvnet("disconnect", "net", container.target).checked()
    assert container.links() == ["lo"]


def test_config_only_network_lends_its_settings(lab: Lab) -> None:
    create(lab.host, "conf", "--config-only", *LAN)
    assert lab.host.macvnet("connect", "conf", lab.container().target).status == REQUEST
    create(lab.host, "net", "--config-from=conf", "-d", "macvlan")
    container = lab.container()
    lab.host.macvnet("connect", "net", container.target).checked()
    assert container.ping("172.16.86.1")
    assert lab.host.macvnet("rm", "conf").status == 5
