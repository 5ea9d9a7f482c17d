"""What only runc's containers have: roots, and states that outlive their processes."""

from __future__ import annotations

import json
import os

from tests.kernel.steps import CONFLICT, NOT_FOUND, refused
from tests.runtimes.containers import Docker, Runc
from tests.runtimes.ground import Ground
from tests.runtimes.test_every_runtime import attach, looked_up

PERMISSION = 7


class Elsewhere(Runc):
    """In a root of its own, which has to be said."""

    root = "/run/elsewhere"

    def target(self, name: str) -> str:
        return f"runc:{self.root}/{name}"


def test_container_in_another_root_is_named_with_it(ground: Ground, runc: Runc) -> None:
    """Also at its return, and while the usual roots have one of that name."""
    other = Elsewhere(ground)
    try:
        before = attach(ground, other.make("web"))
        attach(ground, runc.make("web"))
        other.restart("web")
        assert ground.macvnet("restore").checked().lines == [
            f"runc:/run/elsewhere/web in network net {before.addresses[0]}"
        ]
        assert other.link("web") == (before.mac, before.addresses)
        # A folder without a state is no container.
        ground.file("/run/elsewhere/empty").mkdir()
        assert looked_up(ground, "runc:/run/elsewhere/") == ["runc:/run/elsewhere/web"]
        ground.macvnet("disconnect", "net", other.target("web")).checked()
        assert runc.links("web") == ["lo", "eth0"]
    finally:
        other.clear()


def test_name_in_two_of_the_usual_roots_is_ambiguous(ground: Ground, runc: Runc) -> None:
    second = type("Second", (Runc,), {"root": "/run/crun"})(ground)
    try:
        runc.make("web")
        second.make("web")
        hint = refused(ground.macvnet("connect", "net", "runc:web"), CONFLICT, "2 containers")
        first, _, other = hint.partition(" or ")
        for spelled, kind in ((first, runc), (other, second)):
            ground.macvnet("connect", "net", spelled).checked()
            assert kind.links("web") == ["lo", "eth0"]
    finally:
        second.clear()


def test_state_as_crun_keeps_it_is_understood(ground: Ground, runc: Runc) -> None:
    """A file of other name, with other keys: written here, since crun does not run everywhere."""
    runc.make("web")
    state = json.loads(ground.file("/run/runc/web/state.json").read_text())
    folder = ground.file("/run/of-crun/web")
    folder.mkdir(parents=True)
    status = {
        "pid": state["init_process_pid"],
        "process-start-time": state["init_process_start"],
        "cgroup-path": "/web",
    }
    (folder / "status").write_text(json.dumps(status))
    attach(ground, "runc:/run/of-crun/web")
    assert runc.links("web") == ["lo", "eth0"]


def test_created_container_is_connected_before_it_starts(ground: Ground, runc: Runc) -> None:
    """So that its program finds the interface."""
    runc.make("web")
    ground.run("runc", "delete", "--force", "web").checked()
    words = f"runc create --bundle {runc.bundle('web')} web </dev/null >/run/runc.log 2>&1"
    ground.run("sh", "-c", words).checked()
    joined = attach(ground, "runc:web")
    ground.run("runc", "start", "web").checked()
    assert runc.link("web") == (joined.mac, joined.addresses)


def test_process_that_has_the_number_of_a_dead_container_is_not_taken_for_it(
    ground: Ground, runc: Runc
) -> None:
    """The state names a living process, which began at another time."""
    runc.make("web")
    runc.make("victim")
    state = ground.file("/run/runc/web/state.json")
    said = json.loads(state.read_text())
    said["init_process_pid"] = runc.pid("victim")
    state.write_text(json.dumps(said))
    refused(ground.macvnet("connect", "net", "runc:web"), CONFLICT, "does not run")
    assert runc.links("victim") == ["lo"]


def test_state_that_others_could_have_written_is_refused(ground: Ground, runc: Runc) -> None:
    runc.make("web")
    state = ground.file("/run/runc/web/state.json")
    mode = state.stat().st_mode
    state.chmod(0o666)
    refused(ground.macvnet("connect", "net", "runc:web"), PERMISSION, "written by others")
    assert ground.macvnet("ls").ok
    state.chmod(mode)
    os.chown(state, 4321, 4321)
    refused(ground.macvnet("connect", "net", "runc:web"), PERMISSION, "written by others")
    os.chown(state, 0, 0)
    ground.macvnet("connect", "net", "runc:web").checked()


def test_damaged_state_is_no_container(ground: Ground, runc: Runc) -> None:
    folder = ground.file("/run/runc/broken")
    folder.mkdir(parents=True)
    try:
        for text in ("", "{", "[]", '{"init_process_pid": []}', "[" * 100_000):
            (folder / "state.json").write_text(text)
            refused(ground.macvnet("connect", "net", "runc:broken"), NOT_FOUND, "'broken'")
    finally:
        (folder / "state.json").unlink()
        folder.rmdir()


def test_container_of_docker_is_one_of_runc_too(ground: Ground, docker: Docker) -> None:
    """And of containerd: by its ID it is docker's, unless another one is asked for."""
    docker.make("web")
    container = docker.id("web")
    for spelled, owner in (
        (container, "docker:web"),
        (f"containerd:{container}", f"containerd:moby/{container}"),
        (f"runc:{container}", f"runc:{container}"),
    ):
        ground.macvnet("connect", "net", spelled).checked()
        (document,) = ground.macvnet("inspect", "net").checked().json()
        assert [one["Target"] for one in document["Macvnet"]["Endpoints"]] == [owner]
        ground.macvnet("disconnect", "net", "docker:web").checked()
