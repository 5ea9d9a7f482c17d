"""Whatever the facts are: findings that are known, named and told once; never an exception."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from macvnet import doctor
from macvnet.addresses import Address, Subnet
from macvnet.doctor.facts import (
    Device,
    Facts,
    Gateway,
    Member,
    Parent,
    Routers,
    Target,
    TargetLink,
    Upper,
    Use,
)
from macvnet.doctor.machine import GUARDS
from macvnet.kernel import arp, virtual_functions
from macvnet.kernel.links import IFF_LOOPBACK, IFF_LOWER_UP, IFF_UP, LinkInfo
from macvnet.model import LinkOptions, Pool
from macvnet.surroundings import machine, managers, modules

KNOWN = {cause.id for cause in doctor.causes()}
NAMES = st.sampled_from(["eth0", "br7", "eth0.50", "a\x1b[0m", "", "w b"])
MACS = st.sampled_from(["", "02:00:5e:00:53:01", "02:00:5e:00:53:02"])
KINDS = st.sampled_from(["", "vlan", "macvlan", "macvtap", "ipvlan", "bridge", "dummy", "veth"])
FLAGS = st.sampled_from([0, IFF_UP, IFF_UP | IFF_LOWER_UP, IFF_UP | IFF_LOOPBACK])
NUMBERS = st.none() | st.integers(0, 3)
SMALL = st.integers(0, 9)
ADDRESSES = st.builds(Address, st.just(4), st.integers(0, 255))
SUBNETS = st.sampled_from(["10.0.0.0/24", "10.0.1.0/24", "0.0.0.0/0", "2001:db8::/64"]).map(
    Subnet.parse
)


def few(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


LINKS = st.builds(
    LinkInfo,
    *(SMALL, NAMES, KINDS, MACS, MACS, FLAGS, st.sampled_from([0, 68, 1500])),
    *(SMALL, NUMBERS, SMALL, st.sampled_from(["", "vrf", "bridge", "bond"]), NAMES, few(NAMES)),
    *(NUMBERS, NUMBERS, st.sampled_from(["", "passthru", "bridge", "l2", "l3"]), NAMES),
)
DEVICES = st.builds(
    Device, NAMES, st.booleans(), st.booleans(), st.none() | st.tuples(NAMES, SMALL), NAMES
)
PARENTS = st.builds(
    Parent,
    *(NAMES, st.none() | LINKS, NAMES, st.none() | LINKS, SMALL, NAMES, st.booleans()),
    few(st.builds(Upper, LINKS, NUMBERS, NAMES)),
    few(st.tuples(SUBNETS, st.none() | ADDRESSES)),
    few(DEVICES),
    few(st.tuples(st.sampled_from([managers.NETWORKD, managers.NETWORKMANAGER]), NAMES)),
    NAMES,
)


def pool(identity: str, subnet: Subnet, gateway: Address | None) -> Pool:
    return Pool(identity, subnet, gateway)


def options(parent: str, mode: str, mtu: int) -> LinkOptions:
    return LinkOptions(parent=parent, mode=mode, mtu=mtu)


MODES = st.sampled_from(["bridge", "passthru", "l2", "l3"])
OPTIONS = st.builds(options, NAMES, MODES, st.sampled_from([0, 68, 9000]))
USES = st.builds(
    Use,
    *(NAMES, st.sampled_from(["macvlan", "ipvlan"]), OPTIONS),
    few(st.builds(pool, NAMES, SUBNETS, st.none() | ADDRESSES)),
    PARENTS,
    few(st.builds(Member, NAMES, NAMES, MACS, NUMBERS)),
    NAMES,
    SMALL,
    st.booleans(),
)
SUBJECTS = st.sampled_from(["network eth0", "parent eth0", "network "])
GATEWAYS = st.builds(
    Gateway,
    *(SUBJECTS, ADDRESSES, NAMES, NAMES, st.none() | few(MACS), st.none() | few(MACS), SMALL),
    *(NAMES, st.none() | st.booleans(), st.booleans()),
)
TARGETS = st.builds(
    Target,
    *(NAMES, NAMES, st.booleans()),
    few(
        st.builds(
            TargetLink,
            *(NAMES, NAMES, st.booleans(), st.booleans(), st.booleans(), SMALL, SMALL, SMALL),
            *(few(NAMES), NAMES, st.booleans(), few(ADDRESSES)),
        )
    ),
)
MACHINES = st.builds(
    machine.Machine,
    *(NAMES, few(st.sampled_from(["debian", "arch", "", "x"])), st.booleans()),
    *(few(KINDS), few(st.sampled_from([*machine.CAPABILITIES, "CAP_X"])), st.booleans()),
    *(st.sampled_from([guard.vendor for guard in GUARDS]), NAMES, NAMES, NAMES),
)
ROUTERS = st.builds(Routers, SUBJECTS, NAMES, few(st.tuples(MACS, few(SUBNETS))))
FACTS = st.builds(
    Facts, MACHINES, few(USES), few(TARGETS), few(GATEWAYS), few(ROUTERS), st.booleans()
)


@settings(deadline=None)
@given(FACTS)
def test_every_finding_is_known_complete_and_told_once(facts: Facts) -> None:
    found = doctor.examine(facts)
    assert {one.cause for one in found} <= KNOWN
    assert all(one.evidence and one.fix for one in found)
    assert len(found) == len(set(found))
    assert found == doctor.examine(facts)


@settings(deadline=None)
@given(st.lists(FACTS, max_size=3))
def test_a_look_at_more_finds_no_less_of_the_targets(several: list[Facts]) -> None:
    """What is found in one target does not depend on the others."""
    together = Facts(targets=tuple(one for facts in several for one in facts.targets))
    apart = {f for facts in several for f in doctor.examine(Facts(targets=facts.targets))}
    assert set(doctor.examine(together)) == apart


@given(st.binary(max_size=80))
def test_bytes_from_the_wire_and_the_kernel_never_raise(data: bytes) -> None:
    arp.answer(data)
    virtual_functions.read(bytes(32) + data)


LINES = st.lists(
    st.sampled_from(["[Match]", "[keyfile]", "[Link]", "Name=!*", "Name=[", "unmanaged-devices=;:"])
    | st.text(max_size=12),
    max_size=8,
)


@settings(deadline=None, max_examples=50)
@given(LINES, NAMES)
def test_files_of_any_content_never_raise(lines: list[str], name: str) -> None:
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in (
            *("etc/systemd/network/a.network", "etc/NetworkManager/conf.d/a.conf"),
            "etc/NetworkManager/system-connections/a.nmconnection",
            *("etc/os-release", "proc/self/status", "proc/kallsyms"),
            *("proc/sys/kernel/osrelease", "lib/modules/r/modules.dep"),
        ):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(text)
        for path in ("run/systemd/netif/links", "run/NetworkManager/devices"):
            (root / path).mkdir(parents=True)
        managers.look(str(root), managers.Place(name, "vlan", lower=name, vlan_id=5))
        machine.look(str(root), ("vlan",))
        modules.lacking(str(root), "r", ("vlan", "x"))
