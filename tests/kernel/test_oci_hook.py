"""What the OCI hook loads on its way: a container waits. Real runtimes are in tests/runtimes."""

from __future__ import annotations

import json
import sys

from tests.kernel.steps import LAN, create
from tests.lab import Lab
from tests.lab.command import ROOT

LIST = """
import json, sys
before = set(sys.modules)
from macvnet.cli.oci_hook import run
status = run([])
print(json.dumps([status, sorted(set(sys.modules) - before)]))
"""
HEAVY = ("click", "rich", "netaddr", "pyroute2.iproute", "socket", "ssl", "http", "subprocess")
ASKING = ("macvnet.runtimes.engine_api", "macvnet.runtimes.rest", "macvnet.cli.main")


def loaded(lab: Lab, status: str, pid: int) -> set[str]:
    state: dict[str, object] = {"id": "web", "status": status, "bundle": "/run/web"}
    state |= {"ociVersion": "1.0.2", "annotations": {"macvnet.network": "net"}, "pid": pid}
    words = (sys.executable, "-c", LIST)
    env = {"PYTHONPATH": str(ROOT)}
    done = lab.host.run(*words, stdin=json.dumps(state), env=env).checked()
    result, modules = json.loads(done.stdout)
    assert result == 0, done
    return set(modules)


def test_connecting_and_freeing_load_no_click_and_ask_no_runtime(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    container = lab.container()
    connecting = loaded(lab, "creating", container.pid)
    assert not connecting.intersection((*HEAVY, *ASKING))
    assert sorted(container.links()) == ["eth0", "lo"] and container.ping("172.16.86.1")
    container.kill()
    assert not loaded(lab, "stopped", 0).intersection((*HEAVY, *ASKING))
    shown = lab.host.macvnet("inspect", "net").json()[0]
    assert shown["Macvnet"]["Endpoints"] == []
