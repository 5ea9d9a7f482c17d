"""What macvnet promises to cost, held against a run's results.

Knows the promises and where their figures are. A verdict is a sentence for
people: nothing fails because of one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.bench import contention, flat, many, peers, single
from tests.bench.figures import number, ratio

MET, AIM_MET, MISSED, UNMEASURED = "met", "aim met", "not met", "not measured"


class Target(NamedTuple):
    """``value`` is None where it was not measured. ``most`` or ``least`` is promised.

    ``aim`` is better than the promise, and what is hoped for.
    """

    what: str
    value: float | None
    most: float | None = None
    least: float | None = None
    aim: float | None = None
    unit: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return UNMEASURED
        if self.most is not None:
            good = self.value <= self.most
            best = self.aim is not None and self.value <= self.aim
        else:
            assert self.least is not None
            good = self.value >= self.least
            best = self.aim is not None and self.value >= self.aim
        return AIM_MET if best else MET if good else MISSED

    @property
    def promise(self) -> str:
        bound = f"at most {_bare(self.most)}" if self.most is not None else ""
        bound = bound or f"at least {_bare(self.least)}"
        aim = f", aim {_bare(self.aim)}" if self.aim is not None else ""
        return f"{bound}{self.unit}{aim}"

    @property
    def shown(self) -> str:
        return "-" if self.value is None else f"{number(self.value)}{self.unit}"

    def __str__(self) -> str:
        return f"{self.what} = {self.shown} ({self.promise}): {self.verdict}"


def _bare(value: float | None) -> str:
    return f"{value:g}"


def targets(results: dict[str, Any]) -> list[Target]:
    """Every promise, those of parts that were not measured too."""
    return [
        *_single(results.get("single")),
        *_tab(results.get("flat")),
        *_many(results.get("many")),
        *_flat(results.get("flat")),
        *_contention(results.get("contention")),
    ]


def _divided(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else ratio(one, other)


def _added(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _single(part: dict[str, Any] | None) -> list[Target]:
    def wall(name: str) -> float | None:
        known = part["calls"].get(name) if part else None
        return float(known["wall_ms"]["median"]) if known else None

    def docker(side: str) -> float | None:
        return wall(f"{peers.DockerNetwork.name}: {side}")

    bare, sized = wall(single.BARE), wall(single.SIZED)
    found = [
        Target(f"{name} / {single.BARE}", _divided(wall(name), bare), most=2, aim=1.5)
        for name in (single.ATTACH, single.CONNECT)
    ]
    both = _added(docker("attach"), docker("detach"))
    found += [
        Target(
            f"{one} and {other} / docker network connect and disconnect",
            _divided(_added(wall(one), wall(other)), both),
            most=1,
        )
        for one, other in (
            (single.ATTACH, single.DETACH),
            (single.CONNECT, single.DISCONNECT),
        )
    ]
    wait = part["kernel_ms"]["detach"]["median"] if part else None
    longer = None
    if part:
        longer = max(0.0, (wall(single.DETACH) or 0) - (wall(single.ATTACH) or 0))
    found.append(
        Target(
            "macvnet detach, longer than attach / the kernel's wait for RCU",
            _divided(longer, wait),
            most=0.5,
        )
    )
    hook = wall(single.HOOK)
    if part and hook is not None:
        hook -= part["kernel_ms"]["attach"]["median"]
    found.append(
        Target(
            f"{single.HOOK}, without the kernel's own / {single.PYTHON}",
            _divided(hook, wall(single.PYTHON)),
            most=1.5,
        )
    )
    found += [
        Target(f"{name} / {single.SIZED}", _divided(wall(name), sized), most=1.5)
        for name in single.READS
    ]
    return found


def _tab(part: dict[str, Any] | None) -> list[Target]:
    known = part["tab"] if part else {}
    slowest = max((each["median"] for each in known.values()), default=None)
    what = "a Tab, 1,000 networks and 65,000 leases"
    return [Target(what, slowest, most=150, unit=" ms")]


def _many(part: dict[str, Any] | None) -> list[Target]:
    """Of the largest size measured, if that is what was promised."""
    size = str(max(many.SIZES))
    ways = part["sizes"].get(size, {}) if part else {}

    def cost(way: str, *sides: str) -> float | None:
        if way not in ways:
            return None
        return sum(float(ways[way][f"{side}_ms"]["median"]) for side in sides)

    found = []
    for way in (many.BATCH, many.MANY_PIDS):
        what = f"1,000 endpoints, {way}"
        attach, both = cost(way, "attach"), cost(way, "attach", "detach")
        for peer, times in ((peers.Netavark.name, 3), (peers.Cni.name, 6)):
            loop = f"{peer} in a loop"
            found.append(
                Target(
                    f"{what}: attach, {loop} / macvnet",
                    _divided(cost(loop, "attach"), attach),
                    least=times,
                )
            )
            found.append(
                Target(
                    f"{what}: both, {loop} / macvnet",
                    _divided(cost(loop, "attach", "detach"), both),
                    least=10,
                )
            )
        floor = cost(many.PYTHON_FLOOR, "attach", "detach")
        found.append(
            Target(f"{what}: both, macvnet / {many.PYTHON_FLOOR}", _divided(both, floor), most=3)
        )
    return found


def _flat(part: dict[str, Any] | None) -> list[Target]:
    allocator = part["allocator"] if part else {}

    def median(name: str, what: str) -> float | None:
        known = allocator.get(name)
        return float(known[f"{what}_ms"]["median"]) if known else None

    first = flat.SETTINGS[0].name
    largest = [each.name for each in flat.SETTINGS if each.held == 1_000_000]
    found = []
    for what in ("acquire", "release"):
        most = max(
            (median(each.name, what) or 0 for each in flat.SETTINGS if each.name not in largest),
            default=0.0,
        )
        found.append(
            Target(
                f"an address, {what}: dearest state / {first}",
                _divided(most or None, median(first, what)),
                most=1.5,
            )
        )
    disk = part["disk_ms"]["median"] if part else None
    for name in largest:
        durable = median(name, "durable")
        less = None if durable is None or disk is None else max(0.0, durable - disk)
        found += [
            Target(f"an address: {name}", median(name, "acquire"), most=1, unit=" ms"),
            Target(f"an address: {name}, on the disk, less the disk", less, most=1, unit=" ms"),
        ]
    memory = part["memory_kib"] if part else {}
    few, many_ = memory.get("10 leases"), memory.get("65,000 leases")
    value = _divided(many_["attach"], few["attach"]) if few and many_ else None
    found.append(Target("memory of attach, 65,000 leases / 10", value, most=1.1))
    cold = part["cold"] if part else {}
    few, many_ = cold.get("10 leases"), cold.get("65,000 leases")
    value = _divided(many_["attach"]["median"], few["attach"]["median"]) if few and many_ else None
    found.append(Target("wall of attach, 65,000 leases / 10", value, most=1.2))
    return found


def _contention(part: dict[str, Any] | None) -> list[Target]:
    rates = part["per_second"] if part else {}
    one = rates.get("attach, 1 at a time")
    eight = rates.get(f"attach, {contention.PROCESSES} at a time")
    value = _divided(eight["median"], one["median"]) if one and eight else None
    what = "attaches a second, 8 processes / 1 doing the same work"
    return [Target(what, value, least=0.8)]
