"""Contenders in turns: one short run of each, again and again, so that a drifting machine is unfair to nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from loadtests.compare.awake import awake_cores
from loadtests.compare.bed import Bed
from loadtests.compare.contenders import CONTENDERS, DIRECT, OURS, Contender, Running
from loadtests.compare.installing import Missing
from loadtests.compare.processes import DidNotStart
from loadtests.compare.sessions import Sessions
from loadtests.compare.wrk import Load, MeasurementFailed, Result, measure

CONNECTIONS = 64


@dataclass
class Standing:
    """One contender and its results, a round each."""

    contender: Contender
    running: Running
    busy: list[Result] = field(default_factory=list)  # with 64 connections
    cpu: list[float] = field(default_factory=list)  # then, in seconds of its processor time a request
    awake: list[Result] = field(default_factory=list)  # with one connection, and cores that are kept awake
    asleep: list[Result] = field(default_factory=list)  # with one, and cores that sleep whenever they can

    def requests_per_second(self) -> float:
        return median(result.requests_per_second for result in self.busy)

    def latency(self, name: str) -> float:
        """The median over the rounds of a latency at 64 connections, in milliseconds."""
        return median(float(getattr(result, name)) for result in self.busy)

    def cpu_microseconds(self) -> float | None:
        """Processor time a request: unlike the rate, it hardly changes when others use the machine."""
        return median(self.cpu) * 1e6 if self.cpu else None

    def tail(self) -> float:
        """The 99th percentile as a multiple of the 50th, median over the rounds."""
        return median(result.p99 / result.p50 for result in self.busy)


@dataclass
class Comparison:
    """All standings, and who couldn't take part."""

    standings: dict[str, Standing]
    skipped: dict[str, str]

    def ratio(self, name: str) -> float | None:
        """How many requests ours answers for one of the other's: the median of the rounds' ratios."""
        ours, other = self.standings.get(OURS), self.standings.get(name)
        if ours is None or other is None:
            return None
        pairs = zip(ours.busy, other.busy, strict=True)
        return median(one.requests_per_second / two.requests_per_second for one, two in pairs)

    def added(self, name: str, cores: Literal["awake", "asleep"]) -> float | None:
        """Milliseconds that a contender adds to the median of a direct call, one connection; median over the rounds."""
        standing, direct = self.standings.get(name), self.standings.get(DIRECT)
        if standing is None or direct is None:
            return None
        pairs: Iterable[tuple[Result, Result]]
        if cores == "awake":
            pairs = zip(standing.awake, direct.awake, strict=True)
        else:
            pairs = zip(standing.asleep, direct.asleep, strict=True)
        return median(one.p50 - two.p50 for one, two in pairs)


def start_all(bed: Bed, sessions: Sessions, names: list[str]) -> Comparison:
    """Start the contenders; one that can't be had is named with the reason."""
    standings: dict[str, Standing] = {}
    skipped: dict[str, str] = {}
    for contender in CONTENDERS:
        if contender.name not in names:
            continue
        try:
            running = _start(bed, sessions, contender)
        except (Missing, DidNotStart, MeasurementFailed) as error:
            skipped[contender.name] = str(error)
            print(f"  {contender.name}: skipped: {error}", flush=True)
            continue
        standings[contender.name] = Standing(contender, running)
        print(f"  {contender.name}: ready ({running.version})", flush=True)
    return Comparison(standings, skipped)


def _start(bed: Bed, sessions: Sessions, contender: Contender) -> Running:
    running = contender.start(bed, sessions)
    # A warm-up that also proves that it answers with success.
    measure(running.port, Load(token=running.token), 2)
    return running


def run_rounds(bed: Bed, sessions: Sessions, comparison: Comparison, rounds: int, seconds: float) -> None:
    """Measure each contender once a round, each time another process of it.

    Two processes that do the same may differ by a quarter for as long as they live: one of each would be a draw of
    lots. Every other round goes backwards, so that nobody always follows the same.
    """
    for number in range(rounds):
        order = list(comparison.standings.values())
        for standing in order if number % 2 == 0 else reversed(order):
            if number and standing.running.child:
                bed.children.stop(standing.running.child)
                standing.running = _start(bed, sessions, standing.contender)
            running = standing.running
            used = running.child.cpu_seconds() if running.child else 0.0
            standing.busy.append(measure(running.port, Load(token=running.token, connections=CONNECTIONS), seconds))
            if running.child:
                standing.cpu.append((running.child.cpu_seconds() - used) / standing.busy[-1].requests)
            single = Load(token=running.token, connections=1)
            standing.asleep.append(measure(running.port, single, max(1.0, seconds / 3)))
            with awake_cores():
                standing.awake.append(measure(running.port, single, max(1.0, seconds / 3)))
        figures = "  ".join(
            f"{s.contender.name} {s.busy[-1].requests_per_second:,.0f}/{(s.cpu or [0])[-1] * 1e6:.0f}us" for s in order
        )
        print(f"  round {number + 1} of {rounds}:  {figures}", flush=True)
