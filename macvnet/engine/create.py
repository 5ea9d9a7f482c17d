"""Creating a network: everything judged first, then recorded, then the parent is made."""

from __future__ import annotations

from macvnet import chance, keys
from macvnet.engine import lookup, made_links
from macvnet.engine.context import Context
from macvnet.engine.create_notes import notes_for
from macvnet.engine.drafting import Draft, draft
from macvnet.engine.remove import clear_abandoned, remove_locked
from macvnet.engine.undo import Undo
from macvnet.errors import Conflict
from macvnet.ipam.installing import install_pools
from macvnet.kernel import links
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import ACTIVE, CREATING, Change, CreateRequest, LinkPlan, Network, Parent
from macvnet.records import NamedTuple
from macvnet.store import KeyTaken, Transaction
from macvnet.text import quoted


class Created(NamedTuple):
    """The network made (or, dry, as it would be made)."""

    network: Network
    changes: tuple[Change, ...]


def create(ctx: Context, request: CreateRequest, *, dry_run: bool = False) -> Created:
    """Create a network. Raises what speaks against it before anything is made."""
    if dry_run:
        foreseen = draft(ctx, request)
        return Created(foreseen.network, _changes(foreseen))
    store = ctx.store
    with Undo(ctx.note) as undo:
        with ctx.structure_lock():
            _clear_namesake(ctx, request.name)
            drafted = draft(ctx, request)
            if drafted.driver is not None:
                _require_kind(ctx, drafted.driver.NAME)
            network = drafted.network
            undo.push(f"network {network.name}", lambda: _withdraw(ctx, network.id))
            store.transact(lambda tx: _record(ctx, tx, drafted), durable=False)
            if drafted.plans:
                install_pools(store, network.segment, network.id, network.name, drafted.plans)
            active = network._replace(state=ACTIVE, parent=_parent(ctx, drafted))
            if request.host_access:
                active = _with_host_access(ctx, active)
            store.transact(lambda tx: tx.put(keys.network(network.id), active.to_json()))
        if request.host_access:
            active = _make_host_access(ctx, active)
    for note in notes_for(active, drafted.prospect, drafted.sharers):
        ctx.note(note)
    return Created(active, _changes(drafted._replace(network=active)))


def _with_host_access(ctx: Context, network: Network) -> Network:
    """The network with host access, which has been recorded."""
    from macvnet.engine import host_access

    parent = links.by_index(ctx.netlink, network.parent.ifindex) if network.parent else None
    if parent is None:
        raise Conflict(f"the parent of {network.name!r} has just vanished", "try again")
    recorded = host_access.begin(ctx, network, parent)
    return network._replace(shim=recorded.shim, shim_address=recorded.shim_address)


def _make_host_access(ctx: Context, network: Network) -> Network:
    """The network as it is recorded when its host access is there."""
    from macvnet.engine import host_access

    host_access.make(ctx, network.id)
    ctx.store.sync()
    return lookup.network(ctx.store, network.id)


def _clear_namesake(ctx: Context, name: str) -> None:
    """A network of that name that a dead command left half made or half removed goes first."""
    known = ctx.store.get(keys.name(name)) if "/" not in name else None
    record = ctx.store.get(keys.network(known["id"])) if known else None
    if record is not None:
        clear_abandoned(ctx, Network.from_json(record))


def _withdraw(ctx: Context, network_id: str) -> None:
    with ctx.structure_lock():
        record = ctx.store.get(keys.network(network_id))
        if record is not None:
            remove_locked(ctx, Network.from_json(record))


def _require_kind(ctx: Context, kind: str) -> None:
    """A link without a lower link is refused by a kernel that knows the kind, and by one that

    does not: the errno tells which, and nothing is made either way.
    """
    question = links.add(LinkPlan(kind), f"mv{chance.token(6)}")._replace(command="")
    try:
        ctx.netlink.change(question)
    except NetlinkError as error:
        if error.errno in links.UNKNOWN_KIND:
            from macvnet.engine import refusals

            raise refusals.missing_module(kind) from None


def _record(ctx: Context, tx: Transaction, draft: Draft) -> None:
    network, prospect = draft.network, draft.prospect
    try:
        tx.create(keys.name(network.name), {"id": network.id})
    except KeyTaken:
        raise Conflict(
            f"network with name {quoted(network.name)} already exists",
            f"macvnet inspect {network.name}",
        ) from None
    state = ACTIVE if network.config_only else CREATING
    tx.create(keys.network(network.id), network._replace(state=state).to_json())
    tx.create(keys.request(network.id), draft.request._asdict())
    if prospect is None:
        return
    known = lookup.made_link(tx, prospect.name)
    if prospect.link is None:
        intended = made_links.intended(ctx, prospect, network.id)
        others = known.users if known else ()
        intended = intended._replace(users=(*others, network.id))
        tx.put(keys.made_link(prospect.name), intended.to_json())
    elif known is not None:
        found = made_links.find(ctx, known)
        if found is not None and found.ifindex == prospect.link.ifindex:
            made_links.add_user(tx, prospect.name, network.id)
        else:
            tx.delete(keys.made_link(prospect.name))


def _parent(ctx: Context, draft: Draft) -> Parent | None:
    prospect = draft.prospect
    if prospect is None:
        return None
    link = prospect.link
    if link is None:
        made = lookup.made_link(ctx.store, prospect.name)
        if made is None:
            raise Conflict(f"the record of {prospect.name} has vanished", "try again")
        link = made_links.make(ctx, made)
    return Parent(
        prospect.name,
        prospect.requested,
        link.ifindex,
        link.mac,
        ctx.boot_id,
        link.permanent_mac,
    )


def _changes(draft: Draft) -> tuple[Change, ...]:
    network, prospect = draft.network, draft.prospect
    found = [Change("create", "network", f"{network.name} driver {network.driver}")]
    for plan in draft.plans:
        gateway = f" gateway {plan.pool.gateway}" if plan.pool.gateway else ""
        span = f", first {plan.first}, last {plan.last}" if plan.usable else ""
        text = f"{plan.pool.subnet}{gateway}: {plan.usable} usable addresses{span}"
        found.append(Change("create", "pool", text))
    if prospect is not None and prospect.link is None:
        what = f"type vlan id {prospect.vlan_id} on {prospect.lower.name}" if prospect.lower else ""
        found.append(Change("create", "link", f"{prospect.name} {what or 'type dummy'}"))
    if draft.request.host_access and prospect is not None:
        from macvnet.engine import host_access_foreseen

        found += host_access_foreseen.creating(prospect.name, draft.network)
    return tuple(found)
