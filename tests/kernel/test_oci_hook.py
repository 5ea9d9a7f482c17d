"""What the hook, attach and detach load on their way. Real runtimes are in tests/runtimes."""

from __future__ import annotations

import json
import sys

from tests.kernel.steps import LAN, create
from tests.lab import Lab
from tests.lab.command import ROOT

LIST = """
import sys
before = set(sys.modules)
from macvnet.cli.{module} import run
status = run(sys.argv[1:])
print(status, *set(sys.modules) - before)
"""
HEAVY = {
    *("click", "rich", "netaddr", "pyroute2", "macvnet.kernel.classes"),
    *("socket", "ssl", "http", "subprocess", "threading", "importlib", "ctypes"),
    *("re", "enum", "typing", "json", "dataclasses", "inspect", "datetime"),
}
ASKING = ("macvnet.runtimes.engine_api", "macvnet.runtimes.rest", "macvnet.cli.main")
OWN = {
    *("macvnet.cli.oci_hook", "macvnet.runtimes.oci"),
    *("macvnet.runtimes.runc", "macvnet.runtimes.process"),
}


def loaded(lab: Lab, module: str, *words: str, stdin: str = "") -> set[str]:
    # Without site, and so without any library that was installed; TOML would need one.
    call = (sys.executable, "-S", "-c", LIST.format(module=module), *words)
    done = lab.host.run(
        *call, stdin=stdin, env={"PYTHONPATH": str(ROOT), "MACVNET_CONFIG": ""}
    ).checked()
    result, *modules = done.lines[-1].split()
    assert result == "0", done
    return set(modules)


def told(status: str, pid: int) -> str:
    state = {"ociVersion": "1.0.2", "id": "web", "status": status, "bundle": "/run/web"}
    return json.dumps({**state, "annotations": {"macvnet.network": "net"}, "pid": pid})


def test_hook_loads_no_click_asks_no_runtime_and_needs_no_more_than_attach(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    container, other = lab.container(), lab.container()
    connecting = loaded(lab, "oci_hook", stdin=told("creating", container.pid))
    assert sorted(container.links()) == ["eth0", "lo"] and container.ping("172.16.86.1")
    attaching = loaded(lab, "calling", "attach", "--network=net", other.target)
    ours = {name for name in connecting - attaching if name.startswith("macvnet")}
    assert ours == OWN and len(connecting) <= len(attaching) + len(OWN)
    container.kill()
    ending = loaded(lab, "oci_hook", stdin=told("stopped", 0))
    detaching = loaded(lab, "calling", "detach", other.target)
    assert not (connecting | ending | attaching | detaching).intersection((*HEAVY, *ASKING))
    loaded(lab, "calling", "connect", "net", other.target)
    shown = lab.host.macvnet("inspect", "net").json()[0]
    assert [one["Target"] for one in shown["Macvnet"]["Endpoints"]] == [f"pid:{other.pid}"]
