"""``make forms``: the messages that commands send every day, encoded by pyroute2 beforehand.

Writes macvnet/kernel/prepared.py. ``tests/unit/test_message_forms.py`` fails when
the file is not what the pyroute2 that is installed makes today. Knows which
messages are worth it; a command that sends another loads pyroute2's classes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from macvnet.addresses import IPV4, IPV6, Address
from macvnet.drivers import ipvlan, macvlan
from macvnet.engine import endpoint_link
from macvnet.kernel import addressing, links, messages, nsid, qdiscs, rtnetlink
from macvnet.kernel.constants import IPVLAN_FLAGS, IPVLAN_MODES, NAME_MAX
from macvnet.kernel.links import IFF_UP
from macvnet.model import Endpoint, LinkOptions, LinkPlan

FILE = Path(__file__).parents[1] / "macvnet" / "kernel" / "prepared.py"
HEAD = '''"""Messages that pyroute2 encoded when macvnet was made; ``make forms`` writes this."""

# fmt: off
# ruff: noqa: E501
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from macvnet.kernel.messages import Form, Key

BYTE_ORDER = {order!r}
FORMS: dict[Key, Form] = {{
'''
MAC, NAME, NUMBER = "02:00:00:00:00:01", "x" * NAME_MAX, 7
EITHER = (False, True)
ADDRESSES = (Address(IPV4, 0xC0000201), Address(IPV6, 0x20010DB8 << 96 | 1))


def _plans() -> Iterator[LinkPlan]:
    """The links of all endpoints, and the ones that hold a place; with a MTU of their own too."""
    found = [
        *(macvlan.plan(LinkOptions(mode=mode), mac) for mode in macvlan.MODES for mac in ("", MAC)),
        *(
            ipvlan.plan(LinkOptions(mode=mode, flag=flag), "")
            for mode in IPVLAN_MODES
            for flag in IPVLAN_FLAGS
        ),
    ]
    yield LinkPlan("dummy", ())
    for plan in found:
        yield plan
        yield plan._replace(mtu=9000)


def _send_everything(alias: int) -> None:
    """Make every message once; ``alias`` is how many bytes that of an endpoint has."""
    for plan in _plans():
        links.add(plan, NAME, lower=NUMBER, lower_name=NAME)
        links.add(plan, NAME, lower=NUMBER, lower_name=NAME, namespace_fd=NUMBER, group=NUMBER)
    for flags in (0, IFF_UP):
        links.change(NUMBER, NAME, flags=flags)
    links.change(NUMBER, NAME, address=MAC)
    links.change(NUMBER, NAME, mtu=NUMBER)
    links.change(NUMBER, NAME, ifname=NAME)
    links.change(NUMBER, NAME, ifalias="x" * alias, group=0, flags=IFF_UP)
    links.question_named(NAME)
    for where in (None, NUMBER):
        links.delete(NUMBER, NAME, nsid=where)
    for name, attributes in (
        ("ifinfmsg", ()),
        ("ifinfmsg", ("IFLA_IF_NETNSID",)),
        ("ifaddrmsg", ()),
        ("rtmsg", ()),
        ("nsidmsg", ()),
        ("fibmsg", ()),
        ("tcmsg", ()),
    ):
        rtnetlink.question_all(name, 0, dict.fromkeys(attributes, NUMBER))
    for numbers in (
        ("NETNSA_FD",),
        ("NETNSA_NSID", "NETNSA_FD"),
        ("NETNSA_NSID", "NETNSA_TARGET_NSID"),
    ):
        nsid.message(**dict.fromkeys(numbers, NUMBER))
    for rate in (1, 1 << 33):
        qdiscs.limit(NUMBER, rate, 1500)
    for address in ADDRESSES:
        for prefixlen in (24, 32):
            addressing.add_address(NUMBER, NAME, address, prefixlen)
        addressing.delete_address(NUMBER, NAME, address, 24)
        for subnet, via, source, metric in product(EITHER, repeat=4):
            route = addressing.RouteInfo(
                address.family,
                address if subnet else None,
                24,
                NUMBER,
                address if via else None,
                addressing.ROUTE_PROTOCOL,
                NUMBER if metric else 0,
                0,
                source=address if source else None,
            )
            addressing.add_route(route, NAME)
            addressing.add_route(route._replace(table=NUMBER), NAME)


def made() -> dict[messages.Key, messages.Form]:
    """Every form, encoded anew."""
    nameless = cast(Endpoint, SimpleNamespace(id="0" * 64, host_id="0" * 64))
    before = messages.prepared, messages.forms
    messages.prepared, messages.forms = (lambda key: None), {}
    try:
        _send_everything(len(endpoint_link.tag(nameless)))
        return messages.forms
    finally:
        messages.prepared, messages.forms = before


def source() -> str:
    """The text of the file."""
    lines = sorted(f"    {key!r}:\n        {form!r},\n" for key, form in made().items())
    return HEAD.format(order=sys.byteorder) + "".join(lines) + "}\n"


if __name__ == "__main__":
    if sys.byteorder != "little":
        sys.exit("make forms: on a little-endian machine, please; what is there serves those")
    FILE.write_text(source())
