"""What the kernel refuses in host access and in routes is told with its meaning and what to ask."""

from __future__ import annotations

import errno
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from macvnet.addresses import Address
from macvnet.engine import endpoint_routes, host_routes, shims
from macvnet.errors import MEANINGS, KernelRefused
from macvnet.kernel import addressing, links, policy, sysctl
from macvnet.kernel.addressing import AddressInfo, RouteInfo
from macvnet.kernel.links import IFF_UP, LinkInfo
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.model import Owner
from macvnet.runtimes import Target
from tests.cli.fakes import endpoint, network

SHIM = LinkInfo(
    7, "mvh-eth0", "macvlan", "02:00:5e:00:53:01", "", 0, 1500, 2, None, 0,
    "", "", (), None, None, "", "",
)  # fmt: skip
SIX = Address.parse("2001:db8::1")
ROUTE = RouteInfo(4, Address.parse("192.0.2.10"), 32, 7, None, 109, 0, 253)
RULE = policy.rule_for(Address.parse("192.0.2.10"), 10900)


class Refusing:
    """A netlink that refuses every change with one errno."""

    tell = None

    def __init__(self, number: int) -> None:
        self._number = number

    def change(self, request: object) -> None:
        del request
        raise NetlinkError(self._number)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there: the shim with its address, no other link, and one rule of macvnet's."""
    monkeypatch.setattr(
        addressing, "all_addresses", lambda *_: [AddressInfo(SHIM.ifindex, SIX, 128, 0, 0)]
    )
    monkeypatch.setattr(addressing, "all_routes", lambda *_, **__: [])
    monkeypatch.setattr(addressing, "add_route", lambda *_: None)
    monkeypatch.setattr(addressing, "delete_route", lambda *_: None)
    monkeypatch.setattr(links, "all_links", lambda _: [])
    monkeypatch.setattr(policy, "all_rules", lambda *_: [RULE])
    monkeypatch.setattr(sysctl, "write", lambda *_: True)


def at(number: int) -> Any:
    """A target in which every change is refused."""
    owner = Owner("netns", "web", "", returns=True)
    target = Target(owner, SimpleNamespace(), None)  # type: ignore[arg-type]
    return SimpleNamespace(target=target, netlink=Refusing(number))


def ruled() -> Any:
    """An endpoint that has the rule's address."""
    held = endpoint(network("lan"))
    [first, *_] = held.addresses
    return held._replace(addresses=(first._replace(address=Address.parse("192.0.2.10")),))


REFUSED: list[tuple[Callable[[Any, int], object], str]] = [
    (lambda ctx, _: shims._mend(ctx, SHIM, SHIM._replace(ifindex=2)), "set mvh-eth0 up"),
    (
        lambda ctx, _: shims.address(ctx, SHIM, [Address.parse("2001:db8::9")]),
        "put an address on mvh-eth0",
    ),
    (
        lambda ctx, _: shims.unaddress(ctx, SHIM, SIX, last=False),
        "take an address off mvh-eth0",
    ),
    (lambda ctx, _: shims.unmake(ctx, SHIM, [SIX]), "remove the link mvh-eth0"),
    (
        lambda ctx, _: host_routes.add(ctx, ROUTE, SHIM),
        "make the route 192.0.2.10/32 dev mvh-eth0 on the host",
    ),
    (
        lambda ctx, _: host_routes.remove(ctx, ROUTE, SHIM),
        "remove the route 192.0.2.10/32 dev mvh-eth0 on the host",
    ),
    (
        lambda _, number: endpoint_routes.put(
            endpoint_routes.Routes((ROUTE,), ()), "eth1", at(number)
        ),
        "make the route 192.0.2.10/32 dev eth1 in netns:web",
    ),
    (
        lambda _, number: endpoint_routes.put(
            endpoint_routes.Routes((), (RULE,)), "eth1", at(number)
        ),
        "make the rule from 192.0.2.10 lookup 10900 in netns:web",
    ),
    (
        lambda _, number: endpoint_routes.remove(ruled(), at(number)),
        "remove the rule from 192.0.2.10 lookup 10900 in netns:web",
    ),
]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("act", "what"), REFUSED, ids=[what for _, what in REFUSED])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOBUFS, errno.EOPNOTSUPP])
def test_a_refusal_says_what_it_means(
    act: Callable[[Any, int], object], what: str, number: int
) -> None:
    ctx: Any = SimpleNamespace(netlink=Refusing(number), note_once=pytest.fail)
    with pytest.raises(KernelRefused) as refused:
        act(ctx, number)
    assert refused.value.message.startswith(f"cannot {what}: {MEANINGS[number]} (")
    assert refused.value.hint and refused.value.errno == number


@pytest.mark.usefixtures("quiet")
def test_what_somebody_else_took_away_meanwhile_is_gone_as_well() -> None:
    """The shim is deleted, or its parent, between the look and the message."""
    ctx: Any = SimpleNamespace(netlink=Refusing(errno.ENODEV))
    up = SHIM._replace(flags=IFF_UP)
    assert shims.unmake(ctx, up, [SIX]) == ""
    shims.unaddress(ctx, up, SIX, last=True)
    host_routes.remove(ctx, ROUTE, up)
    ctx.netlink = Refusing(errno.EADDRNOTAVAIL)
    shims.unaddress(ctx, up, SIX, last=True)
