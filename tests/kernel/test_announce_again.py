"""macvnet announce: what the neighbours are told again, who sends it, and who is left out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.kernel.steps import LAN, ON_ETH0, create, join, notes, refused, wait_until
from tests.kernel.test_progress import watched
from tests.lab import Frame, Lab, Named, executable
from tests.lab.capture import Capture

REQUEST, NOT_FOUND, CONFLICT, PERMISSION, PARTLY = 3, 4, 5, 7, 13
DUAL = (*LAN[:2], "--subnet=2001:db8:86::/64", *LAN[2:])
PACE = ("-o", "com.docker.network.advertise_addr_ms=100")
COUNT = "com.docker.network.advertise_addr_nmsgs"


def announced(frame: Frame) -> bool:
    return frame.gratuitous_arp or frame.unsolicited_na


def told(wire: Capture) -> list[tuple[str, str | None]]:
    """Sender and address of each announcement, in order of both."""
    found = [(frame.src, frame.arp_spa or frame.nd_target) for frame in wire if announced(frame)]
    return sorted(found, key=str)


def quiet(lab: Lab) -> None:
    """Wait until what the connects announce has been announced."""
    time.sleep(0.5)
    with lab.router.capture(keep=announced) as wire:
        while True:
            seen = len(wire.frames)
            time.sleep(0.4)
            if len(wire.frames) == seen:
                return


def test_living_endpoints_are_announced_again_from_inside(
    make_lab: Callable[..., Lab],
) -> None:
    """Three times each address, by the endpoint's own MAC; who is gone is left out and named."""
    lab = make_lab(host=("172.16.86.5/24",))
    host = lab.host
    create(host, "net", *DUAL, *PACE, "--host-access")
    shared = ("-o", "parent=eth0", "-o", "share_parent=true")
    create(host, "silent", "--subnet=10.9.0.0/24", *shared, "-o", f"{COUNT}=0")
    create(host, "others", "--ipam-driver=null", *shared)
    web, other = lab.named("web"), lab.container()
    first, second = join(host, web, "net"), join(host, other, "net")
    shim = next(name for name in host.links() if name.startswith("mvh-"))
    shim_mac = host.mac(shim)
    [own] = host.addresses(shim)
    quiet(lab)
    expected = [
        *((joined.mac, each) for joined in (first, second) for each in (joined.ip, joined.ip6)),
        (shim_mac, own.partition("/")[0]),
    ]
    with lab.router.capture(keep=announced) as wire:
        done = host.macvnet("announce", "--all").checked()
        wire.wait_for(announced, count=3 * len(expected))
    assert (done.lines, notes(done)) == (["net"], [])
    assert told(wire) == sorted(expected * 3, key=str)

    # One container alone; the host's address is not the container's.
    with lab.router.capture(keep=announced) as wire:
        host.macvnet("announce", "net", web.target).checked()
        wire.wait_for(announced, count=6)
    assert told(wire) == sorted([(first.mac, first.ip), (first.mac, first.ip6)] * 3, key=str)

    # A neighbour that has it wrong, as after a fail-over, finds the container again.
    lab.router.ip("neigh", "replace", first.ip, "lladdr", "02:00:5e:00:53:99", "dev", "eth0")
    lab.router.ip("neigh", "change", first.ip, "dev", "eth0", "nud", "stale")
    host.macvnet("announce", "net").checked()
    [neighbour] = lab.router.query("neigh", "show", "to", first.ip)
    assert neighbour["lladdr"] == first.mac

    stranger = lab.container()
    done = host.macvnet("announce", "net", stranger.target)
    hint = refused(done, NOT_FOUND, "is not connected to network 'net'")
    assert hint.startswith("macvnet connect net")
    for name, why in (("silent", "advertise_addr_nmsgs=0"), ("others", "are not macvnet's")):
        refused(host.macvnet("announce", name, fork=True), REQUEST, why)

    host.ip("addr", "del", own, "dev", shim)
    web.ip("link", "set", "eth0", "down")
    pid = other.pid
    other.close()
    done = host.macvnet("announce", "net").checked()
    mend = "(macvnet repair net)"
    assert sorted(notes(done)) == [
        f"netns:web in network net: its link eth0 is down {mend}",
        f"pid:{pid} in network net: its process is gone",
        f"the host in network net: its link {shim} lacks the address {own[:-4]} {mend}",
    ]
    assert done.lines == []
    # One that was asked for is not left out.
    done = host.macvnet("announce", "net", web.target)
    assert refused(done, CONFLICT, "its link eth0 is down") == "macvnet repair net"
    web.ip("link", "del", "eth0")
    done = host.macvnet("announce", "net").checked()
    assert any("eth0 is missing (macvnet repair net)" in note for note in notes(done))


def test_what_is_told_is_what_the_kernel_has(make_lab: Callable[..., Lab]) -> None:
    """Somebody took an address away, maybe to another machine; somebody changed the MAC."""
    lab = make_lab(host=())
    host, web, other = lab.host, lab.named("web"), lab.named("other")
    create(host, "net", *DUAL, *PACE)
    first, second = join(host, web, "net"), join(host, other, "net")
    quiet(lab)
    web.ip("addr", "del", f"{first.ip}/24", "dev", "eth0")
    mac = "02:00:5e:00:53:77"
    other.ip("link", "set", "eth0", "address", mac)
    with lab.router.capture(keep=announced) as wire:
        done = host.macvnet("announce", "net").checked()
        wire.wait_for(announced, count=9)
    lacking = f"its link eth0 lacks the address {first.ip}"
    assert notes(done) == [f"netns:web in network net: {lacking} (macvnet repair net)"]
    expected = [(first.mac, first.ip6), (mac, second.ip), (mac, second.ip6)]
    assert told(wire) == sorted(expected * 3, key=str)
    web.ip("addr", "flush", "dev", "eth0")
    refused(host.macvnet("announce", "net", web.target, fork=True), CONFLICT, lacking)

    # Nobody is there to hear it, and nobody there to be heard.
    lab.switch.cable(host, plugged=False)
    done = host.macvnet("announce", "net", fork=True)
    assert refused(done, CONFLICT, "the parent eth0 has no carrier") == "ip link show eth0"
    done = host.macvnet("announce", "--all", fork=True)
    assert (done.status, done.lines) == (PARTLY, []) and "network net: nobody" in done.stderr
    host.macvnet("disconnect", "--all", "net", fork=True).checked()
    for words, whose in ((("net",), "network net"), (("--all",), "any network")):
        done = host.macvnet("announce", *words, fork=True).checked()
        assert (done.lines, notes(done)) == ([], [f"there is nothing of {whose} to announce"])


def test_addresses_of_the_router_s_prefix_are_announced_too(lab: Lab) -> None:
    create(lab.host, "six", *ON_ETH0, "--ipv4=false", "-o", "ipv6_mode=slaac", *PACE)
    web = lab.named("web")
    joined = join(lab.host, web, "six", "--ip6-token=::5")
    done = lab.host.macvnet("announce", "six", fork=True).checked()
    assert notes(done) == ["netns:web in network six: its link eth0 has learned no address yet"]
    with lab.router.advertising("2001:db8:7::/64"):
        assert wait_until(lambda: learned(web) == ["2001:db8:7::5"], 10)
    quiet(lab)
    with lab.router.capture(keep=announced) as wire:
        lab.host.macvnet("announce", "six").checked()
        wire.wait_for(announced, count=3)
    assert told(wire) == [(joined.mac, "2001:db8:7::5")] * 3


def learned(target: Named) -> list[str]:
    """Its addresses of a router's prefix, proved to be its own."""
    return [
        info["local"]
        for info in target.address_info()
        if info.get("dynamic") and info["scope"] == "global" and not info.get("tentative")
    ]


def test_without_the_right_to_send_it_is_refused(lab: Lab) -> None:
    create(lab.host, "net", *LAN, *PACE)
    web = lab.named("web")
    join(lab.host, web, "net")
    dropped = ("setpriv", "--inh-caps", "-all", "--bounding-set", "-net_raw")
    done = lab.host.run(*dropped, executable(), "announce", "net")
    refused(done, PERMISSION, "CAP_NET_RAW", "to send frames")


def test_at_most_arp_rate_frames_a_second_leave_on_a_parent(lab: Lab) -> None:
    """Of all its networks and both families; switches with ARP inspection shut a port at 15."""
    create(lab.host, "net", *DUAL, *PACE)
    create(lab.host, "more", "--subnet=10.9.0.0/24", *ON_ETH0, "-o", "share_parent=1", *PACE)
    for number in range(2):
        join(lab.host, lab.named(f"c{number}"), "net")
    join(lab.host, lab.named("c2"), "more")
    quiet(lab)
    env = {**os.environ, **lab.host.env, "TERM": "xterm", "COLUMNS": "80"}
    command = [*lab.host.enter, executable(), "announce", "--all"]
    with lab.router.capture(keep=announced) as wire:
        with watched(command, env) as terminal:
            # Longer than a second: a bar, which is gone when the results are told.
            for text in ("announcing", "/15", "\x1b[2K", "more", "net"):
                terminal.expect(text, 30)
        wire.wait_for(announced, count=15)
    assert len(wire.frames) == 15
    assert {frame.unsolicited_na for frame in wire} == {True, False}
    times = [frame.time for frame in wire]
    assert all(times[at + 10] - times[at] >= 0.95 for at in range(5))


@pytest.mark.needs("ipvlan")
def test_ipvlan_l2_is_announced_by_the_parent_and_l3_not_at_all(lab: Lab) -> None:
    create(lab.host, "l2", "-d", "ipvlan", *LAN, *PACE)
    joined = join(lab.host, lab.named("web"), "l2")
    quiet(lab)
    with lab.router.capture(keep=announced) as wire:
        lab.host.macvnet("announce", "l2").checked()
        wire.wait_for(announced, count=3)
    assert told(wire) == [(lab.host.mac(), joined.ip)] * 3
    lab.host.macvnet("detach", "netns:web").checked()
    lab.host.macvnet("rm", "l2").checked()
    create(lab.host, "l3", "-d", "ipvlan", *LAN, "-o", "ipvlan_mode=l3")
    refused(lab.host.macvnet("announce", "l3"), REQUEST, "no ARP in ipvlan mode l3")
    done = lab.host.macvnet("announce", "--all", fork=True).checked()
    assert (done.lines, notes(done)) == ([], ["there is nothing of any network to announce"])
