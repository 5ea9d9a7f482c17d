"""Line charts as SVG text, for docs/performance.md: axes are logarithmic, both.

Knows drawing only; must not know what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 900, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 370, 60, 50
# Told apart also by people who do not see red and green (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'
STYLE = "font: 12px sans-serif"


class Axis(NamedTuple):
    """Powers of ten from ``low`` to ``high``, over ``length`` pixels from ``origin``."""

    low: int
    high: int
    origin: float
    length: float

    @classmethod
    def around(cls, values: Sequence[float], origin: float, length: float) -> Axis:
        low = math.floor(math.log10(min(values)))
        return cls(low, max(math.ceil(math.log10(max(values))), low + 1), origin, length)

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.origin + share * self.length

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
) -> str:
    """A chart of several lines of (x, y), all above 0. ValueError without a point."""
    points = [point for line in series.values() for point in line]
    if not points:
        raise ValueError("nothing to draw")
    across = Axis.around([x for x, _ in points], LEFT, WIDTH - LEFT - RIGHT)
    upwards = Axis.around([y for _, y in points], HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM))
    parts = [
        f'<svg {NAMESPACE} viewBox="0 0 {WIDTH} {HEIGHT}" role="img" style="{STYLE}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 22, title, weight="bold"),
        *_grid(across, upwards),
        _text(LEFT, HEIGHT - 10, x_label),
        _text(LEFT, 44, y_label),
    ]
    for number, (name, line) in enumerate(series.items()):
        parts += _line(number, name, [(across.at(x), upwards.at(y)) for x, y in line])
    return "\n".join([*parts, "</svg>", ""])


def _grid(across: Axis, upwards: Axis) -> list[str]:
    found = []
    for tick in across.ticks:
        x = across.at(tick)
        found.append(_path(f"M{x:.1f},{TOP}V{HEIGHT - BOTTOM}", "#dddddd"))
        found.append(_text(x, HEIGHT - BOTTOM + 18, _power(tick), anchor="middle"))
    for tick in upwards.ticks:
        y = upwards.at(tick)
        found.append(_path(f"M{LEFT},{y:.1f}H{WIDTH - RIGHT}", "#dddddd"))
        found.append(_text(LEFT - 8, y + 4, _power(tick), anchor="end"))
    return found


def _line(number: int, name: str, points: Sequence[tuple[float, float]]) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    way = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    y = TOP + 12 + number * 20
    x = WIDTH - RIGHT + 20
    return [
        _path(way, colour, width=2),
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points),
        _path(f"M{x},{y}h24", colour, width=2),
        _text(x + 32, y + 4, name),
    ]


def _path(way: str, colour: str, width: int = 1) -> str:
    return f'<path d="{way}" stroke="{colour}" stroke-width="{width}" fill="none"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def _power(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
