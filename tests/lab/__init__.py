"""A throw-away lab: a switch, a host, a router, others and containers.

Real kernel, real frames, nothing of the machine touched: every machine is a
namespace held by a process that the kernel kills with this one, and names
under /run/netns are in a mount namespace that nobody else sees.

    with Lab() as lab:
        lab.host.macvnet("create", "--subnet=172.16.86.0/24", "-o", "parent=eth0", "net")
        container = lab.container()
        lab.host.macvnet("attach", container.target).checked()
        assert container.ping("172.16.86.1")
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tests.lab import processes
from tests.lab.capture import BROADCAST, Capture, Frame, decode
from tests.lab.command import CommandFailed, Result, executable, in_process
from tests.lab.machines import Container, Host, Machine, Named, Switch
from tests.lab.snapshot import Snapshot
from tests.lab.traffic import TcpServer

__all__ = [
    "BROADCAST",
    "Capture",
    "CommandFailed",
    "Container",
    "Frame",
    "Host",
    "Lab",
    "Machine",
    "Named",
    "Result",
    "Snapshot",
    "Switch",
    "TcpServer",
    "decode",
    "executable",
    "in_process",
]

HOST = ("172.16.86.250/24",)
ROUTER = ("172.16.86.1/24", "2001:db8:86::1/64")

# Duplicate detection would hold the lab's own addresses back for a second.
QUIET = "for c in default all; do echo 0 > /proc/sys/net/ipv6/conf/$c/accept_dad; done"
NO_IPV6 = "for c in default all; do echo 1 > /proc/sys/net/ipv6/conf/$c/disable_ipv6; done"
FORWARD = (
    "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding;"
    "for c in default all; do echo 0 > /proc/sys/net/ipv4/conf/$c/rp_filter;"
    "echo 0 > /proc/sys/net/ipv4/conf/$c/send_redirects; done"
)
LO = "ip link set lo up"

M = TypeVar("M", bound=Machine)


class Lab:
    """``host`` and ``router`` are the addresses on their eth0; ``nics`` the host's eth0, eth1, ...

    As in the seed: the host has 172.16.86.250/24 and a default route by the
    router, if the router's first address is in its subnet.
    """

    def __init__(
        self,
        *,
        host: Sequence[str] = HOST,
        router: Sequence[str] = ROUTER,
        nics: int = 1,
        default_route: bool = False,
    ) -> None:
        processes.private_mounts()
        processes.reap_dead_labs()
        self.id = processes.new_lab_id()
        self._stack = contextlib.ExitStack()
        processes.close_at_exit(id(self), self._stack)
        self._machines: list[Machine] = []
        self._numbers: dict[str, int] = {}
        try:
            self.folder = processes.temporary_folder(self.id)
            self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._stack.callback(processes.end_processes, self.id, set())
            self._build(host, router, nics, default_route)
        except BaseException:
            self.close()
            raise

    def _build(
        self, host: Sequence[str], router: Sequence[str], nics: int, default_route: bool
    ) -> None:
        self._surround(self.folder / "state")
        self.switch = self._add(Switch, "switch", NO_IPV6)
        self.switch.batch(
            f"link add {Switch.BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            f"link set {Switch.BRIDGE} up",
        )
        self.host = self._add(Host, "host", f"{LO}; {QUIET}")
        for number in range(nics):
            self.switch.plug(self.host, f"eth{number}", up=number > 0)
        self.host.add_addresses(*host)
        self.router = self._add(Machine, "router", f"{LO}; {QUIET}; {FORWARD}")
        self.switch.plug(self.router, up=False)
        self.router.add_addresses(*router)
        if default_route:
            self.host.add_default(router[0].partition("/")[0])

    def _surround(self, state_dir: Path) -> None:
        """What macvnet goes by here, and nothing of the machine's."""
        self.config.touch()
        self.state_dir = state_dir
        self.env = {
            processes.MARK: self.id,
            "MACVNET_STATE_DIR": str(state_dir),
            "MACVNET_CONFIG": str(self.config),
            "MACVNET_RUN_DIR": str(self.folder / "run"),
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "LC_ALL": "C.UTF-8",
        }

    def _add(self, kind: type[M], name: str, prepare: str) -> M:
        machine = kind(self.env, name, processes.Holder(self.id, prepare))
        self._machines.append(machine)
        self._stack.callback(machine.close)
        return machine

    def _next(self, stem: str) -> str:
        self._numbers[stem] = self._numbers.get(stem, 0) + 1
        return f"{stem}{self._numbers[stem]}"

    @property
    def config(self) -> Path:
        """The configuration file that the lab's macvnet reads."""
        return self.folder / "config.toml"

    def external(self, *addresses: str, gateway: str | None = None) -> Machine:
        """One more machine on the switch, foreign to macvnet."""
        machine = self._add(Machine, self._next("ext"), f"{LO}; {QUIET}")
        self.switch.plug(machine, up=False)
        machine.add_addresses(*addresses)
        if gateway:
            machine.add_default(gateway)
        return machine

    def container(self, *, ipv6: bool = True, lo: bool = True) -> Container:
        """A bare process in namespaces of its own: a target named by its PID."""
        prepare = "; ".join(([LO] if lo else []) + ([] if ipv6 else [NO_IPV6])) or ":"
        return self._add(Container, self._next("container"), prepare)

    def named(self, name: str | None = None) -> Named:
        """A namespace of ``ip netns add``: a target named netns:NAME."""
        name = name or self._next("ns")
        subprocess.run(["ip", "netns", "add", name], check=True)
        path = f"/run/netns/{name}"
        machine = Named(self.env, name, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        self._machines.append(machine)
        self._stack.callback(machine.close)
        return machine

    def other_host(self, *addresses: str) -> Host:
        """A second host on the switch, with NIC eth0: macvnet there needs its own state."""
        machine = self._add(Host, self._next("host"), f"{LO}; {QUIET}")
        self.switch.plug(machine, up=False)
        machine.add_addresses(*addresses)
        machine.env = {**self.env, "MACVNET_STATE_DIR": str(self.folder / machine.name)}
        return machine

    def close(self) -> None:
        """End all machines and every process in them, and remove the files."""
        processes.closed(id(self))
        # While they are open: the inode of one that is closed may be somebody else's by now.
        inodes = {os.fstat(machine.fd).st_ino for machine in self._machines if machine.fd >= 0}
        processes.end_processes(self.id, inodes)
        self._stack.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
