"""What Docker's or Podman's ``network inspect`` prints becomes a declaration.

Knows the two shapes. Whoever wrote the JSON is not believed: what has another
shape is refused, and what the values mean is judged when the file is applied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from macvnet import option_keys, rules
from macvnet.addresses import IPV4, Address, Subnet
from macvnet.declared import Declaration, Entry, pairs
from macvnet.drivers import MODULES
from macvnet.errors import InvalidRequest
from macvnet.model import CreateRequest, EndpointRequest
from macvnet.records import NamedTuple
from macvnet.text import quoted

LARGEST = 1 << 26
_AGAIN = "the output of {0} network inspect"
_MODES = {"macvlan": "macvlan_mode", "ipvlan": "ipvlan_mode"}
Shape = (AttributeError, LookupError, TypeError, ValueError)


class Foreign(NamedTuple):
    """The declaration, and what of the other's networks is not in it: a sentence each."""

    declared: Declaration
    notes: tuple[str, ...]


class _Unfit(Exception):
    """A network that macvnet has none like; the text says why."""


def decoded(text: str, runtime: str) -> list[Any]:
    """The JSON of ``network inspect``. InvalidRequest where it is none."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise InvalidRequest("the JSON is nested too deeply", _AGAIN.format(runtime)) from None
    except ValueError as error:
        raise InvalidRequest(
            f"the input is not JSON: {str(error)[:200]}", _AGAIN.format(runtime)
        ) from None
    return found if isinstance(found, list) else [found]


def convert(runtime: str, documents: list[Any]) -> Foreign:
    """The macvlan and ipvlan networks among them. InvalidRequest where one has another shape."""
    read: Callable[[Any], tuple[CreateRequest, list[str]]]
    read = _docker if runtime == "docker" else _podman
    requests: list[CreateRequest] = []
    entries: list[Entry] = []
    notes: list[str] = []
    for number, document in enumerate(documents, 1):
        try:
            name = _text(document["Name" if runtime == "docker" else "name"])
            request, said = read(document)
            rules.check_name(name)
            if any(other.name == name for other in requests):
                raise _Unfit("another one has its name")
            entries += _kept(document, name, runtime, request)
        except _Unfit as unfit:
            notes.append(f"network {quoted(name)} is left out: {unfit}")
        except InvalidRequest as error:
            notes.append(f"network {quoted(name)} is left out: {error.message}")
        except Shape:
            raise InvalidRequest(
                f"network {number} of the input has not the shape that {runtime} gives it",
                _AGAIN.format(runtime),
            ) from None
        else:
            requests.append(request)
            notes += [f"network {quoted(name)}: {each}" for each in said]
    known = {request.name for request in requests}
    for request in requests:
        if request.config_from and request.config_from not in known:
            notes.append(
                f"network {quoted(request.name)} takes its settings from "
                f"{quoted(request.config_from)}, which is not in the input"
            )
    # Settings before the networks that take them.
    requests.sort(key=lambda each: not each.config_only)
    return Foreign(Declaration("", tuple(_shared(requests)), tuple(entries)), tuple(notes))


def _shared(requests: list[CreateRequest]) -> Iterator[CreateRequest]:
    """What is on one parent says that it shares it: Docker takes that for granted."""
    for request in requests:
        parent = _parent(request)
        sharers = [each for each in requests if parent and _parent(each) == parent]
        if len(sharers) > 1:
            options = {**rules.split_pairs(request.options, "-o"), "share_parent": "true"}
            yield request._replace(options=pairs(options))
        else:
            yield request


def _parent(request: CreateRequest) -> str:
    return rules.split_pairs(request.options, "-o").get("parent", "")


def _docker(document: Any) -> tuple[CreateRequest, list[str]]:
    driver, only = _text(document["Driver"]), _flag(document.get("ConfigOnly", False))
    source = _text((document.get("ConfigFrom") or {}).get("Network", ""))
    if driver not in MODULES and not only:
        raise _Unfit(f"its driver is {quoted(driver)}")
    options, notes = _options(document.get("Options") or {}, "" if only else driver)
    if only and "parent" not in options:
        raise _Unfit("it is configuration for another driver")
    ipam = document["IPAM"]
    if _text(ipam.get("Driver") or "default") not in ("default", "null"):
        raise _Unfit(f"its addresses are given by {quoted(ipam['Driver'])}")
    ipv6 = _flag(document.get("EnableIPv6", False))
    configs = [
        each
        for each in ipam.get("Config") or []
        # Without --ipv6 Docker shows the subnet, and gives nothing of it.
        if ipv6 or only or Subnet.parse(_text(each["Subnet"])).family == IPV4
    ]
    request = CreateRequest(
        _text(document["Name"]),
        "macvlan" if only else driver,
        internal=_flag(document.get("Internal", False)),
        attachable=_flag(document.get("Attachable", False)),
        config_only=only,
        config_from=source,
        ipam_driver=_text(ipam.get("Driver") or "default"),
    )
    if source:
        return request, notes
    return request._replace(
        subnets=tuple(_text(each["Subnet"]) for each in configs),
        gateways=tuple(_text(each["Gateway"]) for each in configs if each.get("Gateway")),
        ip_ranges=tuple(_text(each["IPRange"]) for each in configs if each.get("IPRange")),
        aux_addresses=tuple(
            pair for each in configs for pair in pairs(_texts(each.get("AuxiliaryAddresses") or {}))
        ),
        options=pairs(options),
        labels=pairs(_texts(document.get("Labels") or {})),
        ipam_options=pairs(_texts(ipam.get("Options") or {})),
        ipv4=False if document.get("EnableIPv4") is False and not only else None,
        ipv6=True if ipv6 else None,
    ), notes


def _options(given: dict[str, Any], driver: str) -> tuple[dict[str, str], list[str]]:
    """Those that macvnet has too; a note of each other one."""
    mine = (*option_keys.COMMON, *option_keys.OF_DRIVER[driver]) if driver else option_keys.ALL
    found = _texts(given)
    notes = [f"the option {quoted(key)} is left out" for key in found if key not in mine]
    return {key: value for key, value in found.items() if key in mine}, notes


def _podman(document: Any) -> tuple[CreateRequest, list[str]]:
    if "cniVersion" in document:
        raise _Unfit("it is in the form of Podman 3, which kept its networks as CNI does")
    driver = _text(document["driver"])
    if driver not in MODULES:
        raise _Unfit(f"its driver is {quoted(driver)}")
    given = _texts(document.get("options") or {})
    options = {"parent": _text(document.get("network_interface") or given.pop("parent", ""))}
    notes = []
    for key, value in given.items():
        if key == "mode":
            options[_MODES[driver]] = value
        elif key == "mtu":
            options["mtu"] = value
        else:
            notes.append(f"the option {quoted(key)} is left out")
    assigns = _text((document.get("ipam_options") or {}).get("driver", "host-local"))
    null = assigns != "host-local"
    if assigns == "dhcp":
        notes.append("its addresses came by DHCP; macvnet gives none there (ipam_driver null)")
    pools = [] if null else document.get("subnets") or []
    return CreateRequest(
        _text(document["name"]),
        driver,
        subnets=tuple(_text(each["subnet"]) for each in pools),
        gateways=tuple(_text(each["gateway"]) for each in pools if each.get("gateway")),
        ip_ranges=tuple(
            _range(Subnet.parse(_text(each["subnet"])), each["lease_range"])
            for each in pools
            if each.get("lease_range")
        ),
        options=pairs({key: value for key, value in options.items() if value}),
        internal=_flag(document.get("internal", False)),
        labels=pairs(_texts(document.get("labels") or {})),
        ipam_driver="null" if null else "default",
    ), notes


def _range(subnet: Subnet, given: dict[str, Any]) -> str:
    """START-END; where Podman leaves one open it is the subnet's."""
    first, last = subnet.first + 1, subnet.last - (subnet.family == IPV4)
    start = _text(given.get("start_ip") or str(Address(subnet.family, first)))
    return f"{start}-{_text(given.get('end_ip') or str(Address(subnet.family, last)))}"


def _kept(document: Any, name: str, runtime: str, request: CreateRequest) -> list[Entry]:
    """What the containers in a network have is reserved for them."""
    entries = []
    found = document.get("Containers" if runtime == "docker" else "containers") or {}
    for one in found.values():
        if runtime == "docker":
            texts = [_text(one.get("IPv4Address", "")), _text(one.get("IPv6Address", ""))]
        else:
            interfaces = (one.get("interfaces") or {}).values()
            texts = [_text(s["ipnet"]) for each in interfaces for s in each.get("subnets") or []]
        addresses = [Address.parse(text.partition("/")[0]) for text in texts if text]
        ips = {address.family: str(address) for address in addresses}
        subnets = [Subnet.parse(text) for text in request.subnets]
        if addresses and all(any(s.holds(a) for s in subnets) for a in addresses):
            container = _text(one["Name" if runtime == "docker" else "name"])
            wanted = EndpointRequest(ip=ips.get(4, ""), ip6=ips.get(6, ""))
            entries.append(Entry(name, f"{runtime}:{container}", wanted))
    return entries


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _texts(value: Any) -> dict[str, str]:
    return {_text(key): _text(item) for key, item in value.items()}


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value
