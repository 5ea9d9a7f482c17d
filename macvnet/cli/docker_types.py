"""The Go types that docker's own commands give to a template, as Docker 29 has them.

Knows docker's names of types, fields and headings; must not know templates'
syntax, nor the engine. Addresses are text, as they were until Docker 28: those
of 29 cannot be empty, and print ``invalid IP`` where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from macvnet.gotemplate import jsons
from macvnet.gotemplate.times import TIME
from macvnet.gotemplate.values import (
    ANY,
    BOOL,
    INT,
    STRING,
    UINT64,
    Field,
    Function,
    Kind,
    Type,
    Value,
    map_of,
    pointer_to,
    slice_of,
    string,
)

TEXTS = map_of(STRING, STRING)


def _struct(name: str, **types: Type) -> Type:
    return Type(name, Kind.STRUCT, fields=[Field(key, of, key) for key, of in types.items()])


PREFIX = Type("netip.Prefix", Kind.STRUCT, text=str)
"""As the key of a map only: it prints as text, but is none to compare with."""

CONFIG = Type(
    "network.IPAMConfig",
    Kind.STRUCT,
    fields=(
        Field("Subnet", STRING, "Subnet", omit_empty=True),
        Field("IPRange", STRING, "IPRange", omit_empty=True),
        Field("Gateway", STRING, "Gateway", omit_empty=True),
        Field("AuxAddress", TEXTS, "AuxiliaryAddresses", omit_empty=True),
    ),
)
IPAM = _struct("network.IPAM", Driver=STRING, Options=TEXTS, Config=slice_of(CONFIG))
ENDPOINT = _struct(
    "network.EndpointResource",
    Name=STRING,
    EndpointID=STRING,
    MacAddress=STRING,
    IPv4Address=STRING,
    IPv6Address=STRING,
)
CONFIG_FROM = _struct("network.ConfigReference", Network=STRING)
SUBNET_STATUS = _struct("network.SubnetStatus", IPsInUse=UINT64, DynamicIPsAvailable=UINT64)
IPAM_STATUS = _struct("network.IPAMStatus", Subnets=map_of(PREFIX, SUBNET_STATUS))
STATUS = _struct("network.Status", IPAM=IPAM_STATUS)
PEER = _struct("network.PeerInfo", Name=STRING, IP=STRING)
TASK = _struct("network.Task", Name=STRING, EndpointID=STRING, EndpointIP=STRING, Info=TEXTS)
SERVICE = _struct(
    "network.ServiceInfo",
    VIP=STRING,
    Ports=slice_of(STRING),
    LocalLBIndex=INT,
    Tasks=slice_of(TASK),
)
INSPECT = Type(
    "network.Inspect",
    Kind.STRUCT,
    fields=(
        Field("Name", STRING, "Name"),
        Field("ID", STRING, "Id"),
        Field("Created", TIME, "Created"),
        Field("Scope", STRING, "Scope"),
        Field("Driver", STRING, "Driver"),
        Field("EnableIPv4", BOOL, "EnableIPv4"),
        Field("EnableIPv6", BOOL, "EnableIPv6"),
        Field("IPAM", IPAM, "IPAM"),
        Field("Internal", BOOL, "Internal"),
        Field("Attachable", BOOL, "Attachable"),
        Field("Ingress", BOOL, "Ingress"),
        Field("ConfigFrom", CONFIG_FROM, "ConfigFrom"),
        Field("ConfigOnly", BOOL, "ConfigOnly"),
        Field("Options", TEXTS, "Options"),
        Field("Labels", TEXTS, "Labels"),
        Field("Peers", slice_of(PEER), "Peers", omit_empty=True),
        Field("Containers", map_of(STRING, ENDPOINT), "Containers"),
        Field("Services", map_of(STRING, SERVICE), "Services", omit_empty=True),
        Field("Status", STATUS, "Status"),
        Field("Macvnet", ANY, "Macvnet"),
    ),
)
FREE_KEYS = ("DriverOpts",)
"""Below ``Macvnet``: the keys are the user's, so that a key may be missing."""


def inspected(document: Mapping[str, Any]) -> Value:
    """An element of ``inspect``'s array as docker's typed value."""
    value = jsons.decode(INSPECT, document)
    beyond = jsons.described("macvnet.Network", document["Macvnet"], FREE_KEYS)
    value.data["Macvnet"] = Value(ANY, beyond)
    return value


def raw(document: Mapping[str, Any]) -> Value | None:
    """The same as what Go makes of JSON by itself; docker tries it if the typed value fails."""
    return jsons.concrete_of(document)


# -- ls ---------------------------------------------------------------------

HEADINGS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
LABELS = "labels"
"""Where a row keeps its labels one by one: not a field."""


def _label(receiver: Value, name: Value) -> Value:
    return string(receiver.data[LABELS].get(name.data, ""))


def _label_heading(receiver: Value, name: Value) -> Value:
    return string(name.data.rpartition(".")[2].replace("-", " ").replace("_", " "))


def _row_json(data: Mapping[str, Any]) -> str:
    cells = [(key, data[key].data) for key in sorted(HEADINGS)]
    pairs = [f"{jsons.quoted(key)}:{jsons.quoted(text, html=True)}" for key, text in cells]
    return "{" + ",".join(pairs) + "}"


ROW = Type(
    "network.networkContext",
    Kind.STRUCT,
    fields=[Field(name, STRING, name) for name in HEADINGS],
    methods={"Label": Function((STRING,), _label)},
    marshal=_row_json,
)
HEADER = Type(
    "formatter.SubHeaderContext",
    Kind.MAP,
    key=STRING,
    elem=STRING,
    methods={"Label": Function((STRING,), _label_heading)},
)


def row(cells: Mapping[str, str], labels: Mapping[str, str]) -> Value:
    """A network as ``ls`` gives it to a template."""
    data: dict[str, Any] = {name: string(text) for name, text in cells.items()}
    return Value(pointer_to(ROW), Value(ROW, {**data, LABELS: labels}))


def header() -> Value:
    """What the first line of a table is made from."""
    return Value(HEADER, {name: string(text) for name, text in HEADINGS.items()})
