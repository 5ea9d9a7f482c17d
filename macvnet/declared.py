"""What a file of ``macvnet apply`` declares: networks, reservations, endpoints; and its text.

Knows every key of the file and how a declaration is written down as TOML. Must
not know a state: what is read is judged by ``engine.declaring``, and compared by
``engine.planning``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from macvnet.model import CreateRequest, EndpointRequest
from macvnet.records import NamedTuple

TEXT, LIST, TABLE = "text", "text or list of texts", "table of texts"
FLAG, NUMBER = "true or false", "number"

TOP_KEYS = ("id", "networks", "reservations", "endpoints")
NETWORK_KEYS: dict[str, tuple[str, str]] = {
    "driver": ("driver", TEXT),
    "subnet": ("subnets", LIST),
    "gateway": ("gateways", LIST),
    "ip_range": ("ip_ranges", LIST),
    "aux_address": ("aux_addresses", TABLE),
    "exclude": ("excludes", LIST),
    "opt": ("options", TABLE),
    "internal": ("internal", FLAG),
    "ipv4": ("ipv4", FLAG),
    "ipv6": ("ipv6", FLAG),
    "label": ("labels", TABLE),
    "ipam_driver": ("ipam_driver", TEXT),
    "ipam_opt": ("ipam_options", TABLE),
    "config_only": ("config_only", FLAG),
    "config_from": ("config_from", TEXT),
    "attachable": ("attachable", FLAG),
    "host_access": ("host_access", FLAG),
}
"""Key to the field of ``CreateRequest``, and what its value is."""
RESERVATION_KEYS: dict[str, tuple[str, str]] = {
    "network": ("network", TEXT),
    "container": ("container", TEXT),
    "ip": ("ip", TEXT),
    "ip6": ("ip6", TEXT),
}
ENDPOINT_KEYS: dict[str, tuple[str, str]] = {
    **RESERVATION_KEYS,
    "mac_address": ("mac", TEXT),
    "ifname": ("ifname", TEXT),
    "gw_priority": ("gw_priority", NUMBER),
    "alias": ("aliases", LIST),
    "driver_opt": ("driver_options", TABLE),
    "link_local_ip": ("link_local", LIST),
    "no_default_route": ("no_default_route", FLAG),
    "metric": ("metric", NUMBER),
    "route": ("routes", LIST),
    "policy_routes": ("policy_routes", FLAG),
    "no_probe": ("no_probe", FLAG),
    "ip6_token": ("ip6_token", TEXT),
    "rate": ("rate", TEXT),
}
REQUIRED = ("network", "container")


class Entry(NamedTuple):
    """A reservation or an endpoint: of which container, in which network (by name).

    A reservation has no more of the request than its addresses. ``place`` is the
    number of the table in the file.
    """

    network: str
    container: str
    request: EndpointRequest
    place: int = 0


class Declaration(NamedTuple):
    """A whole file. ``id`` is what it calls itself, "" where it does not."""

    id: str = ""
    networks: tuple[CreateRequest, ...] = ()
    reservations: tuple[Entry, ...] = ()
    endpoints: tuple[Entry, ...] = ()


def written(declared: Declaration) -> str:
    """The declaration as TOML; read again, it is the same."""
    return "\n".join(_lines(declared)) + "\n"


def _lines(declared: Declaration) -> Iterator[str]:
    if declared.id:
        yield f"id = {quoted(declared.id)}"
    for network in declared.networks:
        yield from ("", f"[networks.{_key(network.name)}]")
        for key, (field, kind) in NETWORK_KEYS.items():
            value = getattr(network, field)
            if value != getattr(CreateRequest(""), field) or key == "driver":
                yield f"{key} = {_value(value, kind)}"
    for title, entries, keys in (
        ("reservations", declared.reservations, RESERVATION_KEYS),
        ("endpoints", declared.endpoints, ENDPOINT_KEYS),
    ):
        for entry in entries:
            yield from ("", f"[[{title}]]")
            yield f"network = {quoted(entry.network)}"
            yield f"container = {quoted(entry.container)}"
            for key, (field, kind) in keys.items():
                value = getattr(entry.request, field, None)
                if value:
                    yield f"{key} = {_value(value, kind)}"


def _value(value: Any, kind: str) -> str:
    if kind == FLAG:
        return "true" if value else "false"
    if kind == NUMBER:
        return str(value)
    if kind == TABLE:
        pairs = dict(pair(text) for text in value)
        return "{ " + ", ".join(f"{_key(k)} = {quoted(v)}" for k, v in pairs.items()) + " }"
    if kind == LIST:
        return quoted(value[0]) if len(value) == 1 else "[" + ", ".join(map(quoted, value)) + "]"
    return quoted(value)


def pair(text: str) -> tuple[str, str]:
    """``KEY=VALUE``; an address alone is its own name, and another word alone has no value."""
    key, equals, value = text.partition("=")
    return (key, value) if equals else (key, key if "." in key or ":" in key else "")


def _key(text: str) -> str:
    plain = text.replace("-", "").replace("_", "")
    return text if plain.isascii() and plain.isalnum() else quoted(text)


def quoted(text: str) -> str:
    """A basic string of TOML. What no Unicode text can hold becomes U+FFFD."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    number = ord(character)
    if character in '"\\':
        return "\\" + character
    if 0xD800 <= number <= 0xDFFF:
        return "\\uFFFD"
    if not character.isprintable():
        return f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"
    return character


def pairs(values: dict[str, str]) -> tuple[str, ...]:
    """A table as the texts that a request has."""
    return tuple(f"{key}={value}" for key, value in sorted(values.items()))


def duplicates(entries: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Entries of one container in one network: the first, and each that says so again."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        first = seen.setdefault((entry.network, entry.container), entry)
        if first is not entry:
            yield first, entry
