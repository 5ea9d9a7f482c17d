"""What stands in the way outside the network's configuration: kernel, rights, hardware, clouds.

Judges by names that the machine gives itself; whoever knows better is told that it
is a suspicion.
"""

from __future__ import annotations

from collections.abc import Iterator

from macvnet.doctor.commands import ipvlan_for
from macvnet.doctor.facts import Device, Facts, Use
from macvnet.doctor.findings import Cause, Finding
from macvnet.drivers import driver
from macvnet.records import NamedTuple
from macvnet.surroundings.machine import AS_ROOT, NO_RIGHTS, OUTSIDE, Machine
from macvnet.surroundings.modules import MODULES
from macvnet.text import quoted

CAUSES = (
    Cause(
        "module-missing",
        "The kernel does not know the kind of link that is needed, or the qdisc of `--rate` "
        "(operation not supported).",
        "The module is neither loaded nor built in, and /lib/modules has none to load.",
        "Install the package that has it, load it, or boot the kernel whose modules are there.",
    ),
    Cause(
        "capability-missing",
        "Making links takes CAP_NET_ADMIN, entering a container's network CAP_SYS_ADMIN, asking "
        "by ARP CAP_NET_RAW (operation not permitted).",
        "CapEff in /proc/self/status lacks one of them.",
        "Run macvnet as root.",
    ),
    Cause(
        "user-namespace",
        "In a user namespace root has no rights over networks that were not made in it.",
        "The network namespace belongs to a user namespace outside of this one (NS_GET_USERNS).",
        "Run macvnet outside of it.",
    ),
    Cause(
        "wifi",
        "An access point accepts one MAC from each of its clients: frames of a macvlan are "
        "dropped.",
        "sysfs shows a radio (`phy80211` or `wireless`) at the parent.",
        "Use ipvlan, which shares the parent's MAC.",
    ),
    Cause(
        "hypervisor-filters-macs",
        "Many hypervisors and most clouds drop frames with a MAC that they did not give.",
        "DMI names such a hypervisor or cloud, and the parent is hardware of its making. A "
        "suspicion: it may be configured otherwise, which `--active` finds out. Nothing is said if "
        "the gateway answers a macvlan, or has answered a container.",
        "Allow other MACs there, or use ipvlan.",
    ),
    Cause(
        "spoof-check",
        "The physical function drops frames of a virtual function with a MAC that it does not "
        "have.",
        "The parent is a virtual function, and IFLA_VF_SPOOFCHK of its physical function is on.",
        "Switch it off for that virtual function, and trust it.",
    ),
    Cause(
        "host-arp-ignore",
        "Containers do not reach the host, though their network has host access.",
        "`arp_ignore` of the host is not 0, for all links or for the shim: the shim, which the "
        "question comes in by, does not have the address.",
        "Set it to 0 on the host.",
    ),
    Cause(
        "networkd-interferes",
        "systemd-networkd configures links that match its files: addresses, routes or DHCP on a "
        "link that shall carry containers only.",
        "The first .network file that matches a link of macvnet's is not one that leaves it alone.",
        "Write a file that comes before it, and says so.",
    ),
    Cause(
        "networkmanager-interferes",
        "NetworkManager gives a link that shall carry containers only what one of its profiles "
        "says: addresses, routes or DHCP.",
        "It is at work, a profile that starts by itself is for a link of macvnet's, and no "
        "`unmanaged-devices` names that.",
        "Write a file that does.",
    ),
)


class Guard(NamedTuple):
    """A hypervisor or cloud that lets no MACs through but its own: how DMI tells it.

    Each text is the beginning of DMI's; "" is any. ``allow`` is what to type there, ""
    where nothing helps: then only ``ipvlan`` does. ``nics`` are the drivers of the cards
    that it makes up itself, () if every card is the cloud's: one that is handed through
    is on a switch of its own.
    """

    name: str
    vendor: str
    product: str = ""
    asset_tag: str = ""
    allow: str = ""
    uuid: str = ""
    nics: tuple[str, ...] = ()


AZURE = "7783-7084-3265-9085-8269-3286-77"
VMWARE = (
    "Get-VirtualPortGroup -Name NAME | Get-SecurityPolicy | Set-SecurityPolicy "
    "-AllowPromiscuous $true -ForgedTransmits $true -MacChanges $true"
)
HYPERV = "Set-VMNetworkAdapter -VMName NAME -MacAddressSpoofing On"
OPENSTACK = "openstack port set --no-security-group --disable-port-security PORT"
INTEL = ("e1000", "e1000e")
QEMU = ("virtio_net", "8139cp", "8139too", "ne2k-pci", "pcnet32", "vmxnet3", *INTEL)
VIRTUALBOX = "VBoxManage modifyvm NAME --nicpromisc1 allow-all"

GUARDS = (
    Guard("Azure", "Microsoft Corporation", "Virtual Machine", AZURE),
    Guard(
        "Hyper-V",
        "Microsoft Corporation",
        "Virtual Machine",
        allow=HYPERV,
        nics=("hv_netvsc", "tulip"),
    ),
    Guard("VMware", "VMware", allow=VMWARE, nics=("vmxnet3", "vmxnet", "pcnet32", *INTEL)),
    Guard("VirtualBox", "innotek GmbH", allow=VIRTUALBOX, nics=("pcnet32", "virtio_net", *INTEL)),
    Guard("Amazon EC2", "Amazon EC2"),
    Guard("Amazon EC2", "Xen", "HVM domU", uuid="ec2"),
    Guard("Google Compute Engine", "Google", "Google Compute Engine"),
    Guard("Oracle Cloud", "", "", "OracleCloud.com"),
    Guard("DigitalOcean", "DigitalOcean"),
    Guard("Hetzner Cloud", "Hetzner"),
    Guard("Vultr", "Vultr"),
    Guard("Linode", "Linode"),
    Guard("Linode", "Akamai"),
    Guard("Scaleway", "Scaleway"),
    Guard("Alibaba Cloud", "Alibaba Cloud"),
    Guard("Tencent Cloud", "Tencent Cloud"),
    Guard("OpenStack", "OpenStack Foundation", allow=OPENSTACK, nics=QEMU),
    Guard("OpenStack", "", "OpenStack", allow=OPENSTACK, nics=QEMU),
)
"""The first that matches. QEMU and KVM let everything through, unless told otherwise."""

CAPABILITY_USES = {
    "CAP_NET_ADMIN": "to make links",
    "CAP_SYS_ADMIN": "to enter a container's network namespace",
    "CAP_NET_RAW": "to ask the gateway by ARP",
}


def examine(facts: Facts) -> Iterator[Finding]:
    """What is found of the machine, and of the hardware of all parents."""
    machine = facts.machine
    for kind in machine.lacking:
        yield module_missing(kind, machine)
    if machine.user_namespace:
        yield in_user_namespace()
    elif machine.capabilities:
        for name in machine.capabilities:
            yield capability_missing(name)
    answered = {gateway.subject for gateway in facts.gateways if gateway.by_endpoint}
    for use in facts.uses:
        yield from _hardware(machine, use, use.subject in answered or _was_heard(facts, use))
        yield from _managers(use)
        if use.arp_ignore:
            yield _host_arp(use)


def _was_heard(facts: Facts, use: Use) -> bool:
    """Whether a container of the network knows the MAC of a gateway: it has been answered."""
    gateways = {pool.gateway for pool in use.pools} - {None}
    links = (link for target in facts.targets for link in target.links)
    return any(link.network == use.network and gateways & {*link.heard} for link in links)


def _host_arp(use: Use) -> Finding:
    return Finding(
        "host-arp-ignore",
        use.subject,
        f"arp_ignore is {use.arp_ignore} on this host, which keeps it from answering the "
        f"containers of {use.network} that ask for its address",
        f"sysctl -w net/ipv4/conf/all/arp_ignore=0 net/ipv4/conf/{use.shim}/arp_ignore=0",
    )


def module_missing(kind: str, machine: Machine) -> Finding:
    """The kernel of ``machine`` cannot make links of that kind."""
    module = MODULES.get(kind, kind)
    why = f"this kernel, {machine.release}, lacks the module {quoted(module)}"
    if not machine.modules_there:
        why += f", and there is no /lib/modules/{machine.release}"
    return Finding("module-missing", "this machine", why, installation(module, machine))


PACKAGES = {
    "ubuntu": "apt-get install linux-modules-extra-{release}",
    "raspbian": "apt-get install linux-image-{release}",
    "debian": "apt-get install linux-image-{release}",
    "fedora": "dnf install kernel-modules-{release}",
    "rhel": "dnf install kernel-modules-{release}",
    "suse": "zypper install kernel-default",
    "opensuse": "zypper install kernel-default",
    "arch": "pacman -S linux",
    "alpine": "apk add linux-lts",
}
"""What brings the modules of a kernel, by the ID of os-release(5)."""


def installation(module: str, machine: Machine) -> str:
    """What to type for a module."""
    # Where none of its modules are there, it is not a kernel that a package would belong to.
    for name in machine.distribution if machine.modules_there else ():
        if name in PACKAGES and machine.release:
            return f"{PACKAGES[name].format(release=machine.release)} && modprobe {module}"
    return f"modprobe {module}"


def in_user_namespace() -> Finding:
    """Whatever capabilities there are, they are not over the host."""
    return Finding(
        "user-namespace",
        "this process",
        NO_RIGHTS,
        OUTSIDE,
    )


def capability_missing(name: str) -> Finding:
    """This process lacks it."""
    return Finding(
        "capability-missing",
        "this process",
        f"the capability {name} is missing {CAPABILITY_USES.get(name, 'here')}",
        AS_ROOT,
    )


def _hardware(machine: Machine, use: Use, passes: bool) -> Iterator[Finding]:
    if not driver(use.driver).has_own_mac(use.options):
        return
    subject = f"parent {use.parent.name}"
    devices = use.parent.devices
    for device in devices:
        if device.wireless:
            yield Finding(
                "wifi",
                subject,
                f"{quoted(device.name)} is a radio, and access points drop frames with other MACs "
                "than its own",
                ipvlan_for(use),
            )
        if device.spoof_check is not None and not passes:
            yield _spoof(subject, device, device.spoof_check)
    guard = guard_of(machine)
    made_up = [one for one in devices if one.physical and not one.wireless]
    if guard is not None and guard.nics:
        made_up = [one for one in made_up if one.driver in ("", *guard.nics)]
    if guard is not None and not passes and made_up:
        name = made_up[0].name
        yield Finding(
            "hypervisor-filters-macs",
            subject,
            f"this machine says it runs on {guard.name}, which usually drops what {quoted(name)} "
            "sends with other MACs than its own",
            guard.allow or ipvlan_for(use),
        )


def _spoof(subject: str, device: Device, check: tuple[str, int]) -> Finding:
    above, number = check
    return Finding(
        "spoof-check",
        subject,
        f"{quoted(device.name)} is virtual function {number} of {quoted(above)}, which checks it "
        "for MACs that are not its own",
        f"ip link set {above} vf {number} spoofchk off trust on",
    )


def guard_of(machine: Machine) -> Guard | None:
    """The hypervisor or cloud that DMI names, if it filters MACs."""
    for guard in GUARDS:
        if (
            machine.vendor.startswith(guard.vendor)
            and machine.product.startswith(guard.product)
            and machine.asset_tag.startswith(guard.asset_tag)
            and machine.uuid.lower().startswith(guard.uuid)
        ):
            return guard
    return None


def _managers(use: Use) -> Iterator[Finding]:
    name = use.parent.name
    for manager, file in use.parent.managers:
        if manager == "networkd":
            drop_in = f"[Match]\\nName={name}\\n\\n[Link]\\nUnmanaged=yes\\n"
            path = f"/etc/systemd/network/00-macvnet-{name}.network"
            yield Finding(
                "networkd-interferes",
                f"link {name}",
                f"{quoted(file)} of systemd-networkd matches {quoted(name)}, which macvnet makes",
                f"printf '{drop_in}' > {path} && networkctl reload",
            )
        else:
            drop_in = f"[keyfile]\\nunmanaged-devices+=interface-name:{name}\\n"
            path = f"/etc/NetworkManager/conf.d/90-macvnet-{name}.conf"
            yield Finding(
                "networkmanager-interferes",
                f"link {name}",
                f"the profile {quoted(file)} of NetworkManager is for {quoted(name)}, which "
                "macvnet makes",
                f"printf '{drop_in}' > {path} && nmcli general reload",
            )
