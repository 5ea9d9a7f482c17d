"""Routes of an endpoint's own: --route, --metric, --no-default-route, --policy-routes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.kernel.steps import CONFLICT, REQUEST, attach, create, join, notes, refused, struck
from tests.kernel.trunk import after_reboot
from tests.lab import Container, Lab, Named
from tests.lab.faults import BEYOND, FAIL, KILL

FAR, FAR6 = "203.0.113.1", "2001:db8:fff::1"
POLICY = "--policy-routes"
OTHERS, NEW = 10, 8
"""Points of a connect before the routes (``test_faults`` has them), and at least how many then."""
ROUTES = {("203.0.113.0/24", "10.2.0.1", 0), ("2001:db8:fff::/64", "2001:db8:2::1", 1024)}


@pytest.fixture
def two(make_lab: Callable[..., Lab]) -> Lab:
    """Networks a and b on one parent, both families; one router, with something behind it."""
    lab = make_lab(
        host=(),
        router=(
            *("10.1.0.1/24", "10.2.0.1/24", f"{FAR}/24"),
            *("2001:db8:1::1/64", "2001:db8:2::1/64", f"{FAR6}/64"),
        ),
    )
    # As a router asks that forwards: with its address in the subnet, not with what it is asked for.
    lab.router.sysctl("net/ipv4/conf/all/arp_announce", "2")
    for number, name in enumerate("ab", 1):
        create(
            *(lab.host, name, f"--subnet=10.{number}.0.0/24", f"--gateway=10.{number}.0.1"),
            *(f"--subnet=2001:db8:{number}::/64", f"--gateway=2001:db8:{number}::1"),
            *("-o", "parent=eth0", "-o", "share_parent=true"),
        )
    return lab


def rules(container: Container | Named) -> list[tuple[str, str]]:
    """Source and table of the rules that the kernel does not make itself."""
    found = [rule for family in "46" for rule in container.query(f"-{family}", "rule")]
    return [(rule["src"], rule["table"]) for rule in found if rule["src"] != "all"]


def routes(container: Container | Named, table: str = "main") -> set[tuple[Any, ...]]:
    """What macvnet made in a table: destination, router, metric."""
    return {
        (route["dst"], route.get("gateway"), route.get("metric", 0))
        for family in (4, 6)
        for route in container.query(f"-{family}", "route", "show", "table", "all")
        if route.get("protocol") == "109" and route.get("table", "main") == table
    }


def kinds(lab: Lab) -> list[str]:
    """The words of ``check``."""
    found = lab.host.macvnet("check", "--format=json").stdout
    return [each["kind"] for each in json.loads(found)]


def test_what_comes_in_on_an_interface_is_answered_from_it(two: Lab) -> None:
    """With strict rp_filter a second interface is deaf to all that is behind a router."""
    container = two.named("web")
    container.sysctl("net/ipv4/conf/all/rp_filter", "1")
    first = join(two.host, container, "a")
    plain = join(two.host, container, "b")
    assert not two.router.ping(plain.ip, source=FAR, within=0.7)
    two.host.macvnet("disconnect", "b", container.target).checked()

    joined = join(two.host, container, "b", POLICY)
    assert rules(container) == [(joined.ip, "10900"), (joined.ip6, "10900")]
    with two.router.capture() as wire:
        assert two.router.ping(joined.ip, source=FAR)
        assert two.router.ping(joined.ip6, source=FAR6)
        answers = wire.wait_for(lambda frame: frame.icmp_type == 0)
    assert {frame.src for frame in answers} == {joined.mac}
    assert two.router.ping(first.ip, source=FAR)
    assert kinds(two) == []

    # Both with one command; each has a table of its own, and nothing of it stays.
    two.host.macvnet("detach", container.target).checked()
    assert (rules(container), routes(container, "10900")) == ([], set())
    attach(two.host, container, "--network=a,policy-routes", "--network=b,policy-routes=true")
    assert {table for _, table in rules(container)} == {"10900", "10901"}
    dry = two.host.macvnet("detach", "--dry-run", container.target).checked().lines
    assert f"remove rule from {joined.ip} lookup 10901 in netns:web" in dry
    two.host.macvnet("disconnect", "--all", "b").checked()
    assert {table for _, table in rules(container)} == {"10900"}


def test_numbers_that_others_use_are_left_to_them(two: Lab) -> None:
    """Tables with routes or rules of others, and priorities of theirs; their rules stay."""
    container = two.named("web")
    container.ip("route", "add", "blackhole", "192.0.2.0/24", "table", "10900")
    container.ip("rule", "add", "from", "192.0.2.1", "lookup", "10901", "priority", "7")
    container.ip("rule", "add", "from", "192.0.2.2", "lookup", "main", "priority", "10902")
    container.ip("-6", "rule", "add", "from", "2001:db8:9::9", "lookup", "10903", "priority", "9")
    before = rules(container)
    dry = two.host.macvnet("connect", "--dry-run", POLICY, "b", container.target).checked().lines
    joined = join(two.host, container, "b", POLICY)
    added = set(rules(container)) - set(before)
    assert added == {(joined.ip, "10904"), (joined.ip6, "10904")}
    assert f"create rule from {joined.ip} lookup 10904 in netns:web" in dry
    assert "create route default via 10.2.0.1 table 10904 dev eth0 in netns:web" in dry
    two.host.macvnet("detach", container.target).checked()
    assert rules(container) == before


def test_routes_metric_and_no_default_route(two: Lab) -> None:
    container = two.named("web")
    join(two.host, container, "a", "--no-default-route", "--gw-priority=9")
    assert routes(container) == set()
    two.host.macvnet("detach", container.target).checked()

    asked = ("--route=203.0.113.0/24=10.2.0.1", "--route=2001:db8:fff::/64=2001:db8:2::1")
    join(two.host, container, "b", "--no-default-route", *asked)
    assert routes(container) == ROUTES
    assert container.ping(FAR) and container.ping(FAR6)
    again = two.host.macvnet("connect", "a", container.target, "--route=203.0.113.0/24=10.1.0.1")
    refused(again, CONFLICT, "another route", "203.0.113.0/24 via 10.1.0.1 dev eth1")
    assert container.links() == ["lo", "eth0"]
    two.host.macvnet("detach", container.target).checked()

    # A default route of somebody else's stays, and ours stands beside it if it is told apart.
    container.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    container.add_address("192.0.2.2/24", "veth0")
    container.add_default("192.0.2.1", "veth0")
    done = two.host.macvnet("connect", "b", "--metric=50", container.target).checked()
    assert not any("default route" in note for note in notes(done))
    assert routes(container) == {("default", "10.2.0.1", 50), ("default", "2001:db8:2::1", 50)}
    assert not container.ping(FAR, within=0.7)
    container.ip("route", "del", "default", "dev", "veth0")
    assert container.ping(FAR)
    inspected = two.host.macvnet("inspect", "b").checked().json()[0]["Macvnet"]["Endpoints"][0]
    assert (inspected["Metric"], inspected["DefaultRoute"]) == (50, True)


def test_wider_route_is_no_reason_to_refuse_a_network(two: Lab) -> None:
    """A --route to 10.0.0.0/8 has the subnets of other networks as its exceptions."""
    container = two.named("web")
    join(two.host, container, "b", "--route=10.0.0.0/8=10.2.0.1")
    join(two.host, container, "a")
    assert container.ping("10.1.0.1")


def test_router_that_the_kernel_cannot_know_to_be_on_the_link(two: Lab) -> None:
    """In another subnet of the network, or with a link-local address."""
    two.router.add_addresses("10.3.0.1/24", "10.4.0.1/24")
    create(
        *(two.host, "wide", "--subnet=10.3.0.0/24", "--subnet=10.4.0.0/24"),
        *("-o", "parent=eth0", "-o", "share_parent=true"),
    )
    container = two.named("web")
    join(two.host, container, "wide", "--route=203.0.113.0/24=10.4.0.1")
    assert container.ping(FAR)
    router = next(a["local"] for a in two.router.address_info() if a["scope"] == "link")
    join(two.host, container, "b", f"--route=2001:db8:fff::/64={router}", "--no-default-route")
    assert container.ping(FAR6)
    assert kinds(two) == []


REFUSED = (
    ("--route=203.0.113.0/24=10.9.0.1", "10.9.0.1 is not on the link", "0/24=10.2.0.1"),
    ("--route=203.0.113.0/24=2001:db8:2::1", "two families", "--route"),
    ("--route=203.0.113.7/24=10.2.0.1", "host bits", "--route 203.0.113.0/24=10.2.0.1"),
    ("--route=203.0.113.0/33=10.2.0.1", "not a subnet", "--route"),
    ("--route=far=10.2.0.1", "'far' is not a subnet", "--route"),
    ("--route=203.0.113.0/24", "it has no =VIA", "--route"),
    ("--route=203.0.113.0/24=gw", "'gw' is not an address", "--route"),
    ("--route=0.0.0.0/0=10.2.0.1", "would be a default route", "--gw-priority"),
    ("--metric=-1", "--metric -1 is not between", "--metric 100"),
    ("--metric=4294967296", "is not between", "--metric 100"),
)


def test_what_cannot_be_is_refused(two: Lab) -> None:
    """With a hint that can be typed; and internal networks have no way out at all."""
    container = two.named("web")
    for words, message, hint in REFUSED:
        done = two.host.macvnet("connect", words, "b", container.target, fork=True)
        assert hint in refused(done, REQUEST, message), words
    twice = ("--route=10.9.0.0/24=10.2.0.1", "--route=10.9.0.0/24=10.2.0.9")
    done = two.host.macvnet("connect", *twice, "b", container.target, fork=True)
    refused(done, REQUEST, "two --route to 10.9.0.0/24")
    create(
        *(two.host, "inner", "--internal", "--subnet=10.5.0.0/24"),
        *("-o", "parent=eth0", "-o", "share_parent=true"),
    )
    for words, message in (
        ("--route=10.9.0.0/24=10.5.0.1", "is internal"),
        ("--route=fd00::/64=fd00:1::1", "is internal"),
    ):
        done = two.host.macvnet("connect", words, "inner", container.target, fork=True)
        refused(done, REQUEST, message)
    assert container.links() == ["lo"]


def test_check_tells_what_is_gone_and_repair_and_restore_make_it_again(two: Lab) -> None:
    container = two.named("web")
    words = (POLICY, "--route=203.0.113.0/24=10.2.0.1", "--metric=70", "--no-default-route")
    joined = join(two.host, container, "b", *words)
    main, table, own = routes(container), routes(container, "10900"), rules(container)
    assert main == {("203.0.113.0/24", "10.2.0.1", 70)} and len(table) == 5
    for damage, found in (
        (("rule", "del", "from", joined.ip), ["wrong-rule"]),
        (("-6", "rule", "del", "from", joined.ip6), ["wrong-rule"]),
        (("route", "del", "203.0.113.0/24"), ["wrong-route"]),
        (("route", "flush", "table", "10900"), ["wrong-route"] * 3),
    ):
        container.ip(*damage)
        assert kinds(two) == found
        two.host.macvnet("repair").checked()
        assert (routes(container), routes(container, "10900")) == (main, table)
        assert sorted(rules(container)) == sorted(own)
    # The link alone is gone: its rules are still there, and are not doubled.
    container.ip("link", "del", "eth0")
    two.host.macvnet("restore").checked()
    assert (routes(container), sorted(rules(container))) == (main, sorted(own))
    container.close()
    with after_reboot(two) as host:
        container = two.named("web")
        container.ip("rule", "add", "from", "192.0.2.1", "lookup", "10900")
        host.macvnet("restore").checked()
        assert (routes(container), len(routes(container, "10901"))) == (main, 5)
        assert set(rules(container)) >= {(joined.ip, "10901"), (joined.ip6, "10901")}
        assert host.macvnet("check").checked().lines == []
        exported = host.macvnet("state", "export").checked().stdout
        [endpoint] = json.loads(exported)["endpoints"]
        assert endpoint["routing"]["routes"] == ["203.0.113.0/24=10.2.0.1"]
        endpoint["routing"]["table"] = 254
        damaged = json.dumps({**json.loads(exported), "endpoints": [endpoint]})
        env = {"MACVNET_STATE_DIR": str(two.folder / "imported")}
        done = host.macvnet("state", "import", "-", stdin=damaged, env=env)
        refused(done, REQUEST, "its routes are none that connect makes")
        host.macvnet("state", "import", "-", stdin=exported, env=env).checked()
        declared = host.macvnet("export").checked().stdout
        for line in ("metric = 70", 'route = "203.0.113.0/24=10.2.0.1"', "policy_routes = true"):
            assert line in declared
        assert host.macvnet("diff", "-", stdin=declared).status == 0
        changed = host.macvnet("diff", "-", stdin=declared.replace("= 70", "= 71"))
        assert "metric is 70, not 71" in changed.stdout


@pytest.mark.parametrize("mode", [FAIL, KILL])
def test_something_goes_wrong_at_every_new_point(two: Lab, mode: str) -> None:
    """Then nothing is left, or the next command takes it away; rules outlive a link."""
    command = ("connect", POLICY, "--route=203.0.113.0/24=10.2.0.1", "b")
    point, rules_seen = OTHERS, 0
    while True:
        point += 1
        container = two.named()
        done = struck(two.host, mode, point, *command, container.target)
        what = f"{mode} at point {point}: {done}"
        if done.status == BEYOND:
            break
        rules_seen += bool(rules(container))
        if mode == FAIL and done.status != 0:
            assert (container.links(), rules(container)) == (["lo"], []), what
        again = two.host.macvnet(*command, container.target, fork=True)
        assert again.status in (0, CONFLICT), f"{what}\nthen {again}"
        assert [table for _, table in rules(container)] == ["10900", "10900"], what
        two.host.macvnet("disconnect", "b", container.target, fork=True).checked()
        assert (container.links(), rules(container)) == (["lo"], []), what
        container.close()
    # All that is new has been struck, from before the first of it is made.
    assert point > OTHERS + NEW
    assert rules_seen
