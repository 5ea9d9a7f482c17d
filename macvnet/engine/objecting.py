"""Objections to a plan of ``apply``: what would refuse a step, found before the first is done.

Networks of one file are judged against each other too, and endpoints and
reservations against networks that are yet to be made. Reads only; must not know
how a step is carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from macvnet.addresses import Address
from macvnet.declared import Entry
from macvnet.drivers import driver
from macvnet.engine import describing, keeping
from macvnet.engine.context import Context
from macvnet.engine.declaring import Source
from macvnet.engine.drafting import Draft, draft, refuse_own_settings, share
from macvnet.engine.requests import judge
from macvnet.errors import Conflict, InvalidRequest, MacvnetError, NotFound
from macvnet.ipam.installing import check_beside, held_from_the_start
from macvnet.model import CreateRequest, EndpointRequest, Network, Owner
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from macvnet.engine.planning import Plan


def object_to(ctx: Context, source: Source, made: Plan, stands: Mapping[str, Network]) -> None:
    """MacvnetError, naming the line, for the first step that is expected to fail."""
    new = {request.name: request for request in made.networks}
    drafts: dict[str, Network] = {}
    before: list[Draft] = []  # without configurations, which hold no address
    for request in made.networks:
        try:
            drafted = _drafted(ctx, request, new)
            _refuse_beside(drafted, before)
        except Conflict as error:
            # What is in the way may be what is removed before.
            if not made.removed_networks:
                raise _at_network(source, request, error) from None
        except MacvnetError as error:
            raise _at_network(source, request, error) from None
        else:
            before += [drafted] if drafted.driver else []
            drafts[request.name] = drafted.network
    for title, entry in _entries(made):
        name = entry.network
        try:
            if name in stands:
                _judge(title, stands[name], entry.request)
            elif name in drafts:
                _judge(title, drafts[name], entry.request)
                _refuse_held(drafts[name], entry.request)
            else:
                _refuse_beyond(new[name], entry.request)
        except MacvnetError as error:
            raise _placed(source, (title, entry.place), error) from None


def _entries(made: Plan) -> Iterator[tuple[str, Entry]]:
    for title, entries in (("reservations", made.reservations), ("endpoints", made.endpoints)):
        yield from ((title, entry) for entry, _ in entries)


def _drafted(ctx: Context, request: CreateRequest, new: Mapping[str, CreateRequest]) -> Draft:
    config = new.get(request.config_from)
    if config is None:
        return draft(ctx, request)
    if not config.config_only:
        raise NotFound(
            f"configuration network {quoted(config.name)} does not exist: the network of that name "
            "in the file is another kind",
            f"[networks.{config.name}] with config_only = true",
        )
    refuse_own_settings(request)
    return draft(
        ctx,
        config._replace(
            name=request.name,
            driver=request.driver,
            internal=request.internal,
            attachable=request.attachable,
            host_access=request.host_access,
            config_only=False,
        ),
    )


def _refuse_beside(drafted: Draft, before: list[Draft]) -> None:
    """Conflict with a network that the same file makes before this one."""
    if drafted.driver is None or drafted.prospect is None:
        return
    kind, name = drafted.driver, drafted.prospect.name
    others = [one.network for one in before if one.prospect and one.prospect.name == name]
    segment = share(kind, drafted.network, drafted.prospect, others)
    for one in before:
        # The segment of one that shares the parent is the other's, whatever it was drafted in.
        if one.network in others or one.network.segment == segment:
            for pool in drafted.network.pools:
                for other in one.network.pools:
                    check_beside(pool, other, one.network.name)


def _judge(title: str, network: Network, request: EndpointRequest) -> None:
    if title == "endpoints":
        judge(network, driver(network.driver), request)
    else:
        keeping.judged(network, Owner("", ""), request.ip, request.ip6)


def _refuse_held(network: Network, request: EndpointRequest) -> None:
    """Conflict where an address is one that the network keeps for itself, or for another."""
    for text in filter(None, (request.ip, request.ip6)):
        address = Address.parse(text)
        if holder := held_from_the_start(network, address):
            raise Conflict(
                f"address '{address}' is in use, it is held by {holder}",
                "leave the address out, or choose another one",
            )


def _refuse_beyond(request: CreateRequest, wanted: EndpointRequest) -> None:
    """The same of a network that cannot be drafted before others are removed: its subnets alone."""
    subnets = describing.subnets(request)
    for text in filter(None, (wanted.ip, wanted.ip6)):
        if subnets and not any(each.holds(Address.parse(text)) for each in subnets):
            raise InvalidRequest(
                f"no subnet of network {request.name!r} contains the address {text}",
                f"choose one in {', '.join(map(str, subnets[:4]))}",
            )


def _at_network(source: Source, request: CreateRequest, error: MacvnetError) -> MacvnetError:
    return _placed(source, ("networks", request.name), error)


def _placed(source: Source, where: tuple[str | int, ...], error: MacvnetError) -> MacvnetError:
    """The same error, with the line of what it is about."""
    placed = source.refuse(where, error.message, error.hint)
    return type(error)(placed.message, placed.hint)
