"""Reading a file of ``apply``: TOML becomes a declaration, or a refusal that names the line.

Judges all that can be judged from the file alone. Must not look at a state, nor
ask a runtime: what a container is called in the file is what it is known by.
"""

from __future__ import annotations

from typing import Any

from macvnet import option_keys, rules, runtimes
from macvnet.addresses import IPV4, IPV6, Address
from macvnet.declared import (
    ENDPOINT_KEYS,
    FLAG,
    LIST,
    NETWORK_KEYS,
    NUMBER,
    REQUIRED,
    RESERVATION_KEYS,
    TABLE,
    TOP_KEYS,
    Declaration,
    Entry,
    duplicates,
)
from macvnet.errors import InvalidRequest, MacvnetError
from macvnet.model import CreateRequest, EndpointRequest
from macvnet.records import NamedTuple
from macvnet.text import nearest, printable, quoted

LARGEST = 1 << 24
"""Bytes of a file; some hundred thousand entries."""
LONGEST = 4096
PRIORITIES = 1 << 31

Path = tuple[str | int, ...]


class Source(NamedTuple):
    """A file, as it is called in refusals, and its text."""

    name: str
    text: str

    def refuse(self, where: Path, text: str, hint: str | None) -> InvalidRequest:
        """A refusal that names the line."""
        # Only now, on the way to an error, is it worth finding out where things are.
        from macvnet.toml_lines import line_of

        line = None
        for length in range(len(where), 0, -1):
            line = line or line_of(self.text, where[:length])
        at = f" line {line}" if line else ""
        return InvalidRequest(f"{quoted(self.name)}{at}: {text}", hint)

    def unknown(self, where: Path, known: tuple[str, ...]) -> InvalidRequest:
        """An unknown key, with the nearest one that there is."""
        guess = nearest(str(where[-1]), known)
        hint = f"did you mean {guess}?" if guess else "one of " + ", ".join(known)
        return self.refuse(where, f"unknown key {quoted(where[-1])}", hint)


def read(source: Source) -> Declaration:
    """The declaration in a file. InvalidRequest, naming the line, for whatever is wrong."""
    data = _parsed(source)
    for key in data:
        if key not in TOP_KEYS:
            raise source.unknown((key,), TOP_KEYS)
    declared = Declaration(
        _id(source, data.get("id", "")),
        _networks(source, data.get("networks", {})),
        _entries(source, "reservations", data.get("reservations", []), RESERVATION_KEYS),
        _entries(source, "endpoints", data.get("endpoints", []), ENDPOINT_KEYS),
    )
    _refuse_contradictions(source, declared)
    return declared


def _parsed(source: Source) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(source.text)
    except RecursionError:
        raise InvalidRequest(
            f"{quoted(source.name)} is nested too deeply", "fewer brackets"
        ) from None
    except ValueError as error:
        # tomli's own words carry the line; an integer too long for Python raises plainly.
        raise InvalidRequest(
            f"{quoted(source.name)} is not TOML: {printable(str(error))[:300]}",
            "https://toml.io/en/v1.0.0",
        ) from None


def _id(source: Source, value: Any) -> str:
    text = _text(source, ("id",), value)
    if text:
        try:
            rules.check_name(text, "file")
        except InvalidRequest as error:
            raise source.refuse(("id",), error.message, f'id = "{error.hint}"') from None
    return text


def _networks(source: Source, value: Any) -> tuple[CreateRequest, ...]:
    found = []
    for name, table in _table(source, ("networks",), value, "[networks.NAME]").items():
        where: Path = ("networks", name)
        try:
            rules.check_name(name)
        except InvalidRequest as error:
            raise source.refuse(where, error.message, f"[networks.{error.hint}]") from None
        fields = _fields(source, where, table, NETWORK_KEYS, f"[networks.{name}]")
        request = CreateRequest(name=name, **fields)
        _refuse_unknown_options(source, where, request)
        found.append(request)
    return tuple(found)


def _refuse_unknown_options(source: Source, where: Path, request: CreateRequest) -> None:
    """Where the driver is known: it alone knows which it has, and it does not know the line."""
    own = option_keys.OF_DRIVER.get(request.driver or "macvlan")
    if own is None or request.config_only:
        return
    known = (*option_keys.COMMON, *own)
    for pair in request.options:
        key = pair.partition("=")[0]
        if key not in known:
            raise source.unknown((*where, "opt", key), known)


def _entries(
    source: Source, title: str, value: Any, keys: dict[str, tuple[str, str]]
) -> tuple[Entry, ...]:
    if not isinstance(value, list):
        raise source.refuse((title,), f"{title} are not tables", f"[[{title}]]")
    return tuple(
        _entry(source, (title, place), table, keys, place) for place, table in enumerate(value)
    )


def _entry(
    source: Source, where: Path, table: Any, keys: dict[str, tuple[str, str]], place: int
) -> Entry:
    fields = _fields(source, where, table, keys, f"[[{where[0]}]]")
    for key in REQUIRED:
        if not fields.get(key):
            raise source.refuse(where, f"the {key} is missing", f'{key} = "..."')
    network = fields.pop("network")
    container = _container(source, (*where, "container"), fields.pop("container"))
    for family, key in ((IPV4, "ip"), (IPV6, "ip6")):
        if fields.get(key):
            fields[key] = _address(source, (*where, key), family, fields[key])
    request = EndpointRequest(**fields)
    try:
        if request.mac:
            request = request._replace(mac=rules.check_mac(request.mac))
        if request.ifname:
            rules.check_interface_name(request.ifname)
    except InvalidRequest as error:
        raise source.refuse(where, error.message, error.hint) from None
    return Entry(network, container, request, place)


def _address(source: Source, where: Path, family: int, text: str) -> str:
    try:
        address = Address.parse(text)
    except ValueError:
        address = None
    if address is None or address.family != family:
        raise source.refuse(
            where,
            f"{quoted(text)} is no IPv{family} address",
            f'{where[-1]} = "{"192.0.2.10" if family == IPV4 else "2001:db8::10"}"',
        )
    return str(address)


def _container(source: Source, where: Path, text: str) -> str:
    """The owner that a spelling means: the name that lasts, of a runtime that is named."""
    found = runtimes.spelled(text)
    if found is None:
        word, colon, name = text.partition(":")
        near = nearest(word, runtimes.table()) if colon else None
        raise source.refuse(
            where,
            f"{quoted(text)} does not say of which runtime it is",
            f'"{near}:{printable(name[:64])}"' if near else f'"docker:{printable(text[:64])}"',
        )
    try:
        owner = runtimes.table()[found[0]].owner(found[1])
    except MacvnetError as error:
        raise source.refuse(where, error.message, error.hint) from None
    if not owner.returns or runtimes.is_drawn_by_lot(owner.name):
        raise source.refuse(
            where, f"{quoted(text)} has no name that lasts", "netns:NAME, run:NAME, docker:NAME"
        )
    return str(owner)


def _fields(
    source: Source, where: Path, table: Any, keys: dict[str, tuple[str, str]], example: str
) -> dict[str, Any]:
    fields = {}
    for key, value in _table(source, where, table, example).items():
        if key not in keys:
            raise source.unknown((*where, key), tuple(keys))
        field, kind = keys[key]
        fields[field] = _value(source, (*where, key), value, kind)
    return fields


def _value(source: Source, where: Path, value: Any, kind: str) -> Any:
    if kind == FLAG:
        if not isinstance(value, bool):
            raise source.refuse(where, f"{where[-1]} is not true or false", f"{where[-1]} = true")
        return value
    if kind == NUMBER:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= PRIORITIES:
            raise source.refuse(where, f"{where[-1]} is no such number", f"{where[-1]} = 100")
        return value
    if kind == LIST:
        items = value if isinstance(value, list) else [value]
        return tuple(_text(source, where, item) for item in items)
    if kind == TABLE:
        return _pairs(source, where, value)
    return _text(source, where, value)


def _pairs(source: Source, where: Path, value: Any) -> tuple[str, ...]:
    found = {}
    for key, item in _table(source, where, value, f'{where[-1]} = {{ key = "..." }}').items():
        if not key or "=" in key:
            raise source.refuse(where, f"{quoted(key)} cannot be a key", "a word without '='")
        if isinstance(item, bool):
            found[key] = "true" if item else "false"
        elif isinstance(item, int) and abs(item) < 1 << 63:
            found[key] = str(item)
        else:
            found[key] = _text(source, (*where, key), item)
    return tuple(f"{key}={text}" for key, text in sorted(found.items()))


def _table(source: Source, where: Path, value: Any, example: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise source.refuse(where, f"{where[0]} is not a table", printable(example[:200]))
    return value


def _text(source: Source, where: Path, value: Any) -> str:
    if not isinstance(value, str):
        raise source.refuse(where, f"{where[-1]} is not a text", f'{where[-1]} = "..."')
    if len(value) > LONGEST or "\0" in value:
        raise source.refuse(where, f"{where[-1]} is no text that can be used", "a shorter one")
    return value


def _refuse_contradictions(source: Source, declared: Declaration) -> None:
    for title, entries in (
        ("reservations", declared.reservations),
        ("endpoints", declared.endpoints),
    ):
        for _, again in duplicates(entries):
            raise source.refuse(
                (title, again.place),
                f"{quoted(again.container)} is in network {quoted(again.network)} twice",
                "one of the two",
            )
    owners: dict[tuple[str, str], str] = {}
    kept = {(entry.network, entry.container): entry for entry in declared.reservations}
    for title, entry in (
        *(("reservations", one) for one in declared.reservations),
        *(("endpoints", one) for one in declared.endpoints),
    ):
        own = kept.get((entry.network, entry.container), entry).request
        for key, text, reserved in (
            ("ip", entry.request.ip, own.ip),
            ("ip6", entry.request.ip6, own.ip6),
        ):
            if text and reserved and text != reserved:
                raise source.refuse(
                    (title, entry.place, key),
                    f"{reserved} is reserved for {quoted(entry.container)}, and {text} is another",
                    f'{key} = "{reserved}"',
                )
            holder = owners.setdefault((entry.network, text), entry.container) if text else None
            if holder not in (None, entry.container):
                raise source.refuse(
                    (title, entry.place, key),
                    f"{text} is for {quoted(holder)} already",
                    "another address, or none",
                )
