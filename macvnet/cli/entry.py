"""The executable's first step.

Knows that a command is short: nothing of what is loaded becomes garbage, so
Python need not look for any. That saves a twelfth of the start.
"""

from __future__ import annotations

import gc

gc.disable()


def main() -> None:
    """Entry point of the executable."""
    from macvnet.cli.main import main as command_line

    command_line()
