"""Counts of students as bars: what is drawn, and the words and numbers beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from admin_ui.wording import STATUSES

MOST_PROGRAMS = 8
YEARS = range(1, 13)
STUDENTS = "/admin/students"


@dataclass(frozen=True)
class Bar:
    """One bar: ``size`` is its length in percent of the longest, ``share`` the percentage of all, in words."""

    label: str
    count: int
    size: float
    share: str
    href: str = ""
    tone: str = ""
    is_name: bool = False
    """Whether the label is somebody's text, which may run in either direction."""


@dataclass(frozen=True)
class Part:
    """A piece of one bar that stands for all students: where it starts and how wide it is, in percent."""

    tone: str
    start: float
    width: float


def parts_of(bars: Sequence[Bar]) -> list[Part]:
    """The bars laid end to end. Those of nobody are left out."""
    total, so_far, parts = sum(bar.count for bar in bars), 0, []
    for bar in bars:
        if bar.count:
            parts.append(Part(bar.tone, round(100 * so_far / total, 2), round(100 * bar.count / total, 2)))
        so_far += bar.count
    return parts


def by_status(stats: Mapping[str, Any]) -> list[Bar]:
    """Every status, also those that nobody has."""
    counts = stats["by_status"]
    rows = [(label, counts.get(key, 0), _list(status=key), key, False) for key, label in STATUSES.items()]
    return _bars(rows, stats["total"])


def by_program(stats: Mapping[str, Any]) -> list[Bar]:
    """The largest programs, then all others together, then those without one."""
    named = [entry for entry in stats["by_program"] if entry["program"]]
    rows = [(e["program"], e["count"], _list(program=e["program"]), "", True) for e in named[:MOST_PROGRAMS]]
    without = sum(entry["count"] for entry in stats["by_program"] if not entry["program"])
    others = stats["total"] - sum(row[1] for row in rows) - without
    if others > 0:
        rows.append(("Other programs", others, "", "rest", False))
    if without:
        rows.append(("No program", without, "", "rest", False))
    return _bars(rows, stats["total"])


def by_year(stats: Mapping[str, Any]) -> list[Bar]:
    """All twelve years; those without one last."""
    counts = {entry["year"]: entry["count"] for entry in stats["by_year"]}
    rows = [(str(year), counts.get(year, 0), _list(year=str(year)), "", False) for year in YEARS]
    if counts.get(None):
        rows.append(("None", counts[None], "", "rest", False))
    return _bars(rows, stats["total"])


def _bars(rows: Sequence[tuple[str, int, str, str, bool]], total: int) -> list[Bar]:
    longest = max((count for _, count, *_ in rows), default=0)
    return [
        Bar(label, count, _size(count, longest), _share(count, total), href, tone, is_name)
        for label, count, href, tone, is_name in rows
    ]


def _size(count: int, longest: int) -> float:
    if not count or not longest:
        return 0
    return max(1.0, round(100 * count / longest, 1))  # what there is can be seen


def _share(count: int, total: int) -> str:
    percent = 100 * count / total if total else 0
    if count and percent < 1:
        return "under 1 %"
    return f"{percent:.0f} %"


def _list(**filters: str) -> str:
    return f"{STUDENTS}?{urlencode(filters)}"
