"""Which gateway, range, auxiliary address and exclusion belongs to which subnet.

Knows the rules of ``create`` (docker's, with several ranges for a subnet); must
not know spellings (``parsing``) or what other networks have.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from macvnet.addresses import IPV4, IPV6, WIDTH, Address, Interval, Subnet
from macvnet.errors import InvalidRequest
from macvnet.ipam.parsing import Block, parse_address, parse_block, parse_subnet
from macvnet.ipam.plan import PoolPlan, plan_pool
from macvnet.model import CreateRequest, Pool
from macvnet.text import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

_AUX = "auxiliary address"


class _Subnets:
    """The subnets of one request, in the order typed, with what was paired to each."""

    def __init__(self, subnets: list[Subnet]) -> None:
        self.subnets = subnets
        self.gateways: list[Address | None] = [None] * len(subnets)
        self.onlink = [False] * len(subnets)
        self.ranges: list[list[Block]] = [[] for _ in subnets]
        self.aux: list[list[tuple[str, Address]]] = [[] for _ in subnets]
        self.excludes: list[list[Interval]] = [[] for _ in subnets]
        self.exclude_texts: list[list[str]] = [[] for _ in subnets]
        order = sorted(range(len(subnets)), key=lambda index: subnets[index])
        self._order = order
        self._starts = [subnets[index][:2] for index in order]
        for one, two in pairwise(order):
            if subnets[one].overlaps(subnets[two]):
                later, earlier = subnets[max(one, two)], subnets[min(one, two)]
                raise InvalidRequest(
                    f"subnet '{later}' overlaps subnet '{earlier}' of the same network",
                    "give each subnet once, or make two networks",
                )

    def holding(self, family: int, value: int) -> int | None:
        """The subnet that an address is in."""
        place = bisect_right(self._starts, (family, value)) - 1
        index = self._order[place] if place >= 0 else None
        if index is not None and self.subnets[index].holds(Address(family, value)):
            return index
        return None

    def meeting(self, block: Block) -> list[int]:
        """The subnets that share an address with a block."""
        place = max(bisect_right(self._starts, (block.family, block.interval.first)) - 1, 0)
        found = []
        for index in self._order[place:]:
            subnet = self.subnets[index]
            if subnet[:2] > (block.family, block.interval.last):
                break
            if subnet.family == block.family and subnet.last >= block.interval.first:
                found.append(index)
        return found

    def flags(self, family: int | None = None) -> str:
        """The subnets as typed options, for a hint."""
        chosen = [s for s in self.subnets if family in (None, s.family)] or self.subnets
        return " ".join(f"--subnet {subnet}" for subnet in chosen[:4])


def plan_pools(
    request: CreateRequest,
    pool_id: Callable[[], str],
    *,
    real_parent: bool,
    onlink: bool = False,
) -> tuple[PoolPlan, ...]:
    """Pair the address options of ``create``: one plan for each --subnet, in the order typed.

    ``pool_id`` makes a new id. ``real_parent``: the network hangs on a link of
    the host, where a router may be. ``onlink``: ``-o onlink=true`` was given.
    InvalidRequest on any value that is malformed or belongs nowhere.
    """
    _refuse_families(request)
    subnets = _Subnets([parse_subnet(text) for text in request.subnets])
    if not request.subnets:
        _refuse_lonely(request)
    _pair_ranges(subnets, request.ip_ranges)
    _pair_gateways(subnets, request.gateways, onlink)
    _pair_aux(subnets, request.aux_addresses)
    _pair_excludes(subnets, request.excludes)
    plans = []
    for index, subnet in enumerate(subnets.subnets):
        ranges = subnets.ranges[index]
        pool = Pool(
            pool_id(),
            subnet,
            subnets.gateways[index],
            tuple(block.interval for block in ranges),
            tuple(block.text for block in ranges),
            tuple(subnets.aux[index]),
            subnets.onlink[index],
        )
        plans.append(
            plan_pool(
                pool,
                excludes=subnets.excludes[index],
                exclude_texts=tuple(subnets.exclude_texts[index]),
                guess_router=real_parent and not request.internal,
            )
        )
    return tuple(plans)


def _refuse_lonely(request: CreateRequest) -> None:
    for option, values in (
        ("--gateway", request.gateways),
        ("--ip-range", request.ip_ranges),
        ("--aux-address", request.aux_addresses),
        ("--exclude", request.excludes),
    ):
        if values:
            raise InvalidRequest(
                f"{option} {quoted(values[0])} has no --subnet to belong to",
                "--subnet ADDRESS/LENGTH, for instance --subnet 192.168.50.0/24",
            )


def _refuse_families(request: CreateRequest) -> None:
    for text in request.subnets:
        family = IPV6 if ":" in text else IPV4
        if (request.ipv6 if family == IPV6 else request.ipv4) is False:
            raise InvalidRequest(
                f"subnet {quoted(text)} contradicts --ipv{family}=false",
                f"leave out --ipv{family}=false, or the subnet",
            )


def _pair_ranges(subnets: _Subnets, texts: tuple[str, ...]) -> None:
    for text in texts:
        block = parse_block(text, "ip range", "--ip-range")
        index = subnets.holding(block.family, block.interval.first)
        if index is None or block.interval.last > subnets.subnets[index].last:
            met = subnets.meeting(block)
            if met:
                subnet = subnets.subnets[met[0]]
                raise InvalidRequest(
                    f"ip range {quoted(text)} reaches beyond subnet {subnet}",
                    f"--ip-range {_clipped(block, subnet)}",
                )
            raise InvalidRequest(
                f"ip range {quoted(text)} is not in any --subnet",
                f"choose a range in {subnets.flags(block.family)}",
            )
        subnets.ranges[index].append(block)


def _clipped(block: Block, subnet: Subnet) -> str:
    first = max(block.interval.first, subnet.first)
    last = min(block.interval.last, subnet.last)
    if (first, last) == subnet.interval:
        return str(subnet)
    return f"{Address(subnet.family, first)}-{Address(subnet.family, last)}"


def _pair_gateways(subnets: _Subnets, texts: tuple[str, ...], onlink: bool) -> None:
    outside = []
    for text in texts:
        gateway = parse_address(text, "gateway", "--gateway")
        _refuse_unusable_gateway(gateway, text)
        index = subnets.holding(gateway.family, gateway.value)
        if index is None:
            outside.append((text, gateway))
            continue
        subnet, other = subnets.subnets[index], subnets.gateways[index]
        if other:
            raise InvalidRequest(
                f"gateway {quoted(text)} is the second one for subnet {subnet}, after '{other}'",
                f"--gateway {other}",
            )
        if gateway.value in subnet.reserved:
            kind = "broadcast" if gateway.value == subnet.broadcast else "network"
            raise InvalidRequest(
                f"gateway {quoted(text)} is the {kind} address of subnet {subnet}",
                f"--gateway {Address(subnet.family, subnet.first + 1)}",
            )
        subnets.gateways[index] = gateway
    for text, gateway in outside:
        index = _home_of(subnets, text, gateway, onlink)
        subnets.gateways[index] = gateway
        subnets.onlink[index] = True


def _home_of(subnets: _Subnets, text: str, gateway: Address, onlink: bool) -> int:
    """The subnet whose hosts reach a gateway that is in none of them."""
    family = gateway.family
    free = [
        index
        for index, subnet in enumerate(subnets.subnets)
        if subnet.family == family and subnets.gateways[index] is None
    ]
    alone = [index for index in free if subnets.subnets[index].prefixlen == WIDTH[family]]
    if alone:
        return alone[0]
    if free and (onlink or (family == IPV6 and gateway.value >> 118 == 0xFE80 >> 6)):
        return free[0]
    if not any(subnet.family == family for subnet in subnets.subnets):
        raise InvalidRequest(
            f"gateway {quoted(text)} is IPv{family}, and no --subnet is",
            f"add an IPv{family} --subnet",
        )
    if not free:
        raise InvalidRequest(
            f"gateway {quoted(text)} is not in any --subnet, and each has its gateway already",
            f"leave --gateway {gateway} out",
        )
    raise InvalidRequest(
        f"gateway {quoted(text)} is not in any --subnet",
        f"choose one in {subnets.subnets[free[0]]}, "
        "or add -o onlink=true if hosts reach it without a router",
    )


def _refuse_unusable_gateway(gateway: Address, text: str) -> None:
    top = gateway.value >> (WIDTH[gateway.family] - 8)
    multicast = top >> 4 == 0xE if gateway.family == IPV4 else top == 0xFF
    if gateway.value == 0 or multicast:
        kind = "a multicast address" if multicast else "the unspecified address"
        raise InvalidRequest(f"gateway {quoted(text)} is {kind}", "--gateway 192.168.50.1")


def _pair_aux(subnets: _Subnets, texts: tuple[str, ...]) -> None:
    by_name: dict[str, Address] = {}
    by_address: dict[Address, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        address = parse_address(value if equals else text, _AUX, "--aux-address NAME=IP, such as")
        name = name if equals and name else str(address)
        index = subnets.holding(*address)
        if index is None:
            raise InvalidRequest(
                f"{_AUX} {quoted(text)} is not in any --subnet",
                f"choose one in {subnets.flags(address.family)}",
            )
        subnet = subnets.subnets[index]
        taken = by_address.get(address)
        if address.value in subnet.reserved:
            kind = "broadcast" if address.value == subnet.broadcast else "network"
            taken = f"the {kind} address of subnet {subnet}"
        elif subnets.gateways[index] == address:
            taken = "the gateway"
        if taken:
            raise InvalidRequest(
                f"{_AUX} {quoted(text)} is {taken} already",
                "leave it out, that address is never given out anyway",
            )
        if name in by_name:
            raise InvalidRequest(
                f"{_AUX} name {quoted(name)} is given to '{by_name[name]}' and '{address}'",
                f"--aux-address NAME={address} with another name",
            )
        by_name[name] = address
        by_address[address] = f"{_AUX} {quoted(name)}"
        subnets.aux[index].append((name, address))


def _pair_excludes(subnets: _Subnets, texts: tuple[str, ...]) -> None:
    for text in texts:
        block = parse_block(text, "exclusion", "--exclude", single=True)
        met = subnets.meeting(block)
        if not met:
            raise InvalidRequest(
                f"exclusion {quoted(text)} is not in any --subnet",
                f"choose addresses in {subnets.flags(block.family)}",
            )
        subnets.exclude_texts[met[0]].append(block.text)
        for index in met:
            subnets.excludes[index].append(block.interval)
