"""No refusal of the kernel is told by an errno alone, whatever it is."""

from __future__ import annotations

import ast
import errno
import os
from pathlib import Path

import pytest

import macvnet
from macvnet.engine import refusals
from macvnet.errors import MEANINGS, KernelRefused
from macvnet.kernel.rtnetlink import NetlinkError

SOURCES = Path(macvnet.__file__).parent


def test_every_errno_is_told_with_what_to_ask() -> None:
    for number in errno.errorcode:
        told = NetlinkError(number).during("set eth0 up")
        assert told.message.startswith("cannot set eth0 up: ") and told.hint == "macvnet doctor"
        assert os.strerror(number) in told.message
        if number in MEANINGS:
            assert f"{MEANINGS[number]} ({os.strerror(number)})" in told.message
        own_words = NetlinkError(number, "Invalid MTU").during("set eth0 up")
        assert "Invalid MTU" in own_words.message


@pytest.mark.parametrize("kind", ["macvlan", "ipvlan", "vlan", "dummy"])
def test_every_refusal_of_a_link_names_it_or_its_parent(kind: str) -> None:
    for number in errno.errorcode:
        told = refusals._by_errno(NetlinkError(number), kind, "eth7", "mv12")
        assert told.hint
        assert any(word in told.message for word in ("'eth7'", "'mv12'", "the module"))


def _bare(path: Path) -> list[str]:
    """Where KernelRefused is raised without words or a hint of its own."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
            continue
        called = node.exc
        name = called.func.id if isinstance(called.func, ast.Name) else ""
        if name == KernelRefused.__name__ and len(called.args) + len(called.keywords) < 3:
            found.append(f"{path.name}:{node.lineno}")
    return found


@pytest.mark.parametrize("part", ["engine", "kernel"])
def test_nothing_raises_an_errno_without_words(part: str) -> None:
    paths = sorted((SOURCES / part).glob("*.py"))
    assert paths and [place for path in paths for place in _bare(path)] == []
