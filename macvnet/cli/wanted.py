"""``--network NET[,key=value...]`` and the single flags beside it.

Turns them into what the engine takes: network terms with a request each. Must
not know click, whose options for them are in ``endpoint_flags``.
"""

from __future__ import annotations

from macvnet.annotations import FLAG, network
from macvnet.errors import InvalidRequest
from macvnet.model import EndpointRequest
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from macvnet.engine import Engine

EXAMPLE = FLAG.example
FLAGS = (
    *("--ip", "--ip6", "--mac-address", "--ifname", "--gw-priority"),
    *("--no-default-route", "--metric", "--route", "--policy-routes", "--ip6-token"),
    "--rate",
)
"""The single flags, which are for one network."""


def request(given: dict[str, Any]) -> EndpointRequest:
    """The request that the single flags make."""
    return EndpointRequest(
        ip=given["ip"],
        ip6=given["ip6"],
        mac=given["mac_address"],
        ifname=given["ifname"],
        gw_priority=given["gw_priority"],
        aliases=given.get("alias", ()),
        driver_options=given.get("driver_opt", ()),
        link_local=given.get("link_local_ip", ()),
        no_default_route=bool(given["no_default_route"]),
        metric=given["metric"],
        routes=given["route"],
        policy_routes=bool(given["policy_routes"]),
        no_probe=bool(given.get("no_probe")),
        ip6_token=given.get("ip6_token", ""),
        rate=given.get("rate", ""),
    )


def over(common: EndpointRequest, own: EndpointRequest) -> EndpointRequest:
    """What one container shall have: what is said of it, else what is said of all."""
    return EndpointRequest._make(mine or alls for mine, alls in zip(own, common, strict=True))


def refuse_for_many(given: dict[str, Any], networks: Sequence[str] = ()) -> None:
    """InvalidRequest where the flags give several containers one address, token or MAC."""
    for name in ("ip", "ip6", "mac_address", "ip6_token"):
        if given[name]:
            flag = "--" + name.replace("_", "-")
            raise InvalidRequest(
                f"{flag} {quoted(given[name])} is for one container, and there are several",
                f"on its line in --batch: CONTAINER {flag} VALUE",
            )
    for text in networks:
        _, own = _network(text)
        if own.ip or own.ip6 or own.mac or own.ip6_token:
            raise InvalidRequest(
                f"--network {quoted(text)} gives one address, token or MAC to several containers",
                "leave it out, or attach them one by one",
            )


def wanted(
    networks: Sequence[str], given: dict[str, Any]
) -> tuple[tuple[str, EndpointRequest], ...]:
    """Pairs of network term and request; the term is "" for "the only network there is".

    InvalidRequest for an unknown key, and for single flags beside several networks;
    ``--no-probe`` is for all of them.
    """
    alone = request(given)
    if not networks:
        return (("", alone),) if alone != EndpointRequest() else ()
    parsed = tuple(_network(text) for text in networks)
    if alone.no_probe:
        parsed = tuple((term, own._replace(no_probe=True)) for term, own in parsed)
        alone = alone._replace(no_probe=False)
    if alone == EndpointRequest():
        return parsed
    used = [flag for flag in FLAGS if given[flag[2:].replace("-", "_")]]
    if len(parsed) > 1:
        raise InvalidRequest(f"{used[0]} is for one network, and there are {len(parsed)}", EXAMPLE)
    term, own = parsed[0]
    for field in EndpointRequest._fields:
        value = getattr(alone, field)
        if value and getattr(own, field):
            raise InvalidRequest(
                f"the network {quoted(term)} and {used[0]} both say what {field} shall be",
                f"--network NET {used[0]} VALUE",
            )
        if value:
            own = own._replace(**{field: value})
    return ((term, own),)


def _network(text: str) -> tuple[str, EndpointRequest]:
    return network(text, FLAG)


def resolve_only(
    engine: Engine, asked: tuple[tuple[str, EndpointRequest], ...]
) -> tuple[tuple[str, EndpointRequest], ...]:
    """Put the only network there is in the place of "" (flags without ``--network``).

    Raises as ``Engine.only_network``.
    """
    if not asked or asked[0][0]:
        return asked
    return ((engine.only_network().id, asked[0][1]),)
