"""What a run measured, second by second and route by route; workers' parts add up in the master.

Every request counts with its whole latency, failed ones too. `CHECK` events are findings without a latency, such as
"the limiter let too many through": they count as failures of their scenario and as no request.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from loadtests.histogram import Histogram

CHECK = "CHECK"


class Key(NamedTuple):
    """A scenario, and one of the routes that it asks."""

    scenario: str
    route: str


@dataclass
class Series:
    """Latencies and failures of one key over some time."""

    latencies: Histogram = field(default_factory=Histogram)
    failures: int = 0

    def merge(self, other: Series) -> None:
        self.latencies.merge(other.latencies)
        self.failures += other.failures

    @property
    def requests(self) -> int:
        return self.latencies.total

    @property
    def failure_ratio(self) -> float:
        """Failures of all; findings without a request make it at least 1."""
        return self.failures / max(1, self.requests)


@dataclass
class Process:
    """How one process of the load generator fared: samples of (second, CPU percent of a core, loop delay in ms)."""

    samples: list[tuple[int, float, float]] = field(default_factory=list)


class Recorder:
    """Collects in one process; the master's collects from all."""

    def __init__(self) -> None:
        self.judged_from = 0.0
        """The time before which only failures are recorded."""
        self.clear()

    def clear(self) -> None:
        """Forget everything: another run begins."""
        self.seconds: dict[int, dict[Key, Series]] = {}
        self.failures: Counter[tuple[str, str, str]] = Counter()
        self.dropped: Counter[str] = Counter()
        self.arrivals: Counter[str] = Counter()
        self.setup_failures: Counter[str] = Counter()
        self.users: dict[int, int] = {}
        self.processes: dict[str, Process] = {}

    def request(self, scenario: str, route: str, milliseconds: float | None, failure: str | None) -> None:
        """Record one request, or with None for its time one finding."""
        now = time.time()
        if now < self.judged_from and failure is None:
            return
        second = self.seconds.setdefault(int(now), {})
        key = Key(scenario, route)
        series = second.get(key)
        if series is None:
            series = second[key] = Series()
        if milliseconds is not None:
            series.latencies.add(round(milliseconds * 1000))
        if failure is not None:
            series.failures += 1
            self.failures[scenario, route, failure] += 1

    def sample_process(self, process: str, cpu_percent: float, delay_ms: float) -> None:
        """Record how busy a generator process is."""
        self.processes.setdefault(process, Process()).samples.append((int(time.time()), cpu_percent, delay_ms))

    def keys(self) -> list[Key]:
        """All that was asked, in order of scenario and route."""
        return sorted({key for second in self.seconds.values() for key in second})

    def span(self) -> tuple[int, int]:
        """The first and the last second in which anything was recorded, or (0, 0)."""
        return (min(self.seconds), max(self.seconds)) if self.seconds else (0, 0)

    def duration_seconds(self) -> int:
        """How long anything was measured, in whole seconds."""
        first, last = self.span()
        return last - first + 1 if self.seconds else 0

    def series(self, since: int = 0, until: int = 1 << 62) -> dict[Key, Series]:
        """Each key's series from the second `since` to before the second `until`."""
        found: dict[Key, Series] = {}
        for second, cells in self.seconds.items():
            if since <= second < until:
                for key, cell in cells.items():
                    found.setdefault(key, Series()).merge(cell)
        return found

    def drain(self) -> dict[str, Any]:
        """What was recorded since the last drain, in plain values; it is forgotten here."""
        cells = [
            [second, *key, cell.failures, cell.latencies.highest_us, list(cell.latencies.counts.items())]
            for second, keyed in self.seconds.items()
            for key, cell in keyed.items()
        ]
        part = {
            "cells": cells,
            "failures": [[*what, count] for what, count in self.failures.items()],
            "dropped": list(self.dropped.items()),
            "arrivals": list(self.arrivals.items()),
            "setup_failures": list(self.setup_failures.items()),
            "processes": [[name, process.samples] for name, process in self.processes.items()],
        }
        self.clear()
        return part

    def absorb(self, part: dict[str, Any]) -> None:
        """Add what another process drained."""
        for second, scenario, route, failures, highest, counts in part["cells"]:
            latencies = Histogram(dict(counts), sum(count for _, count in counts), highest)
            cell = self.seconds.setdefault(second, {}).setdefault(Key(scenario, route), Series())
            cell.merge(Series(latencies, failures))
        for scenario, route, failure, count in part["failures"]:
            self.failures[scenario, route, failure] += count
        self.dropped.update(dict(part["dropped"]))
        self.arrivals.update(dict(part["arrivals"]))
        self.setup_failures.update(dict(part["setup_failures"]))
        for name, samples in part["processes"]:
            self.processes.setdefault(name, Process()).samples.extend(tuple(sample) for sample in samples)


def by_scenario(series: dict[Key, Series]) -> dict[str, Series]:
    """The series of whole scenarios."""
    return _grouped((key.scenario, each) for key, each in series.items())


def by_route(series: dict[Key, Series]) -> dict[str, Series]:
    """The series of routes, whichever scenario asked."""
    return _grouped((key.route, each) for key, each in series.items())


def _grouped(named: Iterable[tuple[str, Series]]) -> dict[str, Series]:
    found: dict[str, Series] = {}
    for name, each in named:
        found.setdefault(name, Series()).merge(each)
    return found


def blocks(recorder: Recorder, keys: Collection[Key], count: int) -> list[Histogram]:
    """The run's latencies of these keys cut into `count` parts of equal length."""
    first, last = recorder.span()
    width = (last - first + 1) / count
    parts = [Histogram() for _ in range(count)]
    for second, cells in recorder.seconds.items():
        part = parts[min(count - 1, int((second - first) / width))]
        for key in keys:
            if key in cells:
                part.merge(cells[key].latencies)
    return parts
