"""Play the story of Docker's macvlan guide with macvnet, in a throw-away lab.

    make demo

A switch, an external router, one more machine, and a host whose parent
interface is eth0, all of them namespaces; the commands are the installed
executable's. Says after each step whether what was promised is so, and ends
with a non-zero status if anything was not. The kinds of link that this kernel
lacks are played inside User Mode Linux.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable

from tests.lab import Container, Lab, Machine, kinds, uml
from tests.lab.command import Result

UML_SECONDS = 600
ROUTER_ADDRESSES = ("172.16.86.1/24", "192.168.32.254/24")


class Story:
    """Prints commands with a prompt and their output, and keeps count of promises."""

    def __init__(self) -> None:
        self.kept = 0
        self.broken: list[str] = []

    def chapter(self, title: str) -> None:
        print(f"\n=== {title}", flush=True)

    def say(self, text: str) -> None:
        print(f"# {text}", flush=True)

    def promise(self, text: str, kept: bool) -> None:
        """Print whether it is so; remember it if not."""
        if kept:
            self.kept += 1
        else:
            self.broken.append(text)
        print(f"  {'ok' if kept else 'NOT SO'}: {text}", flush=True)

    def shell(
        self, machine: Machine, line: str, *, fails: bool = False, why: str | None = None
    ) -> Result:
        """Run a command line in a machine, which must succeed (or fail, as said)."""
        words = shlex.split(line.replace("\\\n", " "))
        print(f"{machine.name} $ {line}", flush=True)
        result = machine.macvnet(*words[1:]) if words[0] == "macvnet" else machine.run(*words)
        print(result.stdout + result.stderr, end="", flush=True)
        if why:
            self.promise(why, result.ok != fails)
        elif result.ok == fails:
            self.promise(f"`{line}` {'fails' if fails else 'succeeds'}", False)
        return result

    def ping(self, machine: Machine, address: str, why: str, *, answered: bool = True) -> None:
        line = f"ping -n -c 2 -i 0.3 -W {2 if answered else 1} {address}"
        self.shell(machine, line, fails=not answered, why=why)


def simple_bridge(story: Story) -> None:
    story.chapter("Simple bridge mode")
    with Lab(router=ROUTER_ADDRESSES, default_route=True) as lab:
        outside = lab.external("172.16.86.77/24")
        first, second = lab.container(), lab.container()
        story.shell(lab.host, "ip addr show eth0")
        story.shell(
            lab.host,
            "macvnet create -d macvlan \\\n    --subnet=172.16.86.0/24 \\\n"
            "    --gateway=172.16.86.1 \\\n    -o parent=eth0 pub_net",
        )
        story.say(f"two containers, plain processes in namespaces: {first.pid} and {second.pid}")
        story.shell(lab.host, f"macvnet attach --net pub_net --ip 172.16.86.10 {first.pid}")
        story.shell(lab.host, f"macvnet attach {second.pid}")
        story.shell(second, "ip addr show eth0")
        story.shell(second, "ip route")
        story.promise(
            "the second container got the lowest free address, 172.16.86.2",
            second.addresses() == ["172.16.86.2/24"],
        )
        route = second.default_route()
        story.promise(
            "its default route is the external gateway",
            route is not None and route["gateway"] == "172.16.86.1",
        )
        story.ping(second, "172.16.86.10", "containers reach each other")
        story.ping(second, "172.16.86.1", "a container reaches the external router")
        story.ping(
            second,
            "172.16.86.250",
            "a container does not reach the parent's own address: the kernel filters that",
            answered=False,
        )
        with first.tcp_server(port=80):
            seen = outside.tcp_connect("172.16.86.10", 80)
        story.promise(
            "a machine outside opens a TCP connection to 172.16.86.10:80, no port mapping",
            seen == "172.16.86.77",
        )
        story.say("a command of its own, gone with its endpoint when it ends")
        story.shell(
            lab.host,
            "macvnet run --net=pub_net --rm -- ping -n -c 2 -i 0.3 172.16.86.10",
            why="a command run on the network reaches a container",
        )
        story.shell(lab.host, "macvnet ls")
        story.shell(lab.host, "macvnet rm pub_net", fails=True, why="a network in use stays")
        detach(story, lab, first, second)
        story.shell(lab.host, "macvnet rm pub_net")
        aux_address(story, lab, first)
        ip_range(story, lab, second)


def detach(story: Story, lab: Lab, *containers: Container) -> None:
    for container in containers:
        story.shell(lab.host, f"macvnet detach {container.pid}")
        story.promise("nothing is left in the container", container.links() == ["lo"])


def aux_address(story: Story, lab: Lab, container: Container) -> None:
    story.chapter("Addresses that are never handed out: --aux-address")
    story.shell(
        lab.host,
        "macvnet create -d macvlan \\\n    --subnet=172.16.86.0/24 \\\n"
        "    --gateway=172.16.86.1 \\\n    --aux-address exclude_host=172.16.86.250 \\\n"
        "    --aux-address printer=172.16.86.2 \\\n    -o parent=eth0 pub_net",
    )
    story.shell(lab.host, f"macvnet attach {container.pid}")
    story.promise(
        "172.16.86.2 was passed over for 172.16.86.3", container.addresses() == ["172.16.86.3/24"]
    )
    detach(story, lab, container)
    story.shell(lab.host, "macvnet rm pub_net")


def ip_range(story: Story, lab: Lab, container: Container) -> None:
    story.chapter("Addresses from a range: --ip-range")
    story.shell(
        lab.host,
        "macvnet create -d macvlan \\\n    --subnet=192.168.32.0/24 \\\n"
        "    --ip-range=192.168.32.128/25 \\\n    --gateway=192.168.32.254 \\\n"
        "    -o parent=eth0 macnet32",
    )
    story.shell(lab.host, f"macvnet attach {container.pid}")
    story.promise(
        "the first address is 192.168.32.128", container.addresses() == ["192.168.32.128/24"]
    )
    story.ping(container, "192.168.32.254", "the container reaches that subnet's gateway")
    detach(story, lab, container)
    story.shell(lab.host, "macvnet rm macnet32")


def vlan_trunk(story: Story) -> None:
    story.chapter("802.1q trunk: VLANs 50 and 60 on one parent")
    with Lab(host=(), router=()) as lab:
        for vid in (50, 60):
            lab.router.add_vlan(vid, f"192.168.{vid}.1/24")
        containers = {50: [lab.container(), lab.container()], 60: [lab.container()]}
        for vid, members in containers.items():
            story.shell(
                lab.host,
                f"macvnet create -d macvlan \\\n    --subnet=192.168.{vid}.0/24 \\\n"
                f"    --gateway=192.168.{vid}.1 \\\n    -o parent=eth0.{vid} macvlan{vid}",
            )
            for member in members:
                story.shell(lab.host, f"macvnet attach --net macvlan{vid} {member.pid}")
        story.shell(lab.host, "ip -br link")
        one, two = containers[50]
        other = containers[60][0]
        story.ping(one, "192.168.50.3", "containers on VLAN 50 reach each other")
        with lab.switch.capture("router-eth0") as wire:
            story.ping(one, "192.168.50.1", "a container reaches the router on VLAN 50")
        tags = {frame.vlans for frame in wire if frame.ip_dst == "192.168.50.1"}
        story.promise(f"on the wire its frames carry the tag 50 (seen: {tags})", tags == {(50,)})
        lab.router.sysctl("net/ipv4/ip_forward", "0")
        story.ping(one, "192.168.60.2", "VLAN 50 and VLAN 60 are isolated", answered=False)
        lab.router.sysctl("net/ipv4/ip_forward", "1")
        story.ping(one, "192.168.60.2", "once the external router forwards, they meet there")
        detach(story, lab, one, two, other)
        story.shell(lab.host, "macvnet rm macvlan50 macvlan60")
        story.promise(
            "the sub-interfaces are gone, eth0 is not", lab.host.links() == ["lo", "eth0"]
        )


def multi_subnet(story: Story) -> None:
    story.chapter("Several subnets in one ipvlan network")
    with Lab(host=(), router=()) as lab:
        story.shell(
            lab.host,
            "macvnet create -d ipvlan \\\n"
            "    --subnet=192.168.210.0/24 --subnet=192.168.212.0/24 \\\n"
            "    --gateway=192.168.210.254 --gateway=192.168.212.254 \\\n"
            "    -o ipvlan_mode=l2 ipvlan210",
        )
        for subnet in (210, 212):
            target = lab.container()
            story.shell(lab.host, f"macvnet attach --ip 192.168.{subnet}.10 {target.pid}")
            story.shell(
                lab.host,
                f"macvnet run --net=ipvlan210 --ip=192.168.{subnet}.9 --rm -- "
                f"ping -n -c 2 -i 0.3 192.168.{subnet}.10",
                why=f"containers in 192.168.{subnet}.0/24 reach each other",
            )
            detach(story, lab, target)
        story.shell(lab.host, "macvnet rm ipvlan210")
        story.promise("the dummy parent is gone", lab.host.links() == ["lo", "eth0"])


def dual_stack(story: Story) -> None:
    story.chapter("IPv4 and IPv6, two subnets, on VLAN 218")
    with Lab(host=(), router=()) as lab:
        lab.router.add_vlan(218, "192.168.216.1/24", "192.168.218.1/24", "2001:db8:abc8::10/64")
        story.shell(
            lab.host,
            "macvnet create -d macvlan \\\n"
            "    --subnet=192.168.216.0/24 --subnet=192.168.218.0/24 \\\n"
            "    --gateway=192.168.216.1 --gateway=192.168.218.1 \\\n"
            "    --subnet=2001:db8:abc8::/64 --gateway=2001:db8:abc8::10 \\\n"
            "    -o parent=eth0.218 \\\n    -o macvlan_mode=bridge macvlan216",
        )
        for subnet in (216, 218):
            first, second = lab.container(), lab.container()
            story.shell(lab.host, f"macvnet attach --ip 192.168.{subnet}.10 {first.pid}")
            story.shell(lab.host, f"macvnet attach --ip 192.168.{subnet}.11 {second.pid}")
            story.ping(second, f"192.168.{subnet}.10", f"they meet in 192.168.{subnet}.0/24")
        story.shell(second, "ip addr show eth0")
        story.shell(second, "ip route")
        story.shell(second, "ip -6 route")
        for family, gateway in ((4, "192.168.218.1"), (6, "2001:db8:abc8::10")):
            route = second.default_route(family)
            story.promise(
                f"the IPv{family} default route is {gateway}",
                route is not None and route.get("gateway") == gateway,
            )
        story.ping(second, "2001:db8:abc8::10", "IPv6 works the moment attach returns")
        story.ping(second, "2001:db8:abc8::1", "containers reach each other by IPv6")


NATIVE: tuple[Callable[[Story], None], ...] = (simple_bridge,)
OTHER: tuple[Callable[[Story], None], ...] = (vlan_trunk, multi_subnet, dual_stack)
OTHER_KINDS = ("vlan", "ipvlan", "dummy")


def play(chapters: tuple[Callable[[Story], None], ...], where: str) -> int:
    story = Story()
    for chapter in chapters:
        chapter(story)
    print(f"\n{where}: {story.kept} promises kept, {len(story.broken)} broken", flush=True)
    for text in story.broken:
        print(f"  NOT SO: {text}", flush=True)
    return 1 if story.broken or not story.kept else 0


def main(argv: list[str]) -> int:
    if argv == ["--other-kinds"]:
        return play(OTHER, "in User Mode Linux")
    missing = kinds.missing(OTHER_KINDS)
    if not missing:
        status = play(NATIVE + OTHER, "on this kernel")
    else:
        status = play(NATIVE, "on this kernel")
        modules = ", ".join(kinds.module(kind) for kind in missing)
        print(f"\nThis kernel lacks {modules}: the rest is played in User Mode Linux.", flush=True)
        try:
            inside = [sys.executable, "-m", "tests.lab.demo", "--other-kinds"]
            status = uml.run(inside, timeout=UML_SECONDS) or status
        except uml.Unusable as reason:
            print(f"macvnet demo: {reason}", file=sys.stderr)
            status = 1
    print("\nDemo: everything is as promised." if status == 0 else "\nDemo: FAILED.")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
