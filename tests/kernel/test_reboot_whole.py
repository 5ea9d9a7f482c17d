"""A reboot takes every link and namespace; what was asked for comes back, all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.steps import create, join, wait_until
from tests.kernel.test_host_access import DUAL, HOST, SHIM, host_routes
from tests.kernel.trunk import after_reboot
from tests.lab import Host, Lab, Named
from tests.lab.watching import NOWHERE, Watch

SHARED = ("-o", "parent=eth0", "-o", "share_parent=1")
FOUR = (*SHARED, "--subnet=10.4.0.0/24", "--gateway=10.4.0.1")
SLAAC = (*SHARED, "--ipv4=false", "-o", "ipv6_mode=slaac")
PREFIX = "2001:db8:7::/64"


def shape(container: Named) -> dict[str, Any]:
    """What macvnet and a router have made in a container: by name, not by number."""
    routes = [
        (
            *(route["dst"], route.get("gateway"), route["dev"], route.get("metric", 0)),
            *(route.get("table", "main"), route["protocol"]),
        )
        for family in "46"
        for route in container.query(f"-{family}", "route", "show", "table", "all")
        if route.get("protocol") in ("109", "ra")
    ]
    rules = [rule for family in "46" for rule in container.query(f"-{family}", "rule")]
    links = [name for name in container.links() if name != "lo"]
    return {
        "addresses": {name: sorted(container.addresses(name)) for name in links},
        "macs": {name: container.mac(name) for name in links},
        "routes": sorted(routes, key=str),
        "rules": sorted((rule["priority"], rule["src"], rule["table"]) for rule in rules),
        "tokens": {one["ifname"]: one["token"] for one in container.query("token")},
    }


def containers(lab: Lab) -> dict[str, Named]:
    """Of which ``six`` alone believes routers."""
    made = {name: lab.named(name) for name in ("web", "db", "six")}
    for name in ("web", "db"):
        made[name].sysctl("net/ipv6/conf/default/accept_ra", "0")
    return made


def whole(host: Host, made: dict[str, Named]) -> dict[str, Any]:
    """The shapes of the containers, the host's routes to them, and its address."""
    shapes: dict[str, Any] = {name: shape(container) for name, container in made.items()}
    return {**shapes, "host": (sorted(host_routes(host)), host.addresses(SHIM))}


@contextlib.contextmanager
def restored(host: Host, folder: Path) -> Iterator[None]:
    """By the command; a folder is what ``watched`` needs."""
    del folder
    host.macvnet("restore").checked()
    yield


@contextlib.contextmanager
def watched(host: Host, folder: Path) -> Iterator[None]:
    with Watch(host, folder, env=NOWHERE):
        yield


@pytest.mark.parametrize("again", [restored, watched])
def test_host_access_routes_rules_tokens_and_names_come_back(
    lab: Lab,
    tmp_path: Path,
    again: Callable[[Host, Path], contextlib.AbstractContextManager[None]],
) -> None:
    """The default routes of the two families by different networks, as before."""
    host = lab.host
    host.sysctl("net/ipv6/conf/eth0/accept_ra", "0")
    create(host, "lan", *DUAL, "--host-access")
    create(host, "four", *FOUR)
    create(host, "auto", *SLAAC)
    made = containers(lab)
    joined = join(host, made["web"], "lan", "--policy-routes", "--ifname=lan0")
    join(host, made["web"], "four", "--gw-priority=9", "--metric=70")
    join(host, made["db"], "lan", "--no-default-route", "--route=203.0.113.0/24=172.16.86.7")
    join(host, made["six"], "auto", "--ip6-token=::1:c0:1")
    with lab.router.advertising(PREFIX):
        assert wait_until(lambda: len(made["six"].addresses()) == 1, 20)
        before = whole(host, made)
    # All that is looked for is there.
    routes = {(route[1], route[2]) for route in before["web"]["routes"] if route[4] == "main"}
    assert routes == {("10.4.0.1", "eth0"), ("fd00:9::1", "lan0")}
    assert len(before["web"]["rules"]) == 5 + 2
    assert {route[0] for route in before["db"]["routes"]} == {"203.0.113.0/24"}
    assert before["six"]["tokens"] == {"eth0": "::1:c0:1"}
    assert before["six"]["addresses"] == {"eth0": ["2001:db8:7::1:c0:1/64"]}
    assert before["host"][1] == ["fd00:9::2/128"] and len(before["host"][0]) == 4
    for one in made.values():
        one.close()
    with after_reboot(lab, f"{HOST}/24") as later, lab.router.advertising(PREFIX):
        later.sysctl("net/ipv6/conf/eth0/accept_ra", "0")
        made = containers(lab)
        with again(later, tmp_path):
            assert wait_until(lambda: whole(later, made) == before, 20), (
                whole(later, made),
                before,
            )
        assert later.macvnet("check", fork=True).checked().lines == []
        web = made["web"]
        assert later.ping(joined.ip) and web.ping(HOST)
        assert later.ping(joined.ip6) and web.ping("fd00:9::2")
