"""The lab itself: what the other kernel tests take for granted is shown here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import CommandFailed, Lab, accounting, decode, kinds, processes


def wait_until(condition: Callable[[], bool], seconds: float = 8) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def namespace_of(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/net").st_ino


def test_machines_have_namespaces_of_their_own(lab: Lab) -> None:
    machines = [lab.host, lab.router, lab.switch, lab.container(), lab.named()]
    inodes = {os.fstat(machine.fd).st_ino for machine in machines}
    assert len(inodes) == len(machines)
    assert namespace_of(os.getpid()) not in inodes


def test_switch_carries_frames_between_its_ports(lab: Lab) -> None:
    assert lab.host.ping("172.16.86.1")
    assert lab.external("172.16.86.77/24").ping("172.16.86.250")
    assert lab.host.silent("172.16.86.99")


def test_pulled_cable_silences_a_machine(lab: Lab) -> None:
    lab.switch.cable(lab.router, plugged=False)
    assert lab.host.silent("172.16.86.1")
    lab.switch.cable(lab.router, plugged=True)
    assert lab.host.ping("172.16.86.1")


def test_ipv6_addresses_of_the_router_answer_at_once(lab: Lab) -> None:
    external = lab.external("2001:db8:86::77/64")
    assert external.ping("2001:db8:86::1")
    assert not external.ping("2001:db8:86::99", within=0.5)


def test_router_forwards_between_subnets(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(host=("10.1.0.2/24",), router=("10.1.0.1/24", "10.2.0.1/24"))
    other = lab.external("10.2.0.2/24", gateway="10.2.0.1")
    assert not lab.host.ping("10.2.0.2", within=0.5)
    lab.host.add_default("10.1.0.1")
    assert lab.host.ping("10.2.0.2")
    assert other.tcp_connect("10.1.0.2", 80, within=0.5) is None


def test_tcp_server_tells_the_address_it_sees(lab: Lab) -> None:
    external = lab.external("172.16.86.77/24")
    with lab.host.tcp_server(port=80) as server:
        assert external.tcp_connect("172.16.86.250", 80) == "172.16.86.77"
    assert server.peers == ["172.16.86.77"]


def test_capture_sees_arp_and_echo_requests(lab: Lab) -> None:
    with lab.switch.capture("host-eth0") as wire:
        assert lab.router.ping("172.16.86.250")
        (asked, *_) = wire.wait_for(lambda frame: frame.arp_op == 1)
        wire.wait_for(lambda frame: frame.ping and frame.ip_dst == "172.16.86.250")
    assert (asked.arp_spa, asked.arp_tpa) == ("172.16.86.1", "172.16.86.250")
    assert asked.src == asked.arp_sha == lab.router.mac()
    assert asked.vlans == ()
    assert not asked.gratuitous_arp


def test_capture_that_sees_nothing_says_what_it_saw(lab: Lab) -> None:
    with (
        lab.switch.capture("host-eth0") as wire,
        pytest.raises(AssertionError, match=r"0 of 1 frames in 0\.1 s"),
    ):
        wire.wait_for(lambda frame: frame.vlan == 5, timeout=0.1)


def test_two_tags_are_decoded_from_the_outside_in() -> None:
    raw = bytes.fromhex("ffffffffffff 020000000001 88a80064 81000032 0806") + bytes(28)
    frame = decode(raw, tag=None)
    assert (frame.tpids, frame.vlans) == ((0x88A8, 0x8100), (100, 50))
    assert decode(raw[:12] + raw[16:], tag=(0x88A8, 100)).vlans == (100, 50)


@pytest.mark.needs("vlan")
def test_switch_carries_tagged_frames_and_capture_sees_the_tag(lab: Lab) -> None:
    lab.host.add_vlan(50, "192.168.50.2/24")
    lab.router.add_vlan(50, "192.168.50.1/24")
    lab.router.add_vlan(60, "192.168.60.1/24")
    with lab.switch.capture("router-eth0") as wire:
        assert lab.host.ping("192.168.50.1")
        (frame, *_) = wire.wait_for(lambda frame: frame.ip_dst == "192.168.50.1")
    assert (frame.vlans, frame.tpids) == ((50,), (0x8100,))
    lab.host.add_address("192.168.60.2/24")
    assert lab.host.silent("192.168.60.1")


@pytest.mark.needs("bond")
def test_bond_of_two_nics_reaches_the_router(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(host=(), nics=2)
    lab.host.bond("bond0", "eth0", "eth1")
    lab.host.add_address("172.16.86.250/24", "bond0")
    assert lab.host.ping("172.16.86.1")
    lab.switch.cable(lab.host, plugged=False)
    assert lab.host.ping("172.16.86.1")


def test_hairpin_decides_whether_vepa_siblings_meet(lab: Lab) -> None:
    siblings = [lab.container(), lab.container()]
    for number, container in enumerate(siblings):
        lab.host.ip(
            *("link", "add", "link", "eth0", "name", "x", "netns", str(container.pid)),
            *("type", "macvlan", "mode", "vepa"),
        )
        container.ip("link", "set", "x", "up")
        container.add_address(f"172.16.86.{10 + number}/24", "x")
    assert siblings[0].silent("172.16.86.11")
    lab.switch.hairpin(lab.host, on=True)
    assert siblings[0].ping("172.16.86.11")
    lab.switch.hairpin(lab.host, on=False)
    assert siblings[0].silent("172.16.86.11")


def test_router_advertisement_gives_an_address_and_a_default_route(lab: Lab) -> None:
    with lab.router.advertising("2001:db8:9::/64"):
        assert wait_until(lambda: any(a.startswith("2001:db8:9:") for a in lab.host.addresses()))
        assert wait_until(lambda: lab.host.default_route(6) is not None)
    route = lab.host.default_route(6)
    assert route is not None and route["gateway"].startswith("fe80::")


def test_container_sees_its_own_sys(lab: Lab) -> None:
    # bonding_masters is not a link: the bonding module puts it there.
    seen = set(lab.container().run("ls", "/sys/class/net").checked().lines)
    assert seen - {"bonding_masters"} == {"lo"}


def test_snapshot_shows_what_was_changed_and_nothing_else(lab: Lab) -> None:
    before = lab.host.snapshot()
    assert before.changes(lab.host.snapshot()) == []
    lab.host.add_address("10.9.9.9/32")
    lab.host.sysctl("net/ipv4/conf/eth0/arp_ignore", "8")
    changes = "\n".join(before.changes(lab.host.snapshot()))
    assert "10.9.9.9" in changes
    assert "sysctls ipv4/conf/eth0/arp_ignore: '0' -> '8'" in changes
    assert before.without("eth0").changes(lab.host.snapshot().without("eth0")) == []


def test_failing_command_says_everything(lab: Lab) -> None:
    with pytest.raises(CommandFailed, match=r"nosuch(.|\n)*\[status 1\]"):
        lab.host.ip("link", "show", "nosuch")


def test_named_namespaces_are_invisible_outside(lab: Lab) -> None:
    named = lab.named("only-here")
    assert Path("/run/netns/only-here").exists()
    assert named.target == "netns:only-here"
    assert processes.visible_outside("/usr/bin")
    assert not processes.visible_outside("/run/netns/only-here")


def test_closed_lab_leaves_nothing(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab()
    detached = lab.host.start("setsid", "sleep", "1000")
    lab.named("brief")
    pids = [detached.pid, lab.host.pid, lab.container().pid]
    lab.close()
    assert wait_until(lambda: not any(Path(f"/proc/{pid}/ns").exists() for pid in pids))
    assert not lab.folder.exists()
    assert not Path("/run/netns/brief").exists()


VICTIM = """
    import sys, time
    from tests.lab import Lab
    lab = Lab()
    lab.named("victim")
    detached = lab.host.start("setsid", "sleep", "1000")
    print(lab.id, lab.folder, lab.host.pid, lab.container().pid, detached.pid, flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_killed_test_run_leaves_no_namespace(end: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    victim = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(VICTIM)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert victim.stdout is not None
    with victim, victim.stdout:
        lab_id, folder, *pids = victim.stdout.readline().split()
        victim.send_signal(end)
        victim.wait(20)
    holders = pids[:2]
    assert wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in holders))
    processes.reap_dead_labs()
    assert wait_until(lambda: not Path(f"/proc/{pids[2]}/exe").exists())
    assert not Path(folder).exists()
    assert not any(mark == lab_id for _, mark, _ in processes._processes())


def test_probe_finds_the_kinds_the_lab_is_made_of() -> None:
    assert {"veth", "bridge", "macvlan"} <= kinds.available()


@pytest.mark.lacks("ipvlan")
def test_kernel_without_a_kind_is_really_without_it(lab: Lab) -> None:
    words = ("ip", "link", "add", "link", "eth0", "name", "x", "type", "ipvlan")
    assert lab.host.run(*words).status != 0


@pytest.mark.parametrize("in_process", ["0", "1"])
def test_macvnet_runs_in_the_host_with_the_lab_s_state(
    lab: Lab, in_process: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed executable and a fork that calls its entry point are one to a test."""
    monkeypatch.setenv("MACVNET_TEST_INPROCESS", in_process)
    before = namespace_of(os.getpid())
    version = lab.host.macvnet("--version").checked()
    assert version.stdout.startswith("macvnet ")
    assert version.stderr == ""
    refused = lab.host.macvnet("inspect", "nosuch")
    assert (refused.status, refused.stdout) == (4, "[]\n")
    assert "nosuch" in refused.stderr
    made = lab.host.macvnet(
        *("create", "--subnet=172.16.86.0/24", "--gateway=172.16.86.1", "-o", "parent=eth0", "net")
    ).checked()
    assert len(made.stdout) == 65
    assert lab.state_dir.is_dir()
    container = lab.container()
    lab.host.macvnet("attach", container.target).checked()
    assert container.ping("172.16.86.1")
    assert namespace_of(os.getpid()) == before


def test_accounting_finds_what_was_executed_nowhere() -> None:
    native = accounting.Run({"a", "b", "c"}, {"a": "passed"})
    uml = accounting.Run({"a", "b", "c"}, {"b": "passed"})
    assert accounting.complaints(native, uml) == ["executed nowhere: c"]
    whole = uml._replace(outcomes={"b": "passed", "c": "failed"})
    assert accounting.complaints(native, whole) == []
    assert "1 failed, 2 passed in 3.00s" in accounting.summary(native, whole, 3)


def test_accounting_finds_a_run_without_tests() -> None:
    nothing = accounting.Run(set(), {})
    one = accounting.Run({"a"}, {"a": "passed"})
    assert accounting.complaints(one, nothing) == [
        "in User Mode Linux no test was executed",
        "collected by one run only: a",
    ]


NEW_PROCESS = """
MACVNET_LAB=1.2.3 setsid sleep 5 >/dev/null 2>&1 &
until grep -q MACVNET_LAB /proc/$!/environ; do :; done
"""


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("echo 63 > /proc/sys/net/ipv4/ip_default_ttl", "ip_default_ttl: '64' -> '63'"),
        ("ip link add new type bridge", "link new: new"),
        ("mkdir -p /run/netns; ip netns add new", "named namespace new: new"),
        (NEW_PROCESS, "process of a lab new: "),
    ],
)
def test_change_of_the_machine_is_found(lab: Lab, change: str, seen: str) -> None:
    unchanged = str(Path(__file__).parents[2] / ".ci" / "unchanged")
    container = lab.container()
    assert container.run(unchanged, "true").checked().stderr == ""
    found = container.run(unchanged, "sh", "-c", change)
    assert found.status == 1
    assert seen in found.stderr


def test_new_listening_socket_is_found(lab: Lab) -> None:
    unchanged = str(Path(__file__).parents[2] / ".ci" / "unchanged")
    container = lab.container()
    server = (
        "import os, socket; s = socket.create_server(('127.0.0.1', 8077))\n"
        "if os.fork() == 0: os.closerange(0, 3); import time; time.sleep(5)"
    )
    found = container.run(unchanged, sys.executable, "-c", server)
    assert found.status == 1
    assert "listening socket new: tcp 0100007F:1F8D" in found.stderr
