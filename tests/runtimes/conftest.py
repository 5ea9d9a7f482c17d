"""The ground and the runtimes on it: started once, when a test first asks for one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.steps import LAN, create
from tests.lab import Lab
from tests.runtimes.containers import KINDS, Containerd, Docker, Lxc, Podman, Runc, Runtime
from tests.runtimes.ground import Ground


@pytest.fixture(scope="session")
def one_lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="session")
def one_ground(one_lab: Lab) -> Iterator[Ground]:
    with Ground(one_lab) as ground:
        yield ground


@pytest.fixture(scope="session")
def one_state(one_ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with the network ``net``, to be copied."""
    state = tmp_path_factory.mktemp("one") / "state"
    one_ground.env["MACVNET_STATE_DIR"] = str(state)
    create(one_ground, "net", *LAN)
    return state


@pytest.fixture(scope="session")
def runtimes(one_ground: Ground) -> dict[str, Runtime]:
    """Those that run by now."""
    return {}


@pytest.fixture
def ground(one_ground: Ground, one_state: Path, tmp_path: Path) -> Ground:
    """With a state of its own for each test, and a network ``net`` in it."""
    state = tmp_path / "state"
    shutil.copytree(one_state, state)
    one_ground.env["MACVNET_STATE_DIR"] = str(state)
    return one_ground


def _started(word: str, ground: Ground, runtimes: dict[str, Runtime]) -> Iterator[Any]:
    if word not in runtimes:
        runtimes[word] = KINDS[word](ground)
    yield runtimes[word]
    runtimes[word].clear()


@pytest.fixture(params=list(KINDS))
def runtime(
    request: pytest.FixtureRequest, ground: Ground, runtimes: dict[str, Runtime]
) -> Iterator[Runtime]:
    """Each runtime in turn."""
    yield from _started(request.param, ground, runtimes)


@pytest.fixture
def docker(ground: Ground, runtimes: dict[str, Runtime]) -> Iterator[Docker]:
    yield from _started("docker", ground, runtimes)


@pytest.fixture
def podman(ground: Ground, runtimes: dict[str, Runtime]) -> Iterator[Podman]:
    yield from _started("podman", ground, runtimes)


@pytest.fixture
def runc(ground: Ground, runtimes: dict[str, Runtime]) -> Iterator[Runc]:
    yield from _started("runc", ground, runtimes)


@pytest.fixture
def containerd(ground: Ground, runtimes: dict[str, Runtime]) -> Iterator[Containerd]:
    yield from _started("containerd", ground, runtimes)


@pytest.fixture
def lxc(ground: Ground, runtimes: dict[str, Runtime]) -> Iterator[Lxc]:
    yield from _started("lxc", ground, runtimes)
