"""A bar for long work, on a terminal and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

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


def test_restore_shows_how_far_it_is_and_clears_that(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    targets = [lab.named() for _ in range(3)]
    for target in targets:
        join(lab.host, target, "lan")
        target.batch("link del eth0")
    command = [*lab.host.enter, sys.executable, "-c", AT_ONCE, "restore"]
    env = {**os.environ, **lab.host.env, "TERM": "xterm", "COLUMNS": "80"}
    terminal = Terminal(command, env=env)
    ended = False
    try:
        terminal.expect("restoring", 30)
        terminal.expect("4/4", 30)
        terminal.expect("\x1b[2K", 30)
        # Results are told when the bar is gone.
        terminal.expect("netns:ns3 in network lan", 30)
        assert terminal.status() == 0
        ended = True
    finally:
        if ended:
            terminal.close()
        else:
            terminal.end()
    assert all("eth0" in target.links() for target in targets)
    targets[0].batch("link del eth0")
    piped = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout.startswith("netns:ns1 in network lan ")
