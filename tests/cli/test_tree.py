"""The host as a tree: what each line says, within 80 columns, whatever things are called."""

from __future__ import annotations

import json

from macvnet.addresses import Address
from macvnet.cli import drawing, tree
from macvnet.cli.tables import breadth
from macvnet.engine import overview
from macvnet.engine.overview import Branch, Carried, Leaf
from macvnet.kernel.learned import Learned
from macvnet.model import CREATING, LinkOptions, Owner
from tests.cli.conftest import Macvnet
from tests.cli.fakes import FakeEngine, endpoint, network, seen

LAN = network("lan")
V50 = network("v50", 2, internal=True, state=CREATING, pools=())
ROOTS = [
    Branch(
        "bond0",
        seen("bond0", kind="bond", flags=0x1),
        False,
        ("eth0", "eth1"),
        (
            Carried(
                LAN,
                (
                    Leaf(endpoint(LAN, 1), overview.UP),
                    Leaf(endpoint(LAN, 2, owner=Owner("docker", "db")), overview.GONE),
                    Leaf(endpoint(LAN, 3, ifname="", addresses=()), overview.BEING_MADE),
                ),
            ),
        ),
        (
            Branch(
                "bond0.50",
                seen("bond0.50", kind="vlan", vlan_id=50, flags=0),
                True,
                (),
                (Carried(V50, ()),),
                (),
            ),
        ),
    ),
    Branch("eth7", None, False, (), (Carried(network("old", 3, pools=()), ()),), ()),
    Branch("", None, False, (), (Carried(network("plan", 4, config_only=True, pools=()), ()),), ()),
]


def drawn(room: int | None, signs: drawing.Signs = drawing.DRAWN) -> list[str]:
    return [str(line) for line in tree.picture(ROOTS, room, signs)]


def test_everything_is_said_without_colour() -> None:
    assert drawn(None) == [
        "bond0  bond  of eth0, eth1  no carrier",
        "├─ lan  macvlan bridge  2001:db8::/64  192.0.2.0/24",
        "│  ├─ ● netns:web  eth0  192.0.2.10/24  2001:db8::2/64",
        "│  ├─ ○ docker:db  eth1  192.0.2.10/24  2001:db8::2/64  gone",
        "│  └─ ! netns:web  being made",
        "└─ bond0.50  VLAN 50  down  made by macvnet",
        "   └─ v50  macvlan bridge  internal  creating",
        "eth7  missing",
        "└─ old  macvlan bridge",
        "on no link",
        "└─ plan  settings only",
    ]


def test_what_was_learned_stands_behind_what_was_given() -> None:
    six = network("six", 5, link=LinkOptions(parent="eth0", mode="bridge", ipv6_mode="slaac"))
    held = Learned(Address.parse("2001:db8:7::5"), 64, "preferred", 60)
    leaf = Leaf(endpoint(six, 1), overview.UP, learned=(held,))
    root = Branch("eth0", seen("eth0"), False, (), (Carried(six, (leaf,)),), ())
    _, its_network, its_leaf = map(str, tree.picture([root], None, drawing.DRAWN))
    assert its_network.endswith("  slaac") and its_leaf.endswith("  2001:db8:7::5/64")


def test_lines_too_long_for_a_terminal_go_on_below() -> None:
    lines = drawn(40)
    assert max(map(breadth, lines)) <= 40
    assert lines[:7] == [
        "bond0  bond  of eth0, eth1  no carrier",
        "├─ lan  macvlan bridge  2001:db8::/64",
        "│  │  192.0.2.0/24",
        "│  ├─ ● netns:web  eth0  192.0.2.10/24",
        "│  │     2001:db8::2/64",
        "│  ├─ ○ docker:db  eth1  192.0.2.10/24",
        "│  │     2001:db8::2/64  gone",
    ]


def test_signs_for_streams_without_others() -> None:
    lines = drawn(None, drawing.TYPED)
    assert all(line.isascii() for line in lines)
    assert lines[2:4] == [
        "|  |- * netns:web  eth0  192.0.2.10/24  2001:db8::2/64",
        "|  |- o docker:db  eth1  192.0.2.10/24  2001:db8::2/64  gone",
    ]


def test_names_of_others_are_made_printable(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.joined[engine.known[0].id] = [
        endpoint(engine.known[0], owner=Owner("docker", "\x1b[2J\u202e日本"), ifname="\x07e")
    ]
    said = macvnet("tree")
    assert "\x1b" not in said.out and "\u202e" not in said.out and "\x07" not in said.out
    assert "docker:\\x1b[2J\\u202e日本  \\x07e" in said.out
    leaf = json.loads(macvnet("tree", "--format", "json").out)[0]["networks"][0]["endpoints"][0]
    assert leaf["container"] == "docker:\x1b[2J\u202e日本"


def test_tree_as_json(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.joined[engine.known[0].id] = [endpoint(engine.known[0])]
    eth0, lan1 = json.loads(macvnet("tree", "--all", "--format=json").out)
    assert (eth0["link"], eth0["up"], eth0["missing"], eth0["made"]) == ("eth0", True, False, False)
    assert eth0["networks"][0]["endpoints"] == [
        {
            "container": "netns:web",
            "endpoint_id": "e1" * 32,
            "interface": "eth0",
            "mac": "4a:11:6b:03:9e:42",
            "addresses": ["192.0.2.10/24", "2001:db8::2/64"],
            "learned": [],
            "condition": "up",
        }
    ]
    assert (lan1["link"], lan1["networks"], lan1["links"]) == ("lan1", [], [])


def test_tree_without_networks_says_so(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = []
    assert macvnet("tree") == (0, "", "macvnet: note: there is no network\n")
    assert macvnet("tree", "-a").out == "lan1  up\n"
    assert macvnet("tree", "--format", "json").out == "[]\n"
