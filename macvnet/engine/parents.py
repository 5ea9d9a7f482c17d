"""Parents: what a network's parent is, what speaks against it, what of it macvnet makes.

Looks at the host's namespace and refuses; making and removing links is in
``engine.made_links``.
"""

from __future__ import annotations

from macvnet.addresses import IPV6, Address, Subnet
from macvnet.doctor import parents as causes
from macvnet.doctor.facts import Upper
from macvnet.doctor.findings import Finding
from macvnet.drivers import Driver
from macvnet.engine.context import Context
from macvnet.errors import Conflict, InvalidRequest, NotFound
from macvnet.kernel import addressing, links
from macvnet.kernel.addressing import AddressInfo, RouteInfo
from macvnet.kernel.constants import NAME_MAX, VLAN_8021Q
from macvnet.kernel.links import LinkInfo
from macvnet.model import LinkOptions
from macvnet.records import NamedTuple
from macvnet.text import nearest, quoted

VLAN_MIN, VLAN_MAX = 1, 4094
ALTNAME_MAX = 127
CABLES = ("veth", "netkit", "vxcan")
STACKED = ("macvlan", "macvtap", "ipvlan", "ipvtap")


class Prospect(NamedTuple):
    """A parent before a network is put on it.

    ``name`` is the effective parent's. ``link`` is None where it has to be made:
    a sub-interface ``vlan_id`` on ``lower``, or (``lower`` None) a dummy.
    """

    name: str
    requested: str
    link: LinkInfo | None
    lower: LinkInfo | None = None
    vlan_id: int = 0
    addresses: tuple[AddressInfo, ...] = ()
    routes: tuple[RouteInfo, ...] = ()
    uppers: tuple[LinkInfo, ...] = ()
    master: str = ""

    @property
    def mtu(self) -> int:
        """The parent's MTU in bytes; 0 where it is not known yet."""
        found = self.link or self.lower
        return found.mtu if found else 0

    def own_subnets(self) -> list[tuple[Subnet, Address | None]]:
        """The host's subnets on this parent, each with the default gateway in it or None."""
        gateways = [route.gateway for route in self.routes if route.destination is None]
        found: list[tuple[Subnet, Address | None]] = []
        for info in self.addresses:
            mask = (1 << ((32 if info.address.family == 4 else 128) - info.prefixlen)) - 1
            subnet = Subnet(info.address.family, info.address.value & ~mask, info.prefixlen)
            if info.scope == addressing.RT_SCOPE_UNIVERSE and subnet not in [s for s, _ in found]:
                found.append((subnet, next((g for g in gateways if g and subnet.holds(g)), None)))
        return found


def look(ctx: Context, driver: Driver, options: LinkOptions, network_id: str) -> Prospect:
    """What ``-o parent`` names; raises where it cannot be a parent."""
    requested = options.parent
    if not requested:
        return Prospect(driver.DUMMY_PREFIX + network_id[:12], "", None)
    every = links.all_links(ctx.netlink)
    link = _find(every, requested)
    if link is None:
        return _to_be_made(every, requested)
    effective = _effective(ctx, every, link)
    if effective.loopback:
        found = causes.loopback(requested, _parent_hint(every))
        raise InvalidRequest(found.evidence, found.fix)
    return Prospect(
        effective.name,
        requested,
        effective,
        addresses=tuple(
            a for a in addressing.all_addresses(ctx.netlink) if a.ifindex == effective.ifindex
        ),
        routes=tuple(
            r
            for r in addressing.all_routes(ctx.netlink, every_table=True)
            if r.ifindex == effective.ifindex
        ),
        uppers=tuple(uppers_of(every, effective.ifindex)),
        master=next((m.name for m in every if m.ifindex == effective.master), ""),
    )


def uppers_of(every: list[LinkInfo], ifindex: int) -> list[LinkInfo]:
    """The links of this namespace whose lower link is ``ifindex``.

    The two ends of a cable name each other in the same attribute; neither is on the other.
    """
    return [
        other
        for other in every
        if other.lower == ifindex
        and other.lower_nsid is None
        and other.ifindex != ifindex
        and other.kind not in CABLES
    ]


def _find(every: list[LinkInfo], name: str) -> LinkInfo | None:
    by_name = next((link for link in every if link.name == name), None)
    return by_name or next((link for link in every if name in link.altnames), None)


def _effective(ctx: Context, every: list[LinkInfo], link: LinkInfo) -> LinkInfo:
    """The kernel puts a macvlan on a macvlan onto the lower link; so do we, and say so."""
    if link.kind not in STACKED or link.lower_nsid is not None:
        return link
    lower = next((other for other in every if other.ifindex == link.lower), None)
    if lower is None:
        return link
    ctx.note(
        f"{quoted(link.name)} is a {link.kind} itself: the parent is its lower link {lower.name}"
    )
    return lower


def _parent_hint(every: list[LinkInfo], wrong: str = "") -> str:
    usable = [link.name for link in every if not link.loopback and link.kind not in STACKED]
    guess = nearest(wrong, usable) if wrong else None
    guess = guess or next((link.name for link in every if link.carrier and link.name in usable), "")
    return f"-o parent={guess or (usable[0] if usable else 'eth0')}"


def _to_be_made(every: list[LinkInfo], requested: str) -> Prospect:
    """``NAME.VID``, split at the last dot, where no link of that name exists."""
    base, dot, digits = requested.rpartition(".")
    lower = _find(every, base) if dot and base else None
    if lower is None:
        what = f"the parent {quoted(requested)} was not found on this host"
        if dot and base:
            what += f", and neither was {quoted(base)} to make a sub-interface on"
        raise NotFound(what, _parent_hint(every, base or requested))
    vlan_id = read_vlan_id(base, digits)
    if lower.loopback:
        raise InvalidRequest(
            f"the loopback interface {quoted(base)} cannot carry a VLAN", _parent_hint(every)
        )
    if lower.kind == "vlan":
        raise InvalidRequest(
            f"{quoted(base)} is a VLAN sub-interface itself, and VLANs in VLANs are not supported",
            _parent_hint(every, base.rpartition(".")[0]),
        )
    if len(f"{lower.name}.{vlan_id}") > NAME_MAX or len(requested) > NAME_MAX:
        raise InvalidRequest(
            f"the sub-interface name {quoted(requested)} is longer than {NAME_MAX} bytes",
            f"ip link add link {base} name vlan{vlan_id} type vlan id {vlan_id} && "
            f"ip link set vlan{vlan_id} up, then -o parent=vlan{vlan_id}",
        )
    refuse_present_vlan(every, lower, vlan_id)
    if not lower.up:
        raise conflict(causes.lower_down(lower))
    return Prospect(f"{lower.name}.{vlan_id}", requested, None, lower, vlan_id)


def refuse_present_vlan(every: list[LinkInfo], lower: LinkInfo, vlan_id: int) -> None:
    """Conflict where a sub-interface of ``lower`` has that VLAN already, naming it."""
    for other in uppers_of(every, lower.ifindex):
        same = other.kind == "vlan" and other.vlan_id == vlan_id
        if same and other.vlan_protocol == VLAN_8021Q:
            raise conflict(causes.vlan_present(vlan_id, lower.name, other.name))


def read_vlan_id(base: str, digits: str) -> int:
    """A canonical VLAN ID; the hint has the corrected one."""
    number = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else -1
    if VLAN_MIN <= number <= VLAN_MAX:
        if str(number) == digits:
            return number
        raise InvalidRequest(
            f"VLAN ID {quoted(digits)} is not written canonically", f"-o parent={base}.{number}"
        )
    corrected = min(max(number, VLAN_MIN), VLAN_MAX) if number >= 0 else 10
    raise InvalidRequest(
        f"VLAN ID {quoted(digits)} is not a number from {VLAN_MIN} to {VLAN_MAX}",
        f"-o parent={base}.{corrected}",
    )


def judge(driver: Driver, options: LinkOptions, prospect: Prospect) -> None:
    """Refuse what the kernel would refuse later, or what would cut the host off."""
    carrier = prospect.link or prospect.lower
    above = causes.mtu_above(options.mtu, carrier) if carrier else None
    if above is not None:
        raise InvalidRequest(above.evidence, above.fix)
    link = prospect.link
    if link is None:
        return
    found = causes.port(link, prospect.master)
    if found is not None:
        raise conflict(found)
    for cause in causes.occupied(driver, options, link, [Upper(one) for one in prospect.uppers]):
        raise conflict(cause)
    if driver.exclusive(options) and not options.passthru_force:
        _judge_passthru(link, prospect)


def conflict(found: Finding) -> Conflict:
    """The refusal that a cause is the reason for."""
    return Conflict(found.evidence, found.fix)


def _judge_passthru(link: LinkInfo, prospect: Prospect) -> None:
    reason = ""
    addresses = [address for address in prospect.addresses if not link_local(address)]
    routes = [r for r in prospect.routes if not _link_local(r)]
    if addresses:
        reason = f"has the address {addresses[0].address}"
    elif routes:
        reason = f"has the route {routes[0].words}"
    elif prospect.uppers:
        reason = f"carries the link {quoted(prospect.uppers[0].name)}"
    if reason:
        raise Conflict(
            f"mode passthru would cut the host off from the LAN: the parent {link.name} {reason}",
            "-o macvlan_mode=bridge, or -o passthru_force=true if you are sure",
        )


def link_local(info: AddressInfo) -> bool:
    """The kernel's own IPv6 address on every interface; an IPv4 one is always somebody's."""
    return info.address.family == IPV6 and info.scope == addressing.RT_SCOPE_LINK


def _link_local(route: RouteInfo) -> bool:
    """The kernel's own IPv6 routes on every interface: fe80::/64 and multicast."""
    if route.family != IPV6 or route.destination is None:
        return False
    return route.destination.value >> 118 == 0xFE80 >> 6 or route.destination.value >> 120 == 0xFF


def in_use_by(route: RouteInfo) -> bool:
    """Whether a route means that somebody uses the link it goes out of."""
    return not _link_local(route)
