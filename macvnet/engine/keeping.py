"""Keeping addresses for containers: reservations are made, ended, held against their leases.

A reservation is a record of its own, found by network and owner in one look-up;
its addresses are leases like all others, which say whose they are. So no path
that frees an endpoint has to know of reservations, and none can lose one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from macvnet import chance, keys, runtimes
from macvnet.addresses import IPV4, IPV6, Address
from macvnet.engine import lookup
from macvnet.engine.collecting import make_way, reclaim
from macvnet.engine.context import Context
from macvnet.engine.disconnect import UNOPENED
from macvnet.engine.requests import address_in
from macvnet.engine.reserving import refuse_held
from macvnet.errors import Conflict, Exhausted, InvalidRequest, MacvnetError, NotFound
from macvnet.ipam import allocation
from macvnet.ipam.segment import Holder, lease_holder
from macvnet.kept import Kept
from macvnet.kernel import interfaces
from macvnet.model import ACTIVE, Assigned, Change, Network, Owner
from macvnet.records import NamedTuple
from macvnet.store import Reader, Transaction
from macvnet.text import quoted

PAGE = 1000


class Wish(NamedTuple):
    """What shall be reserved; a family that is missing in ``addresses`` gets one by choice.

    ``replace``: another address than what is reserved takes its place.
    """

    network: Network
    owner: Owner
    addresses: dict[int, Address]
    replace: bool = False


def owner_of(ctx: Context, container: str) -> Owner:
    """Whose the reservation is, whether the container is there or not.

    InvalidRequest for a PID, which nobody has a second time; NotFound for a
    bare word that no runtime knows.
    """
    spelled = runtimes.spelled(container)
    try:
        target = runtimes.resolve(container, ctx.reader)
    except UNOPENED:
        if spelled:
            owner = runtimes.table()[spelled[0]].owner(spelled[1])
        elif container and ":" not in container:
            owner = _stopped(ctx, container)
        else:
            raise
    else:
        target.namespace.close()
        owner = target.owner
    if not owner.returns:
        raise InvalidRequest(
            f"{owner} is a process, and no other one comes back under its number",
            "a name that lasts: netns:NAME, run:NAME, docker:NAME",
        )
    return owner._replace(id="")


def _stopped(ctx: Context, word: str) -> Owner:
    try:
        return runtimes.owner_of(word, ctx.reader)
    except NotFound as error:
        raise NotFound(
            error.message, f"for one that is not there yet, say of which runtime: docker:{word}"
        ) from None


def recorded_owner(ctx: Context, network: Network, container: str) -> Owner:
    """Whose reservation in a network is meant: as it is spelled, else as the runtime says.

    NotFound where nothing is reserved.
    """
    spelled = runtimes.spelled(container)
    found = [spelled] if spelled else [(name, container) for name in runtimes.table()]
    for runtime, name in found:
        kept = lookup.kept(ctx.reader, network.id, f"{runtime}:{name}")
        if kept is not None:
            return kept.owner
    try:
        owner = owner_of(ctx, container)
    except (InvalidRequest, NotFound):
        owner = None
    if owner is None or lookup.kept(ctx.reader, network.id, str(owner)) is None:
        raise _not_reserved(network, container if owner is None else str(owner))
    return owner


def _not_reserved(network: Network, owner: str) -> NotFound:
    return NotFound(
        f"nothing is reserved for {quoted(owner)} in network {network.name!r}",
        f"macvnet inspect {network.name}",
    )


def judged(network: Network, owner: Owner, ip: str, ip6: str) -> Wish:
    """What is asked for as texts. InvalidRequest where the network cannot have it."""
    if network.config_only or not network.pools:
        raise InvalidRequest(
            f"network {network.name!r} has no subnet, so there is no address to reserve",
            "macvnet create --subnet 192.0.2.0/24 ...",
        )
    asked = ((IPV4, ip), (IPV6, ip6))
    return Wish(network, owner, {f: address_in(network, f, text) for f, text in asked if text})


def reserve(
    ctx: Context, wishes: Sequence[Wish], *, dry_run: bool = False
) -> list[Kept | MacvnetError]:
    """Reserve for many, in as few commits as hold them; for each what it has, or why not.

    What is reserved already stays. Where the owner has an endpoint in the
    network, its addresses are kept unless others are asked for.
    """
    avoid = interfaces.addresses()

    def write(tx: Transaction, wish: Wish) -> Kept:
        return _reserve(tx, wish, avoid)

    if dry_run:
        return ctx.reader.view(lambda tx: [_foreseen(tx, wish, avoid) for wish in wishes])
    ctx.claim()
    for wish in wishes:
        make_way(ctx, wish.network, wish.addresses.values(), "")
    outcomes = ctx.store.transact_each(write, wishes)
    for number, wish in enumerate(wishes):
        while isinstance(outcomes[number], Exhausted) and reclaim(ctx, wish.network):
            [outcomes[number]] = ctx.store.transact_each(write, [wish])
    return outcomes


def _foreseen(tx: Transaction, wish: Wish, avoid: set[Address]) -> Kept | MacvnetError:
    try:
        with tx.attempt():
            return _reserve(tx, wish, avoid)
    except MacvnetError as error:
        return error


def _reserve(tx: Transaction, wish: Wish, avoid: set[Address]) -> Kept:
    owner = wish.owner
    record = tx.get(keys.network(wish.network.id))
    if record is None:
        raise NotFound("the network has just been removed", "macvnet ls")
    network = Network.from_json(record)
    if network.state != ACTIVE:
        raise Conflict(f"network {network.name!r} is being {network.state[:-3]}ed", "try again")
    known = lookup.kept(tx, network.id, str(owner))
    asked = dict(wish.addresses)
    if known is not None and wish.replace:
        # What is not said stays, where it is.
        asked = {**{each.family: each for _, each in known.addresses}, **asked}
        _unreserve(tx, (network, owner))
    elif known is not None:
        for family, wanted in wish.addresses.items():
            if known.address(family) != wanted:
                raise Conflict(
                    f"{known.address(family)} is reserved for {owner} in network {network.name!r} "
                    f"already, so {wanted} cannot be",
                    f"macvnet unreserve {network.name} {owner}",
                )
        return known
    kept = Kept(network.id, owner, (), chance.token(16))
    had = {
        assigned.address.family: assigned
        for endpoint in lookup.endpoints_of_owner(tx, str(owner))
        if endpoint.network == network.id
        for assigned in endpoint.addresses
    }
    addresses = tuple(
        _hold(tx, network, family, asked.get(family), had.get(family), kept, avoid)
        for family in (IPV4, IPV6)
        if any(pool.family == family for pool in network.pools)
    )
    kept = kept._replace(addresses=addresses)
    tx.create(keys.kept(network.id, str(owner)), kept.to_json())
    return kept


def _hold(
    tx: Transaction,
    network: Network,
    family: int,
    wanted: Address | None,
    had: Assigned | None,
    kept: Kept,
    avoid: set[Address],
) -> tuple[str, Address]:
    """One address, kept: that of the owner's endpoint, the wanted one, or the lowest free one."""
    segment = network.segment
    own = had is not None and wanted in (None, had.address)
    if had is not None and own and allocation.keep(tx, segment, had.address, kept.claim):
        return had.pool, had.address
    if wanted is not None:
        refuse_held(tx, network, wanted)
    pools = [pool for pool in network.pools if pool.family == family]
    pool, address = allocation.acquire_any(
        tx, segment, network.name, pools, wanted, "", avoid, kept.claim
    )
    return pool.id, address


def unreserve(
    ctx: Context, asked: Sequence[tuple[Network, Owner]], *, dry_run: bool = False
) -> list[Kept | MacvnetError]:
    """End reservations; for each what it was, or NotFound. Endpoints keep their addresses."""
    if dry_run:
        found = [(lookup.kept(ctx.reader, n.id, str(o)), n, o) for n, o in asked]
        return [kept or _not_reserved(network, str(owner)) for kept, network, owner in found]
    ctx.claim()
    return ctx.store.transact_each(_unreserve, asked)


def _unreserve(tx: Transaction, item: tuple[Network, Owner]) -> Kept:
    network, owner = item
    kept = lookup.kept(tx, network.id, str(owner))
    if kept is None:
        raise _not_reserved(network, str(owner))
    for _, address in kept.addresses:
        allocation.unkeep(tx, network.segment, address, kept.claim)
    tx.delete(keys.kept(network.id, str(owner)))
    return kept


def drop_all(ctx: Context, network: Network) -> None:
    """End every reservation of a network that is being removed."""
    found = lookup.kept_in_network(ctx.store, network.id)
    if found:
        every = [(network, kept.owner) for kept in found]
        ctx.store.transact_each(_unreserve, every, durable=False)


def change(action: str, network: Network, kept: Kept) -> Change:
    """What reserving makes, or unreserving removes, as ``--dry-run`` prints it."""
    addresses = " ".join(str(address) for _, address in kept.addresses)
    return Change(action, "reservation", f"{addresses} for {kept.owner} in network {network.name}")


def unheld(reader: Reader, network: Network) -> Iterator[tuple[Kept, Address]]:
    """Addresses that are reserved in a network, and not held for it."""
    for kept in lookup.kept_in_network(reader, network.id):
        for _, address in kept.addresses:
            holder = lease_holder(reader, network.segment, address)
            if holder is None or holder.kept != kept.claim:
                yield kept, address


def unrecorded(reader: Reader, network: Network) -> Iterator[tuple[str, Address]]:
    """Addresses that are kept for a network, and that no reservation has: owner and address."""
    for pool in network.pools:
        prefix = keys.leases(network.segment, pool.family)
        start = keys.lease(network.segment, Address(pool.family, pool.subnet.first))
        last = keys.lease(network.segment, Address(pool.family, pool.subnet.last))
        while rows := reader.scan(prefix, start=start, limit=PAGE):
            for key, data in rows:
                holder = Holder.from_json(data)
                if key <= last and holder.kept and holder.kept[0] == network.id:
                    address = Address(pool.family, int(key[len(prefix) :], 16))
                    kept = lookup.kept(reader, *holder.kept)
                    if kept is None or address != kept.address(pool.family):
                        yield holder.kept[1], address
            if rows[-1][0] > last:
                break
            start = rows[-1][0] + "\0"


def mend(ctx: Context, network: Network) -> None:
    """Hold what is reserved, and give back what is kept for nobody. Conflict where another has it.

    All of a network at once: what one lacks may be what another has for nothing.
    """

    def give(tx: Transaction, item: tuple[str, Address]) -> None:
        allocation.unkeep(tx, network.segment, item[1], (network.id, item[0]))

    def hold(tx: Transaction, item: tuple[Kept, Address]) -> None:
        kept, address = item
        if allocation.keep(tx, network.segment, address, kept.claim):
            return
        refuse_held(tx, network, address, kept.claim)
        pools = [pool for pool in network.pools if pool.family == address.family]
        allocation.acquire_any(
            tx, network.segment, network.name, pools, address, "", (), kept.claim
        )

    ctx.store.transact_each(give, list(unrecorded(ctx.store, network)))
    refused = ctx.store.transact_each(hold, list(unheld(ctx.store, network)))
    for error in refused:
        if isinstance(error, MacvnetError):
            raise error
