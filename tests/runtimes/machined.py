"""What is done with systemd-nspawn's containers, on a machine that has machined.

    python -m tests.runtimes.machined      (inside User Mode Linux, under systemd)

The machine itself is the host here, and macvnet's commands are calls in this
process, as in tests/boots: starting Python takes seconds there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.boots.site import Here, same
from tests.docs import pages
from tests.docs.session import check
from tests.kernel.steps import CONFLICT, LAN, NOT_FOUND, refused
from tests.lab import executable
from tests.runtimes.ground import wait_until

WAIT = 60.0
BOX = Path("/run/box")
LINKS = """
netns add router
link add eth0 type veth peer name eth0 netns router
link set eth0 up
-n router link set eth0 up
-n router addr add 172.16.86.1/24 dev eth0
"""
SETTINGS = """
[Exec]
Boot=no
PrivateUsers=no
Parameters=/bin/sleep 1000000
[Network]
Private=yes
VirtualEthernet=no
"""
"""What the page shows, and that there is no operating system in the container."""


class Shell:
    """A shell on this machine, in which macvnet's commands are calls."""

    def __init__(self, host: Here) -> None:
        self._host = host

    def run(self, machine: str, command: str) -> list[str]:
        """The lines that a command prints, on both streams."""
        assert not machine
        program, *words = shlex.split(command)
        if program == "macvnet":
            done = self._host.macvnet(*words)
            return (done.stderr + done.stdout).splitlines()
        ran = subprocess.run(
            ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return ran.stdout.splitlines()


def fill() -> None:
    """What the containers hold."""
    for folder in ("bin", "usr/lib", "etc"):
        (BOX / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", BOX / "bin")
    for name in ("sleep", "ip"):
        (BOX / "bin" / name).symlink_to("busybox")
    (BOX / "usr/lib/os-release").write_text("ID=box\n")


def leader(name: str) -> str:
    """The number of a machine's first process, as machined says it over D-Bus; "" for none."""
    words = ["machinectl", "show", name, "--property=Leader", "--value"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def begin(name: str, *words: str) -> None:
    root = Path(f"/run/box-{name}")
    if not root.exists():
        shutil.copytree(BOX, root, symlinks=True)
    with open("/run/nspawn.log", "ab") as log:
        subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", f"--machine={name}", f"--directory={root}"),
                *("--link-journal=no", *words, "/bin/sleep", "1000000"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    said = Path("/run/nspawn.log").read_text
    wait_until(lambda: bool(leader(name)), f"machine {name} does not start: {said()}", WAIT)


def end(name: str) -> None:
    subprocess.run(["machinectl", "terminate", name], check=True)
    wait_until(lambda: not leader(name), f"machine {name} does not end", WAIT)


def inside(name: str, *argv: str) -> str:
    """What a program in a machine prints, whose exit status has to be 0."""
    enter = ("nsenter", f"--target={leader(name)}", "--net", "--mount", "--pid")
    done = subprocess.run([*enter, *argv], capture_output=True, text=True, check=True)
    return done.stdout


def offered(*words: str) -> list[str]:
    """What the Tab key offers for the last word: the executable's own answer."""
    line = (executable(), "__complete", "fish", str(len(words) - 1), *words)
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[1:]


def page(host: Here) -> None:
    """docs/how-to/nspawn.md does what it shows."""
    shutil.copytree(BOX, "/var/lib/machines/web", symlinks=True)
    settings = Path("/etc/systemd/nspawn/web.nspawn")
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(SETTINGS)
    (part,) = pages.parts("docs/how-to/nspawn.md")
    check(part, Shell(host))


def story(host: Here) -> None:
    # A dash, which machined escapes in the name of the unit.
    name, target = "my-web", "nspawn:my-web"
    host.macvnet("create", *LAN, "net").checked()
    begin(name, "--private-network")
    done = host.macvnet("attach", "--ifname=lan0", target).checked()
    interface, mac, address, *_ = done.stdout.split()
    same(interface, "lan0")
    # macvnet reads files; machined says the same over D-Bus.
    (document,) = host.macvnet("inspect", "net").checked().json()
    same([one["Name"] for one in document["Containers"].values()], [target])
    same([str(one["PID"]) for one in document["Macvnet"]["Endpoints"]], [leader(name)])
    end(name)
    refused(host.macvnet("connect", "net", target), NOT_FOUND, "no machine 'my-web'")
    begin(name, "--private-network")
    restored = host.macvnet("restore").checked()
    same(restored.stdout, f"{target} in network net {address}\n")
    shown = inside(name, "/bin/ip", "addr", "show", "lan0").split()
    same((mac in shown, address in shown), (True, True))
    same(host.macvnet("check").checked().lines, [])
    host.macvnet("disconnect", "net", f"machine:{name}").checked()
    host.macvnet("connect", "net", name).checked()
    same(offered("connect", "net", "machine:"), [f"machine:{name}\tsystemd-nspawn"])
    begin("open")
    done = host.macvnet("connect", "net", "nspawn:open")
    refused(done, CONFLICT, "nspawn:open shares the network of the host")
    begin("shares", f"--network-namespace-path=/proc/{leader(name)}/ns/net")
    done = host.macvnet("connect", "net", "nspawn:shares")
    refused(done, CONFLICT, "nspawn:shares is connected to network 'net' already")
    host.macvnet("disconnect", "net", "nspawn:shares").checked()
    host.macvnet("rm", "net").checked()


def main() -> int:
    Path("/run/config.toml").touch()
    for line in LINKS.split("\n"):
        if line:
            subprocess.run(["ip", *line.split()], check=True)
    fill()
    env = {"MACVNET_STATE_DIR": "/run/state", "MACVNET_CONFIG": "/run/config.toml"}
    host = Here({**env, "NO_COLOR": "1"})
    page(host)
    story(host)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # What it started ends with the machine.
    os._exit(status)
