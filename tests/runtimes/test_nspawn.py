"""Containers of systemd-nspawn, registered with a real machined.

machined needs systemd as the first process, so all of that is in User Mode
Linux. What machined never writes, damaged and stale files, is shown on the ground.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.kernel.steps import CONFLICT, NOT_FOUND, refused
from tests.lab import executable, uml
from tests.runtimes.containers import Runc
from tests.runtimes.ground import Ground, require
from tests.runtimes.test_every_runtime import attach, looked_up

REQUEST, UNAVAILABLE = 3, 10

# A dash, which machined escapes in the name of the unit.
STORY = """
set -e
exec >&2
export PATH={path}:$PATH MACVNET_STATE_DIR=/run/state MACVNET_CONFIG=/run/config.toml NO_COLOR=1
touch /run/config.toml
ip netns add router
ip link add eth0 type veth peer name eth0 netns router
ip link set eth0 up
ip -n router link set eth0 up
ip -n router link add link eth0 name eth0.50 type vlan id 50
ip -n router addr add 192.168.50.1/24 dev eth0.50
ip -n router link set eth0.50 up
box=/run/box
mkdir -p $box/bin $box/usr/lib $box/etc
cp /bin/busybox $box/bin
for each in sleep ping ip; do ln -s busybox $box/bin/$each; done
echo ID=box >$box/usr/lib/os-release

begin() {{
    name=$1
    shift
    [ -e $box-$name ] || cp -a $box $box-$name
    systemd-nspawn --quiet --machine="$name" -D $box-$name --link-journal=no "$@" \\
        /bin/sleep 1000000 </dev/null >>/run/nspawn.log 2>&1 &
    leader $name
}}

leader() {{
    for each in $(seq 100); do
        leader=$(machinectl show "$1" -p Leader --value 2>/dev/null) && return
        sleep 0.1
    done
    cat /run/nspawn.log
    return 1
}}

end() {{
    machinectl terminate "$1"
    for each in $(seq 200); do
        machinectl show "$1" -p Leader >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    return 1
}}

inside() {{ nsenter --target "$leader" --net --mount --pid "$@"; }}

# Who is refused, is so with a status and a hint.
refused() {{
    status=$1
    shift
    macvnet connect --ip=192.168.50.77 net "$@" 2>/run/said && return 1
    [ $? = $status ] && grep -q "^hint: " /run/said || {{ cat /run/said; return 1; }}
    cat /run/said >>/run/job/refusals
}}

macvnet create --subnet=192.168.50.0/24 --gateway=192.168.50.1 -o parent=eth0.50 net
refused 4 nspawn:my-web
begin my-web --private-network
macvnet attach --ifname=lan0 nspawn:my-web >/run/job/first
echo $leader >/run/job/leader
macvnet inspect net >/run/job/inspected
inside /bin/ping -c1 -W5 192.168.50.1
end my-web
refused 4 nspawn:my-web
begin my-web --private-network
macvnet restore >/run/job/restored
inside /bin/ip addr show lan0 >/run/job/second
inside /bin/ping -c1 -W5 192.168.50.1
macvnet check
macvnet disconnect net machine:my-web
macvnet connect net my-web
macvnet __complete fish 2 connect net machine: >/run/job/offered
begin open
refused 5 nspawn:open
begin shares --network-namespace-path=/proc/$(machinectl show my-web -p Leader --value)/ns/net
refused 5 nspawn:shares
macvnet disconnect net nspawn:shares
"""


def test_container_is_connected_restarted_restored_and_disconnected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require("systemd-nspawn", "machinectl", "dbus-daemon")
    story = STORY.format(path=shlex.quote(str(Path(executable()).parent)))
    outcome = uml.boot(story, tmp_path, timeout=300, systemd=True)
    assert outcome.status == 0, outcome.preamble + capsys.readouterr().out

    def said(name: str) -> str:
        return (tmp_path / name).read_text()

    interface, mac, address, *_ = said("first").split()
    assert interface == "lan0"
    # macvnet reads files; machined says the same over D-Bus.
    assert f'"PID": {said("leader").strip()},' in said("inspected")
    assert '"Name": "nspawn:my-web"' in said("inspected")
    assert said("restored") == f"nspawn:my-web in network net {address}\n"
    assert f"link/ether {mac}" in said("second") and f"inet {address}" in said("second")
    assert said("offered").splitlines()[1:] == ["machine:my-web\tsystemd-nspawn"]
    absent, ended, host, shared = [
        line for line in said("refusals").splitlines() if line.startswith("macvnet: ")
    ]
    assert "no machine 'my-web'" in absent and "no machine 'my-web'" in ended
    assert "nspawn:open shares the network of the host" in host
    assert "nspawn:shares is connected to network 'net' already" in shared


def machine_file(ground: Ground, text: str) -> None:
    file = ground.file("/run/systemd/machines/web")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_machined_that_is_not_there(ground: Ground) -> None:
    hint = refused(ground.macvnet("connect", "net", "nspawn:web"), UNAVAILABLE, "machined")
    assert "PID" in hint


def test_leader_that_is_in_no_unit_of_the_machine_is_not_believed(
    ground: Ground, runc: Runc
) -> None:
    """A stale file names a process that has the number now."""
    runc.make("victim")
    pid = runc.pid("victim")
    try:
        for leader, unit in ((pid, "machine-web.scope"), (pid, ""), (0, "x"), ("x", "x")):
            machine_file(ground, f"CLASS=container\nLEADER={leader}\nSCOPE={unit}\n")
            refused(ground.macvnet("connect", "net", "nspawn:web"), NOT_FOUND, "has ended")
        machine_file(ground, f"CLASS=container\nLEADER={pid}\nSCOPE=victim\n")
        attach(ground, "nspawn:web")
        machine_file(ground, f"CLASS=vm\nLEADER={pid}\nSCOPE=victim\n")
        refused(ground.macvnet("connect", "net", "nspawn:web"), CONFLICT, "no container", "'vm'")
        assert looked_up(ground, "nspawn:") == []
        machine_file(ground, "\0=\n=\nLEADER\n")
        refused(ground.macvnet("connect", "net", "nspawn:web"), CONFLICT, "no container")
    finally:
        ground.run("rm", "-r", "/run/systemd/machines").checked()


def test_name_that_no_machine_can_have(ground: Ground) -> None:
    for name in ("a b", "../x", ".host", "", "x" * 65, "unit:web.scope", "\x1b[31m"):
        for word in ("nspawn", "machine"):
            done = ground.macvnet("connect", "net", f"{word}:{name}")
            refused(done, REQUEST, "cannot name a machine")
            assert "\x1b" not in done.stderr
