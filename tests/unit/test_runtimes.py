"""What needs no runtime to be shown: who is imported, what proves a process, who comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from macvnet import runtimes
from macvnet.errors import Conflict, InvalidRequest, NotFound
from macvnet.model import Owner
from macvnet.runtimes import Listed, process, similar
from macvnet.runtimes.process import Process
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend

STATE = Store(MemoryBackend())
ID = "0123456789abcdef" * 4


# -- the table ----------------------------------------------------------------


def test_every_row_is_a_runtime_of_its_name() -> None:
    for name, kind in runtimes.table().items():
        assert name == kind.NAME and kind.ISOLATED
        for verb in ("owner", "open_target", "knows", "present", "listed"):
            assert callable(getattr(kind, verb))


LOADED = """
import json, sys
from macvnet import runtimes
from macvnet.errors import MacvnetError
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend
before = set(sys.modules)
for text in sys.argv[1:]:
    try:
        runtimes.resolve(text, Store(MemoryBackend()))
    except MacvnetError:
        pass
    runtimes.listed(text, Store(MemoryBackend()), 1.0)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(*targets: str, **env: str) -> list[str]:
    argv = [sys.executable, "-c", LOADED, *targets]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("target", ["netns:nobody", "pid:4000000000", "run:nobody"])
def test_target_of_one_runtime_imports_no_other(target: str) -> None:
    imported = [name for name in loaded(target) if name.startswith("macvnet.runtimes.")]
    assert imported == [f"macvnet.runtimes.{target.partition(':')[0]}"]


def test_asking_docker_needs_no_library_of_the_web() -> None:
    """They take longer to import than the question takes."""
    imported = loaded("docker:nobody", DOCKER_HOST="unix:///run/nowhere.sock")
    assert "macvnet.runtimes.docker" in imported
    for name in ("socket", "http", "urllib.request", "email", "ssl", "logging"):
        assert name not in imported


def test_spelling_says_which_runtime() -> None:
    for text, meant in {
        "4242": ("pid", "4242"),
        "machine:web": ("nspawn", "web"),
        "runc:/run/crun/web": ("runc", "/run/crun/web"),
        "containerd:default/web": ("containerd", "default/web"),
        "/run/netns/web": ("path", "/run/netns/web"),
        "a/b:c": ("path", "a/b:c"),
        "docker:": ("docker", ""),
        "web": None,
        "unknown:web": None,
        "": None,
    }.items():
        assert runtimes.spelled(text) == meant


# -- processes ----------------------------------------------------------------


NOBODY = ("a b", "../x", "", "\x1b[31m", "x\nHost: y")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("docker podman", ("-x", "x?y=z", "x%2f", "x" * 256)),
        ("nspawn machine", (".host", "x" * 65, "unit:web.scope")),
        ("lxc", ("/x/../y/z", "relative/x", "/web")),
        ("containerd", ("a/b/c", "a/", "/a", "x" * 77)),
        ("runc", ("/x/../y/z", "relative/x", "/run/runc/")),
    ],
)
def test_name_that_no_container_can_have(words: str, names: tuple[str, ...]) -> None:
    """Refused before anybody is asked, and said without what it would do to a terminal."""
    for spelled in (f"{word}:{name}" for word in words.split() for name in NOBODY + names):
        for ask in (runtimes.resolve, runtimes.owner_of):
            with pytest.raises(InvalidRequest, match=r"cannot name a|is no ID of a") as refused:
                ask(spelled, STATE)
            assert refused.value.message.isprintable() and refused.value.hint


def test_process_that_has_ended_is_never_another_one() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    with Process(child.pid) as held:
        assert held.began() > 0 and held.groups()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert held.began() == -1
        child.wait()
        for read in (held.began, held.groups, held.namespace):
            with pytest.raises(NotFound):
                read()
    with pytest.raises(NotFound):
        Process(child.pid)


@pytest.mark.parametrize("number", [0, -1, 1 << 40, 1 << 400])
def test_number_of_no_process(number: int) -> None:
    with pytest.raises(NotFound):
        Process(number)


@pytest.mark.parametrize("error", [NotFound("x"), ValueError("x")])
def test_namespace_of_what_is_not_proved_is_let_go(error: Exception) -> None:
    kept = []

    def proof(held: Process, namespace: Any) -> bool:
        kept.append(namespace)
        raise error

    try:
        assert process.hold(os.getpid(), proof) is None
    except ValueError:
        pass
    held = process.hold(os.getpid(), lambda held, namespace: True)
    assert held is not None and held.fd >= 0 and [one.fd for one in kept] == [-1]
    held.close()


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (ID, True),
        (f"docker-{ID}.scope", True),
        (f"libpod-{ID}", True),
        (f"libpod-payload-{ID}", True),
        (f"system.slice:docker:{ID}", True),
        (f"{ID}x", False),
        (f"x{ID}", False),
        (ID[:12], False),
        ("", False),
    ],
)
def test_control_group_is_named_after_a_container(
    monkeypatch: pytest.MonkeyPatch, part: str, named: bool
) -> None:
    monkeypatch.setattr(Process, "groups", lambda self: ["/", f"/some.slice/{part}/init.scope"])
    with Process(os.getpid()) as held:
        assert held.is_in_group_of(ID) is named
        assert not held.is_in_group_of("")


# -- what is recorded ---------------------------------------------------------


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def playing(**kinds: object) -> None:
        monkeypatch.setattr(runtimes, "table", lambda: kinds)

    return playing


class Opened:
    """A runtime whose containers are the test's own namespace."""

    NAME = "docker"

    def __init__(self, **known: Owner | Exception) -> None:
        self.known = known
        self.opened: list[runtimes.Target] = []

    def open_target(self, name: str, store: Store) -> runtimes.Target:
        found = self.known.get(name, NotFound(f"no {name}"))
        if isinstance(found, Exception):
            raise found
        namespace = process.hold(os.getpid(), lambda held, _: True)
        assert namespace is not None
        self.opened.append(runtimes.Target(found, namespace, os.getpid()))
        return self.opened[-1]


def test_container_is_reopened_by_its_id_then_by_its_name(play: Callable[..., None]) -> None:
    renamed, successor = Owner("docker", "new", ID), Owner("docker", "web", "f" * 64)
    recorded = Owner("docker", "web", ID)
    for known, meant in (
        ({ID: renamed, "web": successor}, renamed),
        ({"web": successor}, successor),
        # What is recorded is a name, and not the beginning of somebody's ID.
        ({"web": successor._replace(name="other")}, None),
        # It is there, and does not run: nobody takes its place.
        ({ID: runtimes.NoSandbox("stopped"), "web": successor}, None),
        ({}, None),
    ):
        kind = Opened(**known)
        play(docker=kind)
        try:
            found = runtimes.reopen(recorded, STATE)
        except (NotFound, Conflict):
            assert meant is None
        else:
            assert found.owner == meant
            found.namespace.close()
        assert all(target.namespace.fd == -1 for target in kind.opened)


def test_owner_of_a_runtime_that_is_not_known_is_not_found() -> None:
    with pytest.raises(NotFound):
        runtimes.reopen(Owner("future", "web"), STATE)


def test_the_hint_for_a_mistyped_runtime_repeats_no_endless_name() -> None:
    for name, hint in (("web", "did you mean docker:web?"), ("x" * 10_000, "give ")):
        with pytest.raises(NotFound) as refused:
            runtimes.resolve(f"docke:{name}", Store(MemoryBackend()))
        said = refused.value.hint or ""
        assert said.startswith(hint) and len(said) < 400


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("docker:frontent", "did you mean docker:frontend?"),
        ("frontent", "did you mean docker:frontend?"),
        ("frontend", "as it was"),
        ("zzzz", "as it was"),
        ("docke:frontent", "as it was"),
        ("424", "as it was"),
        ("/run/frontent", "as it was"),
        ("pid:frontent", "as it was"),
    ],
)
def test_nearest_container_is_the_hint_where_a_name_is_mistyped(
    monkeypatch: pytest.MonkeyPatch, typed: str, hint: str
) -> None:
    there = [Listed("pid:4242"), Listed("docker:frontend"), Listed("runc:frontend"), Listed("x")]
    monkeypatch.setattr(
        similar, "listed", lambda word, *_: [one for one in there if one.name.startswith(word)]
    )
    said = similar.with_guess(NotFound("no", "as it was"), typed, Store(MemoryBackend()))
    assert (said.message, said.hint) == ("no", hint)
