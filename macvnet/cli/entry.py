"""The executable's first step and its last.

Knows that a command is short: nothing of what is loaded becomes garbage, so
Python need not look for any, nor take everything apart at the end. That saves a
tenth of a call.
"""

from __future__ import annotations

import gc

gc.disable()


def main() -> None:
    """Entry point of the executable."""
    from macvnet.cli import boundary
    from macvnet.cli.calling import main as command_line

    boundary.end(command_line())
