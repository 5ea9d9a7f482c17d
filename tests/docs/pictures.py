"""The screenshots in docs/pictures: drawn by the program's own hand, of a host that never was.

Run as a program it writes them anew: python -m tests.docs.pictures.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path
from types import MappingProxyType

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from macvnet.addresses import Address, Subnet
from macvnet.cli import drawing, ipam, top, tree
from macvnet.engine.accounting import PoolCounts
from macvnet.engine.overview import GONE, UP, Branch, Carried, Leaf
from macvnet.engine.traffic import Rate
from macvnet.ipam.counting import Counts
from macvnet.kernel.sight import Traffic
from macvnet.model import Assigned, Endpoint, LinkOptions, Network, Owner, Pool
from tests.cli.fakes import endpoint, network, seen
from tests.docs.pages import ROOT

FOLDER = ROOT / "docs/pictures"
COLUMNS = 80
# A page about networks on one's own host should not fetch fonts from another's.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def _network(name: str, number: int, *subnets: str, driver: str = "macvlan") -> Network:
    pools = tuple(Pool(f"p{number}{at}", Subnet.parse(text)) for at, text in enumerate(subnets))
    link = LinkOptions(parent="eth0", mode="bridge" if driver == "macvlan" else "l2")
    return network(name, number, driver=driver, link=link, pools=pools)


def _endpoint(of: Network, number: int, owner: str, *addresses: str) -> Endpoint:
    runtime, _, name = owner.partition(":")
    held = tuple(
        Assigned("p", Address.parse(text), pool.subnet.prefixlen, None, False, False)
        for text, pool in zip(addresses, of.pools, strict=False)
    )
    return endpoint(of, number, owner=Owner(runtime, name), addresses=held, ifname="eth0")


LAN = _network("lan", 1, "192.0.2.0/24", "2001:db8::/64")
OFFICE = _network("office", 2, "198.51.100.0/24")
LAB = _network("lab", 3, "203.0.113.0/25", driver="ipvlan")
WEB = _endpoint(LAN, 1, "docker:web", "192.0.2.128", "2001:db8::2")
MAIL = _endpoint(LAN, 2, "podman:mail", "192.0.2.129", "2001:db8::3")
PRINTER = _endpoint(OFFICE, 3, "lxc:printer", "198.51.100.20")
PROBE = _endpoint(LAB, 4, "netns:probe", "203.0.113.9")

ROOTS = [
    Branch(
        "eth0",
        seen("eth0"),
        False,
        (),
        (Carried(LAN, (Leaf(WEB, UP), Leaf(MAIL, UP))),),
        (
            Branch(
                "eth0.50",
                seen("eth0.50", kind="vlan", vlan_id=50),
                True,
                (),
                (Carried(OFFICE, (Leaf(PRINTER, GONE),)),),
                (),
            ),
        ),
    ),
    Branch(
        "bond0",
        seen("bond0", kind="bond"),
        False,
        ("eth1", "eth2"),
        (Carried(LAB, (Leaf(PROBE, UP),)),),
        (),
    ),
]
POOLS = [
    PoolCounts(LAN, LAN.pools[0], Counts(41, 5, 126, 84)),
    PoolCounts(LAN, LAN.pools[1], Counts(41, 2, 0, (1 << 64) - 43)),
    PoolCounts(LAB, LAB.pools[0], Counts(110, 3, 0, 15)),
]
RATES = [
    Rate(WEB, "lan", 4.81e6, 93.4e6, 6110, 8420, Traffic(0, 0, 0, 0)),
    Rate(MAIL, "lan", 1.2e6, 86_300, 212, 131, Traffic(0, 0, 0, 0)),
    Rate(PROBE, "lab", 840, 840, 1, 1, Traffic(0, 0, 0, 0)),
]


def _tree(console: Console) -> None:
    for line in tree.picture(ROOTS, COLUMNS, drawing.DRAWN):
        drawing.put(console, line)


def _status(console: Console) -> None:
    for line in ipam.picture(POOLS, COLUMNS, drawing.DRAWN):
        drawing.put(console, line)


def _top(console: Console) -> None:
    console.print(top.picture(RATES, 1.0, COLUMNS, 24))


DRAWERS: Mapping[str, tuple[str, Callable[[Console], None]]] = MappingProxyType(
    {
        "tree": ("macvnet tree", _tree),
        "ipam-status": ("macvnet ipam status", _status),
        "top": ("macvnet top", _top),
    }
)


def svg(name: str) -> str:
    """A screenshot as it is drawn now."""
    title, draw = DRAWERS[name]
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), markup=False, highlight=False, emoji=False
    )
    draw(console)
    drawn = console.export_svg(title=title, code_format=FORMAT, unique_id=f"macvnet-{name}")
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def path(name: str) -> Path:
    return FOLDER / f"{name}.svg"


def words(drawn: str) -> list[str]:
    """What can be read in a screenshot, whatever draws the frame around it."""
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in DRAWERS:
        path(name).write_text(svg(name), encoding="utf-8")


if __name__ == "__main__":
    main()
