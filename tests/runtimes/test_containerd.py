"""What only containerd's containers have: namespaces, and tasks that come and go."""

from __future__ import annotations

from tests.kernel.steps import CONFLICT, NOT_FOUND, refused
from tests.runtimes.containers import Containerd, Runc
from tests.runtimes.ground import Ground
from tests.runtimes.test_every_runtime import attach, looked_up


class Other(Containerd):
    namespace = "other"

    def prepare(self) -> None:
        """The daemon runs."""


def test_container_is_named_with_its_namespace_where_two_have_it(
    ground: Ground, containerd: Containerd
) -> None:
    other = Other(ground)
    try:
        containerd.make("web")
        attach(ground, "containerd:web")
        other.make("web")
        hint = refused(ground.macvnet("connect", "net", "containerd:web"), CONFLICT, "2 containers")
        assert hint == "containerd:default/web or containerd:other/web"
        assert looked_up(ground, "containerd:w") == []
        assert looked_up(ground, "containerd:o") == ["containerd:other/web"]
        before = attach(ground, "containerd:other/web")
        other.restart("web")
        ground.macvnet("restore").checked()
        assert other.link("web") == (before.mac, before.addresses)
        other.clear()
        ground.macvnet("disconnect", "net", "containerd:other/web").checked()
        assert containerd.links("web") == ["lo", "eth0"]
    finally:
        other.clear()


def test_gone_container_is_disconnected_by_its_id_alone(
    ground: Ground, containerd: Containerd
) -> None:
    for spelled in ("containerd:web", "containerd:default/web", "web"):
        attach(ground, containerd.make("web"))
        containerd.clear()
        ground.macvnet("disconnect", "net", spelled).checked()


def test_process_that_has_the_number_of_a_dead_task_is_not_taken_for_it(
    ground: Ground, containerd: Containerd, runc: Runc
) -> None:
    """containerd's own file names a living process."""
    containerd.make("web")
    runc.make("victim")
    file = ground.file("/run/containerd/io.containerd.runtime.v2.task/default/web/init.pid")
    right = file.read_text()
    for wrong in (str(runc.pid("victim")), "1", "-1", "", "x", "9" * 30):
        file.write_text(wrong)
        done = ground.macvnet("connect", "net", "containerd:web")
        refused(done, CONFLICT, "does not run")
    file.write_text(right)
    assert runc.links("victim") == ["lo"]
    ground.macvnet("connect", "net", "containerd:web").checked()


def test_container_without_a_task_is_not_found(ground: Ground, containerd: Containerd) -> None:
    """Only containerd knows it then, and it has no process."""
    containerd.make("web")
    containerd.stop("web")
    containerd.ctr("tasks", "rm", "web")
    refused(ground.macvnet("connect", "net", "containerd:web"), NOT_FOUND, "no task")
