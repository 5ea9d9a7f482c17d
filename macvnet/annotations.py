"""``NET[,key=value...]``: a network, and how an endpoint in it shall be.

The one grammar of ``--network`` on the command line, of an OCI container's
annotation, and of a container's label. The latter two have several networks in
one text, separated by ``;``, and may have blanks in the place of commas, at which
some versions of podman cut an annotation in two. Must not know click, nor who
reads the text.
"""

from __future__ import annotations

from macvnet.errors import InvalidRequest, UsageError
from macvnet.model import EndpointRequest
from macvnet.records import NamedTuple
from macvnet.text import nearest, printable, quoted
from macvnet.words import boolean, integer, split_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

KEY = "macvnet.network"
"""The key of the annotation, and of the label."""
SEPARATOR = ";"
_OURS = "macvnet."

# The flag's word and docker's, to the field of EndpointRequest.
SCALARS = {
    "ip": "ip",
    "ip6": "ip6",
    "ip6-token": "ip6_token",
    "mac": "mac",
    "mac-address": "mac",
    "ifname": "ifname",
    "gw-priority": "gw_priority",
    "metric": "metric",
    "rate": "rate",
}
NUMBERS = ("gw-priority", "metric")
LISTS = {
    "alias": "aliases",
    "driver-opt": "driver_options",
    "link-local-ip": "link_local",
    "route": "routes",
}
SWITCHES = {"no-default-route": "no_default_route", "policy-routes": "policy_routes"}
"""Keys that say something by themselves."""
KEYS = (*SCALARS, *LISTS, *SWITCHES)


class Place(NamedTuple):
    """Where the text stands: what it is called, and how it is typed there."""

    name: str
    typed: str

    between: str = ","

    @property
    def example(self) -> str:
        return self.having("ip=192.0.2.10", "ifname=eth1")

    def having(self, *words: str) -> str:
        """How a network with such words is typed here."""
        text = self.typed + self.between.join(("NET", *words))
        return f"'{text}'" if self.between == " " else text


FLAG = Place("--network", "--network ")
ANNOTATION = Place(f"annotation {KEY}", f"{KEY}=", " ")
LABEL = Place(f"label {KEY}", f"{KEY}=", " ")

Wanted = tuple[tuple[str, EndpointRequest], ...]


def wanted(found: Mapping[str, str], place: Place) -> Wanted:
    """The networks that a container's annotations or labels name; none where none is ours.

    InvalidRequest for what cannot be read, and for a key of ours that nobody knows.
    """
    for key in found:
        if key.startswith(_OURS) and key != KEY:
            raise InvalidRequest(f"unknown {place.name.split()[0]} {quoted(key)}", place.example)
    text = found.get(KEY)
    if text is None:
        return ()
    if place is ANNOTATION and (cut := [key for key in KEYS if key in found]):
        raise InvalidRequest(
            f"there is an annotation {quoted(cut[0])} beside {KEY}: annotations were separated "
            "at a comma",
            place.having(f"{cut[0]}={printable(found[cut[0]])}"),
        )
    return tuple(network(part, place) for part in parts(text))


def parts(text: str) -> list[str]:
    """The networks in the text of an annotation or label, each as ``--network`` has it."""
    each = (part.strip() for part in text.split(SEPARATOR))
    return [part if '"' in part else ",".join(part.replace(",", " ").split()) for part in each]


def network(text: str, place: Place) -> tuple[str, EndpointRequest]:
    """A network term, and what is said of the endpoint; InvalidRequest for anything else."""
    try:
        return _network(text, place)
    except UsageError:
        if place is FLAG:
            raise
        # Its words are about a flag.
        raise InvalidRequest(f"{place.name} {quoted(text)} cannot be read", place.example) from None


def _network(text: str, place: Place) -> tuple[str, EndpointRequest]:
    first, *rest = split_list(place.name, text) or [""]
    if first.startswith("name="):
        first = first.removeprefix("name=")
    if not first or "=" in first:
        raise InvalidRequest(
            f"{place.name} {quoted(text)} does not begin with a network", place.example
        )
    fields: dict[str, Any] = {}
    for item in rest:
        key, equals, value = item.partition("=")
        if key in LISTS and equals:
            fields[LISTS[key]] = (*fields.get(LISTS[key], ()), value)
        elif key in SCALARS and equals:
            fields[SCALARS[key]] = value
        elif key in SWITCHES:
            text = f"{place.typed}NET,{key}"
            fields[SWITCHES[key]] = boolean(text, value) if equals else True
        else:
            raise _unknown(key, bool(equals), place)
    for key in NUMBERS:
        if SCALARS[key] in fields:
            flag = f"{place.typed}NET,{key}"
            fields[SCALARS[key]] = integer(flag, fields[SCALARS[key]], f"{flag}=100")
    return first, EndpointRequest(**fields)


def _unknown(key: str, valued: bool, place: Place) -> InvalidRequest:
    if key in KEYS and not valued:
        return InvalidRequest(f"key {quoted(key)} of {place.name} has no value", place.example)
    close = nearest(key, KEYS)
    return InvalidRequest(
        f"unknown key {quoted(key)} of {place.name}",
        place.having(f"{close}=VALUE") if close else "one of " + ", ".join(KEYS),
    )
