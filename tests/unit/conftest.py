"""What several unit tests stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.trees import Tree, planted


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A root with the files it is called with."""
    return lambda files: planted(tmp_path, files)
