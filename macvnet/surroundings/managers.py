"""Whether systemd-networkd or NetworkManager may take a link for one of theirs.

Both are told by files. Only what a name or a kind decides is judged here; a file
that asks for anything else of a link (its MAC, its driver) is taken for another's.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

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
DECIDED_HERE = {"name", "type", "kind"}
NO = ("no", "false", "off", "0", "n", "f")

Section = dict[str, list[str]]


def look(root: str, name: str, kind: str) -> tuple[tuple[str, str], ...]:
    """The managers at work that nothing keeps from the link, each with the file it goes by."""
    found = []
    if os.path.isdir(os.path.join(root, "run/systemd/netif/links")):
        file = networkd_file(root, name, kind)
        if file:
            found.append((NETWORKD, file))
    at_work = os.path.isdir(os.path.join(root, "run/NetworkManager/devices"))
    if at_work and not _left_alone(root, name, kind):
        found.append((NETWORKMANAGER, ""))
    return tuple(found)


def networkd_file(root: str, name: str, kind: str) -> str:
    """The path of the .network file that configures the link, or ""."""
    files: dict[str, str] = {}
    for folder in FOLDERS:
        for entry in _entries(root, folder, ".network"):
            files.setdefault(entry, f"/{folder}/{entry}")
    for entry in sorted(files):
        sections = _sections(text_of(root, files[entry][1:]) or "")
        if not _matches(sections.get("match"), name, kind):
            continue
        unmanaged = sections.get("link", {}).get("unmanaged", ["no"])[-1].lower()
        return "" if unmanaged not in NO else files[entry]
    return ""


def _matches(match: Section | None, name: str, kind: str) -> bool:
    if not match or set(match) - DECIDED_HERE:
        return False
    wanted = {"name": name, "type": kind if kind == "vlan" else "ether", "kind": kind}
    return all(_globs(" ".join(values), wanted[key]) for key, values in match.items())


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
