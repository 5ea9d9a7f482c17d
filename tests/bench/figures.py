"""The arithmetic of the bench: spreads, rates, ratios.

Pure; must not know what was measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """Several measurements of one thing, all in one unit. ``low`` and ``high`` are quartiles."""

    n: int
    least: float
    low: float
    median: float
    high: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """ValueError if there are none."""
        if not values:
            raise ValueError("nothing was measured")
        ordered = sorted(values)
        if len(ordered) == 1:
            return cls(1, *(ordered * 5))
        low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
        return cls(len(ordered), ordered[0], low, median, high, ordered[-1])

    def to_json(self) -> dict[str, Any]:
        return {
            key: value if key == "n" else significant(value)
            for key, value in self._asdict().items()
        }


def significant(value: float, digits: int = 4) -> float:
    """Rounded to what can be believed of a measurement."""
    return float(f"{value:.{digits}g}")


def ratio(one: float, other: float) -> float | None:
    """How many times ``other`` is ``one``; None where there is nothing to compare with."""
    return one / other if other > 0 else None


def number(value: float) -> str:
    """Three digits that matter, thousands apart: 0.0123, 1.64, 41.2, 12,300."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        rounded = float(f"{value:.3g}")
        return f"{rounded:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:.{digits}f}"
