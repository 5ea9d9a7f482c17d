"""Addresses, subnets and ranges as people type them.

Knows netaddr, and which spellings are refused with which correction; the only
module that does. Must not know which option belongs to which (``pairing``).
"""

from __future__ import annotations

from typing import NoReturn

import netaddr

from macvnet.addresses import IPV4, IPV6, WIDTH, Address, Interval, Subnet
from macvnet.errors import InvalidRequest
from macvnet.records import NamedTuple
from macvnet.text import quoted

# Longer than any address, subnet or range can be written.
_LONGEST = 100


class Block(NamedTuple):
    """Addresses named by one word: ``text`` is its canonical form."""

    family: int
    interval: Interval
    text: str


def parse_address(text: str, what: str, option: str) -> Address:
    """Read one address; ``what`` and ``option`` name it in the refusal.

    InvalidRequest when it is malformed, has a prefix length or a zone, or is
    an IPv4 address in IPv6 clothes (RFC 4291, 2.5.5.2).
    """
    base, slash, _ = text.partition("/")
    try:
        value = _ip(base)
    except ValueError:
        _refuse_address(text, what, option)
    address = Address(value.version, int(value))
    if slash:
        raise InvalidRequest(f"{what} {quoted(text)} has a prefix length", f"{option} {address}")
    if value.is_ipv4_mapped():
        raise InvalidRequest(
            f"{what} {quoted(text)} is an IPv4 address written as IPv6", f"{option} {value.ipv4()}"
        )
    return address


def parse_subnet(text: str) -> Subnet:
    """Read a subnet as ADDRESS/LENGTH.

    InvalidRequest when it is malformed, has host bits, is IPv4-mapped, asks
    for any pool of a size (0.0.0.0/N, ::/N), or no host can have an address in it.
    """
    subnet = _cidr(text, "subnet", "--subnet")
    if subnet.first == 0:
        raise InvalidRequest(
            f"subnet {quoted(text)} is not a subnet that hosts can use",
            "leave --subnet out for one of the default pools, which the configuration sets",
        )
    network = netaddr.IPNetwork(str(subnet))
    for kind, unusable in (("multicast", network.is_multicast()), ("loopback", _loops(network))):
        if unusable:
            raise InvalidRequest(
                f"subnet {quoted(text)} is a {kind} block, no host can have an address there",
                "--subnet 192.168.50.0/24" if subnet.family == IPV4 else "--subnet fd00:50::/64",
            )
    return subnet


def parse_block(text: str, what: str, option: str, *, single: bool = False) -> Block:
    """Read a CIDR or START-END (or, with ``single``, one address). InvalidRequest otherwise."""
    if "/" in text and "-" not in text:
        subnet = _cidr(text, what, option)
        return Block(subnet.family, subnet.interval, str(subnet))
    start, dash, end = text.partition("-")
    if not dash:
        address = parse_address(text, what, option)
        if not single:
            raise InvalidRequest(
                f"{what} {quoted(text)} is a single address",
                f"{option} {address}/{WIDTH[address.family]}",
            )
        return Block(address.family, Interval(address.value, address.value), str(address))
    first, last = (parse_address(part.strip(), what, option) for part in (start, end))
    if first.family != last.family:
        raise InvalidRequest(
            f"{what} {quoted(text)} mixes IPv4 and IPv6", f"{option} START-END of one family"
        )
    if first.value > last.value:
        raise InvalidRequest(f"{what} {quoted(text)} runs backwards", f"{option} {last}-{first}")
    return Block(first.family, Interval(first.value, last.value), f"{first}-{last}")


def _cidr(text: str, what: str, option: str) -> Subnet:
    base, slash, length = text.partition("/")
    try:
        value = _ip(base)
    except ValueError:
        _refuse_address(text, what, option, "/24")
    width = WIDTH[value.version]
    if not slash:
        raise InvalidRequest(
            f"{what} {quoted(text)} has no prefix length", f"{option} {value}/{width * 3 // 4}"
        )
    if not (length.isascii() and length.isdigit() and len(length) <= 3 and int(length) <= width):
        _refuse_length(text, what, option, value, length)
    network = netaddr.IPNetwork((int(value), int(length)), version=value.version)
    if value.is_ipv4_mapped() and int(length) >= WIDTH[IPV6] - WIDTH[IPV4]:
        raise InvalidRequest(
            f"{what} {quoted(text)} is an IPv4 subnet written as IPv6",
            f"{option} {netaddr.IPNetwork(f'{value.ipv4()}/{int(length) - 96}').cidr}",
        )
    subnet = Subnet(value.version, network.first, int(length))
    if int(value) != subnet.first:
        raise InvalidRequest(f"{what} {quoted(text)} has host bits set", f"{option} {subnet}")
    return subnet


def _ip(text: str) -> netaddr.IPAddress:
    """ValueError unless the text is an address as inet_pton reads it."""
    if len(text) > _LONGEST or not text.isascii() or "%" in text or "/" in text:
        raise ValueError(text)
    try:
        return netaddr.IPAddress(text, flags=netaddr.INET_PTON)
    except (netaddr.AddrFormatError, ValueError, TypeError) as error:
        raise ValueError(text) from error


def _loops(network: netaddr.IPNetwork) -> bool:
    loop = netaddr.IPNetwork("127.0.0.0/8") if network.version == IPV4 else netaddr.IPNetwork("::1")
    return network in loop


def _refuse_address(text: str, what: str, option: str, suffix: str = "") -> NoReturn:
    base, percent, zone = text.partition("%")
    del percent
    try:
        without_zone = _ip(base) if zone else None
    except ValueError:
        without_zone = None
    if without_zone is not None:
        raise InvalidRequest(f"{what} {quoted(text)} has a zone", f"{option} {without_zone}")
    example = f"192.168.50.0{suffix}" if suffix else "192.168.50.1"
    raise InvalidRequest(f"{what} {quoted(text)} is not an IP address", f"{option} {example}")


def _refuse_length(
    text: str, what: str, option: str, value: netaddr.IPAddress, length: str
) -> NoReturn:
    width = WIDTH[value.version]
    corrected = f"{value}/{width * 3 // 4}"
    try:
        mask = _ip(length)
    except ValueError:
        mask = None
    if mask is not None and mask.version == value.version and mask.is_netmask():
        corrected = f"{value}/{mask.netmask_bits()}"
    raise InvalidRequest(
        f"{what} {quoted(text)} has no prefix length from 0 to {width}", f"{option} {corrected}"
    )
