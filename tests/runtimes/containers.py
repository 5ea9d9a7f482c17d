"""Real runtimes on the ground: each makes, stops and starts containers its own way.

What they have in common is what macvnet's users do with them, so that one body
of tests is run with all. Each container sleeps, and has busybox.
"""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from tests.lab import CommandFailed, Result
from tests.runtimes.ground import BOX, Ground, Unready, require, wait_until

IMAGE = "box"
SLEEP = ("/bin/sleep", "1000000")
PODMAN = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
pids_limit = 0
"""
STORAGE = """
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""
LXC = """
lxc.rootfs.path = dir:{rootfs}
lxc.uts.name = box
lxc.init.cmd = /bin/sleep 1000000
lxc.mount.auto = proc:mixed sys:ro
lxc.apparmor.profile = unconfined
{network}
"""


class Runtime(ABC):
    """One runtime. ``word`` is what macvnet calls it; ``programs`` have to be there."""

    word: str
    programs: tuple[str, ...]

    def __init__(self, ground: Ground) -> None:
        require(*self.programs)
        self.ground = ground
        self._made: list[str] = []
        self.prepare()

    def prepare(self) -> None:
        """Start what has to run, and wait until it answers."""
        # Most have no daemon.
        return

    def target(self, name: str) -> str:
        """How macvnet's user names a container."""
        return f"{self.word}:{name}"

    def make(self, name: str, *, host: bool = False, shares: str = "") -> str:
        """A running container: without any network, in the host's, or in another's. Its target."""
        self._made.append(name)
        self.run(name, host=host, shares=shares)
        return self.target(name)

    @abstractmethod
    def run(self, name: str, *, host: bool, shares: str) -> None:
        """Start one, as ``make`` says."""

    def clear(self) -> None:
        """Remove what was made, the last first."""
        while self._made:
            self.remove(self._made.pop())

    @abstractmethod
    def stop(self, name: str) -> None:
        """End its processes, and keep it."""

    @abstractmethod
    def again(self, name: str) -> None:
        """Start a stopped one."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Stopped or not; fine if there is none."""

    @abstractmethod
    def inside(self, name: str, *argv: str) -> Result:
        """Run a program in a container."""

    @abstractmethod
    def pid(self, name: str) -> int:
        """The container's first process, as the ground numbers it: the runtime's own word."""

    def restart(self, name: str) -> None:
        self.stop(name)
        self.again(name)

    def pings(self, name: str, address: str) -> bool:
        """Whether the container's own ping is answered."""

        def answered() -> bool:
            return self.inside(name, "/bin/ping", "-c", "1", "-W", "2", address).ok

        try:
            wait_until(answered, "no answer", 10)
        except Unready:
            return False
        return True

    def link(self, name: str, ifname: str = "eth0") -> tuple[str, list[str]]:
        """MAC and addresses of an interface, as a program in the container sees them."""
        words = self.inside(name, "/bin/ip", "addr", "show", ifname).checked().stdout.split()
        addresses = [words[i + 1] for i, word in enumerate(words) if word in ("inet", "inet6")]
        return words[words.index("link/ether") + 1], [a for a in addresses if a[:4] != "fe80"]

    def links(self, name: str) -> list[str]:
        shown = self.inside(name, "/bin/ip", "-o", "link").checked().lines
        return [line.split(": ")[1].partition("@")[0] for line in shown]


class Docker(Runtime):
    word = "docker"
    programs: tuple[str, ...] = ("/usr/sbin/dockerd", "/usr/bin/docker")

    def prepare(self) -> None:
        self.ground.file("/run/daemon.json").write_text("{}")
        self.launch()
        self.ground.run(
            "sh", "-c", f"tar -c -C {BOX} . | /usr/bin/docker import - {IMAGE}"
        ).checked()

    def launch(self) -> None:
        """Start the daemon, also once more."""
        self.process = self.ground.daemon(
            *("/usr/sbin/dockerd", "--config-file", "/run/daemon.json"),
            *("--storage-driver", "vfs", "--bridge", "none", "--data-root", "/run/docker-data"),
            *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        )
        wait_until(lambda: self.docker("version").ok, "dockerd does not answer")

    def docker(self, *argv: str) -> Result:
        return self.ground.run("/usr/bin/docker", *argv)

    def run(self, name: str, *, host: bool, shares: str) -> None:
        network = "host" if host else f"container:{shares}" if shares else "none"
        self.docker(
            *("run", "--detach", "--name", name, "--network", network, "--cap-add", "NET_RAW"),
            *(IMAGE, *SLEEP),
        ).checked()

    def stop(self, name: str) -> None:
        self.docker("kill", name).checked()

    def again(self, name: str) -> None:
        self.docker("start", name).checked()

    def remove(self, name: str) -> None:
        self.docker("rm", "--force", name)

    def inside(self, name: str, *argv: str) -> Result:
        return self.docker("exec", name, *argv)

    def pid(self, name: str) -> int:
        return int(self.docker("inspect", "-f", "{{.State.Pid}}", name).checked().stdout)

    def id(self, name: str) -> str:
        return self.docker("inspect", "-f", "{{.Id}}", name).checked().stdout.strip()


class Podman(Docker):
    word = "podman"
    programs = ("podman", "runc", "conmon")

    def prepare(self) -> None:
        self.ground.file("/run/containers.conf").write_text(PODMAN)
        self.ground.file("/run/storage.conf").write_text(STORAGE)
        self.ground.env["CONTAINERS_CONF"] = "/run/containers.conf"
        self.ground.env["CONTAINERS_STORAGE_CONF"] = "/run/storage.conf"
        self.ground.run("sh", "-c", f"tar -c -C {BOX} . | podman import - {IMAGE}").checked()
        self.process = self.ground.daemon("podman", "system", "service", "--time=0")
        socket = self.ground.file("/run/podman/podman.sock")
        wait_until(socket.exists, "podman's service does not listen")

    def docker(self, *argv: str) -> Result:
        return self.ground.run("podman", *argv)

    def remove(self, name: str) -> None:
        self.docker("rm", "--force", "--time=0", name)


class Runc(Runtime):
    word = "runc"
    programs = ("runc",)
    root = "/run/runc"

    @property
    def runc(self) -> tuple[str, ...]:
        return ("runc", "--root", self.root)

    def bundle(self, name: str) -> str:
        return f"/run/bundles{self.root}/{name}"

    def run(self, name: str, *, host: bool, shares: str) -> None:
        self.pack(name, host=host, shares=shares)
        self.again(name)

    def pack(self, name: str, *, host: bool = False, shares: str = "") -> None:
        """Write the bundle."""
        bundle = self.bundle(name)
        folder = self.ground.file(bundle)
        folder.mkdir(parents=True, exist_ok=True)
        self.ground.run(
            "sh", "-c", f"cp -a {BOX} {bundle}/rootfs; cd {bundle}; runc spec"
        ).checked()
        config = json.loads((folder / "config.json").read_text())
        config["process"].update(terminal=False, args=list(SLEEP), rlimits=[])
        for kind in config["process"]["capabilities"].values():
            kind.append("CAP_NET_RAW")
        spaces = [each for each in config["linux"]["namespaces"] if each["type"] != "network"]
        if not host:
            path = {"path": f"/proc/{self.pid(shares)}/ns/net"} if shares else {}
            spaces.append({"type": "network", **path})
        config["linux"]["namespaces"] = spaces
        if host:
            # Without a network namespace of its own, no sysfs may be mounted anew.
            config["mounts"] = [each for each in config["mounts"] if each["type"] != "sysfs"]
        (folder / "config.json").write_text(json.dumps(config))

    def stop(self, name: str) -> None:
        self.ground.run(*self.runc, "kill", name, "KILL").checked()
        wait_until(lambda: self.status(name) == "stopped", f"{name} does not stop")

    def status(self, name: str) -> str:
        return str(self.ground.run(*self.runc, "state", name).checked().json()["status"])

    def again(self, name: str) -> None:
        """runc's containers do not start twice: a new one of the same ID comes."""
        self.ground.run(*self.runc, "delete", "--force", name)
        # Its streams are the container's: a pipe would not end before the container does.
        words = " ".join((*self.runc, "run", "--detach", "--bundle", self.bundle(name), name))
        self.ground.run("sh", "-c", f"{words} </dev/null >/run/runc.log 2>&1").checked()

    def remove(self, name: str) -> None:
        self.ground.run(*self.runc, "delete", "--force", name)
        shutil.rmtree(self.ground.file(self.bundle(name)), ignore_errors=True)

    def inside(self, name: str, *argv: str) -> Result:
        return self.ground.run(*self.runc, "exec", name, *argv)

    def pid(self, name: str) -> int:
        return int(self.ground.run(*self.runc, "state", name).checked().json()["pid"])


class Containerd(Runtime):
    word = "containerd"
    programs = ("containerd", "ctr", "containerd-shim-runc-v2")
    namespace = "default"

    def prepare(self) -> None:
        config = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        self.ground.file("/run/containerd.toml").write_text(config)
        self.process = self.ground.daemon("containerd", "--config", "/run/containerd.toml")
        wait_until(lambda: self.ctr("version").ok, "containerd does not answer")

    def ctr(self, *argv: str) -> Result:
        return self.ground.run("ctr", "-n", self.namespace, *argv)

    def run(self, name: str, *, host: bool, shares: str) -> None:
        network = ["--net-host"] if host else []
        if shares:
            network = ["--with-ns", f"network:/proc/{self.pid(shares)}/ns/net"]
        self.ctr(
            *("run", "--detach", "--null-io", "--cap-add", "CAP_NET_RAW", *network),
            *("--rootfs", BOX, name, *SLEEP),
        ).checked()

    def stop(self, name: str) -> None:
        self.ctr("tasks", "kill", "--signal", "KILL", name).checked()
        wait_until(lambda: "STOPPED" in self.ctr("tasks", "ls").stdout, f"{name} does not stop")

    def again(self, name: str) -> None:
        self.ctr("tasks", "rm", name)
        self.ctr("tasks", "start", "--detach", "--null-io", name).checked()

    def remove(self, name: str) -> None:
        self.ctr("tasks", "rm", "--force", name)
        self.ctr("containers", "rm", name)

    def inside(self, name: str, *argv: str) -> Result:
        return self.ctr("tasks", "exec", "--exec-id", "test", name, *argv)

    def pid(self, name: str) -> int:
        for line in self.ctr("tasks", "ls").checked().lines:
            container, number, *_ = line.split()
            if container == name:
                return int(number)
        raise CommandFailed(f"containerd has no task {name}")


class Lxc(Runtime):
    word = "lxc"
    programs = ("lxc-start", "lxc-stop", "lxc-attach", "lxc-info")
    path = "/var/lib/lxc"

    def _run(self, program: str, name: str, *argv: str) -> Result:
        return self.ground.run(f"lxc-{program}", "-P", self.path, "-n", name, *argv)

    def run(self, name: str, *, host: bool, shares: str) -> None:
        self.configure(name, host=host, shares=shares)
        self.again(name)

    def configure(self, name: str, *, host: bool = False, shares: str = "") -> None:
        """Write configuration and root file system."""
        folder = f"{self.path}/{name}"
        self.ground.run("sh", "-ec", f"mkdir -p {folder}; cp -a {BOX} {folder}/rootfs").checked()
        network = "lxc.net.0.type = none"
        if not host:
            network = "lxc.net.0.type = empty\nlxc.net.0.flags = up"
        if shares:
            network = f"lxc.namespace.share.net = {self.pid(shares)}"
        config = LXC.format(rootfs=f"{folder}/rootfs", network=network)
        self.ground.file(f"{folder}/config").write_text(config)

    def stop(self, name: str) -> None:
        self._run("stop", name, "--kill").checked()

    def again(self, name: str) -> None:
        self._run("start", name).checked()

    def remove(self, name: str) -> None:
        self._run("stop", name, "--kill")
        shutil.rmtree(self.ground.file(f"{self.path}/{name}"), ignore_errors=True)

    def inside(self, name: str, *argv: str) -> Result:
        return self._run("attach", name, "--", *argv)

    def pid(self, name: str) -> int:
        return int(self._run("info", name, "-p", "-H").checked().stdout)


KINDS: dict[str, type[Runtime]] = {
    kind.word: kind for kind in (Docker, Podman, Runc, Containerd, Lxc)
}


def network_namespace(ground: Ground, pid: int) -> int:
    """The inode of a process's network namespace."""
    return Path(f"/proc/{ground.pid}/root/proc/{pid}/ns/net").stat().st_ino
