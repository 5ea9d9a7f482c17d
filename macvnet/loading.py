"""A module by its name, as importlib has it, whose package takes a fiftieth of a short command."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def module(name: str) -> Any:
    """The module ``name``, imported if it is not yet. ImportError."""
    __import__(name)
    return sys.modules[name]
