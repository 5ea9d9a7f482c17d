"""Addresses kept for containers by their names, whether these are up or not."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import Any

from tests.kernel.steps import (
    CONFLICT,
    EXHAUSTED,
    LAN,
    NOT_FOUND,
    REQUEST,
    create,
    join,
    networks,
    notes,
    refused,
)
from tests.lab import Host, Lab, Result

DUAL = (*LAN, "--subnet=2001:db8:86::/64", "--gateway=2001:db8:86::1")
SMALL = (*LAN, "--ip-range=172.16.86.16/30")


def reserved(host: Host, network: str = "net") -> dict[str, list[str]]:
    """Target to addresses, as inspect shows them."""
    (shown,) = host.macvnet("inspect", network, fork=True).checked().json()
    return {one["Target"]: one["Addresses"] for one in shown["Macvnet"]["Reservations"]}


def call(lab: Lab, *words: str, stdin: str | None = None) -> Result:
    """What only leads up to what is shown."""
    return lab.host.macvnet(*words, stdin=stdin, fork=True)


def in_use(host: Host, network: str = "net") -> list[int]:
    (shown,) = host.macvnet("inspect", network, fork=True).checked().json()
    return [one["IPsInUse"] for one in shown["Status"]["IPAM"]["Subnets"].values()]


def test_address_waits_for_its_container_and_outlives_it(lab: Lab) -> None:
    """Whatever happens to the container; and nobody else gets it."""
    create(lab.host, "net", *DUAL)
    before = in_use(lab.host)
    words = ("reserve", "net", "netns:web")
    dry = call(lab, *words, "--ip=172.16.86.2", "--dry-run").checked().lines
    assert reserved(lab.host) == {} and in_use(lab.host) == before
    kept = lab.host.macvnet(*words, "--ip=172.16.86.2").checked().lines
    assert dry == [f"create reservation {' '.join(kept)} for netns:web in network net"]
    assert kept[0] == "172.16.86.2" and len(kept) == 2
    assert reserved(lab.host) == {"netns:web": kept}
    assert in_use(lab.host) == [count + 1 for count in before]
    who = call(lab, "ipam", "who", "172.16.86.2").checked().stdout
    assert "is held by the reservation for netns:web" in who
    (counts, _) = call(lab, "ipam", "status", "--format=json", "net").checked().json()
    assert (counts["used"], counts["reserved"]) == (0, 5), counts
    # Said once more it is the same.
    assert call(lab, *words).checked().lines == kept
    refused(call(lab, *words, "--ip=172.16.86.9"), CONFLICT, "172.16.86.2", "172.16.86.9")
    other = lab.named("other")
    hint = refused(
        call(lab, "connect", "--ip=172.16.86.2", "net", other.target),
        *(CONFLICT, "172.16.86.2", "is reserved for netns:web in network 'net'"),
    )
    assert hint.endswith("macvnet unreserve net netns:web")
    refused(
        call(lab, "reserve", "--ip=172.16.86.2", "net", "netns:other"),
        *(CONFLICT, "is reserved for netns:web"),
    )
    assert join(lab.host, other, "net").ip == "172.16.86.3"
    web = lab.named("web")
    refused(
        call(lab, "connect", "--ip=172.16.86.9", "net", "netns:web"),
        *(CONFLICT, "172.16.86.2 is reserved for netns:web", "172.16.86.9"),
    )
    foreseen = call(lab, "connect", "--dry-run", "net", "netns:web").checked().stdout
    assert "create address 172.16.86.2/24" in foreseen
    first = join(lab.host, web, "net")
    assert [a.partition("/")[0] for a in first.addresses] == kept
    assert lab.router.ping("172.16.86.2")
    call(lab, "disconnect", "net", "netns:web").checked()
    assert in_use(lab.host) == [count + 2 for count in before]
    assert join(lab.host, web, "net") == first
    web.close()
    call(lab, "gc", "--grace=0").checked()
    assert reserved(lab.host) == {"netns:web": kept}
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.4"
    web = lab.named("web")
    assert join(lab.host, web, "net") == first
    # What is connected goes on with its address; only then is it anybody's.
    dry = call(lab, "unreserve", "--dry-run", "net", "netns:web").checked().lines
    assert dry[0].startswith("remove reservation 172.16.86.2") and reserved(lab.host)
    lab.host.macvnet("unreserve", "net", "web").checked()
    assert reserved(lab.host) == {} and web.addresses() == first.addresses
    refused(call(lab, "connect", "--ip=172.16.86.2", "net", lab.named("x").target), CONFLICT)
    call(lab, "disconnect", "net", "netns:web").checked()
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.2"
    refused(call(lab, "unreserve", "net", "netns:web"), NOT_FOUND, "'netns:web'", "'net'")
    assert call(lab, "check").checked().lines == []


def test_container_that_is_connected_keeps_what_it_has(lab: Lab) -> None:
    """And where another address is asked for, it gets that the next time."""
    create(lab.host, "net", *SMALL)
    web, other = lab.named("web"), lab.named("other")
    has = join(lab.host, web, "net").ip
    join(lab.host, other, "net")
    assert lab.host.macvnet("reserve", "net", "web").checked().lines == [has]
    moved = call(lab, "reserve", "--ip=172.16.86.19", "net", "netns:other").checked()
    assert moved.lines == ["172.16.86.19"]
    assert call(lab, "connect", "net", lab.container().target).checked()
    # A full pool: the dead one's address is reserved, so it makes no room for others.
    web.close()
    call(lab, "gc").checked()
    full = call(lab, "connect", "net", lab.container().target)
    refused(full, EXHAUSTED, "no free address")
    assert not any("was freed" in note for note in notes(full))
    call(lab, "disconnect", "net", "netns:other").checked()
    assert join(lab.host, other, "net").ip == "172.16.86.19"
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.17"
    refused(call(lab, "reserve", "net", "netns:third"), EXHAUSTED, "no free address")
    assert join(lab.host, lab.named("web"), "net").ip == has


def test_networks_with_reservations_stay_until_they_are_removed(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    call(lab, "reserve", "--ip=172.16.86.9", "net", "run:web").checked()
    assert call(lab, "ls", "-q", "--filter=dangling=true").checked().lines == []
    call(lab, "prune", "-f").checked()
    assert networks(lab.host) == ["net"]
    refused(
        call(lab, "create", "--subnet=172.16.86.0/25", "--gateway=172.16.86.9",
                         "--ip-range=172.16.86.64/26", "-o", "parent=eth0", "more"),
        CONFLICT,
    )  # fmt: skip
    ran = call(
        lab, *("run", "--name=web", "--net=net", "--", "ip", "-4", "-brief", "addr", "show", "eth0")
    )
    assert "172.16.86.9/24" in ran.checked().stdout
    text = call(lab, "state", "export").checked().stdout
    assert call(lab, "rm", "net").checked().lines == ["net"]
    assert call(lab, "check").checked().lines == []
    create(lab.host, "net", *LAN)
    assert reserved(lab.host) == {}
    assert join(lab.host, lab.container(), "net", "--ip=172.16.86.9").ip == "172.16.86.9"
    shutil.rmtree(lab.state_dir)
    call(lab, "state", "import", "-", stdin=text).checked()
    assert reserved(lab.host) == {"run:web": ["172.16.86.9"]}
    assert (
        call(lab, "state", "export").checked().json()["reservations"]
        == (json.loads(text)["reservations"])
    )
    refused(call(lab, "reserve", "--ip=172.16.86.9", "net", "netns:x"), CONFLICT, "run:web")


def test_what_cannot_be_reserved(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    create(lab.host, "bare", "--ipam-driver=null", "-o", "parent=eth0", "-o", "share_parent=1")

    def refuse(status: int, *words: str, says: str) -> None:
        refused(call(lab, "reserve", *words), status, says)

    refuse(REQUEST, "net", lab.container().target, says="no other one comes back under its number")
    refuse(REQUEST, "net", "netns:a/b", says="cannot name a network namespace")
    refuse(REQUEST, "net", "netns:a", "--ip=10.0.0.1", says="contains the address 10.0.0.1")
    refuse(REQUEST, "net", "netns:a", "--ip6=2001:db8::1", says="no IPv6 subnet")
    refuse(REQUEST, "bare", "netns:a", says="has no subnet")
    refuse(CONFLICT, "net", "netns:a", "--ip=172.16.86.1", says="the gateway of network 'net'")
    refuse(CONFLICT, "net", "netns:a", "--ip=172.16.86.250", says="in use by this host")
    refuse(NOT_FOUND, "net", "nobody", says="there is no container 'nobody'")
    refuse(NOT_FOUND, "nett", "netns:a", says="network 'nett' not found")
    assert reserved(lab.host) == {}


def test_check_finds_what_does_not_agree_and_repair_mends_it(lab: Lab) -> None:
    """Nothing makes it so but a hand in the file."""
    create(lab.host, "net", *LAN)
    call(lab, "reserve", "--ip=172.16.86.9", "net", "netns:web").checked()
    call(lab, "reserve", "--ip=172.16.86.10", "net", "netns:db").checked()

    def edit(statement: str) -> None:
        with closing(sqlite3.connect(lab.state_dir / "state.db")) as opened, opened:
            assert opened.execute(statement).rowcount == 1

    edit("DELETE FROM kv WHERE key LIKE 'lease/%' AND value LIKE '%netns:web%'")
    edit("DELETE FROM kv WHERE key LIKE 'kept/%' AND key LIKE '%/netns:db'")
    found = call(lab, "check", "--format=json")
    assert found.status == 11
    kinds: Any = found.json()
    assert sorted((one["kind"], one["subject"]) for one in kinds) == [
        ("lease-without-reservation", "netns:db in network net"),
        ("reservation-without-lease", "netns:web in network net"),
    ]
    call(lab, "repair").checked()
    assert call(lab, "check").checked().lines == []
    refused(call(lab, "reserve", "--ip=172.16.86.9", "net", "netns:x"), CONFLICT)
    assert join(lab.host, lab.named("y"), "net", "--ip=172.16.86.10").ip == "172.16.86.10"
