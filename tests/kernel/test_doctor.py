"""What the doctor finds, each cause made for real; nothing where nothing is wrong.

What no lab can make (radios, clouds, virtual functions, managers) is in
tests/unit/test_doctor_trees.py.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.steps import (
    CONFLICT,
    GATEWAY,
    LAN,
    NOT_FOUND,
    SUBNET,
    create,
    join,
    refused,
    settled,
    wait_until,
)
from tests.lab import Host, Lab, Machine, Result, executable

FOUND = 11
PERMISSION = 7
THIEF = "02:00:5e:00:53:99"


def asked(host: Machine, *words: str) -> Result:
    done = host.macvnet("doctor", "--format=json", *words, fork=True)
    assert done.status == (FOUND if done.json() else 0), done
    return done


def causes(host: Machine, *words: str) -> list[str]:
    return [one["id"] for one in asked(host, *words).json()]


def only(host: Machine, cause: str, *words: str) -> tuple[str, str]:
    """Evidence and fix of the one thing that is found."""
    (one,) = asked(host, *words).json()
    assert one["id"] == cause, one
    return one["evidence"], one["fix"]


def typed(host: Machine, fix: str) -> None:
    """The fix, word for word, in a shell."""
    folder = Path(executable()).parent
    host.run("sh", "-c", f'PATH="{folder}:$PATH"; {fix}').checked()


def test_nothing_is_found_or_changed_where_nothing_is_wrong(make_lab: Callable[..., Lab]) -> None:
    """The only frames are ARP probes that nobody can learn from, and none without a name."""
    lab = make_lab(default_route=True)
    host = lab.host
    assert host.macvnet("doctor") == Result(("macvnet", "doctor"), 0, "", "")
    create(host, "lan", *LAN, "--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1")
    web = lab.container()
    join(host, web, "lan")
    assert wait_until(lambda: settled(web))
    kernel = (host.snapshot(), web.snapshot())
    state = {**host.macvnet("state", "export").json(), "exported": ""}
    with lab.router.capture(keep=lambda frame: frame.arp_tpa == "172.16.86.1") as wire:
        assert causes(host) == []
        assert causes(host, "eth0") == []
        # Whatever the first of them had sent would be here before this.
        wire.wait_for(lambda frame: frame.arp_op == 1)
        assert {frame.src for frame in wire} == {host.mac()}
        for word in ("lan", web.target):
            assert causes(host, word) == []
        wire.wait_for(lambda frame: frame.src == web.mac(), count=2)
    assert {(frame.arp_op, frame.arp_spa) for frame in wire} == {(1, "0.0.0.0")}
    assert causes(host, "--active", "lan") == []
    assert [s.changes(m.snapshot()) for s, m in zip(kernel, (host, web), strict=True)] == [[], []]
    assert state == {**host.macvnet("state", "export").json(), "exported": ""}
    unknown = host.macvnet("doctor", "nosuch")
    assert refused(unknown, NOT_FOUND, "'nosuch'") == "macvnet ls; ip -br link"
    assert refused(host.macvnet("doctor", "lna"), NOT_FOUND, "'lna'") == "lan"
    refused(host.macvnet("doctor", "pid:999999999"), NOT_FOUND, "there is no process 999999999")
    assert host.macvnet("doctor", "--active").status == 2


def test_what_speaks_against_a_parent(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(nics=3)
    host = lab.host
    # Nothing leads anywhere, so there is no link to name.
    assert only(host, "parent-loopback", "lo")[1] == "ip -br link"
    create(host, "lan", *LAN, "-o", "mtu=1500")
    create(host, "other", "--subnet=10.1.0.0/24", "-o", "parent=eth1")
    create(host, "gone", "--subnet=10.2.0.0/24", "-o", "parent=eth2")
    target = lab.container()

    host.ip("link", "set", "eth1", "down")
    assert only(host, "parent-down", "eth1") == (
        "the parent 'eth1' is down",
        "ip link set eth1 up",
    )
    typed(host, "ip link set eth1 up")
    assert causes(host, "eth1") == []
    lab.switch.cable(host, plugged=False, ifname="eth1")
    assert "no carrier" in only(host, "parent-no-carrier", "other")[0]
    lab.switch.cable(host, plugged=True, ifname="eth1")

    host.batch("link add br7 type bridge", "link set br7 up", "link set eth1 master br7")
    evidence, fix = only(host, "parent-port", "other")
    assert evidence == "'eth1' is a port of the bridge 'br7' and cannot be a parent"
    assert only(host, "parent-port", "eth1") == (evidence, "-o parent=br7")
    # The kernel says no more than that the device is busy.
    done = host.macvnet("connect", "other", target.target, fork=True)
    assert refused(done, CONFLICT, "'eth1' is a port of the bridge 'br7'") == "-o parent=br7"
    typed(host, fix)
    assert wait_until(lambda: causes(host, "other") == [])
    assert '"parent": "br7"' in host.macvnet("inspect", "other").stdout

    host.ip("link", "set", "eth0", "mtu", "1400")
    evidence, fix = only(host, "mtu-above-parent", "lan")
    assert "1500" in evidence and "1400" in evidence
    typed(host, fix)
    assert causes(host, "lan") == []

    host.ip("link", "del", "eth2")
    assert "'eth2'" in only(host, "parent-missing", "gone")[0]
    assert "parent-missing" in causes(host)


def test_what_is_on_the_parent_already(lab: Lab) -> None:
    host = lab.host
    words = ("-o", "macvlan_mode=passthru", "-o", "passthru_force=true")
    create(host, "lan", *LAN)
    web = lab.container()
    joined = join(host, web, "lan")
    host.ip(*"link add link eth0 name thief address".split(), joined.mac, "type", "macvlan")
    evidence, fix = only(host, "mac-held", "lan")
    assert joined.mac in evidence and "'thief'" in evidence
    typed(host, fix)
    assert causes(host, "lan") == []
    # In a namespace that macvnet has numbered, a link of somebody else's.
    host.ip(*"link add link eth0 name thief address".split(), joined.mac, "type", "macvlan")
    other = lab.container()
    join(host, other, "lan")
    host.ip("link", "set", "thief", "netns", str(other.pid))
    evidence, fix = only(host, "mac-held", "lan")
    assert "'thief'" in evidence and "in the namespace with nsid " in evidence
    assert fix.endswith("link delete thief")
    for container in (web, other):
        host.macvnet("detach", container.target).checked()
    other.ip("link", "del", "thief")
    host.macvnet("rm", "lan").checked()

    create(host, "whole", *LAN, *words)
    host.ip("link", "add", "link", "eth0", "name", "vm7", "type", "macvlan", "mode", "bridge")
    evidence, fix = only(host, "passthru-siblings", "whole")
    assert "'vm7'" in evidence
    done = host.macvnet("connect", "whole", web.target)
    assert refused(done, CONFLICT, "'vm7'") == "ip link delete vm7"
    typed(host, fix)
    join(host, web, "whole")
    # It has the parent for itself, as it should, and the host is cut off.
    assert causes(host, "whole") == []
    assert causes(host, "eth0") == ["passthru-siblings"]


def test_what_is_wrong_inside_a_target(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(nics=2)
    host = lab.host
    create(host, "lan", *LAN, "--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1")
    create(host, "far", "--subnet=10.1.0.0/24", "-o", "parent=eth1")
    web = lab.named("web")
    web.ip("link", "set", "lo", "up")
    join(host, web, "lan")
    enter = "ip netns exec web"
    for key, value, cause, fix in (
        ("ipv6/conf/eth0/disable_ipv6", "1", "target-ipv6-disabled", "disable_ipv6=0 && macvnet"),
        ("ipv4/conf/all/arp_ignore", "8", "target-arp-ignore", "net/ipv4/conf/all/arp_ignore=0"),
    ):
        web.sysctl(f"net/{key}", value)
        for word in (web.target, "lan", ""):
            done = asked(host, *([word] if word else [])).json()
            assert [one["id"] for one in done] == [cause]
            assert done[0]["fix"].startswith(enter) and fix in done[0]["fix"]
        typed(host, done[0]["fix"])
        assert causes(host, web.target) == []
    assert web.addresses()[1:] == ["2001:db8:86::2/64"]
    web.sysctl("net/ipv4/conf/all/rp_filter", "0")
    web.sysctl("net/ipv4/conf/eth0/rp_filter", "1")
    web.sysctl("net/ipv4/conf/eth0/arp_filter", "1")
    # Alone they are in nobody's way.
    assert causes(host, web.target) == []
    join(host, web, "far", "--gw-priority=1")
    web.sysctl("net/ipv4/conf/eth1/rp_filter", "0")
    web.ip("route", "replace", "default", "dev", "eth1")
    evidence, fix = only(host, "target-rp-filter", web.target)
    assert "'eth1' has the default route" in evidence
    assert fix == f"{enter} sysctl -w net/ipv4/conf/eth0/rp_filter=2"
    typed(host, fix)
    assert causes(host, web.target) == []
    web.ip("addr", "add", "172.16.86.200/24", "dev", "eth1")
    web.ip("link", "set", "lo", "down")
    assert causes(host, web.target) == ["target-lo-down", "target-arp-filter"]
    for one in asked(host, web.target).json():
        typed(host, one["fix"])
    assert causes(host, web.target) == []
    # One that is not connected can be asked about too.
    assert "lo is down" in only(host, "target-lo-down", lab.container(lo=False).target)[0]


@pytest.fixture
def guarded(make_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A switch with port security: the host's port takes the host's MAC only."""
    lab = make_lab(default_route=True)
    port = lab.switch.port(lab.host)
    lab.switch.run("bridge", "fdb", "replace", lab.host.mac(), "dev", port, "master", "static")
    lab.switch.run(
        "bridge", "link", "set", "dev", port, "locked", "on", "learning", "off"
    ).checked()
    yield lab


def test_switch_that_drops_other_macs_is_told_by_who_is_answered(guarded: Lab) -> None:
    """With a trial before anything is connected; by the endpoint that is."""
    host = guarded.host
    create(host, "lan", *LAN)
    assert causes(host, "lan") == []
    before = host.snapshot()
    done = asked(host, "--active", "eth0")
    assert [one["id"] for one in done.json()] == ["mac-filtered"]
    assert "may shut the port" in done.stderr
    assert "macvnet create -d ipvlan --subnet 172.16.86.0/24" in done.json()[0]["fix"]
    assert before.changes(host.snapshot()) == []
    join(host, guarded.container(), "lan")
    evidence, _ = only(host, "mac-filtered", "lan")
    assert evidence.startswith("the gateway 172.16.86.1 answers eth0, but not an endpoint on it")


def test_gateways_that_are_not_there_or_twice(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(default_route=True)
    host = lab.host
    twin = lab.external("172.16.86.1/24")
    create(host, "lan", *LAN)
    for word in ("lan", "eth0"):
        evidence, _ = only(host, "gateway-two-macs", word)
        assert twin.mac() in evidence and lab.router.mac() in evidence
    for machine in (twin, lab.router):
        machine.ip("link", "set", "eth0", "down")
    join(host, lab.container(), "lan")
    assert "172.16.86.1" in only(host, "gateway-silent", "lan")[0]
    create(
        *(host, "off", "--subnet=10.1.0.0/24", "--gateway=10.1.0.1"),
        *("-o", "parent=eth0", "-o", "share_parent=true"),
    )
    assert causes(host, "off") == ["gateway-silent", "address-off-lan"]
    # Who answers there proves that the LAN has that subnet too.
    twin.batch("link set eth0 up", "addr add 10.1.0.1/24 dev eth0")
    assert causes(host, "off") == []


def test_process_without_rights_is_told_which_it_lacks(lab: Lab) -> None:
    host = lab.host
    dropped = ("setpriv", "--inh-caps", "-all", "--bounding-set", "-net_admin,-net_raw")
    done = host.run(*dropped, executable(), "doctor", "eth0")
    assert done.status == FOUND and done.stdout.count("capability-missing: ") == 2, done
    inside = ("unshare", "--user", "--map-root-user", executable())
    done = host.run(*inside, "doctor", "eth0")
    assert done.status == FOUND and done.stdout.startswith("user-namespace: "), done
    done = host.run(*inside, "create", SUBNET, GATEWAY, "-o", "parent=eth0", "net")
    assert done.status == PERMISSION and "in a user namespace" in done.stderr, done
    # One that owns the network has all it needs.
    script = "ip link add p0 type veth peer name p1; ip link set p0 up; ip link set p1 up;"
    words = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c")
    done = host.run(*words, f"{script} {executable()} doctor p0")
    assert (done.status, done.stdout) == (0, ""), done


@pytest.mark.lacks("vlan")
def test_kernel_that_can_have_no_vlan_is_told_by_its_module(lab: Lab) -> None:
    """With nothing on the disk to load: a kernel whose package is gone."""
    host: Host = lab.host
    folder = Path("/lib/modules")
    hidden = folder.is_dir()
    if hidden:
        subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=True)
    try:
        evidence, fix = only(host, "module-missing", "eth0.50")
    finally:
        if hidden:
            subprocess.run(["umount", str(folder)], check=True)
    assert "'8021q'" in evidence and fix == "modprobe 8021q"
