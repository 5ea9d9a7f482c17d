"""One state over two boots of a kernel: what macvnet made and the boot took away comes back."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.lab import executable, uml

# The state is taken away as a power cut leaves it: no command of macvnet's ends it.
FIRST = """
set -e
{machine}
macvnet create --subnet=192.168.50.0/24 --gateway=192.168.50.1 -o parent=eth0.50 macvlan50
macvnet create --subnet=10.6.0.0/24 alone
ip netns add web
macvnet connect --ip=192.168.50.10 macvlan50 netns:web
ip netns exec web ping -c1 -W5 192.168.50.1
ip -br link >/run/job/links-1
cat /proc/sys/kernel/random/boot_id >/run/job/boot-1
cp -a /run/state /run/job/state
"""

SECOND = """
set -e
{machine}
cp -a /run/job/state /run/state
rm -f /run/state/*-shm
cat /proc/sys/kernel/random/boot_id >/run/job/boot-2
ip -br link >/run/job/links-2
ip netns add web
ip netns add other
macvnet connect --ip=192.168.50.10 macvlan50 netns:web 2>/run/job/notes
ip netns exec web ping -c1 -W5 192.168.50.1
macvnet connect alone netns:web 2>>/run/job/notes
macvnet connect alone netns:other
ip netns exec web ping -c1 -W5 10.6.0.2
ip -br link >/run/job/links-3
cat /proc/sys/net/ipv6/conf/eth0.50/disable_ipv6 >/run/job/quiet
ip netns del web
ip netns del other
macvnet rm macvlan50 alone
ip -br link >/run/job/links-4
"""

MACHINE = """
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
"""


def links(job: Path, moment: int) -> set[str]:
    text = (job / f"links-{moment}").read_text()
    return {line.split()[0].partition("@")[0] for line in text.splitlines()}


def test_sub_interface_and_dummy_come_back_with_the_first_connect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And are macvnet's again: rm takes them away."""
    machine = MACHINE.format(path=shlex.quote(str(Path(executable()).parent)))
    for script in (FIRST, SECOND):
        outcome = uml.boot(script.format(machine=machine), tmp_path, timeout=240)
        assert outcome.status == 0, outcome.preamble + capsys.readouterr().out
        (tmp_path / "status").unlink()
    assert (tmp_path / "boot-1").read_text() != (tmp_path / "boot-2").read_text()
    made = links(tmp_path, 1) - links(tmp_path, 2)
    assert "eth0.50" in made and len(made) == 2
    assert made <= links(tmp_path, 3)
    notes = (tmp_path / "notes").read_text()
    for name in made:
        assert f"the link {name} was missing and has been made again" in notes
    assert (tmp_path / "quiet").read_text() == "1\n"
    assert links(tmp_path, 4) == links(tmp_path, 2)
