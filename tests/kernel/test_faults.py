"""Something goes wrong at every point of a command, in turn, until no point is left.

After a failure or an interruption nothing of the attempt is left; after a kill
the next command finishes or undoes what was begun. State and kernel agree, and
everything foreign is as it was.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from macvnet import keys
from tests.kernel.steps import struck
from tests.lab import Lab, Named, Result
from tests.lab.faults import BEYOND, FAIL, INTERRUPT, KILL

CREATE = (
    "create --subnet=172.16.86.0/24 --gateway=172.16.86.1 --subnet=fd00:9::/64 "
    "--gateway=fd00:9::1 -o parent=eth0 -o com.docker.network.advertise_addr_nmsgs=1"
).split()
MAKERS = ("create", "connect", "attach", "run", "reserve")
FINE, NOT_FOUND, CONFLICT = 0, 4, 5


class Rig:
    """A lab, and what it looks like when macvnet has done nothing."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.host.macvnet(*CREATE, "first").checked()
        lab.host.macvnet("rm", "first").checked()
        self.host = lab.host.snapshot()
        self.empty = self.recorded()

    def recorded(self) -> set[str]:
        """Every key in the state but those that only count changes."""
        path = f"file:{self.lab.state_dir}/state.db?mode=ro"
        connection = sqlite3.connect(path, uri=True)
        try:
            rows = connection.execute("SELECT key FROM kv WHERE key <> ''").fetchall()
        finally:
            connection.close()
        return {key for (key,) in rows if not key.startswith(("segment/", "meta/restored"))}

    def targets(self) -> Iterator[Named]:
        number = 0
        while True:
            number += 1
            yield self.lab.named(f"t{number}")

    def assert_untouched(self, target: Named, what: str) -> None:
        assert self.recorded() == self.empty, what
        assert self.host.changes(self.lab.host.snapshot()) == [], what
        assert target.links() == ["lo"], what


SHARE = (
    "create --subnet=172.16.87.0/24 --gateway=172.16.87.1 -o parent=eth0 -o share_parent=1".split()
)
BOTH = "attach --network n --network m,gw-priority=1 TARGET".split()
VLAN = "create --subnet=192.168.50.0/24 --gateway=192.168.50.1 -o parent=eth0.50 n".split()


class Script(NamedTuple):
    """What is set up, the command that is struck, and what takes everything away again.

    Words that begin with ``ip`` are typed in the target, with ``host`` before
    them on the host; TARGET is the target's name. ``address`` is what the target
    has when the command has been run again.
    """

    setup: tuple[list[str], ...]
    command: list[str]
    teardown: tuple[str, ...] = ()
    address: str = ""
    needs: tuple[str, ...] = ()


NET = [*CREATE, "n"]
ACCESS = [*CREATE, "--host-access", "n"]
CONNECT = "connect n TARGET".split()
DISCONNECT = "disconnect n TARGET"
SLAAC = "create --ipv4=false -o parent=eth0 -o ipv6_mode=slaac".split()
TOKEN = "connect --ip6-token=::5 n TARGET".split()
RESERVE = "reserve n TARGET".split()
FIRST = "172.16.86.2/24"
GONE = "ip link del eth0".split()
RENUMBERED = "ip addr flush dev eth0".split()
DELETED = """
count() { ip netns list-id | wc -l; }
before=$(count)
ip netns del gone
for _ in $(seq 600); do [ "$(count)" -lt "$before" ] && exit; sleep 0.05; done
exit 1
"""
"""The kernel takes its time, and all the more where others delete theirs."""
DEAD = (
    "host ip netns add gone".split(),
    "connect n netns:gone".split(),
    ["host", "sh", "-c", DELETED],
)
SCRIPTS = {
    "create": Script((), NET, ("rm n",)),
    "connect": Script((NET,), CONNECT, (DISCONNECT, "rm n")),
    "connect-probed": Script(
        ([*NET, "-o", "probe=on", "-o", "probe_ms=50"],), CONNECT, (DISCONNECT, "rm n")
    ),
    "connect-slaac": Script(([*SLAAC, "n"],), TOKEN, (DISCONNECT, "rm n")),
    "attach": Script((NET, [*SHARE, "m"]), BOTH, ("detach TARGET", "rm n m")),
    "attach-many": Script((NET, [*SHARE, "m"]), [*BOTH, "--atomic"], ("detach TARGET", "rm n m")),
    "detach-many": Script((NET, CONNECT), "detach --atomic TARGET".split(), ("rm n",)),
    "disconnect-all": Script((NET, CONNECT), "disconnect --all n".split(), ("rm n",)),
    "disconnect": Script((NET, CONNECT), DISCONNECT.split(), ("rm n",)),
    "rm": Script((NET,), ["rm", "n"]),
    "reserve": Script((NET,), RESERVE, ("unreserve n TARGET", "rm n")),
    "unreserve": Script((NET, RESERVE), "unreserve n TARGET".split(), ("rm n",)),
    "rm-reserved": Script((NET, RESERVE), ["rm", "n"]),
    "run": Script((NET,), "run --net n --name r -- true".split(), ("rm n",)),
    # Without probes it is in restore-vlan.
    "restore": Script(
        ([*NET, "-o", "probe=on", "-o", "probe_ms=50"], [*CONNECT, "--no-probe"], GONE),
        ["restore"],
        (DISCONNECT, "rm n"),
        FIRST,
    ),
    "repair": Script((NET, CONNECT, RENUMBERED), ["repair"], (DISCONNECT, "rm n"), FIRST),
    "gc": Script((NET, *DEAD), ["gc", "--grace=0"], ("rm n",)),
    "create-vlan": Script((), VLAN, ("rm n",), needs=("vlan",)),
    "rm-vlan": Script((VLAN,), ["rm", "n"], needs=("vlan",)),
    "create-dummy": Script(
        (), "create --subnet=10.9.0.0/24 n".split(), ("rm n",), needs=("dummy",)
    ),
    "restore-vlan": Script(
        (VLAN, CONNECT, ["host", "ip", "link", "del", "eth0.50"]),
        ["restore"],
        (DISCONNECT, "rm n"),
        "192.168.50.2/24",
        needs=("vlan",),
    ),
    "create-host": Script((), ACCESS, ("rm n",)),
    "connect-host": Script((ACCESS,), CONNECT, (DISCONNECT, "rm n")),
    "host-access": Script(
        (NET, CONNECT), "host-access enable n".split(), (DISCONNECT, "rm n"), FIRST
    ),
    "host-access-off": Script(
        (ACCESS, CONNECT), "host-access disable n".split(), (DISCONNECT, "rm n"), FIRST
    ),
    "connect-ipvlan": Script(
        ([*NET, "-d", "ipvlan"],), CONNECT, (DISCONNECT, "rm n"), needs=("ipvlan",)
    ),
}
# `make soak` strikes in every way, also in User Mode Linux, where a point takes seconds.
EVERY_WAY = bool(os.environ.get("MACVNET_TEST_FAULTS"))


def modes(name: str) -> tuple[str, ...]:
    """An interruption takes the way of a failure: once for each way there is."""
    if EVERY_WAY or name in ("create", "connect", "attach", "run", "disconnect"):
        return (FAIL, KILL, INTERRUPT)
    if "host" in name:
        # The network and the endpoint themselves are struck in every way above.
        return () if name == "create-host" else (KILL,)
    if name == "connect-slaac":
        # What is begun and left is undone as that of connect is, so only `make soak` strikes it.
        return ()
    return (KILL,) if SCRIPTS[name].needs and name != "create-vlan" else (FAIL, KILL)


CASES = [
    pytest.param(
        name,
        mode,
        id=f"{name}-{mode}",
        marks=[pytest.mark.needs(*script.needs)] * bool(script.needs),
    )
    for name, script in SCRIPTS.items()
    for mode in modes(name)
]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_every_point(lab: Lab, name: str, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    rig = Rig(lab)
    script = SCRIPTS[name]
    makes = name.partition("-")[0] in MAKERS
    points = 0
    for target in rig.targets():

        def play(words: list[str], target: Named = target) -> Result:
            filled = [target.target if word == "TARGET" else word for word in words]
            if words[0] == "ip":
                return target.run(*filled).checked()
            if words[0] == "host":
                return lab.host.run(*words[1:]).checked()
            return lab.host.macvnet(*filled, fork=True)

        for words in script.setup:
            play(words).checked()
        before, seen = rig.recorded(), rig.host
        if ACCESS in script.setup:
            seen = lab.host.snapshot()
        filled = [target.target if word == "TARGET" else word for word in script.command]
        result = struck(lab.host, mode, points + 1, *filled)
        if result.status != BEYOND:
            points += 1
            what = f"{mode} at point {points} of {name}: {result}"
            if mode != KILL and result.status != FINE and makes:
                assert rig.recorded() == before, what
                assert seen.changes(lab.host.snapshot()) == [], what
                assert target.links() == ["lo"], what
            again = play(script.command)
            done = (FINE, CONFLICT) if makes else (FINE, NOT_FOUND)
            assert again.status in done, f"{what}\nthen {again}"
            if script.address:
                assert target.addresses()[:1] == [script.address], f"{what}\nthen {again}"
                assert play(["check"]).checked().lines == [], f"{what}\nthen {again}"
            if name == "gc":
                left = [key for key in rig.recorded() if key.startswith(keys.ENDPOINTS)]
                assert left == [], f"{what}\nthen {again}"
        for line in script.teardown:
            play(line.split()).checked()
        rig.assert_untouched(target, f"{mode} at point {points} of {name}")
        target.close()
        if result.status == BEYOND:
            break
    with capsys.disabled():
        print(f" {points} points", end="")
    # A reservation is made, and ended, by one commit.
    assert points >= (1 if name in ("reserve", "unreserve") else 2)
