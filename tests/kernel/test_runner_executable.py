"""``macvnet run`` as installed: the seed's ``docker run``, seen from an external router."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Lab

ADDRESS = "172.16.86.10"


def wait_until(condition: Callable[[], object], seconds: float = 8) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def networked(lab: Lab) -> Iterator[Lab]:
    """The seed's pub_net, made."""
    lab.host.macvnet(
        *("create", "-d", "macvlan", "--subnet=172.16.86.0/24", "--gateway=172.16.86.1"),
        *("-o", "parent=eth0", "pub_net"),
    ).checked()
    yield lab
    for name in ("web", "db"):
        for pid in Path("/proc").glob("[0-9]*"):
            try:
                started = (pid / "cmdline").read_bytes().split(b"\0")
                ours = (pid / "environ").read_bytes()
            except OSError:
                continue
            state = lab.host.env["MACVNET_STATE_DIR"].encode()
            if b"run" in started and name.encode() in started and state in ours:
                os.kill(int(pid.name), signal.SIGTERM)


def containers(lab: Lab) -> list[str]:
    (shown,) = lab.host.macvnet("inspect", "pub_net").checked().json()
    return [str(one["IPv4Address"]) for one in shown["Containers"].values()]


def leases(lab: Lab) -> list[str]:
    """Addresses held, by those too that are not there any more."""
    (shown,) = lab.host.macvnet("inspect", "pub_net").checked().json()
    return [str(a["Address"]) for one in shown["Macvnet"]["Endpoints"] for a in one["Addresses"]]


def test_command_sees_its_network_and_nothing_of_the_hosts(networked: Lab) -> None:
    done = networked.host.macvnet(
        *("run", "--rm", "--net=pub_net", f"--ip={ADDRESS}", "--"),
        *("sh", "-c", "ip -br address show eth0; ip route; cd /sys/class/net; ls -d */; exit 7"),
    )
    assert done.status == 7
    shown = done.lines
    assert f"{ADDRESS}/24" in shown[0]
    assert shown[1].startswith("default via 172.16.86.1 dev eth0")
    assert shown[2].startswith("172.16.86.0/24 dev eth0")
    assert f"src {ADDRESS}" in shown[2]
    assert sorted(shown[3:]) == ["eth0/", "lo/"]
    assert containers(networked) == []


def test_only_network_needs_no_name(networked: Lab) -> None:
    done = networked.host.macvnet("run", "--", "ping", "-c1", "-W5", "172.16.86.1")
    assert done.status == 0, done


def test_detached_shell_is_on_the_network_until_it_is_ended(networked: Lab) -> None:
    done = networked.host.macvnet(
        "run", "--net=pub_net", f"--ip={ADDRESS}", "-itd", "--name", "web", "--", "/bin/sh"
    ).checked()
    assert len(done.stdout.strip()) == 64
    assert networked.router.ping(ADDRESS)
    assert containers(networked) == [f"{ADDRESS}/24"]
    # run:NAME is a container like any other.
    networked.host.macvnet("disconnect", "pub_net", "run:web").checked()
    assert networked.router.silent(ADDRESS)
    networked.host.macvnet("connect", "--ip", ADDRESS, "pub_net", "run:web").checked()
    assert networked.router.ping(ADDRESS)
    taken = networked.host.macvnet("run", "--name", "web", "--", "true")
    assert taken.status == 5
    assert networked.host.macvnet("run", "--dry-run", "--name", "web", "--", "true").status == 5
    supervisor = int(taken.stderr.split("kill ")[1])
    os.kill(supervisor, signal.SIGTERM)
    # An interactive shell ignores SIGTERM: it is killed after its grace.
    wait_until(lambda: leases(networked) == [], 15)
    assert networked.router.silent(ADDRESS)
    gone = networked.host.macvnet("disconnect", "pub_net", "run:web")
    assert gone.status == 4


def test_address_and_mac_are_free_at_once(networked: Lab) -> None:
    words = ("run", "--net", f"pub_net,ip={ADDRESS},mac=02:00:5e:00:53:10", "--name", "web", "--")
    for _ in range(5):
        networked.host.macvnet(*words, "true").checked()


def test_killed_command_leaves_no_endpoint(networked: Lab) -> None:
    done = networked.host.macvnet(
        "run", "--net", "pub_net", "--ip", ADDRESS, "--", "sh", "-c", "kill -KILL $$"
    )
    assert done.status == 137
    assert containers(networked) == []


def test_refused_address_and_missing_command_leave_no_endpoint(networked: Lab) -> None:
    own = networked.host.macvnet("run", "--net", "pub_net", "--ip=172.16.86.250", "--", "true")
    assert own.status == 5
    missing = networked.host.macvnet("run", "--net", "pub_net", "-d", "--", "no-such-command")
    assert (missing.status, missing.stdout) == (127, "")
    assert missing.stderr == (
        "macvnet: no command 'no-such-command' found\nhint: an absolute path, or another PATH\n"
    )
    assert containers(networked) == []


def test_dry_run_makes_nothing(networked: Lab) -> None:
    done = networked.host.macvnet(
        "run", "--dry-run", "--net", "pub_net", "--ip", ADDRESS, "--name", "web", "--", "false"
    ).checked()
    assert done.lines[0] == "create sandbox run:web"
    assert any(ADDRESS in line for line in done.lines)
    assert containers(networked) == []


def test_what_a_killed_supervisor_left_is_freed_by_the_next_run_of_the_name(
    networked: Lab,
) -> None:
    words = ("run", "--net", "pub_net", "--ip", ADDRESS, "--name", "web")
    networked.host.macvnet(*words, "-d", "--", "sleep", "60").checked()
    taken = networked.host.macvnet(*words, "--", "true")
    supervisor = int(taken.stderr.split("kill ")[1])
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: networked.router.silent(ADDRESS))
    assert containers(networked) == [] and leases(networked) == [f"{ADDRESS}/24"]
    networked.host.macvnet(*words, "--", "true").checked()
    assert leases(networked) == []
