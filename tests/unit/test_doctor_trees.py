"""What the doctor reads from files that no lab has, from trees as such machines have them.

The trees are recorded: the paths and contents of /sys, /run and /etc on the machines
named, without what nobody reads.
"""

from __future__ import annotations

import struct

import pytest

from macvnet import doctor
from macvnet.addresses import Address, Subnet
from macvnet.doctor.facts import Device, Facts, Gateway, Parent, Target, TargetLink, Use
from macvnet.doctor.machine import guard_of
from macvnet.kernel import arp, virtual_functions
from macvnet.kernel.links import IFF_UP, LinkInfo
from macvnet.model import LinkOptions, Pool
from macvnet.surroundings import devices, machine, modules
from tests.lab.trees import Tree

MAC = "02:00:5e:00:53:01"


def link(name: str = "eth0", **changed: object) -> LinkInfo:
    values: dict[str, object] = {
        **dict.fromkeys(("kind", "slave_kind", "alias", "mode", "flag"), ""),
        **dict.fromkeys(("lower", "master"), 0),
        **dict.fromkeys(("lower_nsid", "vlan_id", "vlan_protocol")),
        "ifindex": 2,
        "name": name,
        "mac": "02:00:5e:00:53:01",
        "permanent_mac": "02:00:5e:00:53:01",
        "flags": IFF_UP | 0x10000,
        "mtu": 1500,
        "altnames": (),
    }
    return LinkInfo(**{**values, **changed})  # type: ignore[arg-type]  # by the field names


def use(network: str = "lan", driver: str = "macvlan", **parent: object) -> Use:
    mode = "bridge" if driver == "macvlan" else "l2"
    options = LinkOptions(parent="eth0", mode=mode)
    values: dict[str, object] = {"name": "eth0", "link": link(), **parent}
    return Use(network, driver, options, (), Parent(**values))  # type: ignore[arg-type]  # as above


def found(facts: Facts) -> dict[str, str]:
    """The fix by the cause."""
    return {one.cause: one.fix for one in doctor.examine(facts)}


LAPTOP = {
    "sys/devices/pci0000:00/0000:00:14.3/vendor": "0x8086",
    "sys/devices/pci0000:00/0000:00:14.3/net/wlp0s20f3/ifindex": "3",
    "sys/devices/pci0000:00/0000:00:14.3/net/wlp0s20f3/address": "02:00:5e:00:53:03",
    "sys/devices/pci0000:00/0000:00:14.3/net/wlp0s20f3/device": "->../../../0000:00:14.3",
    "sys/devices/pci0000:00/0000:00:14.3/net/wlp0s20f3/phy80211": "/",
    "sys/class/net/wlp0s20f3": "->../../devices/pci0000:00/0000:00:14.3/net/wlp0s20f3",
}


def test_radio_is_told_by_sysfs_and_ipvlan_is_offered(tree: Tree) -> None:
    """Only if the tree shows the same link: sysfs may be another namespace's."""
    root = tree(LAPTOP)
    seen = devices.look(root, "wlp0s20f3", 3, ("02:00:5e:00:53:03",))
    assert seen == devices.Hardware(True, True)
    assert devices.look(root, "wlp0s20f3", 4, ("02:00:5e:00:53:03",)) == devices.Hardware()
    assert devices.look(root, "wlp0s20f3", 3, ("02:00:5e:00:53:04",)) == devices.Hardware()
    assert devices.look(root, "../net/none", 3, ("",)) == devices.Hardware()
    radio = (Device("wlp0s20f3", seen.physical, seen.wireless),)
    subnets = ((Subnet.parse("192.0.2.0/24"), Address.parse("192.0.2.1")),)
    facts = Facts(uses=(use("", name="wlp0s20f3", devices=radio, subnets=subnets),))
    words = "--subnet 192.0.2.0/24 --gateway 192.0.2.1 -o parent=wlp0s20f3 NAME"
    assert found(facts) == {"wifi": f"macvnet create -d ipvlan {words}"}
    assert found(Facts(uses=(use(driver="ipvlan", devices=radio),))) == {}


SERVER = {
    "sys/devices/pci0/0000:3b:00.0/net/ens1f0/ifindex": "4",
    "sys/devices/pci0/0000:3b:00.0/virtfn0": "->../0000:3b:02.0",
    "sys/devices/pci0/0000:3b:00.0/virtfn1": "->../0000:3b:02.1",
    "sys/devices/pci0/0000:3b:02.0/physfn": "->../0000:3b:00.0",
    "sys/devices/pci0/0000:3b:02.1/physfn": "->../0000:3b:00.0",
    "sys/devices/pci0/0000:3b:02.1/net/ens1f0v1/ifindex": "9",
    "sys/devices/pci0/0000:3b:02.1/net/ens1f0v1/address": "02:00:5e:00:53:09",
    "sys/devices/pci0/0000:3b:02.1/net/ens1f0v1/device": "->../../../0000:3b:02.1",
    "sys/class/net/ens1f0v1": "->../../devices/pci0/0000:3b:02.1/net/ens1f0v1",
}


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def test_virtual_function_leads_to_what_its_physical_one_checks(tree: Tree) -> None:
    seen = devices.look(tree(SERVER), "ens1f0v1", 9, ("02:00:5e:00:53:09",))
    assert seen == devices.Hardware(True, False, ("ens1f0", 1))
    infos = [
        attribute(1, attribute(1, bytes(36)) + attribute(4, struct.pack("=II", number, setting)))
        for number, setting in ((0, 0), (1, 1))
    ]
    body = attribute(3, b"ens1f0\0") + attribute(22, b"".join(infos))
    raw = struct.pack("=IHHII", 32 + len(body), 16, 0, 1, 0) + bytes(16) + body
    assert virtual_functions.read(raw) == {0: False, 1: True}
    assert virtual_functions.read(raw[: 32 + 16]) == {}
    checked = Device("ens1f0v1", True, False, ("ens1f0", 1))
    facts = Facts(uses=(use(devices=(checked,)),))
    assert found(facts) == {"spoof-check": "ip link set ens1f0 vf 1 spoofchk off trust on"}


DMI = "sys/class/dmi/id"
CLOUDS = {
    "Amazon EC2": ("Amazon EC2", "t3.micro", "i-0123456789abcdef0"),
    "Amazon EC2 (Xen)": ("Xen", "HVM domU", ""),
    "Google Compute Engine": ("Google", "Google Compute Engine", ""),
    "Azure": ("Microsoft Corporation", "Virtual Machine", "7783-7084-3265-9085-8269-3286-77"),
    "Hyper-V": ("Microsoft Corporation", "Virtual Machine", "5132-8732-1128"),
    "VMware": ("VMware, Inc.", "VMware Virtual Platform", "No Asset Tag"),
    "VirtualBox": ("innotek GmbH", "VirtualBox", ""),
    "OpenStack": ("OpenStack Foundation", "OpenStack Nova", ""),
    "Hetzner Cloud": ("Hetzner", "vServer", ""),
    "Oracle Cloud": ("QEMU", "Standard PC (i440FX + PIIX, 1996)", "OracleCloud.com"),
    "": ("QEMU", "Standard PC (Q35 + ICH9, 2009)", ""),
    "none": ("Dell Inc.", "PowerEdge R640", ""),
    "none none": ("Xen", "HVM domU", ""),
    "none none none": ("Microsoft Corporation", "Surface Pro 8", ""),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_cloud_is_told_by_dmi_where_the_parent_is_its_hardware(tree: Tree, name: str) -> None:
    vendor, product, tag = CLOUDS[name]
    files = {"sys_vendor": vendor, "product_name": product, "chassis_asset_tag": tag}
    root = tree({f"{DMI}/{file}": text for file, text in files.items()})
    if "(Xen)" in name:
        tree({"sys/hypervisor/uuid": "ec2e1916-9099-7caf-fd21-012345abcdef"})
    seen = machine.look(root)
    guard = guard_of(seen)
    told = name.replace("none", "").replace(" (Xen)", "").strip()
    assert (guard.name if guard else "") == told
    seen = seen._replace(user_namespace=False)
    card = (Device("ens5", True),)
    expected = {"hypervisor-filters-macs"} if guard else set()
    assert set(found(Facts(seen, (use(devices=card),)))) == expected
    assert found(Facts(seen, (use(devices=(Device("veth0"),)),))) == {}
    assert found(Facts(seen, (use(driver="ipvlan", devices=card),))) == {}
    # An endpoint that the gateway answers proves that it is configured otherwise.
    gateway = Gateway("network lan", Address.parse("192.0.2.1"), "eth0", "macvlan", ("02:01",))
    assert found(Facts(seen, (use(devices=card),), gateways=(gateway,))) == {}
    if guard:
        fix = found(Facts(seen, (use(devices=card),)))["hypervisor-filters-macs"]
        assert fix == (
            guard.allow
            or "macvnet disconnect --all lan && macvnet rm lan && macvnet create -d ipvlan "
            "-o parent=eth0 lan"
        )


def test_card_that_is_handed_through_is_no_hypervisor_s(tree: Tree) -> None:
    """Its frames leave by a switch of its own. A cloud's are the cloud's, whatever drives them."""
    card = "sys/devices/pci0/0000:0b:00.0"
    root = tree(
        {
            f"{DMI}/sys_vendor": "VMware, Inc.",
            f"{card}/net/ens33/ifindex": "2",
            f"{card}/net/ens33/address": MAC,
            f"{card}/net/ens33/device": "->../../../0000:0b:00.0",
            f"{card}/driver": "->../../../bus/pci/drivers/ixgbe",
            "sys/class/net/ens33": "->../../devices/pci0/0000:0b:00.0/net/ens33",
        }
    )
    seen = devices.look(root, "ens33", 2, (MAC,))
    assert seen == devices.Hardware(True, False, None, "ixgbe")
    vmware = machine.look(root)._replace(user_namespace=False)
    amazon = vmware._replace(vendor="Amazon EC2")
    for here, driver, guarded in (
        (vmware, "ixgbe", False),
        (vmware, "vmxnet3", True),
        (vmware, "", True),
        (amazon, "ixgbe", True),
    ):
        facts = Facts(here, (use(devices=(Device("ens33", True, driver=driver),)),))
        assert set(found(facts)) == ({"hypervisor-filters-macs"} if guarded else set())


def test_container_that_the_gateway_has_answered_speaks_for_the_hypervisor() -> None:
    gateway = Address.parse("192.0.2.1")
    pool = Pool("1", Subnet.parse("192.0.2.0/24"), gateway)
    card = use(devices=(Device("ens33", True),))._replace(pools=(pool,))
    here = machine.Machine(vendor="VMware, Inc.")
    other = Address.parse("192.0.2.77")
    for network, heard, guarded in (
        ("lan", (gateway, other), False),
        ("lan", (other,), True),
        ("far", (gateway,), True),
    ):
        inside = TargetLink("eth0", network, False, True, heard=heard)
        targets = (Target("netns:web", "ip netns exec web", True, (inside,)),)
        facts = Facts(here, (card,), targets, asked=False)
        assert set(found(facts)) == ({"hypervisor-filters-macs"} if guarded else set())


@pytest.mark.parametrize(
    ("slave_kind", "master", "fix"),
    [
        ("bridge", "vmbr0", "-o parent=vmbr0"),
        ("bond", "bond0", "-o parent=bond0"),
        ("team", "team0", "-o parent=team0"),
        ("openvswitch", "ovs-system", "-o parent=$(ovs-vsctl port-to-br eth0)"),
        # A virtual function below the card that Azure, or QEMU, has it stand in for.
        ("", "eth5", "-o parent=eth5"),
        ("vrf", "blue", ""),
    ],
)
def test_port_names_what_to_take_instead(slave_kind: str, master: str, fix: str) -> None:
    """A Proxmox host's card, a NAS's, one of Open vSwitch's."""
    port = link(master=7, slave_kind=slave_kind)
    expected = {"parent-port": fix} if fix else {}
    assert found(Facts(uses=(use("", link=port, master=master),))) == expected
    # Who is a port's master is none itself.
    assert found(Facts(uses=(use("", link=link(kind=slave_kind)),))) == {}


def test_gateway_that_routers_share_is_one() -> None:
    """By GLBP each client is told another MAC; by VRRP all are told the same."""
    for macs, twice in (
        (("00:07:b4:00:01:01", "00:07:b4:00:01:02"), False),
        (("00:00:5e:00:01:01",), False),
        (("00:07:b4:00:01:01", MAC), True),
    ):
        answer = Gateway("network lan", Address.parse("192.0.2.1"), "eth0", "macvlan", macs)
        expected = {"gateway-two-macs"} if twice else set()
        assert set(found(Facts(uses=(use(),), gateways=(answer,)))) == expected


RELEASE = "6.8.0-45-generic"
UBUNTU = {
    "proc/sys/kernel/osrelease": RELEASE,
    "etc/os-release": 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian',
    f"lib/modules/{RELEASE}/modules.builtin": "kernel/drivers/net/dummy.ko",
    f"lib/modules/{RELEASE}/modules.dep": "kernel/net/8021q/8021q.ko.zst: kernel/net/802/garp.ko",
    "proc/kallsyms": "0 T _text",
}
ALL = ("vlan", "macvlan", "ipvlan", "dummy")


def test_missing_module_is_named_with_its_package(tree: Tree) -> None:
    root = tree({**UBUNTU, "sys/module/macvlan/refcnt": "0"})
    seen = machine.look(root, ALL)
    assert seen.lacking == ("ipvlan",)
    facts = Facts(seen._replace(capabilities=(), user_namespace=False))
    words = f"apt-get install linux-modules-extra-{RELEASE} && modprobe ipvlan"
    assert found(facts) == {"module-missing": words}
    assert modules.on_disk(root, RELEASE, "vlan") and not modules.on_disk(root, RELEASE, "ipvlan")


@pytest.mark.parametrize(
    ("changed", "lacking"),
    [
        ({"proc/kallsyms": "0 t ipvlan_link_register"}, ("macvlan",)),
        ({"proc/kallsyms": ""}, ("macvlan", "ipvlan")),
        ({"proc/sys/kernel/modules_disabled": "1"}, ("vlan", "macvlan", "ipvlan")),
    ],
)
def test_what_is_built_in_or_locked_out_is_told(
    tree: Tree, changed: dict[str, str], lacking: tuple[str, ...]
) -> None:
    assert modules.lacking(tree({**UBUNTU, **changed}), RELEASE, ALL) == lacking


def test_kernel_whose_symbols_nobody_may_read_is_not_accused(tree: Tree) -> None:
    root = tree({name: text for name, text in UBUNTU.items() if "kallsyms" not in name})
    assert modules.lacking(root, RELEASE, ALL) == ()
    gone = machine.Machine(RELEASE, ("ubuntu",), False, ("ipvlan",))
    assert found(Facts(gone)) == {"module-missing": "modprobe ipvlan"}


@pytest.mark.parametrize(
    ("status", "missing"),
    [
        ("CapEff:\t000001ffffffffff", ()),
        ("CapEff:\t000001ffffffefff", ("CAP_NET_ADMIN",)),
        ("CapEff:\t0000000000000000", ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN")),
        ("CapEff:\tx", ()),
        ("", ()),
    ],
)
def test_capabilities_are_those_in_effect(
    tree: Tree, status: str, missing: tuple[str, ...]
) -> None:
    assert machine.missing_capabilities(tree({"proc/self/status": status})) == missing


def test_frames_that_are_no_answer_are_none() -> None:
    mac, address = bytes.fromhex("02005e005301"), Address.parse("192.0.2.1")
    asked = arp.probe(mac, address)
    assert len(asked) == 42 and arp.answer(asked) is None
    reply = mac * 2 + asked[12:20] + b"\0\2" + mac + address.packed + mac + bytes(4)
    assert arp.answer(reply) == (address, "02:00:5e:00:53:01")
    assert arp.answer(reply + bytes(18)) == arp.answer(reply)
    for length in range(len(reply)):
        assert arp.answer(reply[:length]) is None
