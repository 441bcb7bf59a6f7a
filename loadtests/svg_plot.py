"""Line plots as SVG text, without scripts or network. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 860, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 26, 30
TICKS = 5
SMALLEST = 1e-6

Points = Sequence[tuple[float, float | None]]


def line_plot(lines: Mapping[str, Points], *, unit: str, title: str, logarithmic: bool = False) -> str:
    """A plot over seconds. A missing value interrupts its line; each line has a name in the legend and a class.

    Args:
        lines: Name → (second, value).
        unit: Of the values, on the axis.
        title: For those who can't see it.
        logarithmic: Whether the value axis is.
    """
    values = [value for points in lines.values() for _, value in points if value is not None]
    if not values:
        return "<p>Nothing to plot.</p>"
    end = max(second for points in lines.values() for second, _ in points) or 1
    scale = _Logarithmic(values) if logarithmic else _Linear(values)
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(second: float) -> float:
        return LEFT + second / end * inner_width

    def y(value: float) -> float:
        return TOP + (1 - scale.share(value)) * inner_height

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick in scale.ticks():
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="axis" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    parts += [
        f'<text class="axis" x="{x(second):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{second:g} s</text>'
        for second in _round_ticks(end)
    ]
    parts.append(f'<text class="axis" x="{LEFT}" y="14">{escape(unit)}</text>')
    for number, points in enumerate(lines.values()):
        for stretch in _stretches(points):
            path = " ".join(f"{x(second):.1f},{y(value):.1f}" for second, value in stretch)
            if len(stretch) == 1:
                path += f" {x(stretch[0][0]) + 2:.1f},{y(stretch[0][1]):.1f}"
            parts.append(f'<polyline class="line l{number % 8}" points="{path}"/>')
    parts.append("</svg>")
    keys = "".join(
        f'<span class="key"><span class="swatch l{number % 8}"></span>{escape(name)}</span>'
        for number, name in enumerate(lines)
    )
    return f'{"".join(parts)}<p class="legend">{keys}</p>'


def short(value: float) -> str:
    """A number in few characters: 1.2k, 340, 0.5."""
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def _stretches(points: Points) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = [[]]
    for second, value in points:
        if value is None:
            found.append([])
        else:
            found[-1].append((second, value))
    return [stretch for stretch in found if stretch]


def _round_ticks(highest: float) -> list[float]:
    """From 0 up in steps of 1, 2 or 5 times a power of ten, at most TICKS steps."""
    power = 10.0 ** math.floor(math.log10(highest / TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if highest / (factor * power) <= TICKS + 1e-9)
    return [number * step for number in range(int(highest / step + 1e-9) + 1)]


class _Linear:
    def __init__(self, values: Sequence[float]) -> None:
        self._top = max(values) * 1.05 if max(values) > SMALLEST else 1.0

    def share(self, value: float) -> float:
        return value / self._top

    def ticks(self) -> list[float]:
        return _round_ticks(self._top)


class _Logarithmic:
    def __init__(self, values: Sequence[float]) -> None:
        positive = [value for value in values if value > SMALLEST] or [1.0]
        self._low = math.floor(math.log10(min(positive)))
        self._high = max(self._low + 1, math.ceil(math.log10(max(positive))))

    def share(self, value: float) -> float:
        exponent = math.log10(max(value, 10.0**self._low))
        return (exponent - self._low) / (self._high - self._low)

    def ticks(self) -> list[float]:
        return [float(10**exponent) for exponent in range(self._low, self._high + 1)]
