"""What is done about a container that has started, ended or been removed, and about its labels.

Each function looks at what is there now and does what is missing, so that being
told twice, or late, changes nothing. Knows which lease is kept and which is
freed; must not know how one learns of anything, or where it is told.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence

from macvnet import keys, runtimes
from macvnet.annotations import KEY, LABEL, Wanted, wanted
from macvnet.engine import host_access, lookup, parent_search
from macvnet.engine.collecting import kept, see_death
from macvnet.engine.connect import connect
from macvnet.engine.context import Context
from macvnet.engine.liveness import alive, network_of, roll_back
from macvnet.engine.restoring import Restored, restore, restore_some
from macvnet.errors import InvalidRequest, MacvnetError, NotFound
from macvnet.model import JOINED, Endpoint, EndpointRequest, Network, SandboxId
from macvnet.records import NamedTuple
from macvnet.runtimes.following import Container
from macvnet.text import LONGEST, quoted

MOST_NETWORKS = 16
"""How many networks one label may name."""
LONGEST_LABEL = 4096
"""Characters of a label that is read at all."""


class Act(NamedTuple):
    """One thing that was done, or could not be: a line of the watch's log.

    ``word`` is one of docs/reference/watch.md; what does not apply is "".
    """

    word: str
    container: str = ""
    network: str = ""
    interface: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()
    link: str = ""
    runtime: str = ""
    reason: str = ""


def of_endpoint(word: str, owner: str, network: str, endpoint: Endpoint, reason: str = "") -> Act:
    """An act that an endpoint is the object of."""
    held = tuple(assigned.cidr for assigned in endpoint.addresses)
    return Act(word, owner, network, endpoint.ifname, endpoint.mac, held, reason=reason)


class Looked(NamedTuple):
    """What was done about containers. ``unsettled``: the IDs of those to look at again."""

    acts: tuple[Act, ...]
    unsettled: frozenset[str] = frozenset()


def everything(ctx: Context) -> tuple[list[Act], bool]:
    """Restore all that is recorded and missing; whether something waits for a parent."""
    done = restore(ctx, wait=0.0)
    return list(_restored(done)), bool(done.pending)


def _restored(done: Restored) -> Iterator[Act]:
    for made in done.made:
        if made.endpoint is None:
            yield Act("link", network=made.network, link=made.link)
        else:
            yield of_endpoint("return", made.owner, made.network, made.endpoint)
    for line in done.pending:
        yield Act("wait", reason=line)
    for subject, error in done.failed:
        yield Act("fail", reason=f"{subject}: {error.message}")


def look(ctx: Context, containers: Sequence[Container], *, by_root: bool) -> Looked:
    """Bring each of them to where it should be: connected as recorded and as labelled, or kept.

    ``by_root``: whether the runtime that lists them is root's, so that labels count.
    """
    runtime = containers[0].owner.runtime if containers else ""
    own = _by_container(_of_runtime(ctx, runtime), containers)
    acts: list[Act] = []
    running = [each for each in containers if each.runs]
    coming = {e.id: e for each in running for e in own[each.owner.id]}
    if coming:
        acts += _restored(restore_some(ctx, list(coming.values())))
    unsettled: set[str] = set()
    for each in containers:
        if not each.runs:
            acts += _ended(ctx, [e for e in own[each.owner.id] if e.owner.id == each.owner.id])
            continue
        # What another one of its name has left is not its own.
        here = {e.network for e in own[each.owner.id] if e.owner.id == each.owner.id}
        for act, again in _labelled(ctx, each, here, by_root=by_root):
            acts.append(act)
            if again:
                unsettled.add(each.owner.id)
    return Looked(tuple(acts), frozenset(unsettled))


def _of_runtime(ctx: Context, runtime: str) -> list[Endpoint]:
    found = (
        lookup.endpoint(ctx.reader, key.rpartition("/")[2])
        for key, _ in ctx.reader.scan(keys.owners(f"{runtime}:"))
    )
    return [endpoint for endpoint in found if endpoint is not None and endpoint.state == JOINED]


def _by_container(
    endpoints: Iterable[Endpoint], containers: Iterable[Container]
) -> dict[str, list[Endpoint]]:
    """The endpoints of each container: by its ID, or by its name, which restore judges further."""
    by_name = {each.owner.name: each.owner.id for each in containers}
    own: dict[str, list[Endpoint]] = {container: [] for container in by_name.values()}
    for endpoint in endpoints:
        for container in {endpoint.owner.id, by_name.get(endpoint.owner.name)}:
            if container in own:
                own[container].append(endpoint)
    return own


def _ended(ctx: Context, endpoints: Iterable[Endpoint]) -> Iterator[Act]:
    """The lease of one that may come back is kept; from its death on the grace time runs."""
    for endpoint in endpoints:
        # Restoring, and other commands, may have seen it before.
        seen = see_death(ctx, endpoint)
        if seen.dead_since:
            until = time.gmtime(seen.dead_since + ctx.settings.grace)
            yield _about(ctx, "keep", seen, time.strftime("until %Y-%m-%dT%H:%M:%SZ", until))


def _about(ctx: Context, word: str, endpoint: Endpoint, reason: str = "") -> Act:
    network = network_of(ctx.reader, endpoint)
    return of_endpoint(word, str(endpoint.owner), network.name if network else "", endpoint, reason)


def _labelled(
    ctx: Context, container: Container, here: Collection[str], *, by_root: bool
) -> Iterator[tuple[Act, bool]]:
    """Connect a container to the networks its label names; whether each refusal may pass.

    ``here``: the networks it has endpoints in.
    """
    owner = str(container.owner)
    try:
        asked = _wanted(container, by_root=by_root)
    except MacvnetError as error:
        yield Act("refuse", owner, reason=error.message), False
        return
    for term, request in asked:
        try:
            network = _allowed(ctx, term)
            if network.id in here:
                continue
            endpoint = _connected(ctx, container, network, request)
            if endpoint is not None:
                yield of_endpoint("attach", owner, network.name, endpoint, "label"), False
        except MacvnetError as error:
            lasting = isinstance(error, InvalidRequest | NotAllowed)
            yield Act("refuse", owner, term[:LONGEST], reason=error.message), not lasting


class NotAllowed(NotFound):
    """The network is there, but no label connects to it."""


def _wanted(container: Container, *, by_root: bool) -> Wanted:
    if len(container.labels.get(KEY, "")) > LONGEST_LABEL:
        raise InvalidRequest(f"label {KEY} has more than {LONGEST_LABEL} characters")
    found = wanted(container.labels, LABEL)
    if found and not by_root:
        raise InvalidRequest(f"label {KEY} counts only where root runs {container.owner.runtime}")
    if len(found) > MOST_NETWORKS:
        raise InvalidRequest(
            f"label {KEY} names {len(found)} networks, and {MOST_NETWORKS} are the most"
        )
    for _, request in found:
        if request.driver_options:
            # They set sysctls, and a label may be an image's, which was given no such right.
            raise InvalidRequest(f"label {KEY} cannot have driver-opt")
    return found


def _allowed(ctx: Context, term: str) -> Network:
    network = lookup.network(ctx.reader, term)
    if not network.link.watch:
        raise NotAllowed(
            f"network {quoted(network.name)} was not created with -o watch=allow, so no label "
            "connects to it"
        )
    return network


def _connected(
    ctx: Context, container: Container, network: Network, request: EndpointRequest
) -> Endpoint | None:
    """The endpoint made; None where the container has one there, or does not run any more."""
    kind = runtimes.table()[container.owner.runtime]
    try:
        target = kind.open_target(container.owner.id, ctx.store)
    except runtimes.NoSandbox:
        return None
    with target.namespace:
        key = SandboxId(ctx.boot_id, target.namespace.cookie).key
        members = lookup.endpoints_of_sandbox(ctx.reader, key)
        if any(member.network == network.id for member in members):
            return None
        return connect(ctx, target, [(network, request)])[0].endpoint


def recorded(ctx: Context, runtime: str, ids: Collection[str]) -> bool:
    """Whether any of those containers has an endpoint."""
    return bool(ids) and any(e.owner.id in ids for e in _of_runtime(ctx, runtime))


def unlisted(ctx: Context, runtime: str, listed: Iterable[Container]) -> set[str]:
    """The IDs of recorded containers that their runtime has no more, neither by ID nor by name."""
    there = [each.owner for each in listed]
    ids, names = {owner.id for owner in there}, {owner.name for owner in there}
    return {
        endpoint.owner.id
        for endpoint in _of_runtime(ctx, runtime)
        if runtimes.is_drawn_by_lot(endpoint.owner.id)
        and endpoint.owner.id not in ids
        and endpoint.owner.name not in names
    }


def removed(ctx: Context, runtime: str, ids: Collection[str]) -> Looked:
    """Free what removed containers hold; unsettled are those whose namespaces live on."""
    acts: list[Act] = []
    living: set[str] = set()
    for endpoint in _of_runtime(ctx, runtime):
        if endpoint.owner.id not in ids:
            continue
        if alive(ctx, endpoint):
            living.add(endpoint.owner.id)
        else:
            acts += _freed(ctx, endpoint, "removed")
    return Looked(tuple(acts), frozenset(living))


def died(ctx: Context, numbers: Collection[int], gone: Collection[str]) -> list[Act]:
    """Namespaces have died: free what they held, or let the grace time run.

    ``numbers`` are their nsids, ``gone`` the IDs of containers that are removed.
    """
    acts: list[Act] = []
    for _, record in ctx.reader.scan(keys.ENDPOINTS):
        if record["sandbox"]["nsid"] not in numbers or record["state"] != JOINED:
            continue
        endpoint = Endpoint.from_json(record)
        if alive(ctx, endpoint):
            continue
        if endpoint.owner.id in gone:
            acts += _freed(ctx, endpoint, "removed")
        elif not endpoint.owner.returns:
            acts += _freed(ctx, endpoint, "ended")
        else:
            acts += _ended(ctx, [endpoint])
    return acts


def dead_processes(ctx: Context) -> list[Act]:
    """Free what processes held that have died unheard: nobody can come back as one of them."""
    acts: list[Act] = []
    for _, record in ctx.reader.scan(keys.ENDPOINTS):
        if not record["owner"]["returns"] and record["state"] == JOINED:
            endpoint = Endpoint.from_json(record)
            if not alive(ctx, endpoint):
                acts += _freed(ctx, endpoint, "ended")
    return acts


def _freed(ctx: Context, endpoint: Endpoint, reason: str) -> Iterator[Act]:
    act = _about(ctx, "free", endpoint, reason)
    with ctx.sandbox_lock(endpoint.sandbox.cookie):
        now = lookup.endpoint(ctx.store, endpoint.id)
        if now is None or now.sandbox != endpoint.sandbox or now.state != JOINED:
            return  # it has come back, or somebody else was faster
        roll_back(ctx, endpoint, durable=True)
    yield act


def expired(ctx: Context) -> tuple[list[Act], float | None]:
    """Free leases whose grace time is over; when the next one's is, in seconds since the epoch."""
    acts: list[Act] = []
    grace = ctx.settings.grace
    ends: list[float] = []
    for _, record in ctx.reader.scan(keys.ENDPOINTS):
        if not record["dead_since"] or record["state"] != JOINED:
            continue
        endpoint = Endpoint.from_json(record)
        if alive(ctx, endpoint):
            continue
        if kept(ctx, endpoint, grace):
            ends.append(endpoint.dead_since + grace)
        else:
            acts += _freed(ctx, endpoint, "its grace time is over")
    return acts, min(ends, default=None)


def carriers(ctx: Context) -> frozenset[str]:
    """Names of links that networks hang on, of those that these are made on, and of shims."""
    networks = lookup.networks(ctx.reader)
    names = {network.parent.name for network in networks if network.parent}
    names |= {network.shim for network in networks if network.shim}
    made = (lookup.made_link(ctx.reader, name) for name in names)
    return frozenset(names | {link.lower_name for link in made if link and link.lower_name})


def host_access_of(
    ctx: Context, addressed: Collection[int], shims: Collection[str]
) -> Iterator[Act]:
    """Make host access again as it has to be where a parent has other addresses now.

    ``addressed``: the ifindexes of links whose addresses have changed; ``shims``: names
    of shims that went up or down, since the kernel takes away the routes of one that is down.
    """
    for network in lookup.networks(ctx.reader):
        if not network.shim:
            continue
        parent = parent_search.search(ctx, network).link
        if parent is None or not (parent.ifindex in addressed or network.shim in shims):
            continue
        done = host_access.follow(ctx, network)
        if done.link:
            yield Act("link", network=network.name, link=network.shim)
        for reason, addresses in (("removed", done.removed), ("made", done.made)):
            if addresses:
                held = tuple(map(str, addresses))
                yield Act(
                    "route", "", network.name, addresses=held, link=network.shim, reason=reason
                )
        if done.refusal is not None:
            yield Act("fail", reason=f"network {network.name}: {done.refusal.message}")
