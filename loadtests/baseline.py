"""Comparing a run with an earlier one: what got better or worse beyond noise. Pure.

Each run is cut into equal parts, and the scatter of a percentile over them says how well it is known. A difference
counts when it is more than three standard errors and more than 5 %.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BLOCKS = 10
FEWEST_BLOCKS = 3
STANDARD_ERRORS = 3.0
SMALLEST_CHANGE = 0.05
COMPARED = ("p50_ms", "p95_ms", "p99_ms", "rate")


@dataclass(frozen=True)
class Change:
    """One measure of one row then and now."""

    row: str
    measure: str
    before: float
    now: float
    noise: float
    verdict: str

    def __str__(self) -> str:
        relative = (self.now - self.before) / self.before if self.before else 0.0
        values = f"{self.before:,.1f} → {self.now:,.1f} ({relative:+.0%}, noise ±{self.noise:,.1f})"
        return f"{self.row}: {self.measure} {values}: {self.verdict}"


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """What differs beyond noise between two reports' `rows`, and what can't be told.

    Args:
        before: The earlier report, as its JSON has it.
        now: This one.
    """
    then = {_name(row): row for row in before["rows"]}
    changes: list[Change] = []
    for row in now["rows"]:
        earlier = then.get(_name(row))
        if earlier is None:
            continue
        for measure in COMPARED:
            change = _change(_name(row), measure, earlier, row)
            if change is not None:
                changes.append(change)
    return changes


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['scenario']} {row['route'] or '(all)'}"


def _change(name: str, measure: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Change | None:
    before_blocks, now_blocks = then["blocks"].get(measure, []), now["blocks"].get(measure, [])
    before_value, now_value = then[measure], now[measure]
    if before_value is None or now_value is None:
        return None
    if min(len(before_blocks), len(now_blocks)) < FEWEST_BLOCKS:
        return None
    noise = STANDARD_ERRORS * math.hypot(_standard_error(before_blocks), _standard_error(now_blocks))
    difference = now_value - before_value
    if abs(difference) <= max(noise, SMALLEST_CHANGE * abs(before_value)):
        return None
    better = difference > 0 if measure == "rate" else difference < 0
    return Change(name, measure, before_value, now_value, noise, "better" if better else "worse")


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))
