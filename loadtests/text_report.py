"""What a terminal shows: a line of progress now and then, and at the end one table and what broke. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.recorder import Recorder, Series

COLUMNS = ("requests/s", "failures", "p50 ms", "p95 ms", "p99 ms", "max ms", "SLO")
MOST_FAILURES_SHOWN = 12


def progress_line(recorder: Recorder, now: int, users: int, cpu: float, window: int = 5) -> str:
    """One line about the last few seconds."""
    recent = Series()
    for each in recorder.series(now - window, now).values():
        recent.merge(each)
    first = recorder.span()[0]
    p50, p95, p99 = recent.latencies.percentiles_ms((0.5, 0.95, 0.99))
    return (
        f"{now - first if first else 0:>5} s  {users:>5} users  {recent.requests / window:>8,.1f} requests/s  "
        f"{sum(recorder.failures.values()):>5} failures  p50 {milliseconds(p50)}  p95 {milliseconds(p95)}  "
        f"p99 {milliseconds(p99)} ms  generator {cpu:>3.0f} % CPU"
    )


def milliseconds(value: float | None) -> str:
    """A latency in at least three digits."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(report: Mapping[str, Any], *, routes: bool) -> str:
    """The run's table: scenarios, and their routes if asked."""
    broken = {v["subject"] for v in report["verdicts"] if not v["met"]}
    judged = {v["subject"] for v in report["verdicts"]}
    lines = [["scenario" + (" · route" if routes else ""), *COLUMNS]]
    for row in report["rows"]:
        if row["route"] and not routes:
            continue
        subject = row["route"] or row["scenario"]
        verdict = "BROKEN" if subject in broken else "met" if subject in judged else ""
        lines.append(
            [
                f"  {row['route']}" if row["route"] else row["scenario"],
                f"{row['rate']:,.1f}",
                f"{row['failures']:,}",
                *(milliseconds(row[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
                verdict,
            ]
        )
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rendered = [
        "  ".join(
            cell.ljust(width) if number in (0, len(widths) - 1) else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([rendered[0], "-" * max(map(len, rendered)), *rendered[1:]])


def summary(report: Mapping[str, Any]) -> str:
    """Table, what broke, what the generator says of itself, comparison, verdict."""
    lines = ["", table(report, routes=True), ""] if report["rows"] else [""]
    for name, added in report["added"].items():
        values = ", ".join(
            f"{key.removeprefix('added_').removesuffix('_ms')} {value:+.2f} ms" for key, value in added.items()
        )
        lines.append(f"{name}: the gateway adds {values}")
    if report["highest_rate"]:
        lines.append(report["highest_rate"]["answer"])
    if report["failures"]:
        lines.append("Failures:")
        lines += [
            f"  {each['count']:>7,} × {each['scenario']}, {each['route']}: {each['failure']}"
            for each in report["failures"][:MOST_FAILURES_SHOWN]
        ]
        if (more := len(report["failures"]) - MOST_FAILURES_SHOWN) > 0:
            lines.append(f"  … and {more} more kinds")
    for scenario, dropped in report["dropped"].items():
        lines.append(
            f"Dropped: {dropped:,} of {report['arrivals'][scenario]:,} arrivals of {scenario} could not be started"
        )
    lines += [
        f"WARNING: the load generator may be the limit: {each['process']} {each['warning']}. "
        "Use --processes or another machine."
        for each in report["generator"]
        if each["warning"]
    ]
    lines += [f"WARNING: {remark}." for remark in report["remarks"]]
    lines += [f"Against the baseline: {change['text']}" for change in report["changes"]]
    lines += [f"BROKEN: {each}" for each in report["broken"]]
    return "\n".join(lines)
