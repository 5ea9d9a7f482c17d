"""watch beside real daemons: containers that start, end and are removed, labels, daemons that go.

What the kernel tells is in tests/kernel/test_watch.py.
"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.steps import ON_ETH0, create
from tests.lab.watching import NOWHERE, Watch
from tests.runtimes.containers import IMAGE, SLEEP, Docker, Podman
from tests.runtimes.ground import Ground, wait_until
from tests.runtimes.test_docker import stopped
from tests.runtimes.test_every_runtime import attach

NET = ("--network", "net")
OPEN = ("--subnet=10.9.0.0/24", "-o", "share_parent=true", "-o", "watch=allow", *ON_ETH0)


@pytest.fixture(params=["docker", "podman"])
def daemon(request: pytest.FixtureRequest) -> Docker:
    """Each of the two that tell of their containers."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Docker)
    return found


@pytest.fixture
def lan(ground: Ground) -> Ground:
    """Beside ``net``, which no label connects to, ``lan``, to which labels do."""
    create(ground, "lan", *OPEN)
    return ground


def env(daemon: Docker) -> dict[str, str]:
    """For a watch that hears of one daemon only."""
    key = {"docker": "CONTAINER_HOST", "podman": "DOCKER_HOST"}[daemon.word]
    return {key: NOWHERE[key]}


def labelled(daemon: Docker, name: str, label: str, *words: str) -> str:
    daemon._made.append(name)
    daemon.docker(
        *("run", "--detach", "--name", name, "--network", "none"),
        *("--label", f"macvnet.network={label}", *words, IMAGE, *SLEEP),
    ).checked()
    return daemon.target(name)


def create_only(daemon: Docker, name: str) -> None:
    """A container that has not been started yet."""
    words = ("create", "--name", name, "--network", "none", "--cap-add", "NET_RAW")
    daemon.docker(*words, IMAGE, *SLEEP).checked()


def held(ground: Ground, network: str = "lan") -> dict[str, str]:
    """Names and addresses of what is recorded in a network."""
    (document,) = ground.macvnet("inspect", network).checked().json()
    return {one["Name"]: one["IPv4Address"] for one in document["Containers"].values()}


def test_containers_that_come_and_go(lan: Ground, daemon: Docker, tmp_path: Path) -> None:
    """One watch, and one act for each thing that happens to a container."""
    before = attach(lan, daemon.make("web"), *NET)
    daemon.make("away")
    attach(lan, daemon.target("away"), *NET)
    # While there is no watch, one starts again, one goes, and one comes with a label.
    daemon.restart("web")
    daemon.remove("away")
    early = labelled(daemon, "early", "lan,ip=10.9.0.77")
    with Watch(lan, tmp_path, env=env(daemon)) as watch:
        acts = watch.acts()
        assert [act["act"] for act in acts if act.get("container") == daemon.target("web")] == [
            "return"
        ]
        (freed,) = (act for act in acts if act["act"] == "free")
        assert freed["container"] == daemon.target("away") and freed["reason"] == "removed"
        (came,) = (act for act in acts if act["act"] == "attach")
        assert (came["container"], came["addresses"]) == (early, "10.9.0.77/24")
        assert daemon.link("web") == (before.mac, before.addresses)

        # One that starts again gets back what it had; its lease is kept meanwhile.
        daemon.stop("web")
        watch.wait_for("keep", container=daemon.target("web"), reason="until 2")
        daemon.again("web")
        watch.wait_for("return", container=daemon.target("web"))
        assert daemon.link("web") == (before.mac, before.addresses)

        # One that takes its place, as compose has it, is given what it had.
        daemon.docker("rename", "web", "old").checked()
        create_only(daemon, "web")
        daemon.remove("old")
        daemon.again("web")
        watch.wait_for("return", container=daemon.target("web"))
        assert daemon.link("web") == (before.mac, before.addresses)

        # A label connects to what allows it, as it says, and to several.
        labelled(daemon, "db", "lan,ip=10.9.0.78,ifname=lan0;net")
        came = watch.wait_for("attach", container=daemon.target("db"))
        assert (came["network"], came["interface"]) == ("lan", "lan0")
        refused = watch.wait_for("refuse", container=daemon.target("db"), network="net")
        assert "watch=allow" in refused["reason"]
        assert daemon.link("db", "lan0") == (came["mac"], ["10.9.0.78/24"])
        assert daemon.links("db") == ["lo", "lan0"]

        # What another one of its name has left, under another name now, is not its own.
        daemon.docker("rename", "early", "first").checked()
        daemon._made.append("first")
        labelled(daemon, "early", "lan")
        watch.wait_for("attach", container=early)
        daemon.remove("early")
        watch.wait_for("free", container=early, reason="removed")

        # What a label says wrongly is told, made printable, and stops nothing.
        for number, wrong in enumerate(("\x1b[31mlan", "lan,driver-opt=a=b")):
            labelled(daemon, f"wrong{number}", wrong)
            told = watch.wait_for("refuse", container=daemon.target(f"wrong{number}"))
            assert told["reason"] and "\x1b" not in watch.said()
            assert daemon.links(f"wrong{number}") == ["lo"]
            daemon.remove(f"wrong{number}")

        # What is removed is free at once, also if it is removed as soon as it ends, for
        # whom it was refused too.
        labelled(daemon, "next", "lan,ip=10.9.0.78")
        watch.wait_for("refuse", container=daemon.target("next"))
        daemon.remove("db")
        watch.wait_for("free", container=daemon.target("db"), reason="removed")
        watch.wait_for("attach", container=daemon.target("next"))
        assert held(lan) == {"early": "10.9.0.77/24", "next": "10.9.0.78/24"}

        assert watch.sleeps(1.0)
        assert watch.end() == 0
        assert not [act for act in watch.acts() if act["act"] == "fail"]


def test_watch_that_is_killed_misses_nothing(lan: Ground, docker: Docker, tmp_path: Path) -> None:
    """Whenever it begins again, it does what was to be done."""
    docker.make("web")
    before = attach(lan, "docker:web", *NET)
    with Watch(lan, tmp_path, env=env(docker)) as watch:
        labelled(docker, "db", "lan")
        watch.wait_for("attach", container="docker:db")
        address = held(lan)["db"]
        assert watch.end(signal.SIGKILL) != 0
    docker.restart("web")
    docker.restart("db")
    with Watch(lan, tmp_path, env=env(docker)) as watch:
        assert docker.link("web") == (before.mac, before.addresses)
        assert docker.link("db")[1] == [address]
        assert watch.end() == 0


@pytest.fixture
def restarted(docker: Docker) -> Iterator[Docker]:
    """Docker, started again after the test if it does not run."""
    yield docker
    if not docker.docker("version").ok:
        docker.launch()


def test_daemon_that_is_killed_and_started_again(
    lan: Ground, restarted: Docker, tmp_path: Path
) -> None:
    """What happened to its containers meanwhile is made up for; no question is put to nobody."""
    docker = restarted
    before = attach(lan, docker.make("web"), *NET)
    with Watch(lan, tmp_path, env=env(docker)) as watch:
        for name in ("KILL", "TERM"):
            # Else the daemon takes ten seconds to find out what became of it.
            docker.stop("web")
            watch.wait_for("keep", container="docker:web")
            lan.signal(name, lan.file("/run/docker.pid").read_text().strip())
            watch.wait_for("absent", runtime="docker")
            docker.process.wait(60)
            if name == "TERM":
                # Ended in good order: it is not asked until it is there again.
                assert watch.sleeps(1.0)
            docker.launch()
            docker.again("web")
            watch.wait_for("follow", runtime="docker")
            watch.wait_for("return", container="docker:web")
            assert docker.link("web") == (before.mac, before.addresses)
        assert watch.end() == 0


def test_daemon_that_hangs_keeps_nothing_else_from_being_done(
    lan: Ground, docker: Docker, tmp_path: Path
) -> None:
    """It is told, and followed as soon as it answers."""
    labelled(docker, "web", "lan")
    with stopped(docker):
        watch = Watch(lan, tmp_path, env=env(docker))
        assert [act["act"] for act in watch.acts()] == ["absent", "absent", "ready"]
        assert "has not answered" in watch.acts()[-2]["reason"]
    with watch:
        watch.wait_for("follow", runtime="docker")
        watch.wait_for("attach", container="docker:web")
        assert watch.end() == 0


RELAY = """
import os, socket, threading
os.mkdir("/run/relay")
os.chmod("/run/relay", 0o777)
os.seteuid(65534)
listening = socket.socket(socket.AF_UNIX)
listening.bind("/run/relay/new")
listening.listen()
os.rename("/run/relay/new", "/run/relay/sock")
os.seteuid(0)
def pass_on(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)
while True:
    near, far = listening.accept()[0], socket.socket(socket.AF_UNIX)
    far.connect("/run/podman/podman.sock")
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pass_on, args=pair, daemon=True).start()
"""


def test_labels_count_where_root_listens_only(lan: Ground, podman: Podman, tmp_path: Path) -> None:
    """Another's service may be followed; what is written on its containers claims nothing."""
    labelled(podman, "web", "lan")
    relay = lan.daemon(sys.executable, "-c", RELAY)
    try:
        wait_until(lan.file("/run/relay/sock").exists, "nobody listens")
        away = {**NOWHERE, "CONTAINER_HOST": "unix:///run/relay/sock"}
        with Watch(lan, tmp_path, env=away) as watch:
            (told,) = (act for act in watch.acts() if act["act"] == "refuse")
            assert told["container"] == "podman:web"
            assert "only where root runs podman" in told["reason"]
            assert held(lan) == {}
            assert watch.end() == 0
    finally:
        relay.terminate()
        relay.wait()
        shutil.rmtree(lan.file("/run/relay"))
