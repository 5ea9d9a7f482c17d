"""The frozen values that causes are looked for in. Gathering them is ``engine.observing``'s.

Nothing here reads anything, so every cause can be shown to every value.
"""

from __future__ import annotations

from macvnet.addresses import Address, Subnet
from macvnet.kernel.links import LinkInfo
from macvnet.model import LinkOptions, Pool
from macvnet.records import NamedTuple
from macvnet.surroundings.machine import Machine


class Upper(NamedTuple):
    """A link on a parent. ``nsid`` None: in the host's namespace.

    ``endpoint`` is the ID of macvnet's endpoint that its tag names, "" where it has none.
    """

    link: LinkInfo
    nsid: int | None = None
    endpoint: str = ""

    @property
    def where(self) -> str:
        return "" if self.nsid is None else f" in the namespace with nsid {self.nsid}"


class Device(NamedTuple):
    """What sysfs says of the hardware that frames of a parent leave by.

    ``physical``: there is hardware, real or a hypervisor's; ``driver`` is the kernel's for
    it, or "". ``spoof_check`` names
    the physical function that checks the MACs of this virtual function, with its
    number there; None where nobody does, or nobody can tell.
    """

    name: str
    physical: bool = False
    wireless: bool = False
    spoof_check: tuple[str, int] | None = None
    driver: str = ""


class Parent(NamedTuple):
    """A parent as it is. ``link`` is None where it is missing.

    A sub-interface that is missing, or there, has ``vlan_id`` and ``lower``;
    ``same_vlan`` is the link that has that VLAN under another name. ``made``:
    it is one that macvnet makes. ``subnets`` are the host's own on it, each with
    the default gateway in it or None. ``managers`` has the programs that may
    configure it, each with the file that says so. ``instead`` is the link that the
    host's default route leaves by, or "".
    """

    name: str
    link: LinkInfo | None = None
    master: str = ""
    lower: LinkInfo | None = None
    vlan_id: int = 0
    same_vlan: str = ""
    made: bool = False
    uppers: tuple[Upper, ...] = ()
    subnets: tuple[tuple[Subnet, Address | None], ...] = ()
    devices: tuple[Device, ...] = ()
    managers: tuple[tuple[str, str], ...] = ()
    instead: str = ""


class Member(NamedTuple):
    """An endpoint as recorded, of what is compared here. ``nsid`` is its sandbox's, or None."""

    id: str
    owner: str
    mac: str
    nsid: int | None = None


class Use(NamedTuple):
    """A parent as a network uses it; ``network`` "" for one that no network is named for.

    Such a use is a network that could be: its driver is that of the links on the parent.
    ``shim`` is that of a network with host access, "" without, and ``arp_ignore`` what is
    in force on it. ``isolated``: there is no way out, and none is missed.
    """

    network: str
    driver: str
    options: LinkOptions
    pools: tuple[Pool, ...]
    parent: Parent
    members: tuple[Member, ...] = ()
    shim: str = ""
    arp_ignore: int = 0
    isolated: bool = False

    @property
    def subject(self) -> str:
        return f"network {self.network}" if self.network else f"parent {self.parent.name}"


class TargetLink(NamedTuple):
    """A link in a target with an address of a network, and the sysctls in force on it.

    ``rivals`` are other links of the target with an address in a subnet of the
    network; ``default_by`` the link that the IPv4 default route goes out of.
    ``asks``: it speaks ARP, for IPv4 addresses of its own. ``answers``: what comes from
    outside of the network is to be answered, and by no policy routes. ``heard``: who
    has answered on it.
    """

    name: str
    network: str
    ipv6: bool
    asks: bool
    ipv6_disabled: bool = False
    arp_ignore: int = 0
    arp_filter: int = 0
    rp_filter: int = 0
    rivals: tuple[str, ...] = ()
    default_by: str = ""
    answers: bool = True
    heard: tuple[Address, ...] = ()


class Target(NamedTuple):
    """A target looked into. ``enter`` is what stands before a command to run it there."""

    owner: str
    enter: str
    lo_up: bool
    links: tuple[TargetLink, ...] = ()


class Gateway(NamedTuple):
    """A gateway that was asked for on behalf of a use: who answered whom, as MACs.

    ``by_endpoint`` and ``by_parent`` are None where nobody could ask from there.
    ``below`` is whether the gateway of the link below the VLAN answered (None: not
    asked); ``active``: the endpoint was a throw-away macvlan.
    """

    subject: str
    address: Address
    parent: str
    driver: str
    by_endpoint: tuple[str, ...] | None = None
    by_parent: tuple[str, ...] | None = None
    vlan_id: int = 0
    lower: str = ""
    below: bool | None = None
    active: bool = False

    @property
    def macs(self) -> tuple[str, ...]:
        """Every MAC that answered, each once."""
        return tuple(dict.fromkeys([*(self.by_endpoint or ()), *(self.by_parent or ())]))

    @property
    def asked(self) -> bool:
        return self.by_endpoint is not None or self.by_parent is not None


class Routers(NamedTuple):
    """Who answered that a use asked for routers: a MAC, and the prefixes to make addresses of."""

    subject: str
    parent: str
    heard: tuple[tuple[str, tuple[Subnet, ...]], ...]


class Facts(NamedTuple):
    """Everything that one look saw. ``asked``: the gateways were to be asked."""

    machine: Machine = Machine()
    uses: tuple[Use, ...] = ()
    targets: tuple[Target, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    routers: tuple[Routers, ...] = ()
    asked: bool = True
