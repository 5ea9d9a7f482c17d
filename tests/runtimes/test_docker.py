"""What only Docker's containers have: IDs, names that change, and a daemon somewhere."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.steps import CONFLICT, NOT_FOUND, notes, refused
from tests.lab import Result
from tests.runtimes.containers import Docker
from tests.runtimes.ground import Ground, wait_until
from tests.runtimes.test_every_runtime import attach

UNAVAILABLE = 10


def containers(ground: Ground) -> dict[str, Any]:
    (document,) = ground.macvnet("inspect", "net").checked().json()
    found: dict[str, Any] = document["Containers"]
    return found


def names_of(ground: Ground) -> list[str]:
    return [one["Name"] for one in containers(ground).values()]


def test_container_is_named_by_its_id_too(ground: Ground, docker: Docker) -> None:
    """And by the beginning of it: any with the runtime's name, 12 digits without."""
    docker.make("web")
    container = docker.id("web")
    for spelled in (f"docker:{container}", f"docker:{container[:5]}", container, container[:12]):
        ground.macvnet("connect", "net", spelled).checked()
        assert names_of(ground) == ["web"]
        ground.macvnet("disconnect", "net", spelled).checked()
    refused(ground.macvnet("connect", "net", container[:11]), NOT_FOUND, container[:11])


def test_inspect_shows_the_container_as_docker_does(ground: Ground, docker: Docker) -> None:
    """Under its own ID, with its name; scripts for docker find it there."""
    target = docker.make("web")
    joined = attach(ground, target)
    (key,) = shown = containers(ground)
    assert key == docker.id("web")
    assert shown[key]["Name"] == "web" and shown[key]["IPv4Address"] == joined.addresses[0]
    (document,) = ground.macvnet("inspect", "net").checked().json()
    (endpoint,) = document["Macvnet"]["Endpoints"]
    assert (endpoint["Target"], endpoint["ContainerID"]) == (target, key)


def test_gone_container_is_disconnected_by_what_is_recorded(
    ground: Ground, docker: Docker, tmp_path: Path
) -> None:
    """By its name, its ID, or the beginning of that; with or without the runtime's name."""
    attach(ground, docker.make("web"))
    container = docker.id("web")
    docker.clear()
    recorded = Path(ground.env["MACVNET_STATE_DIR"])
    short = container[:12]
    words = ("docker:web", "web", f"docker:{container}", container, f"docker:{short}", short)
    for number, spelled in enumerate(words):
        copy = shutil.copytree(recorded, tmp_path / f"state-{number}")
        ground.env["MACVNET_STATE_DIR"] = str(copy)
        ground.macvnet("disconnect", "net", spelled).checked()
        refused(ground.macvnet("disconnect", "net", spelled), NOT_FOUND)


def test_paused_container_is_connected(ground: Ground, docker: Docker) -> None:
    target = docker.make("web")
    docker.docker("pause", "web").checked()
    joined = attach(ground, target)
    docker.docker("unpause", "web").checked()
    assert docker.link("web") == (joined.mac, joined.addresses)


def test_container_that_is_renamed_stays_the_same(ground: Ground, docker: Docker) -> None:
    """Its endpoint comes back to it, not to another one that has its former name."""
    before = attach(ground, docker.make("web"))
    docker.docker("rename", "web", "old").checked()
    docker._made.append("old")
    docker.make("web")
    docker.restart("old")
    assert ground.macvnet("restore").checked().lines == [
        f"docker:old in network net {before.addresses[0]}"
    ]
    assert docker.link("old") == (before.mac, before.addresses)
    assert names_of(ground) == ["old"]
    assert attach(ground, "docker:web").addresses != before.addresses
    ground.macvnet("disconnect", "net", "docker:old").checked()
    assert names_of(ground) == ["web"]


def test_what_a_renamed_container_lives_with_is_not_taken_for_that_of_its_former_name(
    ground: Ground, docker: Docker
) -> None:
    before = attach(ground, docker.make("web"))
    docker.docker("rename", "web", "old").checked()
    docker._made.append("old")
    target = docker.make("web")
    refused(ground.macvnet("disconnect", "net", target), NOT_FOUND, "not connected")
    refused(ground.macvnet("detach", target), NOT_FOUND, "no network")
    assert docker.link("old") == (before.mac, before.addresses)
    ground.macvnet("disconnect", "net", "docker:old").checked()
    assert docker.links("old") == ["lo"]


def test_renamed_container_that_was_connected_anew_is_not_connected_twice(
    ground: Ground, docker: Docker
) -> None:
    attach(ground, docker.make("web"))
    docker.docker("rename", "web", "new").checked()
    docker._made.append("new")
    docker.restart("new")
    attach(ground, "docker:new")
    done = ground.macvnet("restore")
    assert done.status == 13 and "docker:new" in done.stderr and "already" in done.stderr
    hint = done.stderr.splitlines()[-1].removeprefix("hint: ")
    ground.macvnet(*hint.split()[1:]).checked()
    assert ground.macvnet("restore").checked().stdout == ""
    assert docker.links("new") == ["lo", "eth0"]


def test_container_that_takes_the_place_of_another_gets_its_address(
    ground: Ground, docker: Docker
) -> None:
    """As docker compose does it: removed, and made anew under the same name."""
    before = attach(ground, docker.make("web"))
    docker.remove("web")
    docker.make("web")
    ground.macvnet("restore").checked()
    assert docker.link("web") == (before.mac, before.addresses)
    assert list(containers(ground)) == [docker.id("web")]


def test_address_is_announced_for_as_long_as_the_container_lives(
    ground: Ground, docker: Docker
) -> None:
    """The later frames are sent by a process that has to find the namespace again."""
    target = docker.make("web")
    with ground.lab.router.capture(keep=lambda frame: frame.gratuitous_arp) as wire:
        joined = attach(ground, target)
        frames = wire.wait_for(lambda frame: frame.arp_sha == joined.mac, timeout=20, count=3)
    assert len(frames) == 3


# -- where the daemon is ------------------------------------------------------


def test_daemon_that_is_not_there(ground: Ground) -> None:
    away = {"DOCKER_HOST": "unix:///run/nowhere.sock"}
    hint = refused(
        ground.macvnet("connect", "net", "docker:web", env=away), UNAVAILABLE, "/run/nowhere.sock"
    )
    assert hint == "systemctl start docker, or unset DOCKER_HOST"
    refused(ground.macvnet("connect", "net", "web", env=away), NOT_FOUND, "'web'")


@contextmanager
def stopped(docker: Docker) -> Iterator[None]:
    """dockerd accepts, and answers nothing."""
    pid = docker.ground.file("/run/docker.pid").read_text().strip()
    docker.ground.signal("STOP", pid)
    try:
        yield
    finally:
        docker.ground.signal("CONT", pid)
        # The program that entered the ground for it has stopped itself, too, and waits no more.
        docker.process.send_signal(signal.SIGCONT)


def timed(ground: Ground, *words: str) -> tuple[Result, float]:
    began = time.monotonic()
    return ground.macvnet(*words), time.monotonic() - began


def test_daemon_that_hangs(ground: Ground, docker: Docker) -> None:
    """Costs seconds where it is named, and keeps nothing else from being done."""
    target = docker.make("web")
    attach(ground, target)
    docker.make("db")
    attach(ground, "docker:db")
    docker.remove("db")
    ground.run("ip", "netns", "add", "plain").checked()
    try:
        with stopped(docker), ThreadPoolExecutor() as at_once:
            # What has another name is not kept waiting.
            ground.macvnet("connect", "net", "netns:plain", timeout=4).checked()
            ground.macvnet("disconnect", "net", "netns:plain").checked()
            # The Tab key has no time at all.
            words = ("__complete", "fish", "2", "connect", "net", "")
            assert "netns:plain" in ground.macvnet(*words, timeout=4).checked().stdout
            named = at_once.submit(timed, ground, "connect", "net", "docker:other")
            bare = at_once.submit(timed, ground, "connect", "net", "nobody")
            # What lives is looked at without the daemon; of the rest it is said once.
            looked = at_once.submit(timed, ground, "restore")
            # It is connected, and its link is reached without the daemon.
            freed = at_once.submit(timed, ground, "disconnect", "net", target)
        done, seconds = named.result()
        refused(done, UNAVAILABLE, "5 s")
        assert 5 <= seconds < 15
        done, _ = bare.result()
        hint = refused(done, NOT_FOUND, "docker did not answer")
        assert "docker:NAME" in hint
        restored, _ = looked.result()
        assert restored.checked().stdout == ""
        assert len(notes(restored)) == 1 and "left as they are" in notes(restored)[0]
        freed.result()[0].checked()
    finally:
        ground.run("ip", "netns", "del", "plain").checked()
    assert docker.links("web") == ["lo"]


def test_many_are_connected_and_disconnected_although_their_daemon_hangs(
    ground: Ground, docker: Docker
) -> None:
    """Each by its own link: one has another name now, and another one has its former."""
    for name in ("web", "db"):
        docker.make(name)
    done = ground.macvnet("connect", "--batch", "-", "net", stdin="docker:web\ndb\ndocker:no\n")
    assert done.status == 13 and "'no'" in done.stderr
    docker.docker("rename", "db", "old").checked()
    docker._made.append("old")
    docker.make("db")
    assert docker.links("web") == docker.links("old") == ["lo", "eth0"]
    with stopped(docker):
        batch = ground.macvnet("disconnect", "--batch", "-", "net", stdin="docker:web\n")
        assert batch.checked().stderr == ""
        assert names_of(ground) == ["db"]
        ground.macvnet("disconnect", "--all", "net").checked()
    assert docker.links("web") == docker.links("old") == ["lo"]
    assert containers(ground) == {}


def test_daemon_of_another_machine(ground: Ground, docker: Docker) -> None:
    """To macvnet on the lab's host, outside of the ground, the daemon's PIDs mean others."""
    docker.make("web")
    outside = ground.lab.host
    place = f"unix:///proc/{ground.pid}/root/run/docker.sock"
    env = {"DOCKER_HOST": place, "MACVNET_STATE_DIR": ground.env["MACVNET_STATE_DIR"]}
    for words in (("connect", "net", "docker:web"), ("connect", "--dry-run", "net", "docker:web")):
        done = outside.macvnet(*words, env=env)
        hint = refused(done, NOT_FOUND, "not proved to be on this machine", "DOCKER_HOST")
        assert hint == "unset DOCKER_HOST"


IMPOSTOR = """
import http.server, json, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"Id": "ab" * 32, "Name": "/web", "HostConfig": {"NetworkMode": "none"},
            "State": {"Running": True, "Pid": int(sys.argv[1])},
            "NetworkSettings": {"SandboxKey": sys.argv[2]}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", 2375), Answer).serve_forever()
"""


@pytest.mark.parametrize("sandbox", ["", "/proc/{pid}/ns/net", "/run/docker/netns/../web"])
def test_daemon_that_names_a_process_of_this_machine_as_its_own(
    ground: Ground, docker: Docker, sandbox: str
) -> None:
    """It says of a process here that it is its container's, as a daemon elsewhere happens to."""
    docker.make("victim")
    pid = docker.pid("victim")
    server = ground.daemon(sys.executable, "-c", IMPOSTOR, str(pid), sandbox.format(pid=pid))
    try:
        env = {"DOCKER_HOST": "tcp://127.0.0.1:2375"}

        def answers() -> bool:
            return ground.macvnet("connect", "net", "docker:web", env=env).status != UNAVAILABLE

        wait_until(answers, "nobody answers")
        done = ground.macvnet("connect", "net", "docker:web", env=env)
        refused(done, NOT_FOUND, "not proved to be on this machine", "tcp://127.0.0.1:2375")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    assert docker.links("victim") == ["lo"]


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"DOCKER_HOST": "ssh://root@elsewhere"}, "ssh"),
        ({"DOCKER_HOST": "tcp://elsewhere:2376", "DOCKER_TLS_VERIFY": "1"}, "TLS"),
        ({"DOCKER_CONTEXT": "nonesuch"}, "no context"),
    ],
)
def test_daemon_that_macvnet_does_not_ask(
    ground: Ground, docker: Docker, env: dict[str, str], word: str
) -> None:
    said_by = next(iter(env))
    hint = refused(
        ground.macvnet("connect", "net", "docker:web", env=env), NOT_FOUND, word, said_by
    )
    assert hint == f"unset {said_by}"


def test_contexts_are_obeyed_as_docker_obeys_them(ground: Ground, docker: Docker) -> None:
    """DOCKER_HOST first, then DOCKER_CONTEXT, then the one in use; made by docker itself."""
    docker.make("web")
    home = {"HOME": "/run/home"}
    for name, place in (("here", "/run/docker.sock"), ("away", "/run/nowhere.sock")):
        words = ("context", "create", "--docker", f"host=unix://{place}", name)
        ground.run("/usr/bin/docker", *words, env=home).checked()

    def asks(**env: str) -> bool:
        """Whether the daemon is asked; docker's own client is asked the same."""
        mine = ground.macvnet("connect", "--dry-run", "net", "docker:web", env={**home, **env})
        theirs = ground.run("/usr/bin/docker", "ps", env={**home, **env})
        assert mine.ok == theirs.ok, (mine, theirs)
        assert mine.ok or "/run/nowhere.sock" in mine.stderr
        return mine.ok

    assert asks()
    assert not asks(DOCKER_CONTEXT="away")
    assert asks(DOCKER_CONTEXT="here")
    assert asks(DOCKER_HOST="unix:///run/docker.sock", DOCKER_CONTEXT="away")
    assert not asks(DOCKER_HOST="unix:///run/nowhere.sock")
    ground.run("/usr/bin/docker", "context", "use", "away", env=home).checked()
    assert not asks()
    assert asks(DOCKER_CONTEXT="default")
    assert asks(DOCKER_CONFIG="/run/elsewhere")
    done = ground.macvnet("connect", "net", "docker:web", env=home)
    refused(done, UNAVAILABLE, "/run/nowhere.sock")


def test_container_that_never_ran_is_stopped(ground: Ground, docker: Docker) -> None:
    docker._made.append("made")
    docker.docker("create", "--name", "made", "--network", "none", "box", "/bin/true").checked()
    hint = refused(ground.macvnet("connect", "net", "docker:made"), CONFLICT, "does not run")
    start, _, later = hint.partition("; ")
    assert start == "docker start made"
    assert later == "or for when it starts: macvnet reserve NETWORK docker:made, macvnet watch"
