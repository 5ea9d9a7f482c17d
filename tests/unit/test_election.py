"""Who has the default route, decided from values alone."""

from __future__ import annotations

from macvnet.addresses import Address, Subnet
from macvnet.engine.election import Decision, decide, winner
from macvnet.kernel import addressing
from macvnet.kernel.addressing import RouteInfo
from macvnet.model import Assigned, Endpoint, LinkOptions, Network, Owner, Pool, SandboxId


def member(
    ifindex: int,
    sequence: int,
    *,
    gateway: str | None = "192.0.2.1",
    gateway6: str | None = None,
    priority: int = 0,
    driver: str = "macvlan",
    mode: str = "bridge",
    parent: str = "eth0",
    internal: bool = False,
) -> tuple[Network, Endpoint]:
    pool = Pool("p", Subnet.parse("192.0.2.0/24"))
    network = Network(
        f"{ifindex:064x}",
        f"net{ifindex}",
        driver,
        "2026-01-01T00:00:00Z",
        "active",
        True,
        gateway6 is not None,
        internal,
        False,
        False,
        "",
        {},
        {},
        "default",
        {},
        "default",
        LinkOptions(parent=parent, mode=mode),
        None,
        (pool,),
    )
    assigned = [
        Assigned(
            "p",
            Address.parse(f"192.0.2.{ifindex}"),
            24,
            Address.parse(gateway) if gateway else None,
            False,
            False,
        )
    ]
    if gateway6:
        address = Address.parse(f"2001:db8::{ifindex}")
        assigned.append(Assigned("q", address, 64, Address.parse(gateway6), False, False))
    endpoint = Endpoint(
        f"{ifindex:064x}",
        network.id,
        "host",
        "joined",
        Owner("netns", "web"),
        SandboxId("boot", 7, 9),
        None,
        f"eth{ifindex}",
        ifindex,
        "02:00:00:00:00:01",
        tuple(assigned),
        sequence,
        priority,
    )
    return network, endpoint


def default(
    ifindex: int, gateway: str | None, protocol: int = addressing.ROUTE_PROTOCOL
) -> RouteInfo:
    family = 6 if gateway and ":" in gateway else 4
    found = addressing.default_route(family, ifindex, Address.parse(gateway) if gateway else None)
    return found._replace(protocol=protocol)


def gainer(decisions: list[Decision], family: int) -> int | None:
    found = [d for d in decisions if d.family == family and d.put]
    return found[0].gainer.ifindex if found and found[0].gainer else None


def test_first_to_join_keeps_the_route() -> None:
    first, second = member(2, 100), member(3, 200)
    assert decide([first, second], [default(2, "192.0.2.1")]) == []


def test_higher_priority_takes_it_over() -> None:
    first, second = member(2, 100), member(3, 200, priority=1)
    (decision,) = decide([first, second], [default(2, "192.0.2.1")])
    assert decision.take == (default(2, "192.0.2.1"),)
    assert decision.put == default(3, "192.0.2.1")


def test_next_takes_over_when_it_leaves() -> None:
    """Its route may still be there, or be gone with its link."""
    for present in ([default(2, "192.0.2.1")], []):
        decisions = decide([member(3, 200)], present, left=2)
        assert gainer(decisions, 4) == 3
        assert decisions[0].take == tuple(present)


def test_families_are_decided_separately() -> None:
    first = member(2, 100, gateway=None, gateway6="2001:db8::10")
    second = member(3, 200, gateway6="2001:db8::20")
    decisions = decide([first, second], [])
    assert (gainer(decisions, 4), gainer(decisions, 6)) == (3, 2)


def test_foreign_route_is_never_replaced() -> None:
    foreign = default(9, "198.51.100.1", protocol=3)
    (decision,) = decide([member(2, 100)], [foreign])
    assert (decision.take, decision.put, decision.foreign) == ((), None, foreign)


def test_route_of_our_protocol_on_a_foreign_link_is_foreign() -> None:
    elsewhere = default(9, "192.0.2.1")
    (decision,) = decide([member(2, 100)], [elsewhere])
    assert (decision.take, decision.foreign) == ((), elsewhere)


def test_router_advertisement_stands_beside_ours() -> None:
    learned = default(2, "2001:db8::1", protocol=addressing.PROTOCOL_RA)
    decisions = decide([member(2, 100, gateway6="2001:db8::10")], [learned])
    assert gainer(decisions, 6) == 2


def test_network_without_gateway_does_not_compete() -> None:
    """Docker 29 lets it win and then sets no route at all."""
    first, second = member(2, 100, gateway=None, priority=9), member(3, 200)
    found = winner([first, second], 4)
    assert found is not None
    assert found[0].ifindex == 3


def test_internal_and_parentless_networks_offer_none() -> None:
    assert winner([member(2, 100, internal=True), member(3, 100, parent="")], 4) is None


def test_layer_3_routes_go_out_without_a_gateway() -> None:
    found = winner([member(2, 100, driver="ipvlan", mode="l3", gateway=None)], 4)
    assert found is not None
    assert (found[1].gateway, found[1].scope) == (None, addressing.RT_SCOPE_LINK)


def test_nothing_is_done_without_members_or_routes() -> None:
    assert [d for d in decide([], []) if d.take or d.put or d.foreign] == []
