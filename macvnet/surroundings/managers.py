"""Whether systemd-networkd or NetworkManager will configure a link that macvnet makes.

Both are told by files. networkd goes by the first that matches; NetworkManager leaves
alone what others make, unless a profile is for it. What a name, a kind, a MAC or a VLAN
decides is judged here; a file that asks for anything else is taken for another link's.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

from macvnet.records import NamedTuple
from macvnet.surroundings import text_of

NETWORKD, NETWORKMANAGER = "networkd", "NetworkManager"
FOLDERS = (
    "etc/systemd/network",
    "run/systemd/network",
    "usr/local/lib/systemd/network",
    "usr/lib/systemd/network",
    "lib/systemd/network",
)
"""Where .network files are; of one name the first counts (systemd.network(5))."""
NM_FOLDERS = ("etc/NetworkManager", "run/NetworkManager", "usr/lib/NetworkManager")
NM_PROFILES = "system-connections"
DECIDED_HERE = {"name", "type", "kind", "macaddress"}
NO = ("no", "false", "off", "0", "n", "f")

Section = dict[str, list[str]]


class Place(NamedTuple):
    """A link as these programs tell it from others; ``lower`` and ``vlan_id`` are a VLAN's."""

    name: str
    kind: str
    mac: str = ""
    lower: str = ""
    vlan_id: int = 0


def look(root: str, link: Place) -> tuple[tuple[str, str], ...]:
    """The managers at work that nothing keeps from the link, each with the file it goes by."""
    found = []
    if os.path.isdir(os.path.join(root, "run/systemd/netif/links")):
        file = networkd_file(root, link)
        if file:
            found.append((NETWORKD, file))
    at_work = os.path.isdir(os.path.join(root, "run/NetworkManager/devices"))
    if at_work and not _left_alone(root, link.name, link.kind):
        file = networkmanager_profile(root, link)
        if file:
            found.append((NETWORKMANAGER, file))
    return tuple(found)


def networkmanager_profile(root: str, link: Place) -> str:
    """The path of a profile that starts by itself and is for the link, or ""."""
    for folder in NM_FOLDERS:
        for entry in _entries(root, f"{folder}/{NM_PROFILES}", ""):
            path = f"{folder}/{NM_PROFILES}/{entry}"
            sections = _sections(text_of(root, path) or "")
            connection = sections.get("connection", {})
            by_itself = _last(connection, "autoconnect", "true").lower() not in NO
            if by_itself and link.name == _profiled(sections, connection, link):
                return f"/{path}"
    return ""


def _profiled(sections: dict[str, Section], connection: Section, link: Place) -> str:
    """The name of the link that a profile is for; a VLAN's may be left to be put together."""
    named = _last(connection, "interface-name")
    vlan = sections.get("vlan", {})
    parent, number = _last(vlan, "parent"), _last(vlan, "id")
    if not named and link.vlan_id and (parent, number) == (link.lower, str(link.vlan_id)):
        return link.name
    return named


def _last(section: Section, key: str, otherwise: str = "") -> str:
    return section.get(key, [otherwise])[-1]


def networkd_file(root: str, link: Place) -> str:
    """The path of the .network file that configures the link, or ""."""
    files: dict[str, str] = {}
    for folder in FOLDERS:
        for entry in _entries(root, folder, ".network"):
            files.setdefault(entry, f"/{folder}/{entry}")
    for entry in sorted(files):
        sections = _sections(text_of(root, files[entry][1:]) or "")
        if not _matches(sections.get("match"), link):
            continue
        unmanaged = _last(sections.get("link", {}), "unmanaged", "no").lower()
        return "" if unmanaged not in NO else files[entry]
    return ""


def _matches(match: Section | None, link: Place) -> bool:
    if not match or set(match) - DECIDED_HERE:
        return False
    wanted = {
        "name": link.name,
        "type": link.kind if link.kind == "vlan" else "ether",
        "kind": link.kind,
        "macaddress": link.mac.lower(),
    }
    return all(
        _globs(" ".join(values).lower() if key == "macaddress" else " ".join(values), wanted[key])
        for key, values in match.items()
    )


def _globs(text: str, word: str) -> bool:
    """Shell globs with spaces between; a '!' before the first turns all of them round."""
    turned = text.startswith("!")
    found = any(fnmatchcase(word, glob) for glob in text.lstrip("!").split())
    return found != turned


def _left_alone(root: str, name: str, kind: str) -> bool:
    """Whether unmanaged-devices of NetworkManager.conf(5) has the link by name or type."""
    for folder in NM_FOLDERS:
        files = [f"{folder}/NetworkManager.conf"]
        files += [f"{folder}/conf.d/{entry}" for entry in _entries(root, f"{folder}/conf.d", "")]
        for file in files:
            for key, values in _sections(text_of(root, file) or "").get("keyfile", {}).items():
                if key.rstrip("+ ") == "unmanaged-devices" and _names(values, name, kind):
                    return True
    return False


def _names(values: list[str], name: str, kind: str) -> bool:
    for spec in (spec.strip() for value in values for spec in value.replace(",", ";").split(";")):
        word, _, glob = spec.partition(":")
        if spec == "*" or (word == "type" and glob == kind):
            return True
        if word == "interface-name" and fnmatchcase(name, glob.removeprefix("=")):
            return True
    return False


def _entries(root: str, folder: str, suffix: str) -> list[str]:
    try:
        return sorted(e for e in os.listdir(os.path.join(root, folder)) if e.endswith(suffix))
    except OSError:
        return []


def _sections(text: str) -> dict[str, Section]:
    """An INI file as these programs read it: keys may be repeated, case does not count."""
    found: dict[str, Section] = {}
    section: Section = {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = found.setdefault(line[1:-1].lower(), {})
        elif line and line[0] not in "#;" and "=" in line:
            key, _, value = line.partition("=")
            section.setdefault(key.strip().lower(), []).append(value.strip())
    return found
