"""Recorded trees of /sys, /run and /etc, as machines have them that no lab is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Tree = Callable[[dict[str, str]], str]


def planted(root: Path, files: dict[str, str]) -> str:
    """The root, with these files; one that begins with '->' is a symbolic link, '/' a folder."""
    for name, text in files.items():
        path = root / name
        if text == "/":
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text.removeprefix("->"))
        else:
            path.write_text(text + "\n")
    return str(root)
