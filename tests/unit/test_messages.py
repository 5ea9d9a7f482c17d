"""pyroute2's message classes come without the rest of pyroute2, or else by the plain import."""

from __future__ import annotations

import json
import subprocess
import sys

REPORT = """
import json, sys
{before}
from macvnet.kernel import classes, links, messages, nsid, rtnetlink
messages.prepared = lambda key: None
request = links.add(links.LinkPlan("ipvlan", (("IFLA_IPVLAN_MODE", 1), ("IFLA_IPVLAN_FLAGS", 2))),
                    "x", lower=7)
data = rtnetlink.encoded(request.message, request.kind, request.flags, 1)
back = classes.ifinfmsg(data)
back.decode()
info = back.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
print(json.dumps([classes.LIGHT, sorted(sys.modules), info.get_attr("IFLA_IPVLAN_FLAGS"),
                  info.get_attr("IFLA_IPVLAN_MODE"), back.get_attr("IFLA_LINK")]))
"""
HEAVY = ("pyroute2.ndb", "pyroute2.iproute", "asyncio", "netaddr", "rich")


def report(before: str) -> list[object]:
    words = [sys.executable, "-c", REPORT.format(before=before)]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    return list(json.loads(found.stdout))


def test_package_init_is_kept_from_running() -> None:
    """Fails when pyroute2's layout no longer allows the light import."""
    light, modules, flags, mode, lower = report("")
    assert light is True
    assert isinstance(modules, list)
    assert not set(HEAVY) & set(modules)
    assert (flags, mode, lower) == (2, 1, 7)


def test_pyroute2_imported_before_is_used_as_it_is() -> None:
    light, modules, flags, mode, lower = report("import pyroute2")
    assert light is False
    assert isinstance(modules, list)
    assert "pyroute2.iproute" in modules
    assert (flags, mode, lower) == (2, 1, 7)


MACVLAN_FIRST = """
from macvnet.kernel import links, messages, rtnetlink
messages.prepared = lambda key: None
request = links.add(links.LinkPlan("macvlan", (("IFLA_MACVLAN_MODE", "bridge"),)), "y", lower=7)
rtnetlink.encoded(request.message, request.kind, request.flags, 1)
"""


def test_a_macvlan_s_message_before_changes_nothing_in_an_ipvlan_s() -> None:
    """pyroute2 prepares a class on its first use, and takes a subclass of it for prepared too."""
    _, _, flags, mode, lower = report(MACVLAN_FIRST)
    assert (flags, mode, lower) == (2, 1, 7)
