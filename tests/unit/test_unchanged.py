"""What .ci/unchanged calls a change."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "unchanged"


@pytest.fixture
def unchanged() -> ModuleType:
    loader = SourceFileLoader("unchanged", str(SCRIPT))
    spec = spec_from_loader("unchanged", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_what_a_killed_run_left_may_go(unchanged: ModuleType) -> None:
    left = {"control group": ["/a/macvnet-lab-1.2.3"], "process of a lab": ["sleep"]}
    nothing: dict[str, list[str]] = {"control group": [], "process of a lab": []}
    assert unchanged.differences(left, nothing) == []
    assert len(unchanged.differences(nothing, left)) == 2


def test_anything_else_that_goes_is_a_change(unchanged: ModuleType) -> None:
    assert unchanged.differences({"link": ["lo", "eth0"]}, {"link": ["lo"]}) == ["link gone: eth0"]


def test_a_number_alone_is_no_proof_that_a_run_lives(unchanged: ModuleType) -> None:
    assert not unchanged.lives("1")
    assert not unchanged.lives("1.1.1")
