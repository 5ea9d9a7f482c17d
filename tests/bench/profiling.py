"""Where the time of one cold call goes, and how often it makes the disk write.

Python's own account of imports, the system calls as strace counts them, and the
syncs of each command.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any, NamedTuple

from tests.bench.figures import significant
from tests.bench.measure import Call, CallFailed, run
from tests.bench.site import NETWORKS, Site, subnet_of

SYNCS = "fsync,fdatasync,sync_file_range,msync"
SHOWN = 15
PACKAGES = ("macvnet", "click", "pyroute2", "netaddr", "rich", "tomli")
LIBRARY = "Python and its library"
TRIES, QUICK_TRIES = 7, 1
SYNC_TRIES = 3
EVERYDAY = ("attach", "detach", "connect", "disconnect")


class Import(NamedTuple):
    """Microseconds that a module took by itself, and with what it imported."""

    module: str
    own_us: int
    all_us: int


class SystemCall(NamedTuple):
    """How often one was made by a call and all its children, and how long it took in all."""

    name: str
    calls: int
    errors: int
    us: int


def part(site: Site, quick: bool) -> dict[str, Any]:
    target = site.lab.container().target
    attach = site.macvnet("attach", "--network", "net0", target)
    detach = site.macvnet("detach", target)
    result: dict[str, Any] = {}
    timed: dict[str, list[list[Import]]] = {"attach": [], "detach": []}
    for _ in range(QUICK_TRIES if quick else TRIES):
        for name, call in (("attach", attach), ("detach", detach)):
            timed[name].append(imported(_stderr(_timed(site, call))))
    for name, tries in timed.items():
        # The machine can only add to it.
        imports = min(tries, key=lambda each: sum(one.own_us for one in each))
        result[name] = {
            "modules": len(imports),
            "import_ms": significant(sum(one.own_us for one in imports) / 1e3),
            "packages": by_package(imports),
            "imports": [
                one._asdict() for one in sorted(imports, key=lambda one: -one.own_us)[:SHOWN]
            ],
        }
    for name, call in (("attach", attach), ("detach", detach)):
        counted = system_calls(_traced(site, call, "-f", "-c"))
        result[name]["system_calls"] = sum(one.calls for one in counted)
        result[name]["counts"] = [one._asdict() for one in counted[:SHOWN]]
    result["syncs"] = _syncs(site, target, quick)
    return result


def imported(text: str) -> list[Import]:
    """The lines of ``python -X importtime``."""
    found = re.findall(r"^import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)$", text, re.MULTILINE)
    return [Import(module, int(own), int(both)) for own, both, module in found]


def by_package(imports: list[Import]) -> dict[str, Any]:
    """Modules and milliseconds of each package, the dearest first; Python's own as one."""
    found: dict[str, list[int]] = {}
    for one in imports:
        name = one.module.partition(".")[0]
        library = name not in PACKAGES
        found.setdefault(LIBRARY if library else name, []).append(one.own_us)
    summed = {name: (len(own), sum(own)) for name, own in found.items()}
    return {
        name: {"modules": modules, "ms": significant(us / 1e3)}
        for name, (modules, us) in sorted(summed.items(), key=lambda item: -item[1][1])
    }


def system_calls(text: str) -> list[SystemCall]:
    """The table of ``strace -c``, the most frequent first."""
    line = re.compile(r"^\s*[\d.]+\s+([\d.]+)\s+\d+\s+(\d+)\s+(?:(\d+)\s+)?([a-z_0-9]+)$")
    found = [
        SystemCall(match[4], int(match[2]), int(match[3] or 0), round(float(match[1]) * 1e6))
        for match in map(line.match, text.splitlines())
        if match and match[4] != "total"
    ]
    return sorted(found, key=lambda one: (-one.calls, one.name))


def _timed(site: Site, call: Call) -> Call:
    return call._replace(argv=(site.installation.python, "-X", "importtime", *call.argv))


def _stderr(call: Call) -> str:
    done = subprocess.run(
        call.argv, env=dict(call.env), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise CallFailed(f"{' '.join(call.argv)}: {done.stderr[-2000:]}")
    return done.stderr


def _traced(site: Site, call: Call, *words: str) -> str:
    """What strace writes of a call; with -f of what it leaves behind, too, when that has ended."""
    file = site.folder / "strace.txt"
    run(call._replace(argv=("/usr/bin/strace", *words, "-o", str(file), "--", *call.argv)))
    return file.read_text()


def _syncs(site: Site, target: str, quick: bool) -> dict[str, int]:
    """For each command, how many times it waits for the disk; ``quick``: for those of every day.

    The least of a few tries: now and then one moves the store's log into its file, too.
    """
    subnet, gateway = subnet_of(NETWORKS)
    words = {
        "create": (
            *("create", "--subnet", subnet, "--gateway", gateway),
            *("-o", f"parent=eth{NETWORKS}", "profiled"),
        ),
        "rm": ("rm", "profiled"),
        "attach": ("attach", "--network", "net0", target),
        "detach": ("detach", target),
        "connect": ("connect", "net0", f"pid:{target}"),
        "disconnect": ("disconnect", "net0", f"pid:{target}"),
        "ls": ("ls",),
        "inspect": ("inspect", "net0"),
        "check": ("check",),
    }
    found: dict[str, int] = {}
    for _ in range(1 if quick else SYNC_TRIES):
        for name in EVERYDAY if quick else words:
            argv = words[name]
            # What is left behind has no state to write.
            text = _traced(site, site.macvnet(*argv), "-e", f"trace={SYNCS}")
            count = len(re.findall(rf"\b(?:{SYNCS.replace(',', '|')})\(", text))
            found[name] = min(count, found.get(name, count))
    return found
