"""A bar for long work, on a terminal and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.kernel.steps import LAN, create, join
from tests.lab import Lab
from tests.lab.terminal import Terminal

AT_ONCE = """
import sys
from macvnet.cli import entry, progress
progress.PATIENCE_SECONDS = progress.REFRESH_SECONDS = 0.0
sys.argv[0] = "macvnet"
sys.exit(entry.main())
"""
"""The program as it is installed, with a bar from the first second on."""


@contextmanager
def watched(command: Sequence[str], env: Mapping[str, str]) -> Iterator[Terminal]:
    """A program on a terminal; it has ended by itself, and well, at the end of the block."""
    terminal = Terminal(command, env=env)
    status = None
    try:
        yield terminal
        status = terminal.status()
    finally:
        if status is None:
            terminal.end()
        else:
            terminal.close()
    assert status == 0


def at_once(lab: Lab, *words: str) -> list[str]:
    return [*lab.host.enter, sys.executable, "-c", AT_ONCE, *words]


def test_long_work_shows_how_far_it_is_and_clears_that(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    targets = [lab.named() for _ in range(3)]
    batch = lab.folder / "batch"
    batch.write_text("".join(f"{target.target}\n" for target in targets))
    env = {**os.environ, **lab.host.env, "TERM": "xterm", "COLUMNS": "80"}
    with watched(at_once(lab, "connect", "--batch", str(batch), "lan"), env) as terminal:
        for text in ("connecting", "3/3", "\x1b[2K"):
            terminal.expect(text, 30)
    for target in targets:
        target.batch("link del eth0")
    with watched(at_once(lab, "restore"), env) as terminal:
        # A network and three endpoints; results are told when the bar is gone.
        for text in ("restoring", "4/4", "\x1b[2K", "netns:ns3 in network lan"):
            terminal.expect(text, 30)
    assert all("eth0" in target.links() for target in targets)
    scan = at_once(lab, "ipam", "scan", "--range=172.16.86.9", "lan")
    with watched(scan, env) as terminal:
        for text in ("scanning", "3/3", "\x1b[2K", "no other machine answers"):
            terminal.expect(text, 30)


def test_a_pipe_gets_no_bar(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    target = lab.named("web")
    join(lab.host, target, "lan")
    target.batch("link del eth0", "link set lo up")
    env = {**os.environ, **lab.host.env, "TERM": "xterm"}
    piped = subprocess.run(at_once(lab, "restore"), env=env, capture_output=True, text=True)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout.startswith("netns:web in network lan ")
