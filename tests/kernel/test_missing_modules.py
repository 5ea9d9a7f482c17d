"""A kernel without a kind of link: one sentence with the module's name and what to type."""

from __future__ import annotations

import subprocess

import pytest

from tests.kernel.steps import LAN, create, join, networks, refused
from tests.kernel.trunk import on_vlan
from tests.lab import Lab

KERNEL = 8

NEEDING = {
    "macvlan": ("-d", "macvlan", *LAN),
    "ipvlan": ("-d", "ipvlan", *LAN),
    "vlan": on_vlan(50),
    "dummy": ("--subnet=10.6.0.0/24",),
}
MODULES = {"macvlan": "macvlan", "ipvlan": "ipvlan", "vlan": "8021q", "dummy": "dummy"}


def create_is_refused(lab: Lab, kind: str) -> None:
    before = lab.host.snapshot()
    done = lab.host.macvnet("create", *NEEDING[kind], "net")
    hint = refused(done, KERNEL, f"this kernel lacks the module '{MODULES[kind]}'")
    assert hint == f"modprobe {MODULES[kind]}"
    assert networks(lab.host) == []
    assert before.changes(lab.host.snapshot()) == []


@pytest.mark.lacks("macvlan")
def test_kernel_without_macvlan_is_told_by_its_module(lab: Lab) -> None:
    create_is_refused(lab, "macvlan")


@pytest.mark.lacks("ipvlan")
def test_kernel_without_ipvlan_is_told_by_its_module(lab: Lab) -> None:
    create_is_refused(lab, "ipvlan")
    # macvlan is not concerned.
    create(lab.host, "net", *LAN)
    container = lab.container()
    join(lab.host, container, "net")
    assert container.ping("172.16.86.1")


@pytest.mark.lacks("vlan")
def test_kernel_without_8021q_is_told_by_its_module(lab: Lab) -> None:
    """The name and the pool of the network that was not made are free again."""
    create_is_refused(lab, "vlan")
    create(lab.host, "net", *on_vlan(50)[:-2], "-o", "parent=eth0")


@pytest.mark.lacks("dummy")
def test_kernel_without_dummy_is_told_by_its_module(lab: Lab) -> None:
    """With a subnet and with a default pool."""
    create_is_refused(lab, "dummy")
    done = lab.host.macvnet("create", "net")
    assert refused(done, KERNEL, "'dummy'") == "modprobe dummy"
    create(lab.host, "net", *LAN)


@pytest.mark.lacks("macvlan")
def test_module_that_is_gone_when_a_container_connects_is_named(lab: Lab) -> None:
    """As after a reboot into a smaller kernel: the network was made while it was there."""
    subprocess.run(["modprobe", "macvlan"], check=True)
    create(lab.host, "net", *LAN)
    subprocess.run(["modprobe", "-r", "macvlan"], check=True)
    container = lab.container()
    done = lab.host.macvnet("connect", "net", container.target)
    assert refused(done, KERNEL, "this kernel lacks the module 'macvlan'") == "modprobe macvlan"
    assert container.links() == ["lo"]
    (shown,) = lab.host.macvnet("inspect", "net").json()
    assert shown["Containers"] == {}
    subprocess.run(["modprobe", "macvlan"], check=True)
    join(lab.host, container, "net", "--ip=172.16.86.2")
    assert container.ping("172.16.86.1")
    container.ip("link", "del", "eth0")
