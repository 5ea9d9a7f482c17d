"""Targets whose namespace had a number before macvnet came, as containers with a veth have.

The kernel and other programs give the lowest number that is free, so that the
number of a dead namespace is soon another one's. Neither is taken for the other.
"""

from __future__ import annotations

import pytest

from macvnet import chance
from macvnet.kernel import nsid
from macvnet.kernel.namespaces import Namespace
from macvnet.kernel.rtnetlink import Rtnetlink
from tests.kernel.steps import LAN, create, join, wait_until
from tests.lab import Container, Host, Lab, Named
from tests.lab.processes import inside

QUIET = ("-o", "com.docker.network.advertise_addr_nmsgs=0")


def numbers(host: Host) -> dict[str, int]:
    """Names of namespaces, where they have one, and their numbers."""
    return {one.get("name", ""): one["nsid"] for one in host.query("netns", "list-id")}


def numbered(host: Host, name: str) -> int:
    """Give a named namespace the lowest number that is free; which one it is."""
    host.ip("netns", "set", name, "auto")
    return numbers(host)[name]


def is_free(host: Host, number: int) -> bool:
    return number not in [one["nsid"] for one in host.query("netns", "list-id")]


def successor(lab: Lab, name: str, number: int) -> Named:
    """A new namespace that gets the number of one that has just been deleted."""
    # The kernel takes the old one apart a little later.
    assert wait_until(lambda: is_free(lab.host, number))
    made = lab.named(name)
    assert numbered(lab.host, name) == number
    return made


def test_target_that_is_there_again_under_the_former_number_gets_its_endpoint_back(
    lab: Lab,
) -> None:
    create(lab.host, "net", *LAN, *QUIET)
    web = lab.named("web")
    number = numbered(lab.host, "web")
    before = join(lab.host, web, "net")
    web.close()
    web = successor(lab, "web", number)
    assert lab.host.macvnet("restore").checked().lines == [
        "netns:web in network net 172.16.86.2/24"
    ]
    assert (web.mac(), web.addresses()) == (before.mac, ["172.16.86.2/24"])


def test_target_that_is_connected_again_under_the_former_number_gets_its_address_back(
    lab: Lab,
) -> None:
    create(lab.host, "net", *LAN, *QUIET)
    web = lab.named("web")
    number = numbered(lab.host, "web")
    before = join(lab.host, web, "net")
    web.close()
    again = join(lab.host, successor(lab, "web", number), "net")
    assert (again.mac, again.addresses) == (before.mac, before.addresses)


def test_disconnecting_a_dead_target_leaves_the_one_alone_that_has_its_number(lab: Lab) -> None:
    """Although that one's link has the same index."""
    create(lab.host, "net", *LAN, *QUIET)
    web = lab.named("web")
    number = numbered(lab.host, "web")
    first = join(lab.host, web, "net")
    index = web.link()["ifindex"]
    web.close()
    other = successor(lab, "other", number)
    second = join(lab.host, other, "net")
    assert other.link()["ifindex"] == index and first.mac != second.mac
    lab.host.macvnet("disconnect", "net", "netns:web").checked()
    assert other.addresses() == second.addresses
    assert lab.host.macvnet("check").checked().lines == []


def named_and_numbered(lab: Lab, target: Container) -> int:
    """The number of a process's namespace, which has a name as long as it is given."""
    name = f"of-{target.pid}"
    lab.host.run("ip", "netns", "attach", name, str(target.pid)).checked()
    number = numbered(lab.host, name)
    lab.host.run("ip", "netns", "del", name).checked()
    return number


def test_address_of_a_dead_process_is_free_although_its_number_is_in_use(lab: Lab) -> None:
    create(lab.host, "net", *LAN, *QUIET)
    first = lab.container()
    number = named_and_numbered(lab, first)
    assert join(lab.host, first, "net").ip == "172.16.86.2"
    first.close()
    assert wait_until(lambda: is_free(lab.host, number))
    second = lab.container()
    assert named_and_numbered(lab, second) == number
    assert join(lab.host, second, "net").ip == "172.16.86.2"


def test_target_that_lives_keeps_its_address_whatever_becomes_of_its_link(lab: Lab) -> None:
    """Its process says so, where root inside has taken the link away."""
    create(lab.host, "net", *LAN, *QUIET)
    target = lab.container()
    named_and_numbered(lab, target)
    assert join(lab.host, target, "net").ip == "172.16.86.2"
    target.ip("link", "del", "eth0")
    assert join(lab.host, lab.container(), "net").ip == "172.16.86.3"
    lab.host.macvnet("repair").checked()
    assert target.addresses() == ["172.16.86.2/24"]


def test_one_command_gives_neighbours_and_begins_anew_where_one_is_taken(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = [lab.named(f"c{number}") for number in range(4)]
    lab.host.ip("netns", "set", "c0", str(nsid.LOWEST + 12))
    begun = iter([10, 500])
    monkeypatch.setattr(chance, "below", lambda limit: next(begun))
    monkeypatch.setattr(nsid, "_free", nsid._Free())
    with inside(lab.host.fd), Rtnetlink() as netlink:
        given = []
        for one in named:
            with Namespace.open(f"/run/netns/{one.name}") as namespace:
                given.append(nsid.assign(netlink, namespace) - nsid.LOWEST)
    assert given == [12, 10, 11, 500]
