"""What a network namespace and a network look like, as a set of sentences.

Two sides are compared by the sentences that one command line adds and takes
away. What moves or is random by nature (indexes, IDs, times, the digits of a
MAC) is put into words that are the same wherever the meaning is the same.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.lab.processes import inside

QUERY = "ip -d -j addr show; echo; ip -j -4 route show; echo; ip -j -6 route show"
SYSCTLS = ("disable_ipv6", "accept_ra", "autoconf")
# Keys of inspect that both have in every version; the rest is random or a row of its own.
SHARED_KEYS = (
    "Scope", "Driver", "EnableIPv6", "Internal", "Attachable", "Ingress", "ConfigFrom",
    "ConfigOnly", "Options", "Labels",
)  # fmt: skip
FOREIGN_ID = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| \+0000 UTC)")
RouteFacts = list[dict[str, Any]]


def look(path: str) -> tuple[list[dict[str, Any]], RouteFacts]:
    """Links with their addresses, and routes of the main tables, in the namespace ``path``."""
    argv = ["nsenter", f"--net={path}", "--", "sh", "-c", QUERY]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    links, routes4, routes6 = (json.loads(part or "[]") for part in text.split("\n\n"))
    return links, routes4 + routes6


def of_mac(mac: str, addresses: Iterable[str], parents: Iterable[str], given: str) -> str:
    """What a MAC is made of, in words. ``given``: the command lines so far."""
    derived = {
        "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("/")[0].split("."))
        for address in addresses
        if ":" not in address
    }
    if mac.lower() in given.lower():
        return f"{mac}, as asked for"
    if mac in parents:
        return "of the parent"
    return "of the address" if mac in derived else "of its own"


def link_facts(
    owner: str,
    links: Iterable[Mapping[str, Any]],
    host_links: Mapping[int, Mapping[str, Any]],
    given: str,
) -> set[str]:
    """Sentences about links and their addresses, each begun with ``owner``."""
    facts: set[str] = set()
    for link in links:
        name, info = link["ifname"], link.get("linkinfo", {})
        kind, data = info.get("info_kind", ""), info.get("info_data", {})
        # The kernel's own link-local ones come after a second or so; disable_ipv6 is compared.
        here = [item for item in link["addr_info"] if not item["local"].startswith("fe80:")]
        addresses = [f"{item['local']}/{item['prefixlen']}" for item in here]
        words = [f"{owner} link {name}", kind, data.get("mode", ""), data.get("mode_flag", "")]
        if kind in ("macvlan", "ipvlan"):
            parent = host_links.get(link.get("link_index", 0), {})
            words.append(f"on {parent.get('ifname', 'nothing')}")
            macs = [host["address"] for host in host_links.values()]
            facts.add(f"{owner} mac {name} {of_mac(link['address'], addresses, macs, given)}")
        words += ["up" if "UP" in link["flags"] else "down", f"mtu {link['mtu']}"]
        facts.add(" ".join(word for word in words if word))
        for item, address in zip(here, addresses, strict=True):
            broadcast = f" brd {item['broadcast']}" if "broadcast" in item else ""
            nodad = " nodad" if item.get("nodad") else ""
            facts.add(f"{owner} address {name} {address}{broadcast} scope {item['scope']}{nodad}")
    return facts


def route_facts(owner: str, routes: Iterable[Mapping[str, Any]]) -> set[str]:
    """Sentences about the routes of the main tables, those of link-local addresses left out."""
    return {
        f"{owner} route {_route(route)}"
        for route in routes
        if not str(route["dst"]).startswith(("fe80:", "ff00:"))
    }


def _route(route: Mapping[str, Any]) -> str:
    words = [str(route["dst"])]
    for key, word in (("gateway", "via"), ("dev", "dev"), ("scope", "scope"),
                      ("prefsrc", "src"), ("metric", "metric")):  # fmt: skip
        if key in route:
            words.append(f"{word} {route[key]}")
    return " ".join([*words, *(flag for flag in route["flags"] if flag == "onlink")])


def sysctl_facts(owner: str, path: str, links: Iterable[Mapping[str, Any]]) -> set[str]:
    """Sentences about what each link of the namespace ``path`` does with IPv6."""
    facts = set()
    with open(path, "rb") as namespace, inside(namespace.fileno()):
        for link in ("all", "default", *(link["ifname"] for link in links)):
            for key in SYSCTLS:
                file = Path(f"/proc/sys/net/ipv6/conf/{link}/{key}")
                if file.exists():
                    facts.add(f"{owner} sysctl {link}/{key} {file.read_text().strip()}")
    return facts


def network_facts(
    network: Mapping[str, Any], containers: Mapping[str, str], given: str, *, whole: bool
) -> list[str]:
    """Sentences about one element of inspect's array; ``containers``: their names to tokens.

    ``whole``: every key, each in a sentence; else what is not empty, in one.
    """
    name = f"network {network['Name']}"
    ipam = network["IPAM"]
    shape = {key: network[key] for key in SHARED_KEYS}
    shape |= {f"IPAM.{key}": ipam[key] for key in ("Driver", "Options")}
    # Docker's order is that of a Go map.
    configs = sorted(ipam["Config"] or (), key=_json)
    shape |= {f"IPAM.Config.{number}": config for number, config in enumerate(configs)}
    if whole:
        facts = [f"{name} {key} {_json(value)}" for key, value in sorted(shape.items())]
    else:
        filled = {key: value for key, value in shape.items() if value}
        facts = [f"{name} {_json(filled)}"]
    for container in network["Containers"].values():
        addresses = [container[key] for key in ("IPv4Address", "IPv6Address") if container[key]]
        token = containers.get(container["Name"], container["Name"])
        mac = container["MacAddress"]
        facts += [
            f"{name} has {token} at {' '.join(addresses) or 'no address'}",
            f"{name} mac {token} {of_mac(mac, addresses, (), given) if mac else 'none'}",
        ]
    return sorted(facts)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def without_ids(text: str, ids: Mapping[str, str]) -> str:
    """The text with IDs by the names of their networks, and without times."""
    for name, full in ids.items():
        text = text.replace(full, f"<ID of {name}>").replace(full[:12], f"<12 of {name}>")
    return TIME.sub("<time>", FOREIGN_ID.sub("<ID>", text))
