"""What all tests share: the lab, and which tests which kernel runs.

A test says ``@pytest.mark.needs("vlan")`` when it makes such links, and
``@pytest.mark.lacks("vlan")`` when it shows what a kernel without them gets.
Natively, tests whose kinds the kernel does not have are deselected; the run in
User Mode Linux takes exactly the tests that carry one of the two marks, and
fails where a kind is missing. Nothing is skipped: ``tests.lab.accounting``
holds both runs against what was collected.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab, kinds

IN_UML = os.environ.get("MACVNET_TEST_UML") == "1"
EVERYTHING = os.environ.get("MACVNET_TEST_EVERYTHING") == "1"
LEDGER = os.environ.get("MACVNET_TEST_LEDGER")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*kinds): makes links of these kinds")
    config.addinivalue_line("markers", "lacks(*kinds): runs on a kernel without these kinds")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    # Else SIGTERM would end pytest without closing its labs.
    signal.signal(signal.SIGTERM, interrupted)
    # Ignored by what a shell or nohup starts in the background, they would be by every child.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def marked(item: pytest.Item, name: str) -> tuple[str, ...]:
    return tuple(kind for mark in item.iter_markers(name) for kind in mark.args)


def _belongs(item: pytest.Item) -> bool:
    needs, lacks = marked(item, "needs"), marked(item, "lacks")
    if IN_UML:
        return EVERYTHING or bool(needs or lacks)
    if not needs and not lacks:
        return True
    return not kinds.missing(needs) and len(kinds.missing(lacks)) == len(lacks)


def _write(name: str, lines: list[str]) -> None:
    if LEDGER:
        with Path(LEDGER, name).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _write("collected", [item.nodeid for item in items])
    elsewhere = [item for item in items if not _belongs(item)]
    if elsewhere:
        items[:] = [item for item in items if item not in elsewhere]
        config.hook.pytest_deselected(items=elsewhere)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    executed = report.when == "call" and report.outcome != "skipped"
    if executed or report.outcome == "failed":
        _write("executed", [f"{report.outcome} {report.nodeid}"])


@pytest.fixture
def make_lab() -> Iterator[Callable[..., Lab]]:
    """Labs to order: ``make_lab(host=(), router=("10.1.0.1/16",), nics=2)``."""
    made: list[Lab] = []

    def make(**wanted: Any) -> Lab:
        made.append(Lab(**wanted))
        return made[-1]

    yield make
    for lab in reversed(made):
        lab.close()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """The seed's lab: host 172.16.86.250/24 on eth0, router 172.16.86.1/24."""
    return make_lab()
