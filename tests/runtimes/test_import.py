"""Networks of Docker and Podman become macvnet's, with what their containers have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.steps import notes
from tests.runtimes.containers import IMAGE, Docker, Podman
from tests.runtimes.ground import Ground

SUBNET = ("--subnet=172.16.86.0/24", "--gateway=172.16.86.1", "--ip-range=172.16.86.64/26")


@pytest.fixture
def empty(ground: Ground) -> Ground:
    """Without the network that other tests start with: it has the parent."""
    ground.macvnet("rm", "net").checked()
    return ground


@pytest.fixture
def theirs(empty: Ground, docker: Docker) -> Iterator[Docker]:
    empty.run("ip", "link", "add", "port", "type", "veth", "peer", "other").checked()
    yield docker
    empty.run("ip", "link", "del", "port").checked()
    docker.docker("rm", "-f", "in").checked()
    docker.docker("network", "rm", "dlan", "dsettings", "dmade")


def imported(ground: Ground, *words: str, stdin: str = "") -> str:
    return ground.macvnet("import", *words, stdin=stdin).checked().stdout


def test_networks_of_docker(empty: Ground, theirs: Docker) -> None:
    """What Docker says itself, and what its command prints, are the same file."""
    mode = ("-o", "macvlan_mode=bridge")
    theirs.docker(
        *("network", "create", "-d", "macvlan", *SUBNET, "--aux-address=nas=172.16.86.70"),
        *("--label=env=test", "-o", "parent=eth0", *mode, "dlan"),
    ).checked()
    theirs.docker(
        *("network", "create", "--config-only", "--subnet=10.9.0.0/24", "-o", "parent=port"),
        *(*mode, "dsettings"),
    ).checked()
    theirs.docker(
        *("network", "create", "-d", "macvlan", "--config-from=dsettings", "--internal", "dmade"),
    ).checked()
    theirs.docker(
        *("run", "-d", "--name=in", "--network=dlan", "--ip=172.16.86.77", IMAGE),
        *("/bin/sleep", "100000"),
    ).checked()
    asked = empty.macvnet("import", "docker").checked()
    assert {note.partition(":")[0] for note in notes(asked)} >= {
        "network 'none' is left out",
        "network 'host' is left out",
    }
    names = ("dlan", "dmade", "dsettings")
    shown = theirs.docker("network", "inspect", *names).checked().stdout
    text = imported(empty, "docker", "-", stdin=shown)
    assert sorted(text.split("\n\n")) == sorted(asked.stdout.split("\n\n"))
    for line in (
        'ip_range = "172.16.86.64/26"',
        'aux_address = { nas = "172.16.86.70" }',
        'opt = { macvlan_mode = "bridge", parent = "eth0" }',
        'label = { env = "test" }',
        'config_from = "dsettings"',
        'container = "docker:in"\nip = "172.16.86.77"',
    ):
        assert line in text, text
    theirs.docker("rm", "-f", "in").checked()
    theirs.docker("network", "rm", *names).checked()
    empty.macvnet("apply", "-", stdin=text).checked()
    assert empty.macvnet("diff", "-", stdin=text).checked().lines == []
    target = theirs.make("in")
    empty.macvnet("connect", "dlan", target).checked()
    assert theirs.link("in")[1] == ["172.16.86.77/24"]
    assert theirs.pings("in", "172.16.86.1")
    empty.macvnet("disconnect", "dlan", target).checked()
    empty.macvnet("rm", "dlan", "dmade", "dsettings").checked()


def test_networks_of_podman(empty: Ground, podman: Podman) -> None:
    podman.docker(
        *("network", "create", "-d", "macvlan", "--subnet=172.16.86.0/24"),
        *("--gateway=172.16.86.1", "--ip-range=172.16.86.64/26", "-o", "parent=eth0"),
        *("-o", "mode=private", "-o", "mtu=1400", "--label=env=test", "plan"),
    ).checked()
    try:
        asked = empty.macvnet("import", "podman").checked()
        assert any("network 'podman' is left out" in note for note in notes(asked))
        shown = podman.docker("network", "inspect", "plan").checked().stdout
    finally:
        podman.docker("network", "rm", "plan").checked()
    assert imported(empty, "podman", "-", stdin=shown) == asked.stdout
    empty.macvnet("apply", "-", stdin=asked.stdout).checked()
    (document,) = empty.macvnet("inspect", "plan").checked().json()
    assert document["IPAM"]["Config"] == [
        {
            "Subnet": "172.16.86.0/24",
            "IPRange": document["IPAM"]["Config"][0]["IPRange"],
            "Gateway": "172.16.86.1",
        }
    ]
    assert document["IPAM"]["Config"][0]["IPRange"].startswith("172.16.86.6")
    assert document["Labels"] == {"env": "test"}
    assert (document["Macvnet"]["Mode"], document["Macvnet"]["MTU"]) == ("private", 1400)
    empty.macvnet("reserve", "plan", "podman:web").checked()
    target = podman.make("web")
    empty.macvnet("connect", "plan", target).checked()
    assert podman.link("web")[1] == ["172.16.86.65/24"]
    empty.macvnet("disconnect", "plan", target).checked()
    empty.macvnet("rm", "plan").checked()
