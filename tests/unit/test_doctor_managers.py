"""Whether a manager of networks is about to configure a link of macvnet's, from recorded trees.

Most hosts have one of them at work; on most it leaves alone what it did not make.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from macvnet import doctor
from macvnet.doctor.facts import Facts, Parent, Use
from macvnet.model import LinkOptions
from macvnet.surroundings import managers
from macvnet.surroundings.managers import Place
from tests.lab.trees import Tree

MAC = "02:00:5e:00:53:01"
VLAN, LAN7 = Place("eth0.50", "vlan", lower="eth0", vlan_id=50), Place("lan7", "dummy")


def fix(cause: str, seen: tuple[tuple[str, str], ...]) -> str:
    """What is to be typed where these managers are at work."""
    parent = Parent("eth0.50", made=True, managers=seen)
    use = Use("lan", "macvlan", LinkOptions(mode="bridge"), (), parent)
    return {one.cause: one.fix for one in doctor.examine(Facts(uses=(use,)))}[cause]


NETWORKD = "run/systemd/netif/links"
ETC, LIB = "etc/systemd/network", "usr/lib/systemd/network"


@pytest.mark.parametrize(
    ("files", "file"),
    [
        ({f"{ETC}/50-all.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes"}, "50-all"),
        ({f"{ETC}/50-all.network": "[Match]\nName=!lo\n[Network]\nDHCP=yes"}, "50-all"),
        ({f"{ETC}/50-all.network": "[Match]\nType=ether\n[Network]\nDHCP=yes"}, ""),
        ({f"{ETC}/50-all.network": "[Match]\nType=vlan\n[Network]\nDHCP=yes"}, "50-all"),
        ({f"{ETC}/50-all.network": "[Match]\nKind=vlan\n[Network]\nDHCP=yes"}, "50-all"),
        ({f"{ETC}/50-all.network": "[Match]\nName=*\nMACAddress=02:00:5e:00:53:09"}, ""),
        ({f"{ETC}/50-all.network": "[Match]\nMACAddress=02:00:5E:00:53:01"}, "50-all"),
        # What netplan writes for a card, and systemd itself has.
        ({f"{ETC}/50-all.network": f"[Match]\nMACAddress={MAC}\nType=!vlan bond bridge"}, ""),
        ({f"{ETC}/50-all.network": f"[Match]\nPermanentMACAddress={MAC}"}, ""),
        ({f"{ETC}/50-all.network": "[Match]\nType=ether\nKind=!*\n[Network]\nDHCP=yes"}, ""),
        ({f"{ETC}/50-all.network": "[Match]\nKind=veth\nName=ve-*"}, ""),
        ({f"{ETC}/50-all.network": "[Network]\nDHCP=yes"}, ""),
        ({f"{ETC}/50-all.network": "[Match]\nName=eth0"}, ""),
        # The first file decides, and one in /etc hides its namesake.
        (
            {
                f"{ETC}/50-all.network": "[Match]\nName=*",
                f"{LIB}/00-macvnet-eth0.50.network": "[Match]\nName=eth0.50\n[Link]\nUnmanaged=yes",
            },
            "",
        ),
        (
            {
                f"{ETC}/50-all.network": "",
                f"{LIB}/50-all.network": "[Match]\nName=*",
            },
            "",
        ),
    ],
)
def test_networkd_takes_what_its_first_matching_file_says(
    tree: Tree, files: dict[str, str], file: str
) -> None:
    root = tree({NETWORKD: "/", **files})
    seen = managers.look(root, VLAN._replace(mac=MAC))
    expected = ((managers.NETWORKD, f"/{ETC}/{file}.network"),) if file else ()
    assert seen == expected


def test_what_the_networkd_fix_writes_ends_the_finding(tree: Tree, tmp_path: Path) -> None:
    root = tree({NETWORKD: "/", f"{ETC}/50-all.network": "[Match]\nName=eth*"})
    seen = managers.look(root, VLAN)
    write = fix("networkd-interferes", seen).partition(" && ")[0]
    os.system(write.replace("> /", f"> {tmp_path}/"))
    assert managers.look(root, VLAN) == ()


NM = "etc/NetworkManager"
AT_WORK = {"run/NetworkManager/devices": "/"}
PROFILE = f"{NM}/system-connections/office.nmconnection"


@pytest.mark.parametrize(
    ("profile", "configures"),
    [
        ("[connection]\ntype=vlan\ninterface-name=eth0.50", True),
        ("[connection]\ntype=vlan\n[vlan]\nid=50\nparent=eth0", True),
        ("[connection]\ntype=vlan\n[vlan]\nid=51\nparent=eth0", False),
        ("[connection]\ninterface-name=eth0.50\nautoconnect=false", False),
        # What a laptop or a server has: nothing of it is for links that others make.
        ("[connection]\ntype=wifi\ninterface-name=wlp0s20f3", False),
        ("[connection]\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=auto", False),
        ("[connection]\nid=Wired connection 1\ntype=ethernet", False),
        ("", False),
    ],
)
def test_networkmanager_configures_only_what_a_profile_is_for(
    tree: Tree, profile: str, configures: bool
) -> None:
    expected = ((managers.NETWORKMANAGER, f"/{PROFILE}"),) if configures else ()
    assert managers.look(tree({**AT_WORK, PROFILE: profile}), VLAN) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[keyfile]\nunmanaged-devices=interface-name:eth0.*",
        "[keyfile]\nunmanaged-devices=mac:02:00:5e:00:53:09;interface-name:eth0.50",
        "[keyfile]\nunmanaged-devices+=type:vlan",
        "[keyfile]\nunmanaged-devices=*",
    ],
)
def test_networkmanager_leaves_alone_what_it_is_told_to(tree: Tree, text: str) -> None:
    profile = {PROFILE: "[connection]\ninterface-name=eth0.50"}
    assert managers.look(tree({f"{NM}/conf.d/a.conf": text, **profile}), VLAN) == ()
    assert managers.look(tree({**AT_WORK}), VLAN) == ()
    expected = () if text.endswith("=*") else ((managers.NETWORKMANAGER, f"/{PROFILE}"),)
    assert managers.look(tree({PROFILE: "[connection]\ninterface-name=lan7"}), LAN7) == expected


def test_what_the_networkmanager_fix_writes_ends_the_finding(tree: Tree, tmp_path: Path) -> None:
    profile = {PROFILE: "[connection]\ninterface-name=eth0.50"}
    root = tree({**AT_WORK, f"{NM}/conf.d": "/", **profile})
    seen = managers.look(root, VLAN)
    write = fix("networkmanager-interferes", seen).partition(" && ")[0]
    os.system(write.replace("> /", f"> {tmp_path}/"))
    assert managers.look(root, VLAN) == ()
