"""Bars and lines as inline SVG, without a script or a font from elsewhere. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 760
BAR, GAP, LABELS = 22, 8, 190
HEIGHT, LEFT, TOP, BOTTOM = 260, 64, 12, 28
COLOURS = ("#2563b8", "#d97706", "#15803d", "#c0306a", "#7c3aed", "#0891b2", "#78716c")


def bars(values: Sequence[tuple[str, float, str]], title: str) -> str:
    """Horizontal bars: label, value, and the value as it is written."""
    most = max(value for _, value, _ in values)
    height = len(values) * (BAR + GAP)
    parts = [_open(height, title)]
    for number, (label, value, written) in enumerate(values):
        top = number * (BAR + GAP)
        length = max(1.0, (WIDTH - LABELS - 90) * value / most)
        middle = top + BAR * 0.7
        parts.append(f'<text x="{LABELS - 8}" y="{middle:.1f}" text-anchor="end">{escape(label)}</text>')
        colour = COLOURS[0] if number == 0 else COLOURS[6]
        parts.append(f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3" fill="{colour}"/>')
        parts.append(f'<text x="{LABELS + length + 6:.1f}" y="{middle:.1f}">{escape(written)}</text>')
    return "".join([*parts, "</svg>"])


def lines(series: Mapping[str, Sequence[tuple[str, float]]], title: str, unit: str) -> str:
    """A line for each series over labelled steps, which stand evenly apart; the value axis begins at 0."""
    steps = [label for label, _ in next(iter(series.values()))]
    top_value = _round_up(max(value for points in series.values() for _, value in points))
    width, height = WIDTH - LEFT - 16, HEIGHT - TOP - BOTTOM

    def x(index: int) -> float:
        return LEFT + (width * index / (len(steps) - 1) if len(steps) > 1 else width / 2)

    def y(value: float) -> float:
        return TOP + height * (1 - value / top_value)

    parts = [_open(HEIGHT, title)]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = top_value * share
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 16}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.4g}</text>')
    every = math.ceil(len(steps) / 12)
    for index, label in enumerate(steps):
        if index % every == 0:
            parts.append(f'<text x="{x(index):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>')
    for number, points in enumerate(series.values()):
        path = " ".join(f"{x(index):.1f},{y(value):.1f}" for index, (_, value) in enumerate(points))
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(points) <= 12:
            parts += [
                f'<circle cx="{x(index):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>'
                for index, (_, value) in enumerate(points)
            ]
    keys = "".join(
        f'<span style="color:{COLOURS[number % len(COLOURS)]}">■</span> {escape(name)} &nbsp; '
        for number, name in enumerate(series)
    )
    return "".join([*parts, "</svg>", f'<p class="key">{keys}({escape(unit)})</p>'])


def _open(height: float, title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 5, 10) if factor * power >= value)
