"""The peers: what else gives a container a macvlan link, and the floor below all of them.

Each is two calls for one target, attach and detach, on the bench's host. They
do not all do the same work, and docs/performance.md says what each leaves out.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.bench import netlink
from tests.bench.measure import Call, process_clock, run
from tests.bench.site import Site
from tests.parity.daemon import Docker

NETAVARK = "/usr/lib/podman/netavark"
CNI = "/usr/lib/cni"
HERE = Path(__file__).parent
SUBNET, LENGTH, FIRST = "10.99.0.0/16", 16, IPv4Address("10.99.0.1")
HELD = 100
"""Leases that CNI's host-local has in its network already: as many as macvnet's."""


class Pair(NamedTuple):
    """How one program attaches a target, and detaches it. ``clock`` is its daemon's CPU."""

    attach: Call
    detach: Call
    clock: Callable[[], float] | None = None


class Peer(Protocol):
    """``pair`` is for the ``number``-th target, the namespace of a process."""

    name: str

    def pair(self, pid: int, number: int) -> Pair: ...


class Netavark:
    """Podman's: a program for each container. The address is given, not chosen."""

    name = "netavark"

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.folder / "netavark"
        self._folder.mkdir(exist_ok=True)

    def pair(self, pid: int, number: int) -> Pair:
        file = self._folder / f"{number}.json"
        subnet = {"subnet": SUBNET, "gateway": str(FIRST)}
        network = {
            "name": "bench",
            "id": "b" * 64,
            "driver": "macvlan",
            "network_interface": self._site.peers_nic,
            "created": "2024-01-01T00:00:00Z",
            "subnets": [subnet],
            "ipv6_enabled": False,
            "internal": False,
            "dns_enabled": False,
            "ipam_options": {"driver": "host-local"},
        }
        wanted = {"interface_name": "mv0", "static_ips": [str(FIRST + 1 + number)]}
        document = {
            "container_id": f"c{number}",
            "container_name": f"c{number}",
            "networks": {"bench": wanted},
            "network_info": {"bench": network},
        }
        file.write_text(json.dumps(document))
        words = (NETAVARK, "--config", str(self._folder), "--file", str(file))
        path = f"/proc/{pid}/ns/net"
        env = self._site.env()
        return Pair(Call((*words, "setup", path), env), Call((*words, "teardown", path), env))


class Cni:
    """The CNI plugin macvlan with host-local, which chooses the address and records it."""

    name = "CNI macvlan + host-local"

    def __init__(self, site: Site) -> None:
        self._site = site
        folder = site.folder / "cni"
        folder.mkdir(exist_ok=True)
        address_range = {"subnet": SUBNET, "gateway": str(FIRST), "rangeStart": str(FIRST + 5000)}
        document = {
            "cniVersion": "0.4.0",
            "name": "bench",
            "type": "macvlan",
            "master": site.peers_nic,
            "mode": "bridge",
            "ipam": {
                "type": "host-local",
                "dataDir": str(folder),
                "ranges": [[address_range]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        self._input = str(folder / "bench.conf")
        Path(self._input).write_text(json.dumps(document))
        held = folder / "bench"
        held.mkdir(exist_ok=True)
        for number in range(HELD):
            (held / str(FIRST + 5000 + number)).write_text(f"held{number}\r\nmv0")
        (held / "last_reserved_ip.0").write_text(str(FIRST + 5000 + HELD - 1))

    def pair(self, pid: int, number: int) -> Pair:
        def call(command: str) -> Call:
            env = {
                **self._site.env(),
                "CNI_COMMAND": command,
                "CNI_CONTAINERID": f"c{number}",
                "CNI_NETNS": f"/proc/{pid}/ns/net",
                "CNI_IFNAME": "mv0",
                "CNI_PATH": CNI,
            }
            return Call((f"{CNI}/macvlan",), env, self._input)

        return Pair(call("ADD"), call("DEL"))


class IpScript:
    """What one would write by hand: four commands, no record, a given address."""

    name = "script of ip commands"

    def __init__(self, site: Site) -> None:
        self._site = site

    def pair(self, pid: int, number: int) -> Pair:
        make = (
            f"set -e; ip link add link {self._site.peers_nic} name mv{number} "
            f"netns {pid} type macvlan mode bridge; nsenter --net=/proc/{pid}/ns/net sh -c '"
            f"set -e; ip addr add {FIRST + 1 + number}/{LENGTH} dev mv{number}; "
            f"ip link set mv{number} up; ip route add default via {FIRST}'"
        )
        remove = f"nsenter --net=/proc/{pid}/ns/net ip link del mv{number}"
        env = self._site.env()
        return Pair(Call(("/bin/sh", "-c", make), env), Call(("/bin/sh", "-c", remove), env))


class Floor:
    """C that sends messages encoded beforehand: what the kernel takes, and nothing else."""

    name = "floor (C, bare messages)"

    def __init__(self, site: Site) -> None:
        self._site = site
        self.program = str(site.folder / "floor")
        subprocess.run(
            ["gcc", "-O2", "-pthread", "-o", self.program, str(HERE / "floor.c")], check=True
        )

    def endpoints(self, pids: list[int]) -> list[netlink.Messages]:
        parent = int(self._site.lab.host.link(self._site.peers_nic)["ifindex"])
        return [
            netlink.endpoint(pid, parent, number + 1, FIRST, LENGTH)
            for number, pid in enumerate(pids)
        ]

    def pair(self, pid: int, number: int) -> Pair:
        return self.crowd([pid], f"{number}", 1)

    def crowd(self, pids: list[int], name: str, threads: int) -> Pair:
        file = self._site.folder / f"floor-{name}.messages"
        netlink.write(file, self.endpoints(pids))
        env = self._site.env()
        words = (self.program, "attach", str(file))
        return Pair(Call(words, env), Call((self.program, "detach", str(file), str(threads)), env))


class DockerNetwork:
    """``docker network connect`` and ``disconnect``: a client and a daemon, state on the disk."""

    name = "docker network connect"

    def __init__(self, site: Site) -> None:
        self._site = site
        data = site.folder / "docker"
        data.mkdir()
        folder = site.folder / "docker-client"
        folder.mkdir()
        self._docker = Docker(site.lab.host, folder, data)
        try:
            words = ("--driver", "macvlan", "--opt", f"parent={site.peers_nic}")
            pool = ("--subnet", SUBNET, "--gateway", str(FIRST), "--ip-range", "10.99.64.0/18")
            self._docker.run("network", "create", *words, *pool, "bench").checked()
            self._docker.container("bench1")
            self.version = self._docker.api("GET", "/version")["Version"]
        except BaseException:
            self.close()
            raise

    def pair(self, pid: int, number: int) -> Pair:
        """Its own container, whatever ``pid`` is."""
        env = {**self._site.env(), "DOCKER_CONFIG": str(self._site.folder / "docker-client")}
        words = (*self._docker.client, "network")
        return Pair(
            Call((*words, "connect", "bench", "bench1"), env),
            Call((*words, "disconnect", "bench", "bench1"), env),
            process_clock(*self._docker.processes()),
        )

    def close(self) -> None:
        self._docker.close()


def versions(docker: str) -> dict[str, str]:
    """What the peers say they are."""
    found = {"docker": docker}
    for name in ("netavark", "containernetworking-plugins", "iproute2"):
        query = ["dpkg-query", "-W", "-f", "${Version}", name]
        found[name] = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    return found


def try_once(pair: Pair) -> None:
    """Before measuring: files are in memory afterwards, and what cannot work is seen."""
    run(pair.attach)
    run(pair.detach)
