"""What is meant by a command that there is not: the words of other programs, and of groups.

Pure; knows words, and no command's module.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

ELSEWHERE = {
    "clean": "gc",
    "del": "rm",
    "delete": "rm",
    "describe": "inspect",
    "disable": "host-access disable",
    "dump": "export",
    "enable": "host-access enable",
    "events": "watch",
    "exec": "run",
    "history": "log",
    "info": "inspect",
    "join": "connect",
    "leave": "disconnect",
    "monitor": "watch",
    "new": "create",
    "next": "ipam next",
    "plan": "diff",
    "ps": "tree",
    "scan": "ipam scan",
    "show": "inspect",
    "start": "restore",
    "stats": "top",
    "status": "tree",
    "systemd": "integrate systemd",
    "version": "--version",
    "who": "ipam who",
}
"""Words that docker, podman, ip or others have, or that belong to a group; to what it is here."""
DOCKERS = ("docker", "podman", "network", "net")
"""Words of docker's line that stand before the command, and are left out here."""


def meant(words: Sequence[str], known: Container[str]) -> str | None:
    """What to type behind ``macvnet`` instead of ``words``; None where nobody knows.

    ``known`` are the commands that there are.
    """
    place = next((place for place, word in enumerate(words) if word not in DOCKERS), len(words))
    if place == len(words):
        return "--help"
    first, asked = words[place], words[place + 1 : place + 2]
    if first == "help":
        return f"{asked[0]} --help" if asked and asked[0] in known else "--help"
    if place and first in known:
        return first
    return ELSEWHERE.get(first, "--help" if place else None)
