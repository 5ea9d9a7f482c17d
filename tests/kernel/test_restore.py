"""restore: after a reboot, a driver's reload or a renamed NIC everything recorded is there again.

``tests.boots`` shows real reboots.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.engine.restoring import _Run
from macvnet.model import REMOVING
from macvnet.settings import Settings
from tests.kernel.steps import (
    LAN,
    Joined,
    create,
    join,
    networks,
    notes,
    settled,
    struck,
    wait_until,
)
from tests.kernel.trunk import after_reboot
from tests.lab import Container, Host, Lab, Named
from tests.lab.events import changes
from tests.lab.faults import KILL
from tests.lab.processes import inside

PENDING, PARTLY = 12, 13
DUAL = (*LAN, "--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1")
QUIET = ("-o", "com.docker.network.advertise_addr_nmsgs=0")


def same(lab: Lab, target: Named, before: Joined) -> None:
    """The endpoint is as it was: address, MAC, interface, and reached from the router."""
    assert target.mac(before.interface) == before.mac
    assert set(target.addresses(before.interface)) >= set(before.addresses)
    assert lab.router.ping(before.ip)
    route = target.default_route()
    assert route is not None and route["dev"] == before.interface


def test_targets_that_are_there_again_get_back_what_they_had(lab: Lab) -> None:
    """Under the same name, after a reboot; those that are not keep their lease, PIDs none."""
    create(lab.host, "net", *DUAL)
    web, away, process = lab.named("web"), lab.named("away"), lab.container()
    before = join(lab.host, web, "net", "--ifname=lan0", "--gw-priority=2")
    join(lab.host, away, "net")
    join(lab.host, process, "net")
    for target in (web, away, process):
        target.close()
    with after_reboot(lab) as host:
        web = lab.named("web")
        done = host.macvnet("restore").checked()
        assert done.lines == [f"netns:web in network net {' '.join(before.addresses)}"]
        same(lab, web, before)
        assert host.macvnet("check").checked().lines == []
        away = lab.named("away")
        host.macvnet("restore").checked()
        assert "172.16.86.3/24" in away.addresses()
        # The process's address is free.
        assert join(host, lab.container(), "net").ip == "172.16.86.4"


def test_second_run_changes_nothing(lab: Lab) -> None:
    """Neither in the kernel, where no event is seen, nor in the state."""
    create(lab.host, "net", *DUAL, *QUIET)
    web, process = lab.named("web"), lab.container()
    join(lab.host, web, "net")
    join(lab.host, process, "net")
    web.ip("link", "del", "eth0")
    lab.host.macvnet("restore").checked()
    # The kernel's own addresses are still coming and proving unique.
    assert wait_until(lambda: all(map(settled, (web, process))))
    wal = (lab.state_dir / "state.db-wal").read_bytes()
    with changes(lab.host.fd, web.fd, process.fd) as seen:
        done = lab.host.macvnet("restore").checked()
    assert (done.stdout, done.stderr, seen) == ("", "", [])
    assert (lab.state_dir / "state.db-wal").read_bytes() == wal


def test_events_of_a_first_run_are_seen(lab: Lab) -> None:
    """Else the test above would show nothing."""
    create(lab.host, "net", *DUAL, *QUIET)
    web = lab.named("web")
    join(lab.host, web, "net")
    web.ip("link", "del", "eth0")
    with changes(lab.host.fd, web.fd) as seen:
        lab.host.macvnet("restore").checked()
    assert {"link", "address", "route"} <= set(seen)


def test_parent_made_anew_under_living_containers(make_lab: Callable[..., Lab]) -> None:
    """A driver reloaded, a USB NIC pulled and put in again: every endpoint comes back."""
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN[:2], "-o", "parent=eth1")
    web, process = lab.named("web"), lab.container()
    targets: tuple[Named | Container, ...] = (web, process)
    before = [join(lab.host, target, "net") for target in targets]
    lab.host.ip("link", "del", "eth1")
    assert wait_until(lambda: web.links() == process.links() == ["lo"])
    pending = lab.host.macvnet("restore")
    assert pending.status == PENDING and "eth1 is missing" in pending.stderr
    lab.switch.plug(lab.host, "eth1")
    assert len(lab.host.macvnet("restore").checked().lines) == 2
    for target, joined in zip(targets, before, strict=True):
        assert target.mac() == joined.mac
        assert lab.router.ping(joined.ip)
        lab.host.macvnet("disconnect", "net", target.target).checked()
        assert target.links() == ["lo"]


def test_renamed_parent_is_followed_with_a_note(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    web = lab.named("web")
    join(lab.host, web, "net")
    lab.host.batch("link set eth0 down", "link set eth0 name lan0", "link set lan0 up")
    done = lab.host.macvnet("restore").checked()
    assert notes(done) == ["the parent eth0 of network net is called lan0 now"]
    assert lab.host.macvnet("restore").checked().stderr == ""
    assert lab.host.macvnet("check").checked().lines == []


def test_one_broken_network_does_not_stop_the_others(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(nics=3)
    for number, name in enumerate(("one", "two", "three")):
        create(lab.host, name, f"--subnet=10.{number}.0.0/24", "-o", f"parent=eth{number}")
    targets = [lab.named(f"t{number}") for number in range(3)]
    for target, name in zip(targets, ("one", "two", "three"), strict=True):
        join(lab.host, target, name)
        target.ip("link", "del", "eth0")
    # eth1 is another's now: no macvlan can be made on it.
    lab.host.batch("link add br9 type bridge", "link set eth1 master br9")
    done = lab.host.macvnet("restore")
    assert done.status == PARTLY
    assert [line.split()[0] for line in done.lines] == ["netns:t0", "netns:t2"]
    assert "netns:t1 in network two" in done.stderr and "'eth1'" in done.stderr
    # Its lease is not lost with the failure.
    lab.host.ip("link", "set", "eth1", "nomaster")
    assert [line.split()[0] for line in lab.host.macvnet("restore").checked().lines] == ["netns:t1"]


@pytest.mark.parametrize("command", [("restore",), ("connect", "net", "netns:web")])
def test_target_that_is_back_before_its_former_sandbox_is_gone(
    lab: Lab, command: tuple[str, ...]
) -> None:
    """Restored, or connected anew: the kernel needs a while, and what it had is its own."""
    create(lab.host, "net", *LAN, *QUIET)
    web = lab.named("web")
    before = join(lab.host, web, "net")
    last = lab.host.start("nsenter", f"--net={web.path}", "sleep", "1")
    inode = Path(web.path).stat().st_ino
    assert wait_until(lambda: Path(f"/proc/{last.pid}/ns/net").stat().st_ino == inode)
    web.close()
    web = lab.named("web")
    lab.host.macvnet(*command).checked()
    assert (web.mac(), web.addresses()) == (before.mac, before.addresses)
    assert last.wait() == 0


def plug_later(lab: Lab, host: Host, seconds: float, ifname: str) -> threading.Thread:
    def plug() -> None:
        time.sleep(seconds)
        lab.switch.plug(host, ifname)

    thread = threading.Thread(target=plug)
    thread.start()
    return thread


def test_wait_ends_as_soon_as_the_parents_are_there(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN[:2], "-o", "parent=eth1")
    web = lab.named("web")
    before = join(lab.host, web, "net")
    lab.host.ip("link", "del", "eth1")
    assert wait_until(lambda: web.links() == ["lo"])
    thread = plug_later(lab, lab.host, 1.0, "eth1")
    began = time.monotonic()
    done = lab.host.macvnet("restore", "--wait", "50").checked()
    thread.join()
    assert 0.9 < time.monotonic() - began < 45
    assert done.lines == ["netns:web in network net 172.16.86.2/24"]
    assert lab.router.ping(before.ip)


def test_wait_that_is_over_names_what_is_pending(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(nics=3)
    create(lab.host, "net", *LAN[:2], "-o", "parent=eth1")
    create(lab.host, "other", "--subnet=10.1.0.0/24", "-o", "parent=eth2")
    web = lab.named("web")
    join(lab.host, web, "net")
    join(lab.host, web, "other")
    lab.host.ip("link", "del", "eth1")
    web.ip("link", "del", "eth1")
    began = time.monotonic()
    done = lab.host.macvnet("restore", "--wait", "1")
    assert 1 <= time.monotonic() - began < 30
    assert done.status == PENDING and "network net: the parent eth1 is missing" in done.stderr
    assert "other" not in done.stderr
    assert [line.split()[:4] for line in done.lines] == [["netns:web", "in", "network", "other"]]


def test_what_a_dead_command_left_is_finished_first(lab: Lab) -> None:
    """A network that was being made goes; an endpoint half made goes; the rest is restored."""
    create(lab.host, "net", *LAN)
    web, half = lab.named("web"), lab.named("half")
    join(lab.host, web, "net")
    other = ("--subnet=10.1.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1", "other")
    for command in (("connect", "net", "netns:half"), ("create", *other)):
        assert struck(lab.host, KILL, 3, *command).status == -signal.SIGKILL
    assert lab.host.macvnet("check").status == 11
    lab.host.macvnet("restore").checked()
    assert half.links() == ["lo"]
    assert networks(lab.host) == ["net"]
    assert lab.host.macvnet("check").checked().lines == []


def test_network_that_is_removed_meanwhile_is_no_failure(lab: Lab) -> None:
    """Seen as it was being removed, and gone when its turn comes."""
    create(lab.host, "net", *LAN)
    with inside(lab.host.fd):
        ctx = Context(Settings(state_dir=str(lab.state_dir)), print, None)
        try:
            (network,) = lookup.networks(ctx.store)
            lab.host.macvnet("rm", "net").checked()
            _Run(ctx, lambda done, total: None)._network(network._replace(state=REMOVING), {})
        finally:
            ctx.close()
