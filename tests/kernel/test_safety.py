"""Never harm the host: what macvnet refuses, and what it leaves alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.steps import CONFLICT, GATEWAY, LAN, ON_ETH0, SUBNET, create, join, refused
from tests.lab import Lab, Result

PASSTHRU = (*LAN, "-o", "macvlan_mode=passthru")


def digest(folder: Path) -> str:
    """What every file of the state holds; the write-ahead log's shared index moves by itself.

    That a command was refused is in the log of commands, and changes nothing.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total = hashlib.sha256()
    for path in files:
        if not path.name.endswith("-shm") and path.name != "commands.log":
            total.update(str(path).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def test_own_namespace_is_refused_as_a_target_before_anything_is_made(lab: Lab) -> None:
    """By PID and by path, to be attached and to be connected; kernel and state stay."""
    create(lab.host, "net", *LAN)
    kernel, state = lab.host.snapshot(), digest(lab.state_dir)
    pid = str(lab.host.pid)
    for words in (
        ("attach", pid),
        ("connect", "net", pid),
        ("connect", "net", lab.host.path),
        ("connect", "net", "/proc/self/ns/net"),
        ("connect", "--dry-run", "net", pid),
    ):
        refused(lab.host.macvnet(*words), CONFLICT, "the one this command was started in")
    assert kernel.changes(lab.host.snapshot()) == []
    assert digest(lab.state_dir) == state


def test_namespace_of_pid_1_is_refused_as_a_target(lab: Lab) -> None:
    """Also where macvnet itself runs in another one, and by whatever process of it."""
    create(lab.host, "net", *LAN)
    state = digest(lab.state_dir)
    outside = str(os.getpid())
    assert Path("/proc/1/net/dev").stat().st_ino == Path("/proc/self/net/dev").stat().st_ino
    for target in ("1", "/proc/1/ns/net", outside, f"/proc/{outside}/ns/net"):
        refused(lab.host.macvnet("connect", "net", target), CONFLICT, "PID 1")
    assert digest(lab.state_dir) == state


def passthru(lab: Lab, *more: str) -> Result:
    return lab.host.macvnet("create", *PASSTHRU, *more, "net")


def test_passthru_on_a_parent_with_an_address_is_refused(lab: Lab) -> None:
    before = lab.host.snapshot()
    hint = refused(passthru(lab), CONFLICT, "172.16.86.250", "cut the host off")
    assert "-o passthru_force=true" in hint
    assert before.changes(lab.host.snapshot()) == []


def test_passthru_on_a_parent_with_a_route_is_refused(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(host=())
    lab.host.ip("route", "add", "10.66.0.0/16", "dev", "eth0")
    refused(passthru(lab), CONFLICT, "10.66.0.0/16")


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_passthru_on_a_parent_with_a_route_in_another_table_is_refused(
    make_lab: Callable[..., Lab], family: str
) -> None:
    lab = make_lab(host=())
    destination = "10.66.0.0/16" if family == "-4" else "2001:db8:66::/48"
    lab.host.ip(family, "route", "add", destination, "dev", "eth0", "table", "77")
    refused(passthru(lab), CONFLICT, destination)


def test_passthru_on_a_parent_with_an_upper_link_is_refused_naming_it(
    make_lab: Callable[..., Lab],
) -> None:
    lab = make_lab(host=())
    lab.host.ip("link", "add", "vm7", "link", "eth0", "type", "macvlan", "mode", "bridge")
    refused(passthru(lab), CONFLICT, "'vm7'")


def test_passthru_on_a_parent_with_link_local_ipv6_only_is_fine(
    make_lab: Callable[..., Lab],
) -> None:
    """The kernel gives every link such an address and such routes."""
    lab = make_lab(host=())
    assert lab.host.addresses(link_local=True)[0].startswith("fe80:")
    assert passthru(lab).ok


def test_passthru_force_does_what_was_refused(lab: Lab) -> None:
    """And it is as said: while the endpoint is up, the host does not reach the LAN."""
    assert lab.host.ping("172.16.86.1")
    passthru(lab, "-o", "passthru_force=true").checked()
    container = lab.container()
    join(lab.host, container, "net")
    assert container.ping("172.16.86.1")
    lab.host.ip("neigh", "flush", "dev", "eth0")
    assert lab.host.silent("172.16.86.1")
    lab.host.macvnet("detach", container.target).checked()
    assert lab.host.ping("172.16.86.1")


def test_link_that_root_in_the_container_renamed_is_still_ours(lab: Lab) -> None:
    """Renamed, without its alias, and a stranger under its old name: ours goes, that stays."""
    create(lab.host, "net", *LAN)
    container = lab.container()
    joined = join(lab.host, container, "net")
    container.batch(
        "link set eth0 down",
        "link set eth0 name uplink",
        "link set uplink alias harmless",
        "link set uplink up",
        "link add eth0 type veth peer name eth9",
    )
    stranger = container.link("eth0")
    assert lab.router.ping(joined.ip)
    lab.host.macvnet("detach", container.target).checked()
    assert sorted(container.links()) == ["eth0", "eth9", "lo"]
    assert container.link("eth0") == stranger
    assert lab.router.silent(joined.ip, seconds=0.3)


def test_link_that_replaced_ours_is_not_deleted(lab: Lab) -> None:
    """The same name, the same alias, even the same index: it is of another kind."""
    create(lab.host, "net", *LAN)
    container = lab.container()
    join(lab.host, container, "net")
    link = container.link()
    container.ip("link", "del", "eth0")
    container.batch(
        f"link add eth0 index {link['ifindex']} type bridge",
        f"link set eth0 alias {link['ifalias']}",
    )
    lab.host.macvnet("detach", container.target).checked()
    assert container.links() == ["lo", "eth0"]
    assert lab.host.macvnet("inspect", "net").json()[0]["Containers"] == {}
    assert join(lab.host, container, "net").ip == "172.16.86.2"


def test_macvlan_on_another_parent_in_place_of_ours_is_not_deleted(
    make_lab: Callable[..., Lab],
) -> None:
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN)
    container = lab.container()
    join(lab.host, container, "net")
    index = container.link()["ifindex"]
    container.ip("link", "del", "eth0")
    lab.host.ip(
        *("link", "add", "link", "eth1", "name", "tmp0", "index", str(index)),
        *("netns", str(container.pid), "type", "macvlan", "mode", "bridge"),
    )
    container.ip("link", "set", "tmp0", "name", "eth0")
    lab.host.macvnet("detach", container.target).checked()
    assert container.links() == ["lo", "eth0"]


def test_subnet_that_the_target_has_a_route_into_is_refused_and_undone(lab: Lab) -> None:
    """Docker's rule; the address comes back, and the target looks as before."""
    create(lab.host, "net", *LAN)
    container = lab.container()
    container.ip("link", "add", "br0", "type", "bridge")
    container.add_address("172.16.86.77/25", "br0")
    before = container.snapshot()
    done = lab.host.macvnet("connect", "net", container.target)
    refused(done, CONFLICT, "172.16.86.0/25", "br0")
    assert before.changes(container.snapshot()) == []
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.2"


def test_kernel_s_refusal_leaves_nothing_behind(lab: Lab) -> None:
    """The parent has become a port of a bridge since: said so, target and state as before."""
    create(lab.host, "net", *LAN)
    lab.host.batch("link add br9 type bridge", "link set eth0 master br9")
    container = lab.container()
    before = container.snapshot()
    done = lab.host.macvnet("connect", "net", container.target)
    assert done.status in (CONFLICT, 8) and "eth0" in done.stderr and "hint: " in done.stderr
    assert before.changes(container.snapshot()) == []
    assert lab.host.macvnet("inspect", "net").json()[0]["Containers"] == {}
    hint = refused(lab.host.macvnet("create", *LAN, "b"), CONFLICT, "'eth0'", "bridge 'br9'")
    assert hint == "-o parent=br9"


def test_parent_is_never_set_up_or_changed(make_lab: Callable[..., Lab]) -> None:
    """A parent that is down stays down; the endpoint has no carrier, and a note says so."""
    lab = make_lab(nics=2)
    lab.host.ip("link", "set", "eth1", "down")
    before = lab.host.snapshot()
    create(lab.host, "net", SUBNET, GATEWAY, "-o", "parent=eth1")
    container = lab.container()
    done = lab.host.macvnet("connect", "net", container.target).checked()
    assert "eth1 has no carrier" in done.stderr
    assert "LOWER_UP" not in container.link()["flags"]
    assert lab.host.link("eth1")["operstate"] == "DOWN"
    lab.host.macvnet("detach", container.target).checked()
    lab.host.macvnet("rm", "net").checked()
    assert before.changes(lab.host.snapshot()) == []


def test_state_is_readable_for_root_only(lab: Lab) -> None:
    create(lab.host, "net", SUBNET, *ON_ETH0)
    assert lab.state_dir.stat().st_mode & 0o777 == 0o700
    files = [path for path in lab.state_dir.iterdir() if path.is_file()]
    assert files and all(path.stat().st_mode & 0o777 == 0o600 for path in files)
