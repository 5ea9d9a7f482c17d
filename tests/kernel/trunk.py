"""VLANs on the lab's trunk: the seed's networks, what a link is, a boot that never was."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

from tests.kernel.steps import wait_until
from tests.lab import Host, Lab, Machine, Snapshot

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def on_vlan(vid: int, lower: str = "eth0") -> tuple[str, ...]:
    """The seed's words for the network of one VLAN: 192.168.VID.0/24, or .1.0 and .94.0."""
    third = vid % 250
    subnet = (f"--subnet=192.168.{third}.0/24", f"--gateway=192.168.{third}.1")
    return (*subnet, "-o", f"parent={lower}.{vid}")


def gateway_of(vid: int) -> str:
    return f"192.168.{vid % 250}.1"


def route_vlans(lab: Lab, *vids: int) -> None:
    """The router has the gateway's address on each VLAN."""
    for vid in vids:
        lab.router.add_vlan(vid, f"{gateway_of(vid)}/24")


def vlan_of(machine: Machine, ifname: str) -> tuple[str, int, bool]:
    """Lower link, VLAN id and whether it is up."""
    link: dict[str, Any] = machine.link(ifname)
    info = link["linkinfo"]
    assert info["info_kind"] == "vlan" and info["info_data"]["protocol"] == "802.1Q"
    return link["link"], info["info_data"]["id"], "UP" in link["flags"]


def settled(machine: Machine, *ifnames: str) -> Snapshot:
    """A snapshot taken when the kernel has noticed that these links are up (it takes its time)."""

    def noticed() -> bool:
        return all(machine.link(ifname)["operstate"] == "UP" for ifname in ifnames)

    assert wait_until(noticed)
    return machine.snapshot()


@contextlib.contextmanager
def after_reboot(lab: Lab, *addresses: str) -> Iterator[Host]:
    """The host after a reboot, inside the block: the same state, and all else new.

    Another boot id, another namespace with another cookie, eth0 and no other
    link; the containers of before are gone too if the test has killed them.
    """
    host = lab.other_host(*addresses)
    host.env = {**host.env, "MACVNET_STATE_DIR": str(lab.state_dir)}
    file = lab.folder / f"boot-{uuid.uuid4().hex}"
    file.write_text(f"{uuid.uuid4()}\n")
    # In the mount namespace of the tests alone.
    subprocess.run(["mount", "--bind", str(file), BOOT_ID], check=True)
    try:
        yield host
    finally:
        subprocess.run(["umount", BOOT_ID], check=True)
