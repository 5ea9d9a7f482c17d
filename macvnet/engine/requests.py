"""What ``connect`` asks for, judged: texts become values, or a refusal."""

from __future__ import annotations

from macvnet import rules
from macvnet.addresses import IPV4, IPV6, Address
from macvnet.drivers import Driver
from macvnet.errors import InvalidRequest
from macvnet.model import (
    NO_IPV6,
    NULL,
    PLAIN,
    SLAAC,
    Assigned,
    EndpointRequest,
    Network,
    Routing,
)
from macvnet.records import NamedTuple
from macvnet.text import nearest, quoted

IFNAME_OPTION = "com.docker.network.endpoint.ifname"
SYSCTLS_OPTION = "com.docker.network.endpoint.sysctls"
FAMILIES = ("ipv4", "ipv6", "mpls")
FLAGS = {IPV4: "--ip", IPV6: "--ip6"}


class Wanted(NamedTuple):
    """A judged request: addresses by family (absent: choose), MAC and name ("": choose)."""

    request: EndpointRequest
    addresses: dict[int, Address]
    mac: str
    ifname: str
    sysctls: tuple[tuple[str, str, str], ...]
    driver_options: dict[str, str]
    routing: Routing = PLAIN
    ip6_token: str = ""
    rate: int = 0


def judge(network: Network, driver: Driver, request: EndpointRequest) -> Wanted:
    """InvalidRequest where the request cannot be met by this network at all."""
    if network.config_only:
        raise InvalidRequest(
            f"network {network.name!r} is configuration only, nothing can be attached to it",
            f"macvnet create --config-from {network.name} NAME",
        )
    options = rules.split_pairs(request.driver_options, "--driver-opt", bare=False)
    for key in options:
        if key not in (IFNAME_OPTION, SYSCTLS_OPTION):
            guess = nearest(key, (IFNAME_OPTION, SYSCTLS_OPTION)) or IFNAME_OPTION
            raise InvalidRequest(
                f"there is no endpoint option {quoted(key)}", f"--driver-opt {guess}=..."
            )
    ifname = request.ifname or options.get(IFNAME_OPTION, "")
    if ifname:
        rules.check_interface_name(ifname)
    mac = _mac(network, driver, request.mac)
    addresses = {}
    for family, text in ((IPV4, request.ip), (IPV6, request.ip6)):
        if text:
            addresses[family] = address_in(network, family, text)
    for text in request.link_local:
        _link_local(network, text)
    sysctls = endpoint_sysctls(options.get(SYSCTLS_OPTION, ""))
    routing, token = _routing(network, request), _token(network, request.ip6_token)
    rate = _rate(request.rate)
    return Wanted(request, addresses, mac, ifname, sysctls, options, routing, token, rate)


def _token(network: Network, text: str) -> str:
    if not text:
        return ""
    from macvnet.engine import autoconf

    return autoconf.judge_token(network, text)


def _rate(text: str) -> int:
    if not text:
        return 0
    from macvnet import rates

    return rates.parse(text)


def _routing(network: Network, request: EndpointRequest) -> Routing:
    if request.routes or request.metric or request.policy_routes:
        from macvnet.engine import endpoint_routes

        return endpoint_routes.judge(network, request)
    return Routing(no_default=True) if request.no_default_route else PLAIN


def _mac(network: Network, driver: Driver, text: str) -> str:
    if not text:
        return ""
    if driver.NAME == "ipvlan":
        raise InvalidRequest(
            f"ipvlan endpoints share the parent's MAC, so {quoted(text)} cannot be set",
            f"leave --mac-address out, or use a macvlan network instead of {network.name!r}",
        )
    return rules.check_mac(text)


def address_in(network: Network, family: int, text: str) -> Address:
    """What ``--ip`` or ``--ip6`` says, as an address of the network; InvalidRequest otherwise."""
    flag = FLAGS[family]
    try:
        address = Address.parse(text.strip())
    except ValueError:
        example = next(
            (
                str(Address(family, p.subnet.first + 10))
                for p in network.pools
                if p.family == family
            ),
            "192.0.2.10" if family == IPV4 else "2001:db8::10",
        )
        raise InvalidRequest(
            f"{flag} {quoted(text)} is not an IP address", f"{flag} {example}"
        ) from None
    if address.family != family:
        raise InvalidRequest(
            f"{flag} takes an IPv{family} address, and {address} is none",
            f"{FLAGS[address.family]} {address}",
        )
    subnets = [str(pool.subnet) for pool in network.pools if pool.family == family]
    if family == IPV6 and network.link.ipv6_mode == SLAAC:
        raise InvalidRequest(
            f"the IPv6 addresses of network {network.name!r} begin with what its router "
            f"advertises, so {address} cannot be given out",
            f"macvnet connect --ip6-token {rules.token_text(address)}",
        )
    if not subnets:
        raise InvalidRequest(
            f"network {network.name!r} has no IPv{family} subnet, so {address} is not in any",
            f"leave {flag} out",
        )
    if not any(pool.subnet.holds(address) for pool in network.pools):
        raise InvalidRequest(
            f"no subnet of network {network.name!r} contains the address {address}",
            f"choose one in {', '.join(subnets[:4])}",
        )
    return address


def _link_local(network: Network, text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        raise InvalidRequest(
            f"--link-local-ip {quoted(text)} is not an IP address", "--link-local-ip 169.254.1.1"
        ) from None
    held = Assigned.link_local(text)
    first = 0xA9FE if address.family == IPV4 else 0xFE80000000000000
    width = 32 if address.family == IPV4 else 128
    if held.address.value >> (width - held.prefixlen) != first:
        raise InvalidRequest(
            f"{address} is not a link-local address (169.254.0.0/16 or fe80::/64)",
            "--link-local-ip 169.254.1.1",
        )
    if address.family == IPV6 and without_ipv6(network):
        raise InvalidRequest(
            f"network {network.name!r} has no IPv6, so {address} cannot be used in it",
            f"leave --link-local-ip {address} out",
        )


def without_ipv6(network: Network) -> bool:
    """Whether macvnet switches IPv6 off on the network's endpoints.

    Without addresses of macvnet's, what a link speaks is the user's affair.
    """
    gives_none = network.ipam_driver == NULL and network.link.ipv6_mode != NO_IPV6
    return not network.ipv6 and not gives_none


def endpoint_sysctls(text: str) -> tuple[tuple[str, str, str], ...]:
    """Docker's form: net.ipv4.conf.IFNAME.KEY=VALUE,... with IFNAME spelled literally."""
    found = []
    for item in text.split(",") if text else ():
        name, equals, value = item.partition("=")
        parts = name.split(".")
        good = len(parts) == 5 and parts[0] == "net" and parts[1] in FAMILIES
        good = good and parts[2] == "conf" and parts[3] == "IFNAME" and bool(equals)
        if not good or not (parts[4].replace("_", "").isalnum() and parts[4].isascii()):
            raise InvalidRequest(
                f"endpoint sysctl {quoted(item)} is not of the form net.X.conf.IFNAME.KEY=VALUE "
                f"with X one of {', '.join(FAMILIES)}",
                f"--driver-opt {SYSCTLS_OPTION}=net.ipv4.conf.IFNAME.rp_filter=2",
            )
        found.append((parts[1], parts[4], value))
    return tuple(found)
