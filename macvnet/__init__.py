"""macvnet: macvlan and ipvlan networks for every process on a Linux host."""

__version__ = "0.1.0"
