"""Without a privilege, one sentence names it; in a user namespace, what the kernel allows there."""

from __future__ import annotations

import os
import shlex

import pytest

from tests.kernel.steps import LAN, create, join
from tests.lab import Lab, Result, executable

PERMISSION = 7
DROPPED = ("setpriv", "--inh-caps", "-all", "--bounding-set")


def without(lab: Lab, capability: str, *words: str) -> Result:
    """macvnet as root without a capability."""
    return lab.host.run(*DROPPED, f"-{capability}", executable(), *words)


def refused_for(result: Result, capability: str) -> None:
    """One sentence with the capability's name, one with what to type, and nothing else."""
    lines = [line for line in result.stderr.splitlines() if "note: " not in line]
    assert result.status == PERMISSION and result.stdout == "", result
    assert len(lines) == 2 and capability in lines[0] and lines[1].startswith("hint: "), result


@pytest.mark.parametrize("words", ["create", "attach", "connect", "detach", "run"])
def test_missing_net_admin_is_named_and_nothing_is_left(lab: Lab, words: str) -> None:
    create(lab.host, "net", *LAN)
    there, new = lab.container(), lab.container()
    join(lab.host, there, "net")
    share = ("--subnet=10.1.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1", "other")
    command = {
        "create": ("create", *share),
        "attach": ("attach", new.target),
        "connect": ("connect", "net", new.target),
        "detach": ("detach", there.target),
        "run": ("run", "--net", "net", "--", "true"),
    }[words]
    before = lab.host.macvnet("state", "export").checked().json()
    kernel = (lab.host.snapshot(), there.snapshot(), new.snapshot())
    refused_for(without(lab, "net_admin", *command), "CAP_NET_ADMIN")
    after = lab.host.macvnet("state", "export").checked().json()
    assert {**before, "exported": ""} == {**after, "exported": ""}
    now = (lab.host.snapshot(), there.snapshot(), new.snapshot())
    assert [old.changes(new) for old, new in zip(kernel, now, strict=True)] == [[], [], []]
    assert lab.host.macvnet("check").checked().lines == []


@pytest.mark.parametrize("words", ["attach", "detach", "run"])
def test_missing_sys_admin_is_named(lab: Lab, words: str) -> None:
    create(lab.host, "net", *LAN)
    target = lab.container()
    if words == "detach":
        join(lab.host, target, "net")
    command = ("run", "--net", "net", "--", "true") if words == "run" else (words, target.target)
    refused_for(without(lab, "sys_admin", *command), "CAP_SYS_ADMIN")
    lab.host.macvnet("check").checked()


def test_user_without_any_privilege_is_told_who_may(lab: Lab) -> None:
    """The state is root's; a state of one's own does not help, and says what is missing."""
    create(lab.host, "net", *LAN)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    lab.folder.chmod(0o755)
    done = lab.host.run(*nobody, executable(), "ls")
    assert done.status == PERMISSION and "not accessible to this user" in done.stderr, done
    own = lab.folder / "own"
    own.mkdir(mode=0o700)
    os.chown(own, 65534, 65534)
    words = (*nobody, executable(), "--state-dir", str(own))
    assert lab.host.run(*words, "ls").ok
    refused_for(lab.host.run(*words, "create", *LAN, "net"), "CAP_NET_ADMIN")


def test_user_namespace_is_a_host_like_any_other(lab: Lab) -> None:
    """Links, addresses and routes in network namespaces that belong to it."""
    script = f"""
        set -e
        macvnet() {{ {shlex.quote(executable())} "$@"; }}
        export MACVNET_STATE_DIR=$1
        ip link add p0 type veth peer name p1
        ip link set p0 up
        ip link set p1 up
        macvnet create --subnet 10.77.0.0/24 --gateway 10.77.0.1 -o parent=p0 lan >/dev/null
        unshare --net sh -c 'ip link set lo up; echo; exec sleep 1000' >ready &
        pid=$!
        while [ ! -s ready ]; do sleep 0.05; done
        macvnet attach $pid
        nsenter --target $pid --net ip -brief address show eth0
        macvnet run --net lan -- ip -brief address show eth0
        macvnet check
        macvnet detach $pid
        macvnet rm lan
        kill $pid
    """
    own = lab.folder / "own-state"
    own.mkdir(mode=0o700)
    done = lab.host.run(
        *("unshare", "--user", "--map-root-user", "--net", "--mount", "--wd", str(own)),
        *("sh", "-c", script, "sh", str(own / "state")),
    ).checked()
    attached, inside, ran, removed = done.lines
    assert attached.split()[0] == "eth0" and "10.77.0.2/24" in attached
    assert "10.77.0.2/24" in inside and "10.77.0.3/24" in ran and removed == "lan"
