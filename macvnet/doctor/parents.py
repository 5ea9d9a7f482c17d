"""What speaks against a parent: asked before a link is made, after one was refused, and at leisure.

Each sentence is written here and nowhere else: ``create`` refuses with it, a
refusal of the kernel is explained by it, and ``doctor`` finds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from macvnet.doctor.commands import again
from macvnet.doctor.facts import Facts, Parent, Upper, Use
from macvnet.doctor.findings import Cause, Finding
from macvnet.drivers import Driver, driver
from macvnet.kernel.links import LinkInfo
from macvnet.model import LinkOptions
from macvnet.text import quoted

PASSTHRU = "passthru"
# Slaves of a VRF keep their receive handler free; those of every other master do not, also
# of one without a kind: a virtual function below Hyper-V's or QEMU's card.
FREE_SLAVES = ("vrf",)
OPEN_VSWITCH = "openvswitch"

CAUSES = (
    Cause(
        "parent-missing",
        "The parent of a network is not there, so nothing can be connected.",
        "There is no link of that name or ifindex, and macvnet did not make it.",
        "Plug it in, load its driver, or make the network again on another parent.",
    ),
    Cause(
        "parent-loopback",
        "The kernel puts no macvlan and no VLAN on a loopback interface.",
        "The link has the flag LOOPBACK.",
        "Choose the link that leads to the LAN, or none: then a dummy carries the network.",
    ),
    Cause(
        "parent-port",
        "A port of a bridge, bond, team or Open vSwitch hands its frames to its master, so it "
        "cannot be a parent (device or resource busy).",
        "The link has a master that is no VRF.",
        "Use the master as parent.",
    ),
    Cause(
        "parent-down",
        "Nothing goes through a parent that is down; no VLAN on it can be set up.",
        "The link lacks the flag UP.",
        "Set it up.",
    ),
    Cause(
        "parent-no-carrier",
        "No cable, no access point, no peer: the parent is up, and nothing goes through it.",
        "The link lacks the flag LOWER_UP.",
        "See to the cable, the switch's port, or the other end.",
    ),
    Cause(
        "drivers-mixed",
        "The kernel allows macvlan or ipvlan on one parent, not both (device or resource busy).",
        "Links of the other driver are on the parent, in this namespace or in one that has a "
        "number here.",
        "Use the driver that is there, or remove its links.",
    ),
    Cause(
        "passthru-siblings",
        "A macvlan of mode passthru has the whole parent; no other goes beside it (invalid "
        "argument).",
        "A passthru link is on the parent, or this network is passthru and others are.",
        "Remove one or the other.",
    ),
    Cause(
        "ipvlan-modes-differ",
        "Mode and flag of an ipvlan belong to the parent: a new link changes those of all others.",
        "An ipvlan link on the parent has another mode or flag than the network.",
        "Give all networks on the parent one mode and flag.",
    ),
    Cause(
        "mtu-above-parent",
        "The kernel refuses a link whose MTU is above its parent's, and lowers those it has.",
        "The network's mtu is above the parent's.",
        "Raise the parent's MTU, if the LAN carries it, or make the network with a lower one.",
    ),
    Cause(
        "mac-held",
        "Two macvlans on one parent cannot have one MAC and be up (address already in use).",
        "Another link on the parent has an endpoint's MAC.",
        "Remove the other link, or give it another MAC.",
    ),
    Cause(
        "vlan-other-name",
        "A VLAN can be on a link once only, and it is there under another name.",
        "A sub-interface of the same lower link has the same VLAN ID.",
        "Use it as the parent.",
    ),
)


def loopback(name: str, hint: str) -> Finding:
    """lo, or whatever has its flag."""
    return Finding(
        "parent-loopback",
        f"parent {name}",
        f"the loopback interface {quoted(name)} cannot be a parent",
        hint,
    )


def port(link: LinkInfo, master: str) -> Finding | None:
    """Its receive handler is its master's."""
    if not link.master or link.slave_kind in FREE_SLAVES:
        return None
    # ovs-system is nobody's bridge: it stands for all of Open vSwitch's.
    switch = f"$(ovs-vsctl port-to-br {link.name})" if link.slave_kind == OPEN_VSWITCH else master
    return Finding(
        "parent-port",
        f"parent {link.name}",
        f"{quoted(link.name)} is a port of the {link.slave_kind or 'link'} {quoted(master)} and "
        "cannot be a parent",
        f"-o parent={switch}",
    )


def mtu_above(mtu: int, link: LinkInfo, subject: str = "") -> Finding | None:
    """``mtu`` in bytes; 0 takes the parent's."""
    if not link.mtu or mtu <= link.mtu:
        return None
    mend = f"ip link set {link.name} mtu {mtu}"
    return Finding(
        "mtu-above-parent",
        subject or f"parent {link.name}",
        f"mtu {mtu} is above that of the parent {link.name}, {link.mtu}",
        mend if subject else f"-o mtu={link.mtu}, or {mend}",
    )


def occupied(
    kind: Driver, options: LinkOptions, link: LinkInfo, uppers: Sequence[Upper]
) -> Iterator[Finding]:
    """Links on the parent that the kernel lets no link of this network beside.

    ``uppers`` are those of others: a network is not in its own way.
    """
    subject = f"parent {link.name}"
    for upper in uppers:
        other, where = upper.link, upper.where
        if other.kind in kind.FOREIGN_KINDS:
            yield Finding(
                "drivers-mixed",
                subject,
                f"{quoted(link.name)} carries the {other.kind} link {quoted(other.name)}{where}, "
                "and the kernel allows macvlan or ipvlan on one parent, not both",
                f"-d {other.kind.replace('tap', 'lan')}",
            )
        elif other.kind in kind.OWN_KINDS and other.mode == PASSTHRU:
            yield Finding(
                "passthru-siblings",
                subject,
                f"{quoted(other.name)}{where} in mode passthru has the whole parent "
                f"{quoted(link.name)}",
                removal(upper),
            )
        elif other.kind in kind.OWN_KINDS and kind.exclusive(options):
            yield Finding(
                "passthru-siblings",
                subject,
                f"mode passthru takes the whole parent {quoted(link.name)}, which carries the "
                f"{other.kind} link {quoted(other.name)}{where}",
                removal(upper),
            )
        elif (
            kind.NAME == "ipvlan"
            and other.kind in kind.OWN_KINDS
            and (other.mode, other.flag) != (options.mode, options.flag)
        ):
            yield Finding(
                "ipvlan-modes-differ",
                subject,
                f"{quoted(link.name)} carries {quoted(other.name)}{where} with ipvlan mode "
                f"{other.mode} and flag {other.flag}, which this network would change",
                f"-o ipvlan_mode={other.mode} -o ipvlan_flag={other.flag}",
            )


def removal(upper: Upper) -> str:
    """What to type to be rid of a link; a number leads to a name in ``ip netns list-id`` only."""
    if upper.nsid is None:
        return f"ip link delete {upper.link.name}"
    return f"ip netns list-id, then ip -n NAME link delete {upper.link.name}"


def vlan_present(vlan_id: int, lower: str, name: str) -> Finding:
    """The VLAN is on the lower link under ``name``."""
    return Finding(
        "vlan-other-name",
        f"parent {lower}.{vlan_id}",
        f"VLAN {vlan_id} is present on {lower} already, under the name {quoted(name)}",
        f"-o parent={name}",
    )


def lower_down(lower: LinkInfo) -> Finding:
    """No VLAN on it can be set up (ENETDOWN)."""
    return Finding(
        "parent-down",
        f"parent {lower.name}",
        f"{quoted(lower.name)} is down, so no sub-interface on it can be set up",
        f"ip link set {lower.name} up",
    )


def examine(facts: Facts) -> Iterator[Finding]:
    """What is found of the parents of all uses."""
    for use in facts.uses:
        yield from of_use(use)


def of_use(use: Use) -> Iterator[Finding]:
    """What is found of one use's parent; what the kernel refuses comes first."""
    parent = use.parent
    link = parent.link
    if link is None:
        yield from _missing(use)
        return
    if link.loopback:
        yield loopback(parent.name, _instead(parent))
        return
    found = port(link, parent.master)
    if found is not None:
        yield _mended(use, found)
    for found in occupied(driver(use.driver), use.options, link, _of_others(use)):
        yield _mended(use, found)
    above = mtu_above(use.options.mtu, link, use.subject)
    if above is not None:
        yield above
    yield from _macs(use, link)
    yield from _state(parent, link)


def _mended(use: Use, found: Finding) -> Finding:
    """Flags that a network is to be made with become, for one that is there, the whole command."""
    if not use.network or not found.fix.startswith("-"):
        return found
    flag, _, word = found.fix.partition(" ")
    if flag == "-d":
        return found._replace(fix=again(use, driver=word))
    if word.startswith("parent="):
        return found._replace(fix=again(use, parent=word.removeprefix("parent=")))
    return found._replace(fix=again(use, options=found.fix))


def _instead(parent: Parent, suffix: str = "") -> str:
    return f"-o parent={parent.instead}{suffix}" if parent.instead else "ip -br link"


def _of_others(use: Use) -> list[Upper]:
    mine = {member.id for member in use.members}
    inside = {member.nsid for member in use.members} - {None}
    return [
        upper
        for upper in use.parent.uppers
        if upper.endpoint not in mine and upper.nsid not in inside
    ]


def _missing(use: Use) -> Iterator[Finding]:
    parent, lower = use.parent, use.parent.lower
    if parent.same_vlan and lower is not None:
        yield _mended(use, vlan_present(parent.vlan_id, lower.name, parent.same_vlan))
    if lower is not None and lower.loopback:
        yield loopback(lower.name, _instead(parent, f".{parent.vlan_id}"))
    elif lower is not None:
        if not lower.up:
            yield lower_down(lower)
        above = mtu_above(use.options.mtu, lower, use.subject)
        if above is not None:
            yield above
    elif not parent.made or parent.vlan_id:
        yield Finding(
            "parent-missing",
            use.subject,
            f"the parent {quoted(parent.name)} was not found on this host",
            "ip -br link",
        )


def _state(parent: Parent, link: LinkInfo) -> Iterator[Finding]:
    subject = f"parent {link.name}"
    if parent.lower is not None and not parent.lower.up:
        # A VLAN goes down with the link below it.
        yield lower_down(parent.lower)
    elif not link.up:
        text = f"the parent {quoted(link.name)} is down"
        yield Finding("parent-down", subject, text, f"ip link set {link.name} up")
    elif not link.carrier:
        at = parent.lower if parent.lower is not None else link
        text = f"the parent {quoted(link.name)} has no carrier"
        yield Finding("parent-no-carrier", subject, text, f"ethtool {at.name}")


def _macs(use: Use, link: LinkInfo) -> Iterator[Finding]:
    if not driver(use.driver).has_own_mac(use.options):
        return
    held: dict[str, list[Upper]] = {}
    for upper in use.parent.uppers:
        held.setdefault(upper.link.mac, []).append(upper)
    for member in use.members:
        for upper in held.get(member.mac, ()) if member.mac else ():
            elsewhere = upper.nsid is None or upper.nsid != member.nsid
            if elsewhere and upper.endpoint != member.id:
                yield Finding(
                    "mac-held",
                    f"{member.owner} in {use.subject}",
                    f"the MAC {member.mac} of {member.owner} is also that of {upper.link.kind} "
                    f"{quoted(upper.link.name)} on {link.name}{upper.where}",
                    removal(upper),
                )
