"""Probing: whether the LAN has an address already, asked before an endpoint uses it.

The endpoint is recorded as reserved and its link is up, without addresses. While
the LAN is asked no lock is held that another sandbox could need (``Context.lent``);
what follows from the answers is done under the locks again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from macvnet import keys
from macvnet.addresses import Address
from macvnet.engine import lookup
from macvnet.engine.collecting import expire_taken, reclaim
from macvnet.engine.context import Context
from macvnet.engine.endpoint_link import Inside
from macvnet.engine.joining import UNREAL_KINDS, Joining
from macvnet.engine.requests import FLAGS
from macvnet.engine.reserving import assigned
from macvnet.errors import Conflict, Exhausted, MacvnetError
from macvnet.ipam import allocation, taken
from macvnet.ipam.segment import lease_holder
from macvnet.kernel import links
from macvnet.kernel.frames import WINDOW_SECONDS
from macvnet.kernel.links import LinkInfo
from macvnet.kernel.probe import PROBES, Answer, Ask, probe
from macvnet.model import Assigned, Endpoint, Network
from macvnet.store import Transaction

if TYPE_CHECKING:
    from macvnet.engine.seats import Seat

ROUNDS = 10
"""Addresses that are tried one after the other for one endpoint (RFC 5227, MAX_CONFLICTS)."""
DEEPEST = 8
"""Links below a parent that are looked at: a VLAN of a bond of two NICs has two."""


def is_real(ctx: Context, link: LinkInfo) -> bool:
    """Whether a link leads out of this machine: a NIC, or a VLAN, bond or bridge over one.

    The kernel names the kind of every link that a program made, and of a NIC none.
    """
    known = ctx.real_links.get(link.ifindex)
    if known is None:
        below = {link.ifindex}
        every: list[LinkInfo] = []
        if link.kind:
            every = links.all_links(ctx.netlink)
        known = ctx.real_links[link.ifindex] = _leads_out(link, every, below)
    return known


def _leads_out(link: LinkInfo, every: Sequence[LinkInfo], seen: set[int]) -> bool:
    if link.kind in UNREAL_KINDS or link.loopback:
        return False
    if link.kind in ("", "dsa"):
        return True
    if link.lower_nsid is not None:
        # What it is cannot be seen from here, and too much asked is better than too little.
        return True
    for other in every:
        if other.ifindex in seen or len(seen) > DEEPEST * 8:
            continue
        if other.master == link.ifindex or (link.kind == "vlan" and other.ifindex == link.lower):
            seen.add(other.ifindex)
            if _leads_out(other, every, seen):
                return True
    return False


def settle(
    ctx: Context,
    seats: Sequence[Seat],
    host_addresses: Collection[Address],
    cookies: Sequence[int],
) -> None:
    """Ask for the addresses of all seats at once; each gets others until nobody has them.

    ``cookies`` are those of all sandboxes whose locks the caller holds. A seat whose
    address was asked for by name and is taken is refused, and so is one that finds no
    free address.
    """
    for network in {plan.network.id: plan.network for s in seats for plan in s.tentative}.values():
        expire_taken(ctx, network)
    waiting = list(seats)
    crowded = False
    for _ in range(ROUNDS):
        asked = [(seat, plan) for seat in waiting for plan in seat.tentative if plan.awake]
        with ctx.lent(cookies):
            if crowded:
                # The rate is that of the parent, whatever round a frame belongs to.
                time.sleep(WINDOW_SECONDS)
            answers = probe(
                [ask(ctx, plan, seat.at) for seat, plan in asked], rate=ctx.settings.arp_rate
            )
        crowded = PROBES * len(asked) > ctx.settings.arp_rate
        waiting = []
        for (seat, plan), answer in zip(asked, answers, strict=True):
            if seat.error is not None:
                continue
            with seat.trying():
                if isinstance(answer, MacvnetError):
                    raise answer
                if answer:
                    other = _another(ctx, plan, answer, host_addresses)
                    seat.tentative[seat.tentative.index(plan)] = other
                    if seat not in waiting:
                        waiting.append(seat)
        if not waiting:
            return
    for seat in waiting:
        with seat.trying():
            raise Conflict(
                f"{ROUNDS} addresses one after the other are used on the LAN by other machines",
                "--no-probe, if it is a router that answers for all of them (proxy ARP)",
            )


def refusals(
    ctx: Context, asked: Sequence[tuple[Joining, Inside]], cookies: Collection[int]
) -> list[MacvnetError | None]:
    """For each endpoint, which keeps what it has: the refusal where another machine has that.

    ``cookies`` as for ``settle``.
    """
    with ctx.lent(cookies):
        answers = probe([ask(ctx, *one) for one in asked], rate=ctx.settings.arp_rate)
    return [_refusal(plan, answer) for (plan, _), answer in zip(asked, answers, strict=True)]


def _refusal(plan: Joining, answer: Answer) -> MacvnetError | None:
    if isinstance(answer, MacvnetError):
        return answer
    for address, mac in answer.items():
        return Conflict(
            f"the address {address} is used on the LAN by another machine, with the MAC {mac}",
            f"macvnet disconnect {plan.network.name} {plan.endpoint.owner}, and connect it anew",
        )
    return None


def ask(ctx: Context, plan: Joining, at: Inside) -> Ask:
    """What is asked for an endpoint: from its link, or from the parent where it shares its MAC."""
    from_parent = plan.driver.announces_from_parent(plan.network.link)
    endpoint = plan.endpoint
    return Ask(
        namespace=ctx.namespace if from_parent else at.target.namespace,
        ifindex=plan.parent.ifindex if from_parent else endpoint.ifindex,
        mac=plan.parent.mac if from_parent else endpoint.mac,
        addresses=tuple(each.address for each in _all_of(endpoint)),
        parent=plan.parent.name,
        interval=plan.network.link.probe_interval,
    )


def _all_of(endpoint: Endpoint) -> list[Assigned]:
    return [*endpoint.addresses, *map(Assigned.link_local, endpoint.link_local)]


def _another(
    ctx: Context, plan: Joining, answer: dict[Address, str], host_addresses: Collection[Address]
) -> Joining:
    """The same endpoint with other addresses in place of those that are taken.

    Conflict where one was asked for by name; Exhausted where there is no other.
    """
    for each in _all_of(plan.endpoint):
        if each.address not in answer:
            continue
        holder = lease_holder(ctx.reader, plan.network.segment, each.address)
        if holder is not None and holder.kept:
            raise Conflict(
                f"the address {each.address}, which is reserved for {plan.endpoint.owner}, is used "
                f"on the LAN by another machine, with the MAC {answer[each.address]}",
                f"macvnet unreserve {plan.network.name} {plan.endpoint.owner}",
            )
        if each.explicit:
            flag = FLAGS[each.address.family] if each.pool else "--link-local-ip"
            raise Conflict(
                f"the address {each.address} is used on the LAN by another machine, with the MAC "
                f"{answer[each.address]}",
                f"leave {flag} out, or choose another address",
            )
    while True:
        try:
            moved = ctx.store.transact(
                lambda tx: _move(tx, plan, answer, host_addresses), durable=False
            )
            break
        except Exhausted:
            if not reclaim(ctx, plan.network):
                raise
    for address, mac in answer.items():
        ctx.note(
            f"the address {address} is used on the LAN by another machine, with the MAC {mac}: "
            f"{plan.endpoint.owner} gets another one"
        )
    return plan._replace(endpoint=plan.endpoint._replace(addresses=moved))


def _move(
    tx: Transaction,
    plan: Joining,
    answer: dict[Address, str],
    host_addresses: Collection[Address],
) -> tuple[Assigned, ...]:
    endpoint = lookup.endpoint(tx, plan.endpoint.id)
    network = tx.parsed(keys.network(plan.network.id), Network.from_json)
    if endpoint is None or network is None:
        raise Conflict(f"{plan.endpoint.owner} has just been disconnected", "macvnet ls")
    found = []
    for old in endpoint.addresses:
        if old.address not in answer:
            found.append(old)
            continue
        subnet = next(pool.subnet for pool in network.pools if pool.id == old.pool)
        taken.remember(
            tx,
            network.segment,
            old.pool,
            subnet,
            old.address,
            answer[old.address],
            time.time(),
        )
        pools = [pool for pool in network.pools if pool.family == old.address.family]
        pool, address = allocation.acquire_any(
            tx, network.segment, network.name, pools, None, endpoint.id, host_addresses
        )
        found.append(assigned(network, plan.driver, pool, address, explicit=False))
    tx.put(keys.endpoint(endpoint.id), endpoint._replace(addresses=tuple(found)).to_json())
    return tuple(found)
