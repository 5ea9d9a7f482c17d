"""A kernel without a kind of link: one sentence with the module's name, and what to type."""

from __future__ import annotations

import pytest

from tests.kernel.steps import GATEWAY, LAN, SUBNET, create, networks, refused
from tests.lab import Lab

MACVLAN = pytest.param("macvlan", LAN, marks=pytest.mark.lacks("macvlan"))
IPVLAN = pytest.param("ipvlan", ("-d", "ipvlan", *LAN), marks=pytest.mark.lacks("ipvlan"))
VLAN = pytest.param(
    "8021q", (SUBNET, GATEWAY, "-o", "parent=eth0.50"), marks=pytest.mark.lacks("vlan")
)
DUMMY = pytest.param("dummy", (), marks=pytest.mark.lacks("dummy"))


@pytest.mark.parametrize(("module", "words"), [MACVLAN, IPVLAN, VLAN, DUMMY])
def test_missing_kind_is_named_with_what_to_type_and_nothing_is_left(
    lab: Lab, module: str, words: tuple[str, ...]
) -> None:
    """Decided by the kernel's answer; neither a network nor an address stays taken."""
    before = lab.host.snapshot()
    hint = refused(lab.host.macvnet("create", *words, "net"), 8, module)
    assert f"modprobe {module}" in hint
    assert networks(lab.host) == []
    assert before.changes(lab.host.snapshot()) == []
    if module != "macvlan":
        create(lab.host, "net", *LAN)
