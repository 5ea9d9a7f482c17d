"""A container on Docker's bridge, which has a default route already, and the LAN beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.steps import notes
from tests.runtimes.containers import IMAGE, SLEEP, Docker
from tests.runtimes.ground import Ground
from tests.runtimes.test_every_runtime import attach

FAR = "203.0.113.1"
"""An address behind the LAN's router."""
ON_BRIDGE = "192.168.77.2"


@pytest.fixture
def bridged(docker: Docker) -> Iterator[str]:
    """The target: a container with strict rp_filter whose default route is Docker's."""
    router = docker.ground.lab.router
    router.add_address(f"{FAR}/24")
    docker.docker("network", "create", "--subnet=192.168.77.0/24", "bridged").checked()
    try:
        docker.docker(
            *("run", "--detach", "--name", "web", "--network", "bridged", "--cap-add", "NET_RAW"),
            *("--sysctl", "net.ipv4.conf.all.rp_filter=1", IMAGE, *SLEEP),
        ).checked()
        yield "docker:web"
    finally:
        docker.remove("web")
        docker.docker("network", "rm", "bridged")
        router.ip("addr", "del", f"{FAR}/24", "dev", "eth0")


def routes(docker: Docker, *words: str) -> list[str]:
    return docker.inside("web", "/bin/ip", *words).checked().lines


def test_lan_is_answered_over_the_lan_and_docker_s_route_stays(
    ground: Ground, docker: Docker, bridged: str
) -> None:
    """What comes in from behind the router, with strict rp_filter; restarted, it is restored."""
    host, router = ground.lab.host, ground.lab.router
    docker_s = routes(docker, "route")
    assert docker_s[0].startswith("default via 192.168.77.1 dev eth0")

    # A second interface alone is deaf to it, since the answer would leave by the bridge.
    plain = attach(ground, bridged)
    assert plain.interface == "eth1" and router.ping(plain.ip)
    assert not router.ping(plain.ip, source=FAR, within=0.7)
    ground.macvnet("disconnect", "net", bridged).checked()

    done = ground.macvnet("connect", "--policy-routes", "net", bridged).checked()
    assert any("default route" in note for note in notes(done))
    mac, [address] = docker.link("web", "eth1")
    lan = address.partition("/")[0]

    def answered_from_where_it_was_asked() -> None:
        with router.capture(keep=lambda frame: frame.icmp_type == 0) as wire:
            assert router.ping(lan, source=FAR)
            [answer, *_] = wire.wait_for(lambda frame: frame.ip_dst == FAR)
        assert (answer.src, answer.ip_src) == (mac, lan)
        assert host.ping(ON_BRIDGE)
        assert set(docker_s) < set(routes(docker, "route"))

    answered_from_where_it_was_asked()
    docker.docker("restart", "--time=0", "web").checked()
    assert docker.links("web") == ["lo", "eth0"]
    ground.macvnet("restore").checked()
    assert docker.link("web", "eth1") == (mac, [address])
    answered_from_where_it_was_asked()
    assert ground.macvnet("check").checked().lines == []

    ground.macvnet("disconnect", "net", bridged).checked()
    assert routes(docker, "route") == docker_s
    assert not any(lan in rule for rule in routes(docker, "rule"))
