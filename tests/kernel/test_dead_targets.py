"""Targets that are gone: whose lease is free at once, whose is kept, and for how long."""

from __future__ import annotations

import os
import subprocess

from tests.kernel.steps import (
    CONFLICT,
    EXHAUSTED,
    LAN,
    create,
    join,
    notes,
    refused,
    wait_until,
)
from tests.kernel.trunk import after_reboot
from tests.lab import Host, Lab

SMALL = (*LAN, "--ip-range=172.16.86.16/30")
FIRST, SECOND, THIRD, FOURTH = (f"172.16.86.{last}" for last in (16, 17, 18, 19))


def leases(host: Host, network: str = "net") -> dict[str, str]:
    """Target to address, the dead included."""
    (shown,) = host.macvnet("inspect", network).checked().json()
    return {
        str(one["Target"]): str(one["Addresses"][0]["Address"]).partition("/")[0]
        for one in shown["Macvnet"]["Endpoints"]
    }


def test_addresses_of_bare_pids_are_free_as_soon_as_their_namespaces_are_dead(lab: Lab) -> None:
    """The lowest first, as if they had been detached."""
    create(lab.host, "net", *LAN)
    gone = [lab.container() for _ in range(4)]
    stays = lab.container()
    for container in (*gone, stays):
        join(lab.host, container, "net")
    for container in gone:
        container.close()
    joined = [join(lab.host, lab.container(), "net").ip for _ in range(5)]
    assert joined == [f"172.16.86.{last}" for last in (2, 3, 4, 5, 7)]
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.8"


def test_address_and_mac_of_a_dead_pid_can_be_asked_for(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    words = (f"--ip={FIRST}", "--mac-address=02:00:5e:00:53:07")
    old = lab.container()
    join(lab.host, old, "net", *words)
    new = lab.container()
    refused(lab.host.macvnet("attach", *words, new.target), CONFLICT, FIRST, old.target)
    old.close()
    assert join(lab.host, new, "net", *words).ip == FIRST
    assert list(leases(lab.host).values()) == [FIRST]


def test_number_of_a_process_that_is_in_another_namespace_now_is_another_target(lab: Lab) -> None:
    """As a reused PID is: nothing of the old namespace is taken for the new one's."""
    create(lab.host, "net", *LAN)
    other = lab.named("other")
    script = f"echo; read go; exec nsenter --net={other.path} sleep 1000"
    moving = lab.host.start(
        *("unshare", "--net", "sh", "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert moving.stdin is not None and moving.stdout is not None
    moving.stdout.readline()
    pid = str(moving.pid)
    lab.host.macvnet("attach", "--mac-address=02:00:5e:00:53:07", pid).checked()
    moving.stdin.write("go\n")
    moving.stdin.flush()
    moved = os.stat(other.path).st_ino
    assert wait_until(lambda: os.stat(f"/proc/{pid}/ns/net").st_ino == moved)
    assert other.links() == ["lo"]
    lab.host.macvnet("attach", pid).checked()
    assert other.addresses() == ["172.16.86.2/24"] and other.mac() != "02:00:5e:00:53:07"
    assert leases(lab.host) == {f"pid:{pid}": "172.16.86.2"}


def test_name_keeps_its_address_until_it_comes_back(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    web = lab.named("web")
    before = join(lab.host, web, "net")
    web.close()
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.3"
    again = lab.named("web")
    after = join(lab.host, again, "net")
    assert (after.ip, after.mac) == (before.ip, before.mac)


def test_name_that_stays_away_is_collected_after_its_grace(lab: Lab) -> None:
    """Counted from when its death was first seen; a living one never is."""
    create(lab.host, "net", *LAN)
    web, alive = lab.named("web"), lab.named("alive")
    join(lab.host, web, "net")
    join(lab.host, alive, "net")
    web.close()
    assert lab.host.macvnet("gc", "--dry-run").checked().lines == []
    assert lab.host.macvnet("gc", "--grace=1h").checked().lines == []
    assert set(leases(lab.host)) == {"netns:web", "netns:alive"}
    dry = lab.host.macvnet("gc", "--grace=0", "--dry-run").checked().lines
    assert dry[0] == "remove endpoint of netns:web from network net"
    assert set(leases(lab.host)) == {"netns:web", "netns:alive"}
    assert lab.host.macvnet("gc", "--grace=0").checked().lines == dry
    assert set(leases(lab.host)) == {"netns:alive"}
    assert lab.host.macvnet("gc", "--grace=0").checked().lines == []


def test_grace_of_the_configuration_holds_where_none_is_given(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    web = lab.named("web")
    join(lab.host, web, "net")
    web.close()
    lab.config.write_text("grace = 0\n")
    lab.host.macvnet("gc").checked()
    assert leases(lab.host) == {}


def test_exhausted_pool_takes_back_what_has_been_dead_longest(lab: Lab) -> None:
    """Bare PIDs first, then names by the time of their death; never what was asked for."""
    create(lab.host, "net", *SMALL)
    asked, early, late = (lab.named(name) for name in ("asked", "early", "late"))
    join(lab.host, asked, "net", f"--ip={FIRST}")
    join(lab.host, early, "net")
    join(lab.host, late, "net")
    last = lab.container()
    assert join(lab.host, last, "net").ip == FOURTH
    for target in (asked, early):
        target.close()
    lab.host.macvnet("gc").checked()
    late.close()
    last.close()
    assert join(lab.host, lab.container(), "net").ip == FOURTH
    done = lab.host.macvnet("connect", "net", lab.container().target).checked()
    assert any("netns:early" in note for note in notes(done))
    assert leases(lab.host) == {
        **{name: ip for name, ip in leases(lab.host).items() if name.startswith("pid:")},
        "netns:asked": FIRST,
        "netns:late": THIRD,
    }
    lab.host.macvnet("connect", "net", lab.container().target).checked()
    refused(lab.host.macvnet("connect", "net", lab.container().target), EXHAUSTED, "no free")
    assert leases(lab.host)["netns:asked"] == FIRST


def test_nothing_of_an_earlier_boot_is_collected_before_restore_has_run(lab: Lab) -> None:
    create(lab.host, "net", *SMALL)
    web = lab.named("web")
    process = lab.container()
    join(lab.host, web, "net")
    join(lab.host, process, "net")
    web.close()
    process.close()
    with after_reboot(lab) as host:
        host.macvnet("gc", "--grace=0").checked()
        assert set(leases(host)) == {"netns:web"}
        for address in (SECOND, THIRD, FOURTH):
            assert join(host, lab.container(), "net").ip == address
        refused(host.macvnet("connect", "net", lab.container().target), EXHAUSTED, "no free")
        host.macvnet("restore").checked()
        assert set(leases(host)) > {"netns:web"}
        host.macvnet("gc", "--grace=0").checked()
        assert "netns:web" not in leases(host)


def test_prune_spares_networks_with_a_lease_within_its_grace(lab: Lab) -> None:
    """And takes those whose only endpoints are past it; rm waits for the living only."""
    create(lab.host, "kept", *LAN)
    web = lab.named("web")
    join(lab.host, web, "kept")
    web.close()
    lab.host.macvnet("prune", "-f").checked()
    assert set(leases(lab.host, "kept")) == {"netns:web"}
    lab.config.write_text("grace = 0\n")
    assert lab.host.macvnet("prune", "-f").checked().lines[:2] == ["Deleted Networks:", "kept"]
    lab.config.write_text("")
    create(lab.host, "again", *LAN)
    process = lab.container()
    web = lab.named("web")
    join(lab.host, process, "again")
    join(lab.host, web, "again")
    process.close()
    web.close()
    lab.host.macvnet("rm", "again").checked()
