"""watch: what the kernel tells of parents and of namespaces, and how it starts, sleeps and ends.

What runtimes tell is in tests/runtimes/test_watch.py.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.steps import CONFLICT, LAN, create, join, refused, wait_until
from tests.lab import Lab
from tests.lab.watching import NOWHERE, Watch

RENEWED = "172.16.86.252/24 dev eth0 valid_lft 900 preferred_lft 900".split()


def test_parents_and_namespaces_that_come_and_go(
    make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    """One watch, from its start to its end: each thing that happens leads to one act."""
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN[:2], "-o", "parent=eth1")
    web, process, early = lab.named("web"), lab.container(), lab.container()
    before = [join(lab.host, target, "net") for target in (web, process)]
    join(lab.host, early, "net")
    # What happened before it began is made up for.
    web.ip("link", "del", "eth0")
    early.close()
    assert wait_until(lambda: not Path(f"/proc/{early.pid}/ns/net").exists())
    with Watch(lab.host, tmp_path, env=NOWHERE) as watch:
        # The kernel may not have taken the namespace apart yet.
        said = ["absent", "absent", "free", "ready", "return"]
        assert wait_until(lambda: sorted(act["act"] for act in watch.acts()) == said, 30)
        assert web.mac() == before[0].mac
        # A parent goes, another link comes that is none of its, and it comes again.
        lab.host.ip("link", "del", "eth1")
        watch.wait_for("wait", reason="eth1 is missing")
        lab.host.ip("link", "add", "other", "type", "veth", "peer", "name", "end")
        lab.switch.plug(lab.host, "eth1")
        back = {act["container"]: act for act in [watch.wait_for("return") for _ in before]}
        assert back.keys() == {"netns:web", f"pid:{process.target}"}
        assert back["netns:web"]["addresses"] == before[0].addresses[0]
        assert back["netns:web"]["network"] == "net" and back["netns:web"]["interface"] == "eth0"
        for target, joined in zip((web, process), before, strict=True):
            assert target.mac() == joined.mac
            assert lab.router.ping(joined.ip)
        # It is renamed, and then goes under its new name.
        lab.host.batch("link set eth1 down", "link set eth1 name lan1", "link set lan1 up")
        watch.wait_for("note", reason="is called lan1 now")
        lab.host.ip("link", "del", "lan1")
        watch.wait_for("wait", reason="lan1 is missing")
        lab.switch.plug(lab.host, "lan1")
        for _ in before:
            watch.wait_for("return")
        # A process ends: nobody can come back as it. A name may.
        process.close()
        freed = watch.wait_for("free", reason="ended")
        assert freed["addresses"] == before[1].addresses[0]
        web.close()
        watch.wait_for("keep", container="netns:web", reason="until ")
        assert join(lab.host, lab.container(), "net").ip == before[1].ip
        # Nothing happens, and it does nothing.
        assert watch.sleeps(2.0)
        began = time.monotonic()
        assert watch.end() == 0
        assert time.monotonic() - began < 5
        assert watch.acts()[-1]["act"] == "stop"
        assert not [act for act in watch.acts() if act["act"] in ("fail", "refuse")]
    log = lab.host.macvnet("log").checked().stdout
    assert "macvnet watch" in log
    assert lab.host.macvnet("check").checked().lines == []


def test_host_access_follows_the_parent_s_address_and_its_own_link(
    lab: Lab, tmp_path: Path
) -> None:
    """Other links' addresses, and one that is renewed, are nothing to do for."""
    host, web = lab.host, lab.named("web")
    create(host, "net", *LAN, "--host-access")
    joined = join(host, web, "net")
    with Watch(host, tmp_path, env=NOWHERE) as watch:
        host.ip("addr", "del", "172.16.86.250/24", "dev", "eth0")
        watch.wait_for("note", reason="the host does not reach the containers in it")
        host.add_address("172.16.86.251/24")
        made = watch.wait_for("route", reason="made")
        assert made["addresses"] == joined.ip and made["link"] == "mvh-eth0"
        assert host.ping(joined.ip) and web.ping("172.16.86.251")
        # A second one, and the first one goes: the kernel removes the route of that.
        host.sysctl("net/ipv4/conf/eth0/promote_secondaries", "1")
        host.batch(
            "addr add 172.16.86.252/24 dev eth0",
            "addr del 172.16.86.251/24 dev eth0",
        )
        watch.wait_for("route", reason="made")
        assert host.ping(joined.ip) and web.ping("172.16.86.252")
        # The kernel takes away the routes of a link that is set down.
        host.ip("link", "set", "mvh-eth0", "down")
        watch.wait_for("route", reason="made")
        assert host.ping(joined.ip)
        host.ip("link", "del", "mvh-eth0")
        watch.wait_for("link", link="mvh-eth0")
        assert wait_until(lambda: host.ping(joined.ip))
        told = len(watch.acts())
        host.ip("addr", "add", "10.99.0.1/24", "dev", "lo")
        host.ip("addr", "replace", *RENEWED)
        assert watch.sleeps(1.0)
        # Taken away, it stays away.
        host.macvnet("host-access", "disable", "net").checked()
        host.ip("addr", "del", "172.16.86.252/24", "dev", "eth0")
        host.add_address("172.16.86.251/24")
        assert watch.sleeps(1.0)
        assert "mvh-eth0" not in host.links()
        assert len(watch.acts()) == told
    assert host.macvnet("check").checked().lines == []


def test_lease_is_freed_when_its_grace_time_is_over(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("grace = 1\n")
    config.chmod(0o600)
    create(lab.host, "net", *LAN)
    web = lab.named("web")
    join(lab.host, web, "net")
    with Watch(lab.host, tmp_path, "--config", str(config), env=NOWHERE) as watch:
        web.close()
        watch.wait_for("keep", container="netns:web")
        watch.wait_for("free", container="netns:web", reason="grace time is over")
        assert watch.sleeps(1.0)
    assert lab.host.macvnet("inspect", "net").checked().json()[0]["Containers"] == {}


@pytest.mark.needs("vlan")
def test_sub_interface_is_made_again_with_its_parent(
    make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    """As soon as that is up: before, none could be made."""
    lab = make_lab(nics=2)
    create(lab.host, "net", *LAN[:2], "-o", "parent=eth1.50")
    web = lab.named("web")
    before = join(lab.host, web, "net")
    with Watch(lab.host, tmp_path, env=NOWHERE) as watch:
        lab.host.ip("link", "del", "eth1")
        watch.wait_for("wait", reason="eth1.50 is missing")
        lab.switch.plug(lab.host, "eth1", up=False)
        watch.wait_for("wait", reason="is down")
        lab.host.ip("link", "set", "eth1", "up")
        watch.wait_for("link", link="eth1.50")
        watch.wait_for("return", container="netns:web")
        assert (web.mac(), web.addresses()) == (before.mac, before.addresses)
        # A removal that is at work is not worked against.
        lab.host.macvnet("disconnect", "net", "netns:web").checked()
        lab.host.macvnet("rm", "net").checked()
        assert watch.sleeps(1.0)
        assert "eth1.50" not in lab.host.links()
        assert watch.end(signal.SIGINT) == 0


def test_one_watch_for_each_state(lab: Lab, tmp_path: Path) -> None:
    """A second one is refused by the first one's number; a dead one is in nobody's way."""
    create(lab.host, "net", *LAN)
    with Watch(lab.host, tmp_path, env=NOWHERE) as first:
        done = lab.host.macvnet("watch", env=NOWHERE)
        hint = refused(done, CONFLICT, f"PID {first.pid}")
        assert hint == "systemctl status macvnet-watch"
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    with Watch(lab.host, tmp_path, env=NOWHERE) as second:
        # Asked to, it looks at everything, also at what no event tells of.
        web = lab.named("web")
        join(lab.host, web, "net")
        web.ip("link", "del", "eth0")
        os.kill(second.pid, signal.SIGUSR1)
        second.wait_for("return", container="netns:web")


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(lab: Lab, tmp_path: Path) -> None:
    create(lab.host, "net", *LAN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(30)
        env = {**NOWHERE, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with Watch(lab.host, tmp_path, env=env) as watch:
            assert told.recv(100) == b"READY=1"
            assert watch.end() == 0
        assert told.recv(100) == b"STOPPING=1"


def test_state_that_cannot_be_used_for_a_while_is_used_again(lab: Lab, tmp_path: Path) -> None:
    """It tells so, and tries again by itself."""
    create(lab.host, "net", *LAN)
    web = lab.named("web")
    before = join(lab.host, web, "net")
    with Watch(lab.host, tmp_path, env=NOWHERE) as watch:
        lab.state_dir.chmod(0o777)
        web.ip("link", "del", "eth0")
        os.kill(watch.pid, signal.SIGUSR1)
        watch.wait_for("fail", reason="can be written by others")
        lab.state_dir.chmod(0o700)
        watch.wait_for("return", container="netns:web")
        assert wait_until(lambda: web.mac() == before.mac)
