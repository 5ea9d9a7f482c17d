"""What a run's figures depend on: kernel, processor, versions, how busy the machine was."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

from macvnet import __version__


def described() -> dict[str, Any]:
    """Before the run, so that its own load is not in it."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "kernel": re.split(r"[^0-9.]", platform.release())[0],
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME", "?"),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "macvnet": __version__,
    }


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()
