"""A run as one JSON document: what the HTML page shows, what a later run compares itself with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests.baseline import BLOCKS
from loadtests.generator_health import Health
from loadtests.recorder import Key, Recorder, Series, blocks, by_scenario
from loadtests.slo import PERCENTILES, Verdict

FORMAT = 1
MOST_POINTS = 240


def rows_of(recorder: Recorder) -> list[dict[str, Any]]:
    """A row for each scenario and one for each of its routes."""
    series, seconds = recorder.series(), recorder.duration_seconds()
    found = []
    for scenario, whole in sorted(by_scenario(series).items()):
        keys = [key for key in series if key.scenario == scenario]
        found.append(_row(recorder, scenario, "", whole, keys, seconds))
        found += [_row(recorder, scenario, key.route, series[key], [key], seconds) for key in sorted(keys)]
    return found


def _row(
    recorder: Recorder, scenario: str, route: str, series: Series, keys: list[Key], seconds: int
) -> dict[str, Any]:
    percentiles = series.latencies.percentiles_ms(PERCENTILES.values())
    count = max(1, min(BLOCKS, seconds))
    parts, width = blocks(recorder, keys, count), seconds / count
    scatter: dict[str, list[float]] = {
        name: [value for part in parts if (value := part.percentile_ms(fraction)) is not None]
        for name, fraction in PERCENTILES.items()
    }
    scatter["rate"] = [part.total / width for part in parts] if width else []
    return {
        "scenario": scenario,
        "route": route,
        "requests": series.requests,
        "rate": series.requests / seconds if seconds else 0.0,
        "failures": series.failures,
        **dict(zip(PERCENTILES, percentiles, strict=True)),
        "max_ms": series.latencies.max_ms,
        "blocks": scatter,
    }


def timeline(recorder: Recorder) -> list[dict[str, Any]]:
    """The run in at most MOST_POINTS steps: rate, failures, users, percentiles, for all and for each scenario."""
    if not recorder.seconds:
        return []
    first, last = recorder.span()
    width = max(1, -(-(last - first + 1) // MOST_POINTS))
    points = []
    users = 0
    for start in range(first, last + 1, width):
        series = recorder.series(start, start + width)
        users = max((recorder.users.get(second, 0) for second in range(start, start + width)), default=0) or users
        scenarios = by_scenario(series)
        everything = Series()
        for each in scenarios.values():
            everything.merge(each)
        span = min(width, last - start + 1)
        points.append(
            {
                "at": start - first,
                "users": users,
                "all": _point(everything, span),
                "scenarios": {name: _point(each, span) for name, each in scenarios.items()},
            }
        )
    return points


def _point(series: Series, span: int) -> dict[str, float | None]:
    values = series.latencies.percentiles_ms(PERCENTILES.values())
    return {
        "rate": series.requests / span,
        "failures": series.failures / span,
        **dict(zip(PERCENTILES, values, strict=True)),
    }


@dataclass(frozen=True)
class Outcome:
    """What a run was found to be."""

    exit_code: int
    broken: list[str]
    verdicts: list[Verdict]
    health: list[Health]
    added: Mapping[str, Mapping[str, float]]
    highest_rate: Mapping[str, Any] | None
    remarks: list[str] = field(default_factory=list)


def document(
    recorder: Recorder, *, title: str, began: str, about: Mapping[str, Mapping[str, str]], outcome: Outcome
) -> dict[str, Any]:
    """The whole report; a comparison with another run is added later, as `changes`."""
    return {
        "format": FORMAT,
        "title": title,
        "began": began,
        "seconds": recorder.duration_seconds(),
        "about": {name: dict(table) for name, table in about.items()},
        "exit_code": outcome.exit_code,
        "broken": outcome.broken,
        "remarks": outcome.remarks,
        "rows": rows_of(recorder),
        "verdicts": [asdict(verdict) for verdict in outcome.verdicts],
        "failures": [
            {"scenario": scenario, "route": route, "failure": failure, "count": count}
            for (scenario, route, failure), count in recorder.failures.most_common()
        ],
        "dropped": dict(recorder.dropped),
        "arrivals": dict(recorder.arrivals),
        "added": {name: dict(table) for name, table in outcome.added.items()},
        "highest_rate": outcome.highest_rate,
        "generator": [asdict(each) for each in outcome.health],
        "changes": [],
        "timeline": timeline(recorder),
    }
