"""A run's figures as plain values, and as the tables of the terminal and of docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadtests.compare.contenders import CONTENDERS, DIRECT, ENVOY, FASTIFY, OBVIOUS, OURS, POLLING
from loadtests.compare.rounds import CONNECTIONS, Comparison

TARGETS = ((ENVOY, 0.9), (FASTIFY, 2.5), (OBVIOUS, 25.0))
MOST_ADDED_MILLISECONDS = 0.35
MOST_TAIL = 3.0
FLAT = 0.10
FLAT_SWEEPS = ("routes", "tokens", "denylist")


def as_values(comparison: Comparison, machine: dict[str, str], rounds: int, seconds: float) -> dict[str, Any]:
    """Everything measured, fit for JSON."""
    rows = []
    for name, standing in comparison.standings.items():
        rows.append(
            {
                "name": name,
                "title": standing.contender.title,
                "does": standing.contender.does,
                "version": standing.running.version,
                "requests_per_second": standing.requests_per_second(),
                "ours_for_one": comparison.ratio(name),
                "p50_ms": standing.latency("p50"),
                "p90_ms": standing.latency("p90"),
                "p99_ms": standing.latency("p99"),
                "p99_to_p50": standing.tail(),
                "cpu_microseconds": standing.cpu_microseconds(),
                "added_awake_ms": comparison.added(name, "awake"),
                "added_asleep_ms": comparison.added(name, "asleep"),
                "rounds": [result.as_dict() for result in standing.busy],
                "rounds_awake": [result.as_dict() for result in standing.awake],
                "rounds_asleep": [result.as_dict() for result in standing.asleep],
            }
        )
    skipped = [
        {"name": each.name, "title": each.title, "reason": comparison.skipped[each.name]}
        for each in CONTENDERS
        if each.name in comparison.skipped
    ]
    return {
        "machine": machine,
        "connections": CONNECTIONS,
        "rounds": rounds,
        "seconds": seconds,
        "contenders": rows,
        "skipped": skipped,
    }


def comparison_table(values: dict[str, Any]) -> list[list[str]]:
    """A row for each contender, under a row of headings."""
    figures = ["requests/s", "ours ÷ it", "CPU µs/request", "p50 ms", "p99 ms", "p99 ÷ p50"]
    table = [["contender", *figures, "added ms*", "cores asleep*"]]
    for row in values["contenders"]:
        ratio, cpu = row["ours_for_one"], row["cpu_microseconds"]
        table.append(
            [
                row["title"],
                f"{row['requests_per_second']:,.0f}",
                "" if ratio is None or row["name"] == OURS else f"{ratio:.2f}",
                "" if cpu is None else f"{cpu:.0f}",
                f"{row['p50_ms']:.2f}",
                f"{row['p99_ms']:.2f}",
                f"{row['p99_to_p50']:.1f}",
                *(
                    "" if added is None or row["name"] == DIRECT else f"{added:.3f}"
                    for added in (row["added_awake_ms"], row["added_asleep_ms"])
                ),
            ]
        )
    return table


def targets_table(values: dict[str, Any]) -> list[list[str]]:
    """Each target with what was measured, and whether that meets it."""
    table = [["target", "wanted", "measured", ""]]
    rows = {row["name"]: row for row in values["contenders"]}
    for name, wanted in TARGETS:
        if name in rows and rows[name]["ours_for_one"] is not None:
            ratio = rows[name]["ours_for_one"]
            table.append(
                [f"requests/s of {rows[name]['title']}", f"≥ {wanted:g} ×", f"{ratio:.2f} ×", _met(ratio >= wanted)]
            )
    if ours := rows.get(OURS):
        tail = ours["p99_to_p50"]
        table.append(["p99 at 64 connections", f"< {MOST_TAIL:g} × p50", f"{tail:.1f} ×", _met(tail < MOST_TAIL)])
    for name, cores, how in (
        (OURS, "awake", ""),
        (OURS, "asleep", ", cores asleep"),
        (POLLING, "asleep", ", cores asleep, busy polling"),
    ):
        added = rows[name][f"added_{cores}_ms"] if name in rows else None
        if added is not None:
            met = _met(added <= MOST_ADDED_MILLISECONDS)
            what = f"added to a direct call's median{how}"
            table.append([what, f"≤ {MOST_ADDED_MILLISECONDS} ms", f"{added:.3f} ms", met])
    for sweep in values.get("sweeps", []):
        if sweep["name"] in FLAT_SWEEPS:
            spread = cpu_spread(sweep)
            table.append(
                [f"CPU a request over {sweep['name']}", "flat within 10 %", f"{spread:+.0%}", _met(abs(spread) <= FLAT)]
            )
    if memory := values.get("memory"):
        growth = memory_growth(memory)
        minutes = memory[-1]["seconds"] / 60
        met = _met(growth <= FLAT)
        table.append([f"memory over {minutes:.0f} minutes", "flat", f"{growth:+.1%} after the first minute", met])
    return table


def cpu_spread(sweep: dict[str, Any]) -> float:
    """By how much of it the processor time of a request differs from the first step's where it differs most."""
    differences: list[float] = [point["cpu_of_first"] - 1 for point in sweep["series"][OURS]]
    return max(differences, key=abs)


def memory_growth(samples: Sequence[dict[str, Any]]) -> float:
    """By how much the memory grew from the end of the first minute to the end, as a share."""
    settled = next((each for each in samples if each["seconds"] >= 60), samples[min(1, len(samples) - 1)])
    growth: float = samples[-1]["megabytes"] / settled["megabytes"] - 1
    return growth


def sweep_table(sweep: dict[str, Any]) -> list[list[str]]:
    """The points of one sweep, a row each."""
    names = list(sweep["series"])
    headings = [sweep["name"]]
    for name in names:
        headings += [f"{name}: requests/s", "p50 ms", "p99 ms", *(["CPU µs"] if name != DIRECT else [])]
        headings += ["of the first"] if "cpu_of_first" in sweep["series"][name][0] else []
    table = [headings]
    for index, point in enumerate(sweep["series"][names[0]]):
        row = [f"{point['x']:,}"]
        for name in names:
            each = sweep["series"][name][index]
            row += [f"{each['requests_per_second']:,.0f}", f"{each['p50']:.2f}", f"{each['p99']:.2f}"]
            if name != DIRECT:
                row.append(f"{each['cpu_microseconds']:.0f}")
            if "cpu_of_first" in each:
                row.append(f"{each['cpu_of_first']:.2f} ×")
        table.append(row)
    return table


def as_text(table: list[list[str]]) -> str:
    """A table for a terminal."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def as_markdown(table: list[list[str]]) -> str:
    """A table for a document."""
    rule = ["---", *("---:" for _ in table[0][1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (table[0], rule, *table[1:]))


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"
