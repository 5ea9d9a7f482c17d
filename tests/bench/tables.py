"""A run's results in Markdown, which read well in a terminal too.

Knows which figures go together; must not know how they were measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.bench import path, single
from tests.bench.figures import number, ratio
from tests.bench.targets import targets

Results = dict[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their heads, the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]

    def joined(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([joined(head), joined(rule), *map(joined, rows)])


def spread(known: dict[str, float]) -> str:
    """The quartiles of a figure."""
    return f"{number(known['low'])} to {number(known['high'])}"


def run_list(results: Results) -> str:
    run = results["run"]
    versions = {**run["python_packages"], **results.get("single", {}).get("peers", {})}
    size = "quick" if run["quick"] else "full"
    rows = {
        "Run": f"{size}, {run['date']}, {run['seconds']} s",
        "Kernel": f"Linux {run['kernel']}, {run['distribution']}",
        "Processor": f"{run['cpus']} CPUs, {run['processor']}",
        "Load before the run": f"{run['load']}",
        "File system of the state": run["file_system"],
        "macvnet": f"{run['macvnet']}, Python {run['python']}, SQLite {run['sqlite']}",
        "Others": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    lines = [f"- {name}: {value}" for name, value in rows.items()]
    if run["load"] > run["cpus"] / 4:
        lines.append("- **The machine was busy with something else: believe the ratios only.**")
    return "\n".join(lines)


def target_table(results: Results) -> str:
    return table(
        ("promise", "limit", "measured", "verdict"),
        [(one.what, one.promise, one.shown, one.verdict) for one in targets(results)],
    )


def single_table(results: Results) -> str:
    part = results["single"]
    bare = part["calls"][single.BARE]["wall_ms"]["median"]
    rows = []
    for name, known in part["calls"].items():
        wall = known["wall_ms"]
        times = ratio(wall["median"], bare)
        rows.append(
            (
                name,
                number(wall["median"]),
                spread(wall),
                number(known["cpu_ms"]["median"]),
                number(times) if times is not None else "-",
            )
        )
    for side, known in part["kernel_ms"].items():
        name = f"{single.KERNEL}: {side}"
        rows.append((name, number(known["median"]), spread(known), "-", "-"))
    return table(("one cold call", "ms", "quartiles", "CPU ms", "/ bare click"), rows)


def many_table(results: Results) -> str:
    part = results["many"]
    head = ("ms per endpoint", "of", "attach", "CPU", "detach", "CPU", "both")
    rows = []
    for size, ways in part["sizes"].items():
        for name, known in ways.items():
            attach, detach = known["attach_ms"]["median"], known["detach_ms"]["median"]
            rows.append(
                (
                    f"{name}",
                    size if known["endpoints"] == int(size) else f"{known['endpoints']} of {size}",
                    number(attach),
                    number(known["attach_cpu_ms"]),
                    number(detach),
                    number(known["detach_cpu_ms"]),
                    number(attach + detach),
                )
            )
    return table(head, rows)


def allocator_table(results: Results) -> str:
    head = ("ms", "choose and hold", "quartiles", "release", "hold, on the disk")
    disk = results["flat"]["disk_ms"]
    rows = [("the disk alone, a page", "-", "-", "-", number(disk["median"]))]
    return table(
        head,
        [
            (
                name,
                number(known["acquire_ms"]["median"]),
                spread(known["acquire_ms"]),
                number(known["release_ms"]["median"]),
                number(known["durable_ms"]["median"]),
            )
            for name, known in results["flat"]["allocator"].items()
        ]
        + rows,
    )


def cold_table(results: Results) -> str:
    part = results["flat"]
    head = ("cold call, ms", "attach", "detach", "inspect", "Tab", "attach, MiB")
    return table(
        head,
        [
            (
                name,
                *(number(known[what]["median"]) for what in ("attach", "detach", "inspect", "Tab")),
                number(part["memory_kib"][name]["attach"] / 1024),
            )
            for name, known in part["cold"].items()
        ],
    )


def tab_table(results: Results) -> str:
    rows = [
        (name, number(known["median"]), spread(known))
        for name, known in results["flat"]["tab"].items()
    ]
    return table(("1,000 networks, 65,000 leases", "ms", "quartiles"), rows)


def contention_table(results: Results) -> str:
    part = results["contention"]
    rows = [
        (name, number(known["median"]), spread(known)) for name, known in part["per_second"].items()
    ]
    return table(("cold calls", "a second", "quartiles"), rows)


def path_table(results: Results) -> str:
    ways = results["path"]["ways"]
    head = ("from a container to the LAN", "TCP Gbit/s", "packets a second", "round trip us")
    return table(
        head,
        [
            (
                name,
                *(
                    number(ways[name][what]["median"])
                    for what in ("tcp_gbit", "packets", "trip_us")
                ),
            )
            for name in (path.MACVLAN, path.BRIDGE, path.NAT)
        ],
    )


def imports_table(results: Results) -> str:
    part = results["profile"]["attach"]
    rows = [
        (f"`{one['module']}`", number(one["own_us"] / 1e3), number(one["all_us"] / 1e3))
        for one in part["imports"]
    ]
    total = f"{number(part['import_ms'])} ms in all, {part['modules']} modules"
    head = ("import, slowest first", "ms", "with what it imports")
    return f"{table(head, rows)}\n\n{total}."


def packages_table(results: Results) -> str:
    rows = [
        (name, f"{known['modules']}", number(known["ms"]))
        for name, known in results["profile"]["attach"]["packages"].items()
    ]
    return table(("imports of", "modules", "ms"), rows)


def calls_table(results: Results) -> str:
    part = results["profile"]["attach"]
    rows = [
        (f"`{one['name']}`", f"{one['calls']:,}", f"{one['errors']:,}") for one in part["counts"]
    ]
    total = f"{part['system_calls']:,} in all, those of the process that announces included"
    return f"{table(('system call', 'times', 'of these refused'), rows)}\n\n{total}."


def syncs_table(results: Results) -> str:
    rows = [(f"`{name}`", str(count)) for name, count in results["profile"]["syncs"].items()]
    return table(("command", "syncs"), rows)


TABLES: dict[str, tuple[str, Callable[[Results], str]]] = {
    "run": ("run", run_list),
    "targets": ("run", target_table),
    "single": ("single", single_table),
    "many": ("many", many_table),
    "allocator": ("flat", allocator_table),
    "cold": ("flat", cold_table),
    "tab": ("flat", tab_table),
    "contention": ("contention", contention_table),
    "path": ("path", path_table),
    "packages": ("profile", packages_table),
    "imports": ("profile", imports_table),
    "calls": ("profile", calls_table),
    "syncs": ("profile", syncs_table),
}
"""Table by name, and the part of the results that it needs."""


def text(results: Results) -> str:
    """All tables there are figures for, and a line for each promise that was measured."""
    found = [
        make(results)
        for name, (part, make) in TABLES.items()
        if part in results and name != "targets"
    ]
    judged = targets(results)
    known = [str(one) for one in judged if one.value is not None]
    if len(known) < len(judged):
        known.append(f"{len(judged) - len(known)} promises were not measured in this run")
    return "\n\n".join([*found, "\n".join(known)]) + "\n"
