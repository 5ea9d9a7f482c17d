"""Scanning: who on the LAN answers for addresses of a network, and is not ours.

Nothing is locked while the LAN is asked, and what an answer means is judged
afterwards, by the state as it is then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from macvnet import keys
from macvnet.addresses import Address
from macvnet.drivers import driver
from macvnet.engine import lookup, parent_search
from macvnet.engine.accounting import AUXILIARY, EXCLUDED, FREE, GATEWAY, OWN, RESERVED, USED
from macvnet.engine.context import Context
from macvnet.errors import Conflict, InvalidRequest, NotFound
from macvnet.ipam import segment as in_segment
from macvnet.ipam import stretches, taken
from macvnet.ipam.runs import Runs
from macvnet.ipam.segment import Holder, lease_holder, pool_entry
from macvnet.ipam.stretches import Chosen
from macvnet.kernel import interfaces, links
from macvnet.kernel.links import LinkInfo
from macvnet.kernel.probe import PROBES
from macvnet.kernel.sweep import Sweep, Way, gap
from macvnet.model import ACTIVE, Change, Endpoint, Network, Pool
from macvnet.records import NamedTuple
from macvnet.store import Reader, Transaction
from macvnet.text import quoted

LONGEST_SECONDS = 600.0
"""A scan that takes longer is refused: nobody waits for it."""
MOST_OF_ONE = 16
"""Free addresses of one MAC that are remembered: with more it may be a router that answers for
all, and remembering them would leave none to give out."""
MOST_MACS = 8
"""MACs that are told of one address, however many answer."""
_UNITS = ((60.0, "s"), (60.0, "min"), (24.0, "h"), (365.0, "days"), (1e6, "years"))


class Stranger(NamedTuple):
    """A machine that answers for an address of the network, and is not one of ours.

    ``kind`` is what the address is here: FREE, USED, RESERVED (for a container), GATEWAY,
    AUXILIARY, OWN (this host's) or EXCLUDED. ``container`` is who has it or has it reserved,
    ``endpoint`` where one has it; ``label`` an auxiliary address's. ``conflict``: macvnet
    would give it out, or has.
    """

    address: Address
    mac: str
    kind: str
    conflict: bool
    network: str
    container: str = ""
    endpoint: Endpoint | None = None
    label: str = ""


class Scan:
    """One scan: ``run``, then ``found``. ``done`` of ``total`` frames are sent, or not needed."""

    def __init__(self, ctx: Context, network: Network, link: LinkInfo, chosen: Chosen) -> None:
        rate = ctx.settings.arp_rate
        # As for a batch: three rounds where that takes seconds, else one.
        self.rounds = PROBES if chosen.total <= rate else 1
        self.total = self.rounds * chosen.total
        self.done = 0
        self._ctx = ctx
        self._network = network
        self._link = link
        self._chosen = chosen
        self._heard: dict[Address, list[str]] = {}

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.total * gap(self._ctx.settings.arp_rate)

    @property
    def changes(self) -> list[Change]:
        """What a dry run says."""
        how = f"{self.total} frames in {duration(self.seconds)}"
        return [
            Change("ask", "address", f"{stretch} on {self._link.name} ({how} in all)")
            for stretch in self._chosen.stretches
        ]

    def run(self, report: Callable[[int, int], None]) -> None:
        """Ask. ``report`` is told how many frames of how many have been sent."""
        way = Way(self._ctx.namespace, self._link.ifindex, self._link.mac)
        sweep = Sweep(way, self._hear, rate=self._ctx.settings.arp_rate)
        try:
            for _ in range(self.rounds):
                for address in self._chosen.addresses():
                    sweep.rest()
                    # Who has answered is not asked again.
                    if address not in self._heard:
                        sweep.ask(address)
                    self.done += 1
                    report(self.done, self.total)
            sweep.wait()
        finally:
            sweep.close()

    def _hear(self, address: Address, mac: str) -> None:
        if self._chosen.holds(address):
            macs = self._heard.setdefault(address, [])
            if mac not in macs and len(macs) < MOST_MACS:
                macs.append(mac)

    def found(self) -> list[Stranger]:
        """Who has answered so far, by address. What would be given out is remembered as taken."""
        ctx = self._ctx
        host = {link.mac for link in links.all_links(ctx.netlink)}
        own = interfaces.addresses()

        def judged(reader: Reader) -> list[Stranger]:
            return [
                one
                for address, macs in sorted(self._heard.items())
                for mac in macs
                if mac not in host
                for one in _judged(reader, self._network, address, mac, own)
            ]

        strangers = ctx.reader.view(judged)
        free: dict[str, list[Address]] = {}
        for one in strangers:
            if one.kind == FREE:
                free.setdefault(one.mac, []).append(one.address)
        for mac, addresses in free.items():
            if len(addresses) <= MOST_OF_ONE:
                items = [(address, mac) for address in addresses]
                ctx.store.transact_each(self._remember, items, durable=False)
            else:
                ctx.note(
                    f"the MAC {mac} answers for {len(addresses)} free addresses, as a router does "
                    "with proxy ARP: they are not remembered"
                )
        return strangers

    def _remember(self, tx: Transaction, item: tuple[Address, str]) -> None:
        address, mac = item
        pool = _pool(self._network, address)
        entry = pool_entry(tx, self._network.segment, pool.subnet, pool.id)
        if entry is not None:
            taken.notice(tx, self._network.segment, entry, address, mac, time.time())


def scan(ctx: Context, network: Network, ranges: Sequence[str]) -> Scan:
    """Ready to ask for the addresses of ranges, or (without any) for those that are given out.

    InvalidRequest where nothing can be asked or it would take too long; Conflict
    where nobody would answer now; NotFound where the parent is missing.
    """
    _refuse_unasked(network)
    ctx.claim()
    link = _parent(ctx, network)
    if ranges:
        chosen = stretches.of_ranges(network, ranges)
    else:
        chosen = ctx.reader.view(
            lambda reader: stretches.of_network(reader, network, _held(reader, network))
        )
    planned = Scan(ctx, network, link, chosen)
    if planned.seconds > LONGEST_SECONDS:
        raise _too_long(network, planned, chosen, ctx.settings.arp_rate)
    for pool in chosen.sampled:
        whole = Chosen((stretches.Stretch(pool.family, pool.subnet.interval),)).total
        took = duration(whole * gap(ctx.settings.arp_rate))
        ctx.note(
            f"of {pool.subnet} only what is held, reserved or given out next is asked for, since "
            f"all of it would take {took}: --range names other addresses"
        )
    return planned


def _refuse_unasked(network: Network) -> None:
    name = quoted(network.name)
    status = f"macvnet ipam status {network.name}"
    if network.config_only or network.state != ACTIVE:
        what = "--config-only" if network.config_only else f"being {network.state[:-3]}ed"
        raise Conflict(f"network {name} is {what}", "macvnet ls")
    if not network.pools:
        raise InvalidRequest(f"network {name} has no addresses to ask for", "macvnet ls")
    if not network.link.parent:
        raise InvalidRequest(
            f"network {name} has no parent, so there is no LAN to ask on it", status
        )
    if driver(network.driver).announces_from_parent(network.link) is None:
        raise InvalidRequest(
            f"network {name} is {network.driver} in mode {network.link.mode}, which has no ARP to "
            "ask with",
            status,
        )


def _parent(ctx: Context, network: Network) -> LinkInfo:
    assert network.parent is not None
    found = parent_search.search(ctx, network)
    lacking = parent_search.lacking(ctx, network, found)
    if found.link is None:
        lacking = lacking or f"the link {network.parent.name} is missing"
        raise NotFound(f"{lacking}, so nobody can be asked", "macvnet restore")
    name = found.link.name
    if not found.link.up:
        raise Conflict(
            f"the parent {name} is down, so nobody can be asked", f"ip link set {name} up"
        )
    if not found.link.carrier:
        raise Conflict(
            f"the parent {name} has no carrier, so nobody can be asked", f"ip -br link show {name}"
        )
    return found.link


def _held(reader: Reader, network: Network) -> Iterator[Address]:
    """The addresses of the network's endpoints and reservations."""
    for endpoint in lookup.endpoints_of_network(reader, network.id):
        for assigned in endpoint.addresses:
            yield assigned.address
    for kept in lookup.kept_in_network(reader, network.id):
        for _, address in kept.addresses:
            yield address


def _too_long(network: Network, planned: Scan, chosen: Chosen, rate: int) -> InvalidRequest:
    family, largest = max(chosen.stretches, key=lambda each: each.interval.size)
    most = int(LONGEST_SECONDS / gap(rate))
    bits = most.bit_length() - 1
    first = Address(family, largest.first >> bits << bits)
    width = len(first.packed) * 8
    return InvalidRequest(
        f"to ask for {chosen.total} addresses of network {quoted(network.name)} takes "
        f"{duration(planned.seconds)} at {rate} frames a second, and the longest scan takes "
        f"{duration(LONGEST_SECONDS)}",
        f"macvnet ipam scan --range {first}/{width - bits} {network.name}, or a higher arp_rate in "
        "the configuration",
    )


def duration(seconds: float) -> str:
    """A length of time for people, in the largest unit that it is two of."""
    amount = seconds
    for factor, unit in _UNITS:
        if amount < 2 * factor:
            return f"{max(1, round(amount))} {unit}"
        amount /= factor
    return "millions of years"


def _pool(network: Network, address: Address) -> Pool:
    return next(pool for pool in network.pools if pool.subnet.holds(address))


def _judged(
    reader: Reader, network: Network, address: Address, mac: str, own: set[Address]
) -> Iterator[Stranger]:
    """What it means that a MAC answers for an address; nothing where that is ours."""
    holder = lease_holder(reader, network.segment, address)
    if holder is None or holder.mac:
        pool = _pool(network, address)
        kind = FREE
        if address in own:
            kind = OWN
        elif not Runs(reader, pool.id, pool.family).is_allowed(address.value):
            kind = EXCLUDED
        yield Stranger(address, mac, kind, kind != EXCLUDED, network.name)
    elif holder.endpoint:
        endpoint = lookup.endpoint(reader, holder.endpoint)
        # A container answers for all its addresses by each of its interfaces.
        if endpoint is not None and mac not in {
            endpoint.mac,
            *(one.mac for one in lookup.endpoints_of_sandbox(reader, endpoint.sandbox.key)),
        }:
            name = _network_name(reader, endpoint.network)
            yield Stranger(address, mac, USED, True, name, str(endpoint.owner), endpoint)
    else:
        yield _claimed(reader, address, mac, holder)


def _claimed(reader: Reader, address: Address, mac: str, holder: Holder) -> Stranger:
    """An address that is reserved for a container, or is some network's own."""
    if holder.kept:
        network, owner = holder.kept
        return Stranger(address, mac, RESERVED, True, _network_name(reader, network), owner)
    one = holder.reserved[0]
    kind = GATEWAY if one.role == in_segment.GATEWAY else AUXILIARY
    return Stranger(address, mac, kind, False, one.network_name, label=one.label)


def _network_name(reader: Reader, network_id: str) -> str:
    record = reader.get(keys.network(network_id))
    return str(record["name"]) if record else ""
