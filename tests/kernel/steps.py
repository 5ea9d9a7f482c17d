"""What most kernel tests do first: make a network, join a target, be refused.

``create`` and ``join`` are the installed command with the words a user types;
what they return is what the command printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tests.lab import Container, Machine, Named, Result
from tests.lab.command import struck as strike

SUBNET = "--subnet=172.16.86.0/24"
GATEWAY = "--gateway=172.16.86.1"
ON_ETH0 = ("-o", "parent=eth0")
LAN = (SUBNET, GATEWAY, *ON_ETH0)
"""The seed document's first network, on the host's eth0."""

REQUEST, NOT_FOUND, CONFLICT, EXHAUSTED = 3, 4, 5, 6


class Joined(NamedTuple):
    """One endpoint as ``attach --format json`` prints it."""

    network: str
    interface: str
    mac: str
    addresses: list[str]
    gateways: list[str]

    @property
    def ip(self) -> str:
        """The first address, without its prefix length."""
        return self.addresses[0].partition("/")[0]

    @property
    def ip6(self) -> str:
        return next(a for a in self.addresses if ":" in a).partition("/")[0]


def create(host: Machine, name: str, *words: str) -> Result:
    """Make a network; its ID is the only line on stdout."""
    made = host.macvnet("create", *words, name).checked()
    assert len(made.lines) == 1 and len(made.lines[0]) == 64
    return made


def attach(host: Machine, target: Container | Named, *words: str) -> list[Joined]:
    """``macvnet attach``, its lines decoded."""
    done = host.macvnet("attach", "--format", "json", *words, target.target).checked()
    return [
        Joined(*(item[key] for key in ("network", "interface", "mac", "addresses", "gateways")))
        for item in done.json()
    ]


def join(host: Machine, target: Container | Named, network: str, *words: str) -> Joined:
    """Attach a target to one network."""
    (joined,) = attach(host, target, "--network", network, *words)
    return joined


def notes(result: Result) -> list[str]:
    """The notes on stderr, without their prefix."""
    prefix = "macvnet: note: "
    return [
        line.removeprefix(prefix) for line in result.stderr.splitlines() if line.startswith(prefix)
    ]


def refused(result: Result, status: int, *words: str) -> str:
    """A refusal with this status whose message has these words. Returns the hint."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("macvnet: note: ")]
    assert result.status == status, result
    assert result.stdout == "", result
    assert len(lines) == 2 and lines[0].startswith("macvnet: "), result
    assert lines[1].startswith("hint: "), result
    for word in words:
        assert word in lines[0], result
    return lines[1].removeprefix("hint: ")


def networks(host: Machine) -> list[str]:
    """The names of all networks known."""
    listed = host.macvnet("ls", "--format", "json").checked()
    return [line.partition('"Name":"')[2].partition('"')[0] for line in listed.lines]


def wait_until(condition: Callable[[], object], seconds: float = 5) -> bool:
    """True as soon as the condition holds, False after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def struck(host: Machine, mode: str, point: int, *command: str) -> Result:
    """The command with something going wrong at that point (``tests.lab.faults``)."""
    return strike((mode, str(point), *command), namespace=host.fd, enter=host.enter, env=host.env)


def settled(target: Machine) -> bool:
    """Whether the kernel's own address has come, and proved unique."""
    found = [info for info in target.address_info() if info["scope"] == "link"]
    return bool(found) and not any(info.get("tentative") for info in found)
