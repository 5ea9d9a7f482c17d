"""One state over two real boots of a kernel: what the boot took away comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.boots import days
from tests.boots.site import Site, boot, copied
from tests.lab import uml

MORNINGS = (
    days.everything_comes_back,
    days.somebody_was_quicker,
    days.nic_has_another_name,
    days.connect_without_restore,
)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's disk after the evening."""
    folder = tmp_path_factory.mktemp("evening")
    made = folder / "disk.img"
    uml.make_disk(made)
    boot(days.evening, folder, made)
    return made


@pytest.mark.parametrize("morning", MORNINGS, ids=lambda each: str(each.__name__))
def test_morning_after(morning: Callable[[Site], None], disk: Path, tmp_path: Path) -> None:
    boot(morning, tmp_path, copied(disk, tmp_path / "disk.img"))
