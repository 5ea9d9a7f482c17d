"""The machines of a lab: a switch, the host, routers and others, containers.

Each is a network namespace; what can be asked of it is what can be asked of a
machine: its links, addresses and routes, traffic, a capture.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab import command, traffic
from tests.lab.capture import Capture, Frame
from tests.lab.command import Result
from tests.lab.processes import Holder, inside
from tests.lab.snapshot import Snapshot, snapshot


class Machine:
    """A namespace of the lab. ``pid`` is a process in it, ``path`` its namespace file."""

    # A container's programs see its mounts, as inside a container; the host's
    # and all others see those of the test.
    own_mounts = False
    # A machine that has more of its own than that is always entered by its words.
    more_of_its_own = False

    def __init__(self, lab_env: dict[str, str], name: str, holder: Holder) -> None:
        self.name = name
        self.env = lab_env
        self._holder = holder
        self.pid = holder.pid
        self.path = holder.path
        self.fd = holder.fd
        self._started: list[subprocess.Popen[str]] = []

    # -- programs ---------------------------------------------------------

    @property
    def enter(self) -> list[str]:
        """The words that put before a command run it in this machine."""
        words = ["nsenter", f"--net={self.path}"]
        if self.own_mounts:
            words.append(f"--mount=/proc/{self.pid}/ns/mnt")
        return [*words, "--"]

    def run(
        self,
        *argv: str,
        stdin: str | None = None,
        timeout: float = 60,
        env: dict[str, str] | None = None,
    ) -> Result:
        """Run a program in this machine, whatever its status."""
        given = {**self.env, **(env or {})}
        if self.more_of_its_own or (self.own_mounts and argv[0] != "ip"):
            return command.run(argv, enter=self.enter, env=given, stdin=stdin, timeout=timeout)
        # It inherits the namespace of this thread: one program less to start.
        with inside(self.fd):
            return command.run(argv, enter=[], env=given, stdin=stdin, timeout=timeout)

    def start(self, *argv: str, **streams: Any) -> subprocess.Popen[str]:
        """Start a program in this machine; the lab ends it at the latest."""
        process: subprocess.Popen[str] = subprocess.Popen(
            [*self.enter, *argv], text=True, env={**os.environ, **self.env}, **streams
        )
        self._started.append(process)
        return process

    def _end_started(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        self._started.clear()

    def macvnet(
        self,
        *argv: str,
        stdin: str | None = None,
        timeout: float = 60,
        env: dict[str, str] | None = None,
        fork: bool = False,
        kill_after: float | None = None,
    ) -> Result:
        """Run macvnet in this machine's namespace and the test's mount namespace.

        ``fork`` for the many calls that only lead up to what a test is about: they
        are forks of this process, which has macvnet loaded.
        """
        return command.macvnet(
            argv,
            namespace=self.fd,
            enter=["nsenter", f"--net={self.path}", "--"],
            env={**self.env, **(env or {})},
            stdin=stdin,
            timeout=timeout,
            fork=fork,
            kill_after=kill_after,
        )

    def ip(self, *argv: str) -> str:
        """What ``ip`` prints; CommandFailed if it refuses."""
        return self.run("ip", *argv).checked().stdout

    def batch(self, *commands: str) -> None:
        """Several ``ip`` commands in one process: starting one is dear in User Mode Linux."""
        self.run("ip", "-batch", "-", stdin="\n".join(commands) + "\n").checked()

    def query(self, *argv: str) -> Any:
        """``ip -j`` with these words, decoded."""
        return json.loads(self.ip("-j", *argv) or "[]")

    def queries(self, options: Sequence[str], *commands: str) -> list[Any]:
        """The same for several commands in one process, each with the same options."""
        words = ("ip", "-j", *options, "-batch", "-")
        text = self.run(*words, stdin="\n".join(commands) + "\n").checked().stdout
        found, decoder, at = [], json.JSONDecoder(), 0
        while at < len(text.rstrip()):
            answer, at = decoder.raw_decode(text, at)
            found.append(answer)
            at += len(text[at:]) - len(text[at:].lstrip())
        assert len(found) == len(commands), text
        return found

    # -- what it looks like -----------------------------------------------

    def links(self) -> list[str]:
        return [link["ifname"] for link in self.query("link", "show")]

    def link(self, ifname: str = "eth0") -> dict[str, Any]:
        """``ip -d -j link show dev``; CommandFailed if there is none."""
        (found,) = self.query("-d", "link", "show", "dev", ifname)
        return dict(found)

    def mac(self, ifname: str = "eth0") -> str:
        return str(self.link(ifname)["address"])

    def addresses(self, ifname: str = "eth0", *, link_local: bool = False) -> list[str]:
        """Addresses as ADDRESS/LENGTH, IPv4 first; fe80:: ones only on request."""
        (found,) = self.query("addr", "show", "dev", ifname)
        return [
            f"{item['local']}/{item['prefixlen']}"
            for item in found["addr_info"]
            if link_local or item["scope"] != "link" or item["family"] == "inet"
        ]

    def address_info(self, ifname: str = "eth0") -> list[dict[str, Any]]:
        (found,) = self.query("addr", "show", "dev", ifname)
        return list(found["addr_info"])

    def routes(self, family: int = 4, table: str = "main") -> list[dict[str, Any]]:
        return list(self.query(f"-{family}", "-d", "route", "show", "table", table))

    def default_route(self, family: int = 4) -> dict[str, Any] | None:
        """The default route with the lowest metric, or None."""
        found = [route for route in self.routes(family) if route["dst"] == "default"]
        return min(found, key=lambda route: route.get("metric", 0)) if found else None

    def sysctl(self, key: str, value: str | None = None) -> str:
        """Read ``net/ipv4/...`` (slashes: links have dots), or write it."""
        path = Path("/proc/sys", key)
        with inside(self.fd):
            if value is not None:
                path.write_text(value)
            return path.read_text().strip()

    def snapshot(self) -> Snapshot:
        return snapshot(self.queries, self.fd)

    # -- its links --------------------------------------------------------

    def add_address(self, address: str, ifname: str = "eth0") -> None:
        self.add_addresses(address, ifname=ifname)

    def add_addresses(self, *addresses: str, ifname: str = "eth0") -> None:
        """Addresses usable at once, and the link up."""
        commands = [f"link set {ifname} up"]
        for address in addresses:
            words = "nodad" if ":" in address else "brd +"
            if address.endswith(("/31", "/32")):
                words = ""
            commands.append(f"addr add {address} dev {ifname} {words}")
        self.batch(*commands)

    def add_default(self, gateway: str, ifname: str = "eth0") -> None:
        family = "-6" if ":" in gateway else "-4"
        self.ip(family, "route", "add", "default", "via", gateway, "dev", ifname)

    def add_vlan(self, vid: int, *addresses: str, lower: str = "eth0") -> str:
        """A VLAN sub-interface ``lower.vid``, up, with addresses; its name."""
        name = f"{lower}.{vid}"
        self.ip("link", "add", "link", lower, "name", name, "type", "vlan", "id", str(vid))
        self.add_addresses(*addresses, ifname=name)
        return name

    # -- traffic ----------------------------------------------------------

    def ping(self, address: str, *, within: float = traffic.ANSWER_WITHIN, **options: Any) -> bool:
        """True as soon as ``address`` answers an echo request, False after ``within`` s."""
        return traffic.ping(self.fd, address, within=within, **options)

    def silent(self, address: str, *, seconds: float = traffic.SILENT_FOR) -> bool:
        """True if ``address`` answers no echo request for ``seconds``."""
        return not traffic.ping(self.fd, address, within=seconds)

    def tcp_server(self, address: str = "0.0.0.0", port: int = 8080) -> traffic.TcpServer:
        return traffic.TcpServer(self.fd, address, port)

    def tcp_connect(
        self, address: str, port: int = 8080, *, within: float = traffic.ANSWER_WITHIN
    ) -> str | None:
        """The address a lab's TCP server sees us under, or None."""
        return traffic.tcp_connect(self.fd, address, port, within=within)

    def advertising(
        self, prefix: str | None, ifname: str = "eth0", *, lifetime: int = 1800
    ) -> AbstractContextManager[None]:
        """Inside the block this machine advertises itself and ``prefix`` as a router."""
        return traffic.advertising(self.fd, ifname, self.mac(ifname), prefix, lifetime=lifetime)

    def capture(self, ifname: str = "eth0", keep: Callable[[Frame], bool] | None = None) -> Capture:
        return Capture(self.fd, ifname, keep)

    # -- its end ----------------------------------------------------------

    def kill(self) -> None:
        """End the process that holds the namespace."""
        self._holder.kill()

    def close(self) -> None:
        """End the process and let go of the namespace, which then dies."""
        self._end_started()
        self._holder.close()
        self.fd = -1

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.name} pid {self.pid}>"


class Container(Machine):
    """A process in its own network and mount namespaces: a bare container."""

    own_mounts = True

    @property
    def target(self) -> str:
        """How the command line names it."""
        return str(self.pid)


class Named(Machine):
    """A namespace under /run/netns, without a process of its own in it."""

    def __init__(self, lab_env: dict[str, str], name: str, fd: int) -> None:
        self.name = name
        self.env = lab_env
        self.path = f"/run/netns/{name}"
        self.fd = fd
        self.pid = 0
        self._started = []

    @property
    def target(self) -> str:
        return f"netns:{self.name}"

    def kill(self) -> None:
        self.close()

    def close(self) -> None:
        self._end_started()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


class Switch(Machine):
    """A bridge without STP that lets every VLAN through; ports carry the machines' names."""

    BRIDGE = "br0"

    def port(self, machine: Machine | str, ifname: str = "eth0") -> str:
        name = machine if isinstance(machine, str) else machine.name
        return f"{name}-{ifname}"

    def plug(self, machine: Machine, ifname: str = "eth0", *, up: bool = True) -> None:
        """A cable from a new link ``ifname`` of ``machine`` to a new port."""
        port = self.port(machine, ifname)
        self.batch(
            f"link add {port} type veth peer name {ifname} netns {machine.pid}",
            f"link set {port} master {self.BRIDGE} up",
        )
        if up:
            machine.ip("link", "set", ifname, "up")

    def hairpin(self, machine: Machine | str, on: bool, ifname: str = "eth0") -> None:
        """Whether the port sends frames back where they came from (a VEPA switch does)."""
        state = "on" if on else "off"
        self.ip("link", "set", self.port(machine, ifname), "type", "bridge_slave", "hairpin", state)

    def cable(self, machine: Machine | str, plugged: bool, ifname: str = "eth0") -> None:
        """Pull the cable (the machine sees no carrier), or plug it in again."""
        self.ip("link", "set", self.port(machine, ifname), "up" if plugged else "down")

    def filter_vlans(self, on: bool, ports: Sequence[tuple[str, int]] = ()) -> None:
        """VLAN filtering with untagged access ports: (port, VLAN id)."""
        self.ip("link", "set", self.BRIDGE, "type", "bridge", "vlan_filtering", str(int(on)))
        for port, vid in ports:
            self.run("bridge", "vlan", "del", "dev", port, "vid", "1").checked()
            add = ("bridge", "vlan", "add", "dev", port, "vid", str(vid), "pvid", "untagged")
            self.run(*add).checked()


class Host(Machine):
    """The machine macvnet runs on."""

    def bond(self, name: str, *nics: str, mode: str = "active-backup") -> None:
        """A bond of NICs, up."""
        commands = [f"link add {name} type bond mode {mode} miimon 100"]
        for nic in nics:
            commands += [f"link set {nic} down", f"link set {nic} master {name}"]
        self.batch(*commands, f"link set {name} up")
