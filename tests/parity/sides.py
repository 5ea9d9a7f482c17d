"""The two sides: docker and macvnet, each carrying out the same command lines.

Each is a host in a lab of its own, with the same links. A side knows how to
say a line in its own words, and what is there afterwards; it does not compare.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from macvnet import settings
from macvnet.cli import docker_shape
from macvnet.engine import Engine
from tests.lab import Lab, Named, Result
from tests.lab.processes import inside
from tests.parity import facts
from tests.parity.corpus import Line, Scenario
from tests.parity.daemon import IMAGE, Docker

TOKEN = re.compile(r"\{(id(?P<digits>\d*):(?P<network>[^}]+)|(?P<word>[cr]\d\w*))\}")
CONTAINERS = re.compile(r"\{(c\d)\}")
SLEEP = ("sleep", "1000000")
NICS = 4
RUNS = ("r1", "r2")
READING = ("inspect", "list", "ls")


class Outcome(NamedTuple):
    """What one line did. ``added`` and ``gone`` are facts; ``stderr`` is for people only."""

    ok: bool
    stdout: list[str]
    added: frozenset[str]
    gone: frozenset[str]
    stderr: str


class Side(ABC):
    """``containers``: token to the path of its network namespace."""

    name: str

    def __init__(self, scenario: Scenario, lab: Lab) -> None:
        self.lab = lab
        self.ids: dict[str, str] = {}
        self.containers: dict[str, str] = {}
        self._typed: dict[str, str] = {}
        self._macs: dict[str, str] = {}
        self._given = "\n".join(line.text for line in scenario.lines)
        self._wanted = sorted(set(CONTAINERS.findall(self._given)))
        self._tokens = (*self._wanted, *RUNS)

    # -- what differs between the sides -----------------------------------

    @abstractmethod
    def container(self, token: str) -> str:
        """Make the container; the path of its namespace."""

    @abstractmethod
    def called(self, token: str) -> str:
        """How the command line names the container."""

    @abstractmethod
    def execute(self, words: list[str], stdin: str | None) -> Result:
        """Carry out a command in the side's own words."""

    @abstractmethod
    def image(self, words: list[str]) -> list[str]:
        """The words of a run, from docker's."""

    @abstractmethod
    def networks(self) -> list[dict[str, Any]]:
        """What inspect says about all networks."""

    @abstractmethod
    def ran(self, token: str) -> str:
        """The path of the namespace of a run's container."""

    @abstractmethod
    def stop(self, token: str) -> None:
        """End the container's processes."""

    # -- what is alike ----------------------------------------------------

    def prepare(self) -> None:
        for token in self._wanted:
            self.containers[token] = self.container(token)

    def play(self, scenario: Scenario) -> list[Outcome]:
        """Carry out all lines; an outcome for each that is compared."""
        self.prepare()
        before = self.look()
        outcomes = []
        for line in scenario.lines:
            result = self._carry_out(line)
            after = before if line.words[0] in READING else self.look()
            if result is not None:
                outcomes.append(
                    Outcome(
                        result.ok,
                        self._printed(result.stdout),
                        frozenset(after - before),
                        frozenset(before - after),
                        result.stderr,
                    )
                )
            before = after
        return outcomes

    def _carry_out(self, line: Line) -> Result | None:
        words = [self._replaced(word) for word in line.words]
        if line.where == "stop":
            self.stop(words[0])
            del self.containers[words[0]]
            return None
        if line.where:
            path = self.lab.host.path if line.where == "host" else self.containers[line.where]
            self.lab.host.run("nsenter", f"--net={path}", "--", *words).checked()
            return None
        result = self.execute(words, line.stdin)
        if result.ok and words[0] == "create":
            self.ids.update((network["Name"], network["Id"]) for network in self.networks())
        if result.ok and words[:2] == ["run", "-d"]:
            token = words[words.index("--name") + 1]
            self.containers[token] = self.ran(token)
        return result

    def _replaced(self, word: str) -> str:
        def replace(found: re.Match[str]) -> str:
            if not found["network"]:
                return self.called(found["word"])
            digits = self.ids[found["network"]][: int(found["digits"] or 64)]
            self._typed[digits] = found[0]
            return digits

        return TOKEN.sub(replace, word)

    def _printed(self, stdout: str) -> list[str]:
        """Standard output as comparable lines; a JSON array of networks as facts."""
        if stdout.startswith(("[\n", '[{"')):
            networks = json.loads(stdout)
            printed = [fact for one in networks for fact in self._network(one, whole=True)]
            return ["[", *printed, "]"]
        lines = [self._typed.get(line, line) for line in stdout.splitlines()]
        return [facts.without_ids(line, self.ids) for line in lines]

    def look(self) -> set[str]:
        """Everything there is, as facts."""
        host = self.lab.host.path
        links, routes = facts.look(host)
        by_index = {link["ifindex"]: link for link in links}
        found = facts.link_facts("host", links, by_index, self._given)
        found |= facts.route_facts("host", routes) | facts.sysctl_facts("host", host, links)
        for link in links:
            first = self._macs.setdefault(link["ifname"], link["address"])
            if link["address"] != first:
                found.add(f"host mac {link['ifname']} is not what it was")
        for token, path in self.containers.items():
            inside, routes = facts.look(path)
            owner = f"{{{token}}}"
            found |= facts.link_facts(owner, inside, by_index, self._given)
            found |= facts.route_facts(owner, routes) | facts.sysctl_facts(owner, path, inside)
        for network in self.networks():
            found |= set(self._network(network))
        return {facts.without_ids(fact, self.ids) for fact in found}

    def _network(self, network: Any, *, whole: bool = False) -> list[str]:
        tokens = {self.called(token): f"{{{token}}}" for token in self._tokens}
        found = facts.network_facts(network, tokens, self._given, whole=whole)
        return [facts.without_ids(fact, self.ids) for fact in found]


class DockerSide(Side):
    name = "docker"

    def __init__(self, scenario: Scenario, lab: Lab, daemon: Docker) -> None:
        super().__init__(scenario, lab)
        self._daemon = daemon

    def container(self, token: str) -> str:
        return self._daemon.container(token)

    def called(self, token: str) -> str:
        return token

    def execute(self, words: list[str], stdin: str | None) -> Result:
        words = self.image(words) if words[0] == "run" else ["network", *words]
        return self._daemon.run(*words, stdin=stdin)

    def image(self, words: list[str]) -> list[str]:
        given = [IMAGE if word == "{image}" else word for word in words]
        return [*given, *SLEEP] if given[-1] == IMAGE else given

    def networks(self) -> list[dict[str, Any]]:
        return self._daemon.networks()

    def ran(self, token: str) -> str:
        return self._daemon.namespace(token)

    def stop(self, token: str) -> None:
        self._daemon.run("kill", token).checked()


class MacvnetSide(Side):
    name = "macvnet"

    def __init__(self, scenario: Scenario, lab: Lab) -> None:
        super().__init__(scenario, lab)
        self._machines: dict[str, Named] = {}
        self._settings = settings.load(state_dir=str(lab.state_dir), config=str(lab.config))

    def container(self, token: str) -> str:
        machine = self.lab.named(token)
        machine.ip("link", "set", "lo", "up")
        self._machines[token] = machine
        return machine.path

    def called(self, token: str) -> str:
        return f"run:{token}" if token.startswith("r") else f"netns:{token}"

    def execute(self, words: list[str], stdin: str | None) -> Result:
        words = self.image(words) if words[0] == "run" else words
        return self.lab.host.macvnet(*words, stdin=stdin)

    def image(self, words: list[str]) -> list[str]:
        given = ["--" if word == "{image}" else word for word in words]
        return [*given, *SLEEP] if given[-1] == "--" else given

    def networks(self) -> list[dict[str, Any]]:
        # Not by the executable, which the lines themselves try: a look after every line.
        with inside(self.lab.host.fd), Engine(self._settings, note=lambda _: None) as engine:
            return [docker_shape.inspected(engine, network) for network in engine.networks()]

    def ran(self, token: str) -> str:
        for network in self.networks():
            for endpoint in network["Macvnet"]["Endpoints"]:
                if endpoint["Target"] == self.called(token):
                    return f"/proc/{endpoint['PID']}/ns/net"
        raise FileNotFoundError(token)

    def stop(self, token: str) -> None:
        self._machines.pop(token).close()
