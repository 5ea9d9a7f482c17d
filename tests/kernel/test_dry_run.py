"""--dry-run says what would be and changes nothing; --verbose says what is done."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.steps import CONFLICT, LAN, REQUEST, SUBNET, create, join, refused
from tests.lab import Container, Lab, Result


def state(lab: Lab) -> dict[str, Any]:
    """Every file of the state by its path: mode, size and content."""
    return {
        str(path): (os.lstat(path).st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(lab.state_dir.rglob("*"))
        # The shared index of readers: SQLite's own, rebuilt at will.
        if stat.S_ISREG(os.lstat(path).st_mode) and not path.name.endswith("-shm")
    }


def dry(lab: Lab, *words: str, container: Container | None = None) -> Result:
    """Run with --dry-run, and hold kernel and store against what they were."""
    machines = [lab.host, *([container] if container else [])]
    before = [machine.snapshot() for machine in machines]
    files = state(lab)
    with lab.switch.capture("host-eth0", keep=lambda f: f.gratuitous_arp) as wire:
        done = lab.host.macvnet(words[0], "--dry-run", *words[1:])
    assert [b.changes(m.snapshot()) for b, m in zip(before, machines, strict=True)] == (
        [[]] * len(machines)
    )
    assert state(lab) == files
    assert wire.frames == []
    return done


def test_create_shows_pools_with_their_usable_addresses(lab: Lab) -> None:
    """Not even the state's directory is made."""
    done = dry(lab, "create", *LAN, "--ip-range=172.16.86.128/25", "net").checked()
    network, pool = done.lines
    assert network == "create network net driver macvlan"
    assert pool.startswith("create pool 172.16.86.0/24 gateway 172.16.86.1: 127 usable addresses")
    assert pool.endswith(", first 172.16.86.128, last 172.16.86.254")
    assert not lab.state_dir.exists()


def test_create_refuses_what_it_would_refuse(lab: Lab) -> None:
    hint = refused(dry(lab, "create", "--subnet=10.0.0.1/24", *LAN[2:], "net"), REQUEST)
    assert "10.0.0.0/24" in hint
    create(lab.host, "net", *LAN)
    refused(dry(lab, "create", *LAN, "other"), CONFLICT, "'net'")


def test_attach_shows_the_endpoint_as_it_then_becomes(lab: Lab) -> None:
    """The address and MAC of the dry run are those of the real one after it."""
    create(lab.host, "net", *LAN)
    container = lab.container()
    done = dry(lab, "attach", container.target, container=container).checked()
    text = done.stdout
    for word in ("create link", "172.16.86.2/24", "default via 172.16.86.1"):
        assert word in text
    joined = join(lab.host, container, "net")
    assert joined.mac in text and joined.ip == "172.16.86.2"


def test_connect_disconnect_detach_and_rm_change_nothing(lab: Lab) -> None:
    create(lab.host, "net", *LAN, "-o", "com.docker.network.advertise_addr_nmsgs=1")
    container = lab.container()
    done = dry(lab, "connect", "--ip=172.16.86.9", "net", container.target, container=container)
    assert "172.16.86.9/24" in done.checked().stdout
    assert "remove network net" in dry(lab, "rm", "net").checked().stdout
    join(lab.host, container, "net")
    for words in (("disconnect", "net"), ("detach",)):
        done = dry(lab, *words, container.target, container=container).checked()
        assert "remove link eth0" in done.stdout and "172.16.86.2/24" in done.stdout
    refused(dry(lab, "rm", "net"), CONFLICT, "active endpoints")
    lab.host.macvnet("detach", container.target).checked()
    done = lab.host.macvnet("prune", "--dry-run").checked()
    assert "net" in done.stdout
    assert lab.host.macvnet("ls", "-q").checked().lines != []


def test_dry_attach_is_refused_like_a_real_one(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    container = lab.container()
    words = ("attach", "--network=net,ip=172.16.86.1", container.target)
    refused(dry(lab, *words, container=container), CONFLICT, "172.16.86.1")


def test_verbose_prints_each_kernel_operation_as_an_ip_command(lab: Lab) -> None:
    """Typed by hand in a namespace like the first one, they make the same endpoint."""
    create(lab.host, "net", *LAN)
    named, twin = lab.named("shown"), lab.named("typed")
    done = lab.host.macvnet("--verbose", "connect", "net", named.target).checked()
    assert done.stdout == ""
    commands = [
        line.removeprefix("+ ")
        for line in done.stderr.splitlines()
        # Numbers the namespace for macvnet, which a user has no need of.
        if line.startswith("+ ") and "ip netns set" not in line
    ]
    kinds = ("sysctl", "link", "address", "route")
    words = [next(word for word in command.split() if word in kinds) for command in commands]
    assert words == ["link", "sysctl", "address", "link", "route"]
    looks = named.addresses(), named.mac(), named.default_route()
    lab.host.macvnet("detach", named.target).checked()
    for command in commands:
        lab.host.run(*shlex.split(command.replace("shown", "typed"))).checked()
    assert (twin.addresses(), twin.mac(), twin.default_route()) == looks
    assert twin.ping("172.16.86.1")


@pytest.mark.parametrize("word", ["ls", "inspect"])
def test_reading_makes_no_state(lab: Lab, word: str) -> None:
    lab.host.macvnet(word, *(["net"] if word == "inspect" else []))
    assert not lab.state_dir.exists()


def test_reading_changes_no_state(lab: Lab) -> None:
    create(lab.host, "net", SUBNET, "-o", "parent=eth0")
    files = state(lab)
    lab.host.macvnet("ls").checked()
    lab.host.macvnet("inspect", "net").checked()
    assert state(lab) == files
    assert Path(lab.state_dir).stat().st_mode & 0o777 == 0o700
