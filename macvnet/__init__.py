"""macvnet: macvlan and ipvlan networks for every process on a Linux host."""

import sys

__version__ = "0.1.0"

try:
    from macvnet import finding
except ImportError:
    # Another Python than CPython: its own way will do.
    pass
else:
    finding.install(sys.modules[__name__])
