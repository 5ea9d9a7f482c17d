"""The link of an endpoint inside its target: made, proved, configured, removed.

A link there is known by ifindex, kind and lower link, never by its name or alias
alone: root in the container may rename and replace at will.
"""

from __future__ import annotations

import errno
import time

from macvnet import chance
from macvnet.drivers import Driver
from macvnet.engine.context import Context
from macvnet.errors import Conflict, KernelRefused
from macvnet.kernel import addressing, links, nsid, sysctl
from macvnet.kernel.links import IFF_UP, LinkInfo
from macvnet.kernel.namespaces import entered
from macvnet.kernel.rtnetlink import NetlinkError, Rtnetlink
from macvnet.model import NO_IPV6, NULL, SLAAC, Assigned, Endpoint, Network
from macvnet.records import NamedTuple
from macvnet.runtimes import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

MAC_RELEASE_SECONDS = 2.0
"""How long a MAC of a namespace that died may stay taken (measured: 20 ms, more under load)."""
NAME_ATTEMPTS = 64
NAME_PREFIX = "eth"
MACVLAN = "macvlan"


class Inside(NamedTuple):
    """A target with a socket in its namespace."""

    target: Target
    netlink: Rtnetlink


def inside(ctx: Context, target: Target) -> Inside:
    """Open the target's rtnetlink; the caller closes it."""
    netlink = Rtnetlink(target.namespace, trace=ctx.trace, enter=target.enter)
    return Inside(target, netlink)


def tag(endpoint: Endpoint) -> str:
    """The alias of an endpoint's link: whose installation it is of, and which endpoint."""
    return f"macvnet:{endpoint.host_id[:12]}:{endpoint.id}"


def mark(endpoint: Endpoint) -> int:
    """The group of an endpoint's link until it has its tag: an alias cannot be given to what is
    being made, a group can. 31 bits, as many as there are in a group's number for ip.
    """
    return int(endpoint.id[:8], 16) >> 1 or 1


def make(
    ctx: Context,
    driver: Driver,
    network: Network,
    endpoint: Endpoint,
    parent: LinkInfo,
    wanted: str,
    at: Inside,
) -> tuple[int, str]:
    """Make the link straight in the target, down, with its mark; its ifindex and its name.

    It is called ``wanted``, else ethN with the lowest free number.
    """
    name = wanted or lowest_free_name(at)
    if not _add(ctx, driver, network, endpoint, parent, name, at):
        # On older kernels (6.1, not 6.18) so if a link here has that name. Not always in this
        # way: for a rename the kernel waits until nobody is reading the name, RCU's time.
        name = f"mv{endpoint.id[:12]}"
        _add(ctx, driver, network, endpoint, parent, name, at, alone=True)
        ifindex = _found(name, at)
        return ifindex, _renamed(ifindex, name, wanted, at)
    return _found(name, at), name


def _add(
    ctx: Context,
    driver: Driver,
    network: Network,
    endpoint: Endpoint,
    parent: LinkInfo,
    name: str,
    at: Inside,
    *,
    alone: bool = False,
) -> bool:
    """Add the link under a name; False where the name is taken, unless nobody else can have it."""
    request = links.add(
        driver.plan(network.link, endpoint.mac),
        name,
        lower=parent.ifindex,
        lower_name=parent.name,
        namespace_fd=at.target.namespace.fd,
        namespace_words=str(at.target.pid or at.target.owner.name),
        group=mark(endpoint),
    )
    try:
        ctx.netlink.change(request._replace(command=""))
    except NetlinkError as error:
        if error.errno == errno.EEXIST and not alone:
            return False
        from macvnet.engine import refusals

        ctx.netlink.tell(f"ip {request.command}")
        raise refusals.endpoint_refused(ctx, error, driver, network.link, parent, name) from None
    ctx.netlink.tell(f"ip {request.command}")
    return True


def _found(name: str, at: Inside) -> int:
    ifindex = at.netlink.ifindex(name)
    if ifindex is None:
        raise KernelRefused("", errno.ENODEV).during(f"find the link {name} just made")
    return ifindex


def _renamed(ifindex: int, now: str, wanted: str, at: Inside) -> str:
    for _ in range(NAME_ATTEMPTS):
        name = wanted or lowest_free_name(at)
        try:
            at.netlink.change(links.change(ifindex, now, ifname=name))
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise error.during(f"name the link {name}") from None
            if wanted:
                raise Conflict(
                    f"the target has an interface {name!r} already", "--ifname NAME"
                ) from None
        else:
            return name
    raise Conflict("the target's interface names change faster than one can be chosen", "try again")


def lowest_free_name(at: Inside, taken: Container[str] = ()) -> str:
    """ethN with the lowest number that no link of the target has, and that is not ``taken``."""
    number = 0
    while (name := f"{NAME_PREFIX}{number}") in taken or at.netlink.ifindex(name) is not None:
        number += 1
    return name


def wake(network: Network, endpoint: Endpoint, name: str, at: Inside) -> None:
    """Tag the link and set it up without an address: it speaks nothing but what is sent by hand.

    Its IPv6 is off, so that no router advertisement gives it an address meanwhile.
    """
    with entered(at.target.namespace):
        sysctl.write("ipv6", name, "disable_ipv6", "1", at.netlink.tell)
    _take_mac(endpoint, name, at)
    _set_up(network, endpoint, name, at)


def _take_mac(endpoint: Endpoint, name: str, at: Inside) -> None:
    """Passthru: the kernel ignores the MAC that was given when the link was made."""
    if not endpoint.parent_mac or endpoint.mac == endpoint.parent_mac:
        return
    try:
        at.netlink.change(links.change(endpoint.ifindex, name, address=endpoint.mac))
    except NetlinkError as error:
        raise error.during(f"give {name} in {at.target.owner} its MAC") from None


def configure(
    network: Network,
    endpoint: Endpoint,
    name: str,
    endpoint_sysctls: tuple[tuple[str, str, str], ...],
    at: Inside,
    *,
    awake: bool = False,
) -> None:
    """Give the link its MAC (passthru), sysctls and addresses, tag it, and set it up.

    ``awake``: it has its MAC and is up already, from ``wake``.
    """
    wants_ipv6, mode = network.ipv6, network.link.ipv6_mode
    with entered(at.target.namespace):
        if mode == SLAAC:
            from macvnet.engine import autoconf

            autoconf.prepare(network, endpoint, name, at)
        written = True
        # Without addresses of ours, what the link speaks is the user's affair.
        if wants_ipv6 or network.ipam_driver != NULL or mode == NO_IPV6:
            value = "0" if wants_ipv6 else "1"
            written = sysctl.write("ipv6", name, "disable_ipv6", value, at.netlink.tell)
        if wants_ipv6 and not written:
            raise KernelRefused(
                f"use IPv6 in {at.target.owner}",
                errno.EAFNOSUPPORT,
                "this kernel has no IPv6",
                "leave " + ("-o ipv6_mode=slaac out" if mode == SLAAC else "the IPv6 --subnet out"),
            )
        for family, key, value in endpoint_sysctls:
            if not sysctl.write(family, name, key, value, at.netlink.tell):
                raise KernelRefused(
                    f"set net.{family}.conf.{name}.{key}",
                    errno.ENOENT,
                    "the kernel has no such key",
                    f"ls /proc/sys/net/{family}/conf/{name}",
                )
    if not awake:
        _take_mac(endpoint, name, at)
    try:
        for assigned in endpoint.addresses:
            at.netlink.change(
                addressing.add_address(endpoint.ifindex, name, assigned.address, assigned.prefixlen)
            )
        for text in endpoint.link_local:
            extra = Assigned.link_local(text)
            at.netlink.change(
                addressing.add_address(
                    endpoint.ifindex,
                    name,
                    extra.address,
                    extra.prefixlen,
                    scope=addressing.RT_SCOPE_LINK,
                )
            )
    except NetlinkError as error:
        raise error.during(f"put an address on {name} in {at.target.owner}") from None
    if not awake:
        _set_up(network, endpoint, name, at)


def _set_up(network: Network, endpoint: Endpoint, name: str, at: Inside) -> None:
    deadline = time.monotonic() + MAC_RELEASE_SECONDS
    pause = 0.005
    while True:
        try:
            at.netlink.change(
                links.change(endpoint.ifindex, name, ifalias=tag(endpoint), group=0, flags=IFF_UP)
            )
        except NetlinkError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(pause)
                pause = min(pause * 2, 0.2)
                continue
            if error.errno == errno.EADDRINUSE:
                parent = network.parent.name if network.parent else "the parent"
                raise Conflict(
                    f"the MAC {endpoint.mac} is held by another macvlan on {parent}, in some "
                    "other namespace",
                    "--mac-address " + _another_mac(),
                ) from None
            raise error.during(f"set {name} up") from None
        else:
            return


def _another_mac() -> str:
    digits = chance.token(5)
    return "02:" + ":".join(digits[i : i + 2] for i in range(0, 10, 2))


def find(
    ctx: Context, driver: Driver, endpoint: Endpoint, at: Inside, parent: LinkInfo | None
) -> LinkInfo | None:
    """The endpoint's link if it is provably still that link, else None."""
    host_nsid = nsid.lookup(at.netlink, ctx.namespace)
    link = links.by_index(at.netlink, endpoint.ifindex) if endpoint.ifindex else None
    if link is None or link.kind not in driver.OWN_KINDS:
        return None
    right_lower = parent is None or link.lower == parent.ifindex
    right_side = link.lower_nsid is None or link.lower_nsid == host_nsid
    return link if right_lower and right_side else None


def remove(link: LinkInfo, at: Inside) -> None:
    """Remove the link; fine if it is gone already."""
    try:
        at.netlink.change(links.delete(link.ifindex, link.name))
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise error.during(f"remove {link.name}") from None


def remove_soon(ctx: Context, link: LinkInfo, at: Inside) -> None:
    """Remove the link, and go on when it is out of the target.

    The kernel lets whoever asked wait some 20 ms longer, until nobody can be
    using it any more; nothing that follows depends on that.
    """
    try:
        inside(ctx, at.target).netlink.change_soon(
            links.delete(link.ifindex, link.name), lambda: not at.netlink.has(link.ifindex)
        )
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise error.during(f"remove {link.name}") from None
    except OSError:
        # No process more can be had.
        remove(link, at)


def remove_tagged(driver: Driver, endpoint: Endpoint, at: Inside) -> None:
    """Undo: remove the link just made, tagged or only marked yet; fine if there is none."""
    for link in links.all_links(at.netlink):
        if link.kind in driver.OWN_KINDS and _is_tagged(link, endpoint):
            remove(link, at)


def _is_tagged(link: LinkInfo, endpoint: Endpoint) -> bool:
    """Whether it has the endpoint's mark or its tag: it is found so while it is made."""
    return link.group == mark(endpoint) or link.alias == tag(endpoint)


def find_by_nsid(ctx: Context, endpoint: Endpoint, number: int) -> LinkInfo | None:
    """The joined endpoint's link in the namespace with an nsid that others may have given.

    That may be another namespace by now, whose links have the same numbers: so
    it must have the endpoint's tag, or the MAC that nobody else has on its parent.
    """
    link = links.by_index(ctx.netlink, endpoint.ifindex, nsid=number) if endpoint.ifindex else None
    if link is None:
        return None
    has_mac = link.kind == MACVLAN and link.mac == endpoint.mac
    return link if has_mac or _is_tagged(link, endpoint) else None


def remove_by_nsid(ctx: Context, driver: Driver, endpoint: Endpoint) -> None:
    """Remove the link of an endpoint whose target no name leads to any more.

    The namespace may live on without a process or a file that macvnet knows;
    the nsid still reaches it. While an endpoint is only reserved its ifindex is
    not recorded: then the link is known by its mark or its tag.
    """
    number = endpoint.sandbox.nsid
    if number is None or not nsid.exists(ctx.netlink, number):
        return
    if endpoint.ifindex and not nsid.is_own(number) and not find_by_nsid(ctx, endpoint, number):
        return
    try:
        for link in links.all_links(ctx.netlink, nsid=number):
            known = link.ifindex == endpoint.ifindex or (
                not endpoint.ifindex and _is_tagged(link, endpoint)
            )
            if known and link.kind in driver.OWN_KINDS:
                ctx.netlink.change(links.delete(link.ifindex, link.name, nsid=number))
    except NetlinkError as error:
        # The namespace may die, and the link with it, while we look.
        if error.errno not in (errno.ENODEV, errno.EINVAL):
            raise error.during(f"remove the link of {endpoint.owner}") from None


def restore_parent_mac(ctx: Context, endpoint: Endpoint, parent: LinkInfo | None) -> None:
    """Passthru: the parent gets the MAC back that it had before."""
    if not endpoint.parent_mac or parent is None:
        return
    now = links.by_index(ctx.netlink, parent.ifindex)
    if now is not None and now.mac != endpoint.parent_mac:
        try:
            ctx.netlink.change(links.change(now.ifindex, now.name, address=endpoint.parent_mac))
        except NetlinkError as error:
            raise error.during(f"give {now.name} its MAC {endpoint.parent_mac} back") from None
