"""IPv6 that a router gives: ``-o ipv6_mode=slaac``, ``--ip6-token``; and none at all.

A router advertises for real. The addresses are the kernel's, in the target; the host
and whatever else the target has stay as they are.
"""

from __future__ import annotations

import json
from functools import partial
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.steps import (
    CONFLICT,
    LAN,
    REQUEST,
    create,
    join,
    refused,
    settled,
    wait_until,
)
from tests.lab import Host, Lab, Machine, Named
from tests.lab.processes import inside

SLAAC = ("-o", "ipv6_mode=slaac")
ALONE = ("-o", "parent=eth0", *SLAAC, "--ipv4=false")
PREFIX = "2001:db8:7::/64"
BASE = "2001:db8:7:"
CONF = Path("/proc/sys/net/ipv6/conf")
UNREADABLE = "stable_secret"
DIFFERENT = 11


def sysctls(machine: Machine, *links: str) -> dict[str, str]:
    """All IPv6 sysctls of some links, and of ``all`` and ``default``."""
    with inside(machine.fd):
        return {
            str(path): path.read_text()
            for name in ("all", "default", *links)
            for path in sorted((CONF / name).iterdir())
            if path.is_file() and path.name != UNREADABLE
        }


def learned(host: Host, network: str) -> dict[str, list[dict[str, Any]]]:
    """By target what ``inspect`` says that it has learned."""
    (shown,) = json.loads(host.macvnet("inspect", network, fork=True).checked().stdout)
    return {one["Target"]: one["Learned"] for one in shown["Macvnet"]["Endpoints"]}


def by_router(target: Machine, ifname: str = "eth0") -> list[str]:
    """Default routes that a router gave, as the addresses of routers."""
    return [
        route["gateway"]
        for route in target.routes(6)
        if (route["dst"], route["dev"], route.get("protocol")) == ("default", ifname, "ra")
    ]


def eui64(mac: str) -> str:
    """The address of PREFIX that is made of a MAC (RFC 4291, appendix A)."""
    first, *others = bytes.fromhex(mac.replace(":", ""))
    suffix = bytes([first ^ 2, *others[:2], 0xFF, 0xFE, *others[2:]])
    return str(IPv6Network(PREFIX)[int.from_bytes(suffix, "big")])


def test_a_router_gives_addresses_to_targets_and_to_nobody_else(lab: Lab) -> None:
    """By MAC, by token, dual stack with probes; a target that forwards; one without a route."""
    host = lab.host
    # What the host does with advertisements on its own link is the host's affair.
    host.sysctl("net/ipv6/conf/eth0/accept_ra", "0")
    create(host, "six", *ALONE)
    create(
        host, "dual", *LAN, *SLAAC, "-o", "share_parent=1", "-o", "probe=on", "-o", "probe_ms=50"
    )
    create(host, "inner", *ALONE, "--internal", "-o", "share_parent=1")
    plain, token, both, router, mute, inner = (lab.named(name) for name in "abcdef")
    # Whatever a target has as its default, and where it is a router itself.
    for key, value in (("disable_ipv6", "1"), ("accept_ra", "0"), ("addr_gen_mode", "1"),
                       ("use_tempaddr", "2"), ("router_solicitations", "0")):  # fmt: skip
        token.sysctl(f"net/ipv6/conf/default/{key}", value)
    router.sysctl("net/ipv6/conf/all/forwarding", "1")
    before, alone = host.snapshot(), (sysctls(host, "eth0"), sysctls(token, "lo"))

    first = join(host, plain, "six")
    assert first.addresses == first.gateways == []
    said = host.macvnet("connect", "--dry-run", "--ip6-token", "::A:b", "six", token.target)
    of_prefix = (
        "create address of the prefix that a router advertises with the token ::a:b dev eth0"
    )
    assert f"{of_prefix} in {token.target}" in said.checked().lines
    join(host, token, "six", "--ip6-token=::A:b")
    second = join(host, both, "dual", "--ip6-token=::c")
    assert second.addresses == ["172.16.86.2/24"]
    join(host, router, "six", "--metric=77")
    join(host, mute, "six", "--no-default-route", "--ip6-token=::e")

    join(host, inner, "inner", "--ip6-token=::f")

    with lab.router.advertising(PREFIX):
        wanted = {
            plain: f"{eui64(first.mac)}/64",
            token: f"{BASE}:a:b/64",
            both: f"{BASE}:c/64",
            mute: f"{BASE}:e/64",
            inner: f"{BASE}:f/64",
        }
        for target, address in wanted.items():
            assert wait_until(partial(learned_of, target), 10), target.name
            assert [one for one, _ in learned_of(target)] == [address]
        assert wait_until(partial(learned_of, router), 10)
        for target in (plain, token, both, router):
            assert wait_until(partial(by_router, target), 10)
        (route,) = [r for r in router.routes(6) if r["dst"] == "default"]
        assert route["metric"] == 77
        assert mute.default_route(6) is inner.default_route(6) is None
        # Somebody reaches it, there and back through what the router said.
        for target in (token, both):
            assert wait_until(partial(proved, target), 10)
        lab.router.add_address(f"{BASE}:1/64")
        assert lab.router.ping(f"{BASE}:a:b")
        shown = learned(host, "six")
        assert set(shown) == {each.target for each in (plain, token, router, mute)}
        assert [(one["Address"], one["State"]) for one in shown[token.target]] == [
            (f"{BASE}:a:b/64", "preferred")
        ]
        assert 0 < shown[token.target][0]["ValidSeconds"] <= 3600
        tree = host.macvnet("tree", fork=True).checked().stdout
        assert f"{token.target}  eth0  {BASE}:a:b/64\n" in tree
        hosts = host.macvnet("hosts", "dual", fork=True).checked().lines
        assert hosts == ["172.16.86.2\tc", f"{BASE}:c\tc"]

    assert host.macvnet("check", fork=True).checked().lines == []
    assert (sysctls(host, "eth0"), sysctls(token, "lo")) == alone
    for target in (plain, token, both, router, mute, inner):
        host.macvnet("detach", target.target, fork=True).checked()
        assert target.links() == ["lo"]
    assert before.changes(host.snapshot()) == []


def learned_of(target: Machine, ifname: str = "eth0") -> list[tuple[str, str]]:
    """The target's own addresses with a lifetime, each with what is the matter with it."""
    return [
        (
            f"{info['local']}/{info['prefixlen']}",
            " ".join(word for word in ("tentative", "dadfailed", "temporary") if info.get(word)),
        )
        for info in target.address_info(ifname)
        if info["family"] == "inet6" and info["scope"] == "global" and info.get("dynamic")
    ]


def proved(target: Machine) -> bool:
    """Whether what it has learned is its own, as duplicate detection has shown."""
    return {state for _, state in learned_of(target)} == {""}


def test_one_that_has_the_parent_for_itself_makes_its_address_of_its_own_mac(lab: Lab) -> None:
    host, mac = lab.host, "02:00:5e:00:53:07"
    create(host, "whole", *ALONE, "-o", "macvlan_mode=passthru", "-o", "passthru_force=true")
    web = lab.named("web")
    join(host, web, "whole", f"--mac-address={mac}")
    with lab.router.advertising(PREFIX):
        assert wait_until(partial(learned_of, web), 10)
    assert [address for address, _ in learned_of(web)] == [f"{eui64(mac)}/64"]


def test_what_is_changed_is_found_and_mended_and_what_is_gone_comes_back(lab: Lab) -> None:
    """Token and sysctls are the endpoint's own: link gone, target restarted, state moved."""
    host = lab.host
    create(host, "six", *ALONE)
    create(host, "off", *LAN, "-o", "share_parent=1", "-o", "ipv6_mode=none")
    web, other = lab.named("web"), lab.named("other")
    join(host, web, "six", "--ip6-token=::5")
    join(host, web, "off")
    assert web.sysctl("net/ipv6/conf/eth1/disable_ipv6") == "1"
    assert web.addresses("eth1", link_local=True) == ["172.16.86.2/24"]
    hint = refused(
        host.macvnet("connect", "--ip6-token=::5", "six", other.target), CONFLICT,
        "the token ::5 is held by netns:web on eth0",
    )  # fmt: skip
    assert "--ip6-token" in hint and other.links() == ["lo"]

    assert wait_until(lambda: settled(web))
    for link, key, value in (
        ("eth0", "accept_ra", "1"),
        ("eth0", "use_tempaddr", "2"),
        ("eth0", "disable_ipv6", "1"),
        ("eth1", "disable_ipv6", "0"),
    ):
        name = f"net.ipv6.conf.{link}.{key}"
        was = web.sysctl(name.replace(".", "/"))
        web.sysctl(name.replace(".", "/"), value)
        network = "six" if link == "eth0" else "off"
        sentence = f"netns:web in network {network}: {name} is {value}, not {was}"
        found = host.macvnet("check", fork=True)
        assert (found.status, found.lines) == (DIFFERENT, [sentence])
        assert host.macvnet("repair", fork=True).checked().lines == [f"mended {sentence}"]
        assert web.sysctl(name.replace(".", "/")) == was
    web.ip("token", "set", "::99", "dev", "eth0")
    found = host.macvnet("check", fork=True)
    assert found.lines == ["netns:web in network six: eth0 lacks the token ::5"]
    host.macvnet("repair", fork=True).checked()
    assert web.query("token", "show", "dev", "eth0")[0]["token"] == "::5"
    assert host.macvnet("check", fork=True).checked().lines == []

    # A sysctl that was asked for is as it was asked for.
    own = "com.docker.network.endpoint.sysctls=net.ipv6.conf.IFNAME.use_tempaddr=2"
    host.macvnet("connect", "--driver-opt", own, "six", other.target, fork=True).checked()
    assert other.sysctl("net/ipv6/conf/eth0/use_tempaddr") == "2"
    assert host.macvnet("check", fork=True).checked().lines == []
    host.macvnet("disconnect", "six", other.target, fork=True).checked()

    web.ip("link", "del", "eth0")
    [change] = [
        line
        for line in host.macvnet("restore", "--dry-run", fork=True).checked().lines
        if "router advertises" in line
    ]
    assert "with the token ::5" in change
    host.macvnet("restore", fork=True).checked()
    document = host.macvnet("state", "export", fork=True).checked().stdout
    web = lab_restarted(lab, web)
    host.macvnet("restore", fork=True).checked()
    with lab.router.advertising(PREFIX):
        assert wait_until(lambda: [one for one, _ in learned_of(web)] == [f"{BASE}:5/64"], 10)
    declared = host.macvnet("export", fork=True).checked().stdout
    assert 'ip6_token = "::5"' in declared and 'ipv6_mode = "slaac"' in declared
    file = lab.folder / "networks.toml"
    file.write_text(declared)
    assert host.macvnet("apply", "--dry-run", str(file), fork=True).checked().lines == []
    file.write_text(declared.replace('"::5"', '"::6"'))
    planned = host.macvnet("apply", "--dry-run", str(file), fork=True)
    assert "ip6_token is ::5, not ::6" in planned.stdout + planned.stderr

    elsewhere = ("--state-dir", str(lab.folder / "elsewhere"))
    host.macvnet(*elsewhere, "state", "import", "-", stdin=document, fork=True).checked()
    damaged = document.replace('"ip6_token": "::5"', '"ip6_token": "2001::5"')
    assert damaged != document
    third = ("--state-dir", str(lab.folder / "third"))
    done = host.macvnet(*third, "state", "import", "-", stdin=damaged, fork=True)
    assert done.status == REQUEST and "2001::5" in done.stderr
    # What is let go of can be had by another one.
    host.macvnet("disconnect", "six", web.target, fork=True).checked()
    join(host, other, "six", "--ip6-token=::5")


def lab_restarted(lab: Lab, target: Named) -> Named:
    """The same name with another namespace behind it."""
    target.close()
    return lab.named(target.name)


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("--subnet=2001:db8::/64",), "so subnet '2001:db8::/64' has no use", "ipv6_mode=static"),
        (("--ipv6=false",), "--ipv6=false and -o ipv6_mode=slaac contradict", "leave --ipv6 out"),
        (("-d", "ipvlan", "-o", "ipvlan_mode=l3"), "in ipvlan mode l3", "-o ipvlan_mode=l2"),
        (("-o", "ipv6_mode=none", "--ipv6"), "--ipv6=true and -o ipv6_mode=none", "leave --ipv6"),
        (("-o", "ipv6_mode=none", "--subnet=2001:db8::/64"), "IPv6 is none", "ipv6_mode=static"),
        (("-o", "ipv6_mode=auto",), "IPv6 mode 'auto' is not valid", "-o ipv6_mode=static"),
        (("-o", "mtu=1000"), "below the 1280 bytes that IPv6 needs", "-o mtu=1280"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(lab: Lab, words: tuple[str, ...], said: str, hint: str) -> None:
    done = lab.host.macvnet("create", *LAN, *SLAAC, *words, "net", fork=True)
    assert hint in refused(done, REQUEST, said)


def test_what_an_endpoint_cannot_have_is_refused(lab: Lab) -> None:
    host = lab.host
    create(host, "six", *ALONE)
    create(host, "four", *LAN, "-o", "share_parent=1")
    create(
        host, "dual", "--subnet=10.9.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1", *SLAAC
    )
    create(host, "off", "-o", "parent=eth0", "--ipam-driver=null", "-o", "ipv6_mode=none",
           "-o", "share_parent=1")  # fmt: skip
    create(host, "both", "--subnet=2001:db8:9::/64", "-o", "parent=eth0", "-o", "share_parent=1")
    web = lab.named("web")
    for words, said, hint in (
        ("connect --ip6 2001:db8::7 six", "2001:db8::7 cannot be given out", "--ip6-token ::7"),
        ("reserve --ip6 2001:db8::7 dual", "2001:db8::7 cannot be given out", "--ip6-token ::7"),
        ("connect --ip6-token ::7 both", "'::7' has no use", "--ip6 2001:db8:9::7"),
        ("connect --ip6-token ::7 four", "'::7' has no use", "leave --ip6-token out"),
        ("connect --link-local-ip fe80::7 four", "'four' has no IPv6", "--link-local-ip fe80::7"),
        ("connect --link-local-ip fe80::7 off", "'off' has no IPv6", "--link-local-ip fe80::7"),
        ("attach --network six,ip6-token=2001::7 --", "upper one is the router's", "::7"),
    ):
        done = host.macvnet(*words.split(), web.target, fork=True)
        assert hint in refused(done, REQUEST, said)
    assert web.links() == ["lo"]
    # Without addresses of macvnet's, what a link speaks is the user's affair, unless it is said.
    join(host, web, "off")
    assert web.addresses(link_local=True) == []
    assert web.sysctl("net/ipv6/conf/eth0/disable_ipv6") == "1"
    done = host.macvnet("create", "-o", "parent=eth0", *SLAAC, "-o", "share_parent=1", "alone")
    assert "--ipv4=false" in refused(done, REQUEST, "needs a --subnet")
    done = host.macvnet("create", "--subnet=10.9.0.0/24", *SLAAC, "alone", fork=True)
    assert "-o parent=" in refused(done, REQUEST, "needs a router that advertises")
