"""Kinds of link that a kernel test needs, or must do without."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import marked
from tests.lab import kinds

MODPROBE = Path("/proc/sys/kernel/modprobe")


@pytest.fixture(autouse=True)
def _kinds(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose kinds are missing; take away the kinds that it must not have."""
    missing = kinds.missing(marked(request.node, "needs"))
    if missing:
        pytest.fail(f"this kernel cannot make: {', '.join(missing)}", pytrace=False)
    unwanted = [
        kinds.module(kind) for kind in marked(request.node, "lacks") if not kinds.missing((kind,))
    ]
    if not unwanted:
        yield
        return
    # Only ever in User Mode Linux, whose kernel is the test's own.
    loader = MODPROBE.read_text()
    MODPROBE.write_text("/bin/false")
    try:
        for module in unwanted:
            subprocess.run(["modprobe", "-r", module], check=True)
        yield
    finally:
        MODPROBE.write_text(loader)
        subprocess.run(["modprobe", "-a", *unwanted], check=True)
