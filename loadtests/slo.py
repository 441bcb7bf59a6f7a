"""Service level objectives: `slo.toml` read strictly, and a run held against them. Pure.

An objective belongs to a scenario or to a route. What has none of its own is held against `[default]`. `[alerts]` says
how the same objectives are watched in production. Every problem with the file is one ValueError that names the table
and the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.recorder import Key, Series, by_route, by_scenario

PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
MEASURES = (*PERCENTILES, "failure_ratio", "min_rate", "dropped_ratio", "added_p50_ms", "added_p95_ms", "added_p99_ms")
ADDED = {f"added_{name}": fraction for name, fraction in PERCENTILES.items()}


@dataclass(frozen=True)
class Alerting:
    """How alerts watch the objectives: `loadtests.alert_rules` makes rules of them, a run has no use for it."""

    window_minutes: int = 5
    hold_minutes: int = 5
    fewest_requests: int = 100
    failure_ratio: float = 0.01


@dataclass(frozen=True)
class Objectives:
    """What `slo.toml` says: measure → limit, by scenario and by route."""

    default: Mapping[str, float]
    scenarios: Mapping[str, Mapping[str, float]]
    routes: Mapping[str, Mapping[str, float]]
    alerting: Alerting = Alerting()

    def of_scenario(self, name: str) -> Mapping[str, float]:
        return {**self.default, **self.scenarios.get(name, {})}


@dataclass(frozen=True)
class Verdict:
    """One objective, and what was seen."""

    subject: str
    measure: str
    limit: float
    seen: float | None
    met: bool

    def __str__(self) -> str:
        sign = "<" if self.measure == "min_rate" else ">"
        if self.seen is None:
            return f"{self.subject}: {self.measure} was not measured (objective: {show(self.measure, self.limit)})"
        relation = "meets" if self.met else sign
        seen, limit = show(self.measure, self.seen), show(self.measure, self.limit)
        return f"{self.subject}: {self.measure} {seen} {relation} {limit}"


def show(measure: str, value: float) -> str:
    """A value as people read it: `12.3 ms`, `0.5 %`, `80 /s`."""
    if measure.endswith("_ms"):
        return f"{value:,.1f} ms"
    if measure.endswith("_ratio"):
        return f"{value * 100:.3g} %"
    return f"{value:,.1f} /s"


def read_objectives(text: str) -> Objectives:
    """The objectives in a TOML document.

    Raises:
        ValueError: It isn't TOML, or a table, key or value has no meaning here.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {error}") from None
    if unknown := document.keys() - {"default", "scenarios", "routes", "alerts"}:
        raise ValueError(f"[{min(unknown)}] is not a table of this file")
    return Objectives(
        default=_limits("default", document.get("default", {})),
        scenarios={name: _limits(f"scenarios.{name}", table) for name, table in document.get("scenarios", {}).items()},
        routes={name: _limits(f'routes."{name}"', table) for name, table in document.get("routes", {}).items()},
        alerting=_alerting(document.get("alerts", {})),
    )


def _alerting(table: Any) -> Alerting:
    found = _limits("alerts", table, tuple(Alerting.__dataclass_fields__))
    ratio = found.pop("failure_ratio", Alerting.failure_ratio)
    if fraction := next((name for name, value in found.items() if value < 1 or value != int(value)), None):
        raise ValueError(f"[alerts] {fraction} = {found[fraction]!r} is not a whole number from 1 up")
    return Alerting(failure_ratio=ratio, **{name: int(value) for name, value in found.items()})


def _limits(where: str, table: Any, allowed: tuple[str, ...] = MEASURES) -> dict[str, float]:
    if not isinstance(table, dict):
        raise ValueError(f"[{where}] is not a table")
    for measure, limit in table.items():
        if measure not in allowed:
            raise ValueError(f"[{where}] {measure} is not one of {', '.join(allowed)}")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 0:
            raise ValueError(f"[{where}] {measure} = {limit!r} is not a number from 0 up")
    return dict(table)


def judge(
    objectives: Objectives,
    series: Mapping[Key, Series],
    seconds: float,
    *,
    dropped: Mapping[str, float] | None = None,
    added: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Verdict]:
    """Every objective about something that was run, with its verdict.

    Args:
        objectives: What is wanted.
        series: What was measured.
        seconds: For how long.
        dropped: The ratio of arrivals that could not be started, by scenario.
        added: The latency that the gateway adds, by scenario and measure.
    """
    verdicts: list[Verdict] = []
    for scenario, whole in sorted(by_scenario(dict(series)).items()):
        limits = objectives.of_scenario(scenario)
        extra = {"dropped_ratio": (dropped or {}).get(scenario), **(added or {}).get(scenario, {})}
        verdicts += _held(scenario, limits, whole, seconds, extra)
    for route, whole in sorted(by_route(dict(series)).items()):
        verdicts += _held(route, objectives.routes.get(route, {}), whole, seconds, {})
    return verdicts


def _held(
    subject: str, limits: Mapping[str, float], whole: Series, seconds: float, extra: Mapping[str, float | None]
) -> list[Verdict]:
    found = []
    for measure, limit in limits.items():
        if measure in PERCENTILES:
            seen = whole.latencies.percentile_ms(PERCENTILES[measure])
        elif measure == "failure_ratio":
            seen = whole.failure_ratio
        elif measure == "min_rate":
            seen = whole.requests / seconds if seconds else 0.0
        elif measure == "dropped_ratio":
            seen = extra.get(measure)
            if seen is None:
                continue  # only an open model drops
        else:
            seen = extra.get(measure)
        met = seen is not None and (seen >= limit if measure == "min_rate" else seen <= limit)
        found.append(Verdict(subject, measure, limit, seen, met))
    return found
