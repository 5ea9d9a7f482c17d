"""Looking at parents and into targets, for whoever looks for causes. Changes nothing.

Links of other namespaces are seen where these have a number here, as those of all
targets of macvnet's have.
"""

from __future__ import annotations

from functools import cached_property

from macvnet.addresses import IPV4
from macvnet.doctor.facts import Device, Member, Parent, Target, TargetLink, Upper, Use
from macvnet.drivers import driver
from macvnet.engine import endpoint_link, lookup, parents
from macvnet.engine.context import Context
from macvnet.engine.parents import STACKED, Prospect, uppers_of
from macvnet.errors import KernelRefused, MacvnetError
from macvnet.kernel import addressing, links, neighbours, nsid, sysctl, virtual_functions
from macvnet.kernel.constants import VLAN_8021Q
from macvnet.kernel.links import LinkInfo
from macvnet.kernel.namespaces import Namespace, entered
from macvnet.model import DEFAULT_SEGMENT, Endpoint, LinkOptions, Network
from macvnet.runtimes import Target as OpenTarget
from macvnet.surroundings import devices, managers

GATHERING = ("bond", "bridge", "team")
"""Kinds whose hardware is that of their ports."""
HOST_PROCESS = "/proc/1/ns/net"


class Observer:
    """One look at the host. ``root`` is where /sys and the like are; whatever is seen is kept."""

    def __init__(self, ctx: Context, root: str = "/") -> None:
        self._ctx = ctx
        self._root = root

    @cached_property
    def every(self) -> list[LinkInfo]:
        """The links of the host's namespace."""
        return links.all_links(self._ctx.netlink)

    @cached_property
    def addresses(self) -> list[addressing.AddressInfo]:
        return addressing.all_addresses(self._ctx.netlink)

    @cached_property
    def routes(self) -> list[addressing.RouteInfo]:
        return addressing.all_routes(self._ctx.netlink, every_table=True)

    @cached_property
    def elsewhere(self) -> list[Upper]:
        """macvlans and ipvlans in numbered namespaces, whose lower link is in this one."""
        own = nsid.lookup(self._ctx.netlink, self._ctx.namespace)
        found = []
        for number in nsid.numbers(self._ctx.netlink):
            if number == own:
                continue
            try:
                inside = links.all_links(self._ctx.netlink, nsid=number)
            except KernelRefused:
                continue  # it died
            found += [
                self._upper(link, number)
                for link in inside
                if link.kind in STACKED and link.lower_nsid in (own, -1)
            ]
        return found

    def _upper(self, link: LinkInfo, number: int | None = None) -> Upper:
        installation = self._ctx.installation
        prefix = f"macvnet:{installation[:12]}:"
        tagged = bool(installation) and link.alias.startswith(prefix)
        return Upper(link, number, link.alias[len(prefix) :] if tagged else "")

    def link(self, name: str) -> LinkInfo | None:
        """The link with that name or alternative name."""
        named = (link for link in self.every if link.name == name)
        other = (link for link in self.every if name in link.altnames)
        return next(named, None) or next(other, None)

    def named(self, name: str) -> Parent:
        """The parent of that name: there, a VLAN that could be made, or missing."""
        link = self.link(name)
        if link is not None:
            return self.of_link(link)
        base, dot, digits = name.rpartition(".")
        lower = self.link(base) if dot else None
        made = lookup.made_link(self._ctx.reader, name) is not None
        if lower is None:
            return Parent(name, made=made)
        vlan_id = parents.read_vlan_id(base, digits)
        return Parent(
            name,
            lower=lower,
            vlan_id=vlan_id,
            same_vlan=self._vlan_on(lower, vlan_id),
            made=made,
            devices=self._devices(lower),
            instead=self._instead() if lower.loopback else "",
        )

    def _instead(self) -> str:
        """The link that the default route leaves by, or "" where there is none."""
        defaults = sorted((r for r in self.routes if r.destination is None), key=lambda r: r.metric)
        names = {link.ifindex: link.name for link in self.every}
        return names.get(defaults[0].ifindex, "") if defaults else ""

    def of_link(self, link: LinkInfo) -> Parent:
        """A parent that is there; a macvlan's is its lower link, as for the kernel."""
        if link.kind in STACKED and link.lower_nsid is None:
            link = next((one for one in self.every if one.ifindex == link.lower), link)
        lower = None
        if link.kind == "vlan" and link.lower_nsid is None:
            lower = next((one for one in self.every if one.ifindex == link.lower), None)
        made = lookup.made_link(self._ctx.reader, link.name) is not None
        return Parent(
            link.name,
            link,
            master=next((one.name for one in self.every if one.ifindex == link.master), ""),
            lower=lower,
            vlan_id=link.vlan_id or 0,
            made=made,
            uppers=self._uppers(link),
            subnets=tuple(self._prospect(link).own_subnets()),
            devices=self._devices(lower or link),
            managers=self._managers(link) if made else (),
            instead=self._instead() if link.loopback else "",
        )

    def _vlan_on(self, lower: LinkInfo, vlan_id: int) -> str:
        same = (
            one.name
            for one in uppers_of(self.every, lower.ifindex)
            if (one.kind, one.vlan_id, one.vlan_protocol) == ("vlan", vlan_id, VLAN_8021Q)
        )
        return next(same, "")

    def _uppers(self, link: LinkInfo) -> tuple[Upper, ...]:
        here = [self._upper(one) for one in uppers_of(self.every, link.ifindex)]
        return (*here, *(one for one in self.elsewhere if one.link.lower == link.ifindex))

    def _prospect(self, link: LinkInfo) -> Prospect:
        return Prospect(
            link.name,
            link.name,
            link,
            addresses=tuple(a for a in self.addresses if a.ifindex == link.ifindex),
            routes=tuple(r for r in self.routes if r.ifindex == link.ifindex),
        )

    def _devices(self, link: LinkInfo) -> tuple[Device, ...]:
        """The hardware of a link, or of the ports of a bond or bridge."""
        chosen = [link]
        if link.kind in GATHERING:
            chosen = [one for one in self.every if one.master == link.ifindex]
        found = []
        for one in chosen:
            macs = (one.mac, one.permanent_mac)
            seen = devices.look(self._root, one.name, one.ifindex, macs)
            check = None
            if seen.physical_function is not None:
                above, number = seen.physical_function
                physical = self.link(above)
                if physical is not None:
                    checks = virtual_functions.spoof_checks(self._ctx.netlink, physical.ifindex)
                    check = (above, number) if checks.get(number) else None
            found.append(Device(one.name, seen.physical, seen.wireless, check, seen.driver))
        return tuple(found)

    def _managers(self, link: LinkInfo) -> tuple[tuple[str, str], ...]:
        """Only those of the namespace that the machine's first process is in."""
        try:
            with Namespace.open(HOST_PROCESS) as first:
                same = first.same_as(self._ctx.namespace)
        except MacvnetError:  # not ours to see
            return ()
        if not same:
            return ()
        lower = next((one.name for one in self.every if one.ifindex == link.lower), "")
        place = managers.Place(link.name, link.kind, link.mac, lower, link.vlan_id or 0)
        return managers.look(self._root, place)


def use_of(network: Network, parent: Parent, endpoints: list[Endpoint]) -> Use:
    """A network as it uses its parent."""
    members = tuple(Member(e.id, str(e.owner), e.mac, e.sandbox.nsid) for e in endpoints)
    return Use(
        network.name,
        network.driver,
        network.link,
        network.pools,
        parent,
        members,
        shim=network.shim,
        arp_ignore=_sysctl("ipv4", network.shim, "arp_ignore") if network.shim else 0,
        isolated=network.isolated,
    )


def use_without_network(parent: Parent) -> Use:
    """What a network on a parent would be: with the driver of the links that are there."""
    of_ipvlan = [u.link for u in parent.uppers if u.link.kind in driver("ipvlan").OWN_KINDS]
    if of_ipvlan:
        first = of_ipvlan[0]
        options = LinkOptions(parent=parent.name, mode=first.mode, flag=first.flag)
        return Use("", "ipvlan", options, (), parent)
    options = LinkOptions(parent=parent.name, mode="bridge", segment=DEFAULT_SEGMENT)
    return Use("", "macvlan", options, (), parent)


def target_of(ctx: Context, opened: OpenTarget, joined: list[tuple[Network, Endpoint]]) -> Target:
    """What is inside an open target, with the links of ``joined`` that are there."""
    at = endpoint_link.inside(ctx, opened)
    with at.netlink:
        every = links.all_links(at.netlink)
        lo = next((link for link in every if link.loopback), None)
        present = [
            (network, endpoint, link)
            for network, endpoint in joined
            if (link := endpoint_link.find(ctx, driver(network.driver), endpoint, at, None))
        ]
        addresses = addressing.all_addresses(at.netlink)
        routes = addressing.all_routes(at.netlink, (IPV4,))
    names = {link.ifindex: link.name for link in every}
    defaults = sorted((r for r in routes if r.destination is None), key=lambda r: r.metric)
    default_by = names.get(defaults[0].ifindex, "") if defaults else ""
    with entered(opened.namespace):
        found = [
            _target_link(network, endpoint, link)._replace(
                rivals=_rivals(network, link, addresses, names),
                default_by=default_by,
                heard=neighbours.heard(link.name),
            )
            for network, endpoint, link in present
        ]
    return Target(str(opened.owner), opened.enter, lo is not None and lo.up, tuple(found))


def _rivals(
    network: Network,
    link: LinkInfo,
    addresses: list[addressing.AddressInfo],
    names: dict[int, str],
) -> tuple[str, ...]:
    subnets = [pool.subnet for pool in network.pools if pool.family == IPV4]
    found = (
        names.get(info.ifindex, "")
        for info in addresses
        if info.ifindex != link.ifindex and any(subnet.holds(info.address) for subnet in subnets)
    )
    return tuple(dict.fromkeys(name for name in found if name))


def _target_link(network: Network, endpoint: Endpoint, link: LinkInfo) -> TargetLink:
    """The link and the sysctls in force on it, read in the namespace that this thread is in."""
    speaks = any(pool.family == IPV4 for pool in network.pools)
    resolves = driver(network.driver).announces_from_parent(network.link) is not None
    return TargetLink(
        link.name,
        network.name,
        network.ipv6,
        speaks and resolves,
        sysctl.read("ipv6", link.name, "disable_ipv6") == "1",
        _sysctl("ipv4", link.name, "arp_ignore"),
        _sysctl("ipv4", link.name, "arp_filter"),
        _sysctl("ipv4", link.name, "rp_filter"),
        answers=speaks and not (network.isolated or endpoint.routing.policy),
    )


def _sysctl(family: str, name: str, key: str) -> int:
    """What is in force on a link: the higher one of its own and of ``all``."""
    values = [sysctl.read(family, each, key) or "0" for each in ("all", name)]
    return max(int(value) for value in values if value.lstrip("-").isdecimal())
