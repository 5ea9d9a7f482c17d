"""The how-to pages of the runtimes: each does what it shows, with the real one.

That of systemd-nspawn is played by ``tests.runtimes.machined``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.session import Session, check
from tests.runtimes.containers import IMAGE, KINDS, Containerd, Docker, Lxc, Podman, Runc, Runtime
from tests.runtimes.ground import BOX, Ground
from tests.runtimes.test_oci_hook import HOOK, hooks_of_its_own

HOOK_PAGE = "docs/how-to/oci-hook.md"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def page(word: str) -> pages.Part:
    """The part of a runtime's page that needs it."""
    (part,) = pages.parts(f"docs/how-to/{word}.md")
    assert part.plan.runtime == word
    return part


def of_the_hook(word: str) -> pages.Part:
    """The part of the hook's page that needs a runtime."""
    (part,) = (each for each in pages.parts(HOOK_PAGE) if each.plan.runtime == word)
    return part


def tag(kind: Runtime) -> None:
    assert isinstance(kind, Docker)
    kind.docker("tag", IMAGE, "alpine").checked()


def bundle(kind: Runtime) -> None:
    assert isinstance(kind, Runc)
    kind.pack("web")
    kind.ground.run("ln", "-s", kind.bundle("web"), "/run/web").checked()


def root(kind: Runtime) -> None:
    assert isinstance(kind, Containerd)
    kind.ground.run("cp", "-a", BOX, "/run/web").checked()


def configuration(kind: Runtime) -> None:
    assert isinstance(kind, Lxc)
    kind.configure("web")


PREPARED: dict[str, Callable[[Runtime], None]] = {
    "docker": tag,
    "podman": tag,
    "runc": bundle,
    "containerd": root,
    "lxc": configuration,
}
"""What each page takes for granted."""


def test_page_does_what_it_shows(ground: Ground, runtime: Runtime, tmp_path: Path) -> None:
    ground.env["MACVNET_STATE_DIR"] = str(tmp_path / "page")
    PREPARED[runtime.word](runtime)
    try:
        check(page(runtime.word), Session(ground, tmp_path, {}, PATH))
    finally:
        runtime.remove("web")
        ground.run("rm", "-rf", "/run/web").checked()


def test_page_of_the_hook_does_what_it_shows_with_podman(
    ground: Ground, podman: Podman, tmp_path: Path
) -> None:
    ground.env["MACVNET_STATE_DIR"] = str(tmp_path / "page")
    tag(podman)
    with hooks_of_its_own(ground):
        try:
            check(of_the_hook("podman"), Session(ground, tmp_path, {}, PATH))
        finally:
            podman.remove("web")


def test_page_of_the_hook_does_what_it_shows_with_runc(
    ground: Ground, runc: Runc, tmp_path: Path
) -> None:
    """With the keys of config.json as the page has them."""
    ground.env["MACVNET_STATE_DIR"] = str(tmp_path / "page")
    bundle(runc)
    (shown,) = re.findall(r"```json\n(.*?)```", (pages.ROOT / HOOK_PAGE).read_text(), re.DOTALL)
    config = ground.file(runc.bundle("web")) / "config.json"
    more = json.loads(shown.replace("/usr/local/bin/macvnet-oci-hook", HOOK))
    config.write_text(json.dumps({**json.loads(config.read_text()), **more}))
    try:
        check(of_the_hook("runc"), Session(ground, tmp_path, {}, PATH))
    finally:
        runc.remove("web")
        ground.run("rm", "-rf", "/run/web").checked()


def test_page_of_the_watch_does_what_it_shows(
    ground: Ground, docker: Docker, tmp_path: Path
) -> None:
    ground.env["MACVNET_STATE_DIR"] = str(tmp_path / "page")
    tag(docker)
    (part,) = pages.parts("docs/how-to/watch.md")
    try:
        check(part, Session(ground, tmp_path, {}, PATH))
    finally:
        docker.remove("web")


@pytest.mark.parametrize("word", [*KINDS, "nspawn"])
def test_every_runtime_has_a_page(word: str) -> None:
    assert page(word).steps


def test_every_page_of_a_runtime_is_played() -> None:
    """None is left to nobody because its runtime is misspelled."""
    played = {
        part.page for name in pages.pages() for part in pages.parts(name) if part.plan.runtime
    }
    assert played == {
        HOOK_PAGE,
        *(f"docs/how-to/{word}.md" for word in (*KINDS, "nspawn", "watch")),
    }
    hooked = [part.plan.runtime for part in pages.parts(HOOK_PAGE)]
    assert sorted(hooked) == ["podman", "runc"]
