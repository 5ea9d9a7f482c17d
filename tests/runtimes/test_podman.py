"""What only Podman's containers have: no daemon, and users who run their own."""

from __future__ import annotations

import os

from tests.kernel.steps import NOT_FOUND, refused
from tests.lab import Result
from tests.runtimes.containers import IMAGE, Podman
from tests.runtimes.ground import BOX, Ground
from tests.runtimes.test_every_runtime import ROUTER, attach

UNAVAILABLE = 10
USER = 4321
HOME = "/run/rootless"
STORAGE = '[storage]\ndriver = "vfs"\n[storage.options]\nignore_chown_errors = "true"\n'


def test_service_that_is_not_there(ground: Ground) -> None:
    away = {"CONTAINER_HOST": "unix:///run/nowhere.sock"}
    done = ground.macvnet("connect", "net", "podman:web", env=away)
    assert refused(done, UNAVAILABLE, "/run/nowhere.sock") == (
        "systemctl start podman.socket, or unset CONTAINER_HOST"
    )


def test_service_of_another_machine_is_not_asked(ground: Ground) -> None:
    away = {"CONTAINER_HOST": "ssh://root@elsewhere/run/podman/podman.sock"}
    done = ground.macvnet("connect", "net", "podman:web", env=away)
    assert refused(done, NOT_FOUND, "ssh", "CONTAINER_HOST") == "unset CONTAINER_HOST"


def test_paused_container_is_connected(ground: Ground, podman: Podman) -> None:
    """Podman itself says that it does not run."""
    target = podman.make("web")
    podman.docker("pause", "web").checked()
    joined = attach(ground, target)
    podman.docker("unpause", "web").checked()
    assert podman.link("web") == (joined.mac, joined.addresses)


def test_container_is_named_by_its_id_too_although_runc_knows_it_as_well(
    ground: Ground, podman: Podman
) -> None:
    """What Podman prints when it starts one can be typed as it is."""
    podman.make("web")
    container = podman.id("web")
    for spelled in (container, f"podman:{container[:6]}", f"runc:{container}"):
        ground.macvnet("connect", "net", spelled).checked()
        assert podman.links("web") == ["lo", "eth0"]
        ground.macvnet("disconnect", "net", f"podman:{container}").checked()
    assert podman.links("web") == ["lo"]


def test_inspect_shows_the_container_as_docker_does(ground: Ground, podman: Podman) -> None:
    ground.macvnet("connect", "net", podman.make("web")).checked()
    (document,) = ground.macvnet("inspect", "net").checked().json()
    ((key, shown),) = document["Containers"].items()
    assert (key, shown["Name"]) == (podman.id("web"), "web")


def rootless(ground: Ground, *argv: str) -> Result:
    """Podman as a user runs it, who has no daemon and no root."""
    env = {
        "HOME": HOME,
        "XDG_RUNTIME_DIR": HOME,
        "CONTAINERS_STORAGE_CONF": f"{HOME}/storage.conf",
    }
    become = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--")
    # Its /proc must not be covered anywhere, or the kernel lets it mount no other one; and its
    # streams are the container's, so that they must not be ours.
    script = (
        "umount /proc/sys/kernel/keys; mount --bind /run/passwd /etc/passwd; "
        'exec "$@" >/run/rootless.out 2>/run/rootless.err </dev/null'
    )
    done = ground.run(
        *("unshare", "--mount", "sh", "-ec", script, "sh", *become, "podman", *argv), env=env
    )
    said = ground.file("/run/rootless.out").read_text()
    return done._replace(stdout=said, stderr=ground.file("/run/rootless.err").read_text())


def test_container_of_a_user_is_explained_and_attached_by_its_number(
    ground: Ground, podman: Podman
) -> None:
    """Root's service does not know it; the number is the user's to say."""
    home = ground.file(HOME)
    home.mkdir()
    (home / "storage.conf").write_text(STORAGE)
    passwd = f"root:x:0:0:root:/root:/bin/sh\nuser:x:{USER}:{USER}::{HOME}:/bin/sh\n"
    ground.file("/run/passwd").write_text(passwd)
    os.chown(home, USER, USER)
    ground.run("sh", "-c", f"tar -c -C {BOX} . >{HOME}/box.tar").checked()
    rootless(ground, "import", f"{HOME}/box.tar", IMAGE).checked()
    words = ("--detach", "--name", "mine", "--network", "none", IMAGE, "/bin/sleep", "1000000")
    rootless(ground, "run", *words).checked()
    try:
        hint = refused(ground.macvnet("connect", "net", "podman:mine"), NOT_FOUND, "'mine'")
        assert "rootless" in hint and "podman inspect -f '{{.State.Pid}}'" in hint
        number = rootless(ground, "inspect", "-f", "{{.State.Pid}}", "mine").checked()
        attach(ground, number.stdout.strip())
        rootless(ground, "exec", "mine", "/bin/ping", "-c1", "-W5", ROUTER).checked()
    finally:
        rootless(ground, "rm", "--force", "--time=0", "mine").checked()
