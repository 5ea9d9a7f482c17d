"""IPv6 that is not macvnet's to give out: ``-o ipv6_mode=slaac`` and ``none``, ``--ip6-token``.

With ``slaac`` an endpoint makes its addresses of what a router on the LAN advertises
(RFC 4862): macvnet tells the link in the target to do so, and holds no lease. What it
then has is looked up, never recorded. Knows nothing of networks that are ``static``.
"""

from __future__ import annotations

from collections.abc import Sequence

from macvnet import rules
from macvnet.addresses import IPV6, Address
from macvnet.digest import sha256
from macvnet.drivers import Driver
from macvnet.drivers import driver as driver_of
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.requests import SYSCTLS_OPTION, endpoint_sysctls
from macvnet.errors import InvalidRequest
from macvnet.kernel import sysctl, tokens
from macvnet.kernel.links import LinkInfo
from macvnet.kernel.namespaces import entered
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import SLAAC, STATIC, Endpoint, Network
from macvnet.text import quoted

ANYCAST = range(0xFDFFFFFFFFFFFF80, 0xFDFFFFFFFFFFFFFF + 1)
"""Suffixes that no machine may have for itself (RFC 5453); 0 is the routers' too (RFC 4291)."""
EUI64, STABLE = "0", "2"
"""addr_gen_mode: suffixes made of the MAC, or of a secret and the prefix (RFC 7217)."""


# -- asked for -------------------------------------------------------------


def judge(kind: Driver, network: Network, subnets: Sequence[str], wish: bool | None) -> None:
    """InvalidRequest where ``-o ipv6_mode`` and the rest of the request contradict each other.

    ``subnets`` are the texts of ``--subnet``; ``wish`` is ``--ipv6``, None where not given.
    """
    mode = network.link.ipv6_mode
    slaac = mode == SLAAC
    for subnet in subnets:
        if ":" in subnet:
            why = "addresses are of the prefix that the router advertises" if slaac else "is none"
            raise InvalidRequest(
                f"with -o ipv6_mode={mode} IPv6 {why}, so subnet {quoted(subnet)} has no use",
                f"leave --subnet {quoted(subnet)} out, or -o ipv6_mode={STATIC}",
            )
    if wish is not None and wish != slaac:
        raise InvalidRequest(
            f"--ipv6={str(wish).lower()} and -o ipv6_mode={mode} contradict each other",
            "leave --ipv6 out",
        )
    if slaac and kind.routes_on_link(network.link):
        raise InvalidRequest(
            f"no router advertisement reaches an endpoint in {kind.NAME} mode {network.link.mode}, "
            "where the host routes",
            "-o ipvlan_mode=l2, or an IPv6 --subnet",
        )
    if slaac and not network.link.parent:
        raise InvalidRequest(
            f"-o ipv6_mode={SLAAC} needs a router that advertises, and without -o parent there "
            "is none",
            f"-o parent=eth0, or -o ipv6_mode={STATIC}",
        )


def judge_token(network: Network, text: str) -> str:
    """``--ip6-token`` in one spelling; InvalidRequest where it can be none of this network's."""
    try:
        address = Address.parse(text.strip())
    except ValueError:
        address = None
    if address is None or address.family != IPV6:
        raise InvalidRequest(
            f"--ip6-token {quoted(text)} is not the lower half of an IPv6 address",
            "--ip6-token ::5",
        )
    suffix = address.value & rules.SUFFIX
    token = rules.token_text(address)
    if network.link.ipv6_mode != SLAAC:
        pool = next((pool for pool in network.pools if pool.family == IPV6), None)
        raise InvalidRequest(
            f"the IPv6 addresses of network {network.name!r} are not made of a router's prefix, so "
            f"--ip6-token {quoted(text)} has no use",
            f"--ip6 {Address(IPV6, pool.subnet.first | suffix)}"
            if pool and pool.subnet.prefixlen <= 64
            else "leave --ip6-token out",
        )
    if address.value != suffix:
        raise InvalidRequest(
            f"--ip6-token {address} is more than the lower half of an address, and the upper one "
            "is the router's to say",
            f"--ip6-token {token}" if suffix else "--ip6-token ::5",
        )
    if not suffix or suffix in ANYCAST:
        raise InvalidRequest(
            f"--ip6-token {token} is reserved for what several machines share",
            "--ip6-token ::5",
        )
    return token


# -- done ------------------------------------------------------------------


def settings(network: Network, endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """The sysctls of the link, net.ipv6.conf.IFNAME.KEY, in the order of writing.

    IPv6 is switched on last: from then on the kernel asks for routers.
    """
    if network.link.ipv6_mode != SLAAC:
        return (("disable_ipv6", "1"),)
    no_default = network.internal or endpoint.routing.no_default
    found = [
        # 2: also where the target forwards, which routers do, and containers that have some inside.
        ("accept_ra", "2"),
        ("autoconf", "1"),
        ("accept_ra_pinfo", "1"),
        ("accept_ra_defrtr", "0" if no_default else "1"),
        ("router_solicitations", "-1"),
        # Others are to find it: no address that changes by the day (RFC 8981).
        ("use_tempaddr", "0"),
    ]
    if network.internal:
        found.append(("accept_ra_rt_info_max_plen", "0"))
    if endpoint.routing.metric:
        found.append(("ra_defrtr_metric", str(endpoint.routing.metric)))
    if driver_of(network.driver).announces_from_parent(network.link):
        # Endpoints that share the parent's MAC would get their suffixes by the order of joining.
        found += [("stable_secret", secret(network, endpoint)), ("addr_gen_mode", STABLE)]
    else:
        found.append(("addr_gen_mode", EUI64))
    return (*found, ("disable_ipv6", "0"))


def secret(network: Network, endpoint: Endpoint) -> str:
    """What the suffixes of an endpoint are made of: the same whenever its owner comes back."""
    owner = str(endpoint.owner) if endpoint.owner.returns else endpoint.id
    text = "\0".join((endpoint.host_id, network.name, owner, "ipv6"))
    digits = sha256(text.encode()).hexdigest()
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))


def prepare(network: Network, endpoint: Endpoint, name: str, at: Inside) -> None:
    """Tell the link how to make its addresses, before its IPv6 is switched on.

    The caller has entered the target's namespace, and switches it on.
    """
    for key, value in settings(network, endpoint)[:-1]:
        if not sysctl.write("ipv6", name, key, value, at.netlink.tell) and key == "accept_ra":
            return  # a kernel without IPv6: the caller finds out too
    if endpoint.ip6_token:
        _give_token(endpoint, name, at)


def _give_token(endpoint: Endpoint, name: str, at: Inside) -> None:
    token = endpoint.ip6_token
    try:
        at.netlink.change(tokens.set_token(endpoint.ifindex, name, token))
    except NetlinkError as error:
        raise error.during(f"give {name} in {at.target.owner} the token {token}") from None


# -- looked at, mended -----------------------------------------------------


def changed(network: Network, endpoint: Endpoint, link: LinkInfo, at: Inside) -> list[str]:
    """Which of the link's sysctls have other values than macvnet gave them: a sentence each."""
    found = []
    with entered(at.target.namespace):
        for key, value in _given(network, endpoint):
            now = sysctl.read("ipv6", link.name, key)
            if now is not None and now != value:
                shown = "another than it was" if key == "stable_secret" else f"{now}, not {value}"
                found.append(f"net.ipv6.conf.{link.name}.{key} is {shown}")
    return found


def _given(network: Network, endpoint: Endpoint) -> list[tuple[str, str]]:
    """The sysctls as they were set: what --driver-opt says of one of them came after."""
    asked = endpoint_sysctls(endpoint.driver_options.get(SYSCTLS_OPTION, ""))
    own = {key: value for family, key, value in asked if family == "ipv6"}
    return [(key, own.get(key, value)) for key, value in settings(network, endpoint)]


def lost_token(endpoint: Endpoint, link: LinkInfo, at: Inside) -> bool:
    """Whether the link has another token than the endpoint's."""
    if not endpoint.ip6_token:
        return False
    return tokens.token_of(at.netlink, link.ifindex) != Address.parse(endpoint.ip6_token)


def mend(network: Network, endpoint: Endpoint, link: LinkInfo, at: Inside) -> None:
    """Give the link its sysctls and its token again."""
    *before, last = _given(network, endpoint)
    with entered(at.target.namespace):
        for key, value in before:
            sysctl.write("ipv6", link.name, key, value, at.netlink.tell)
    if lost_token(endpoint, link, at):
        _give_token(endpoint._replace(ifindex=link.ifindex), link.name, at)
    with entered(at.target.namespace):
        sysctl.write("ipv6", link.name, *last, at.netlink.tell)
