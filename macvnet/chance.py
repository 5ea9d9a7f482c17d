"""Randomness from the kernel. The ``secrets`` module is the same for 6 ms of imports more."""

from __future__ import annotations

import os


def token(length: int) -> str:
    """``length`` random bytes as hexadecimal digits."""
    return os.urandom(length).hex()


def below(limit: int) -> int:
    """A random number from 0 to ``limit`` - 1; even enough for limits far below 2^64."""
    return int.from_bytes(os.urandom(8), "big") % limit
