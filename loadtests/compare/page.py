"""A run as one HTML page that needs nothing else. Pure."""

from __future__ import annotations

from html import escape
from typing import Any

from loadtests.compare.charts import bars, lines
from loadtests.compare.summary import comparison_table, sweep_table, targets_table

STYLE = """
:root{color-scheme:light dark;--fg:#1a1f27;--bg:#fff;--soft:#5c6673;--line:#d9dee5}
@media(prefers-color-scheme:dark){:root{--fg:#e6e9ee;--bg:#14171c;--soft:#9aa4b2;--line:#333a44}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:60rem;
margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem;font-size:13px}
th,td{padding:.3rem .5rem;border-bottom:1px solid var(--line);text-align:right;font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600}
svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--fg)}.grid{stroke:var(--line)}
.key,.soft,figcaption{color:var(--soft);font-size:13px}.wide{overflow-x:auto}
"""


def render_page(values: dict[str, Any]) -> str:
    """The whole page."""
    rows = values["contenders"]
    machine = ", ".join(f"{name} {value}" for name, value in values["machine"].items())
    how = "One core for the contender, the other for wrk, the upstream and Valkey"
    often = f"{values['rounds']} rounds of {values['seconds']:g} s in turns, medians"
    parts = [
        "<h1>The gateway and its peers</h1>",
        f'<p class="soft">{escape(values["finished"])} · {escape(machine)}. {how}; {often}.</p>',
        "<h2>Requests per second, 64 connections, 6 KB of JSON</h2>",
        bars(
            [(row["title"], row["requests_per_second"], f"{row['requests_per_second']:,.0f}") for row in rows],
            "Requests per second by contender",
        ),
        _table(comparison_table(values)),
        '<p class="soft">* to the median of a direct call, at one connection.</p>',
        "<h2>Processor time a request (µs)</h2>",
        bars(
            [
                (row["title"], row["cpu_microseconds"], f"{row['cpu_microseconds']:,.0f}")
                for row in rows
                if row["cpu_microseconds"] is not None
            ],
            "Processor time a request by contender",
        ),
        "<h2>Targets</h2>",
        _table(targets_table(values)),
        "<h2>What each does</h2><dl>",
        *map(_contender, rows),
        "</dl>",
        *(f"<p>Skipped: {escape(each['title'])}: {escape(each['reason'])}</p>" for each in values["skipped"]),
    ]
    for sweep in values.get("sweeps", []):
        parts += _sweep(sweep)
    if memory := values.get("memory"):
        points = [(f"{sample['seconds']:.0f}", sample["megabytes"]) for sample in memory]
        parts += ["<h2>Resident memory under load</h2>", lines({"ours": points}, "Resident memory", "MB over seconds")]
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Gateway benchmark</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><body>{body}</body></html>\n'
    )


def _contender(row: dict[str, Any]) -> str:
    version = f"<span class=soft>{escape(row['version'])}</span>"
    return f"<dt><b>{escape(row['title'])}</b> {version}</dt><dd>{escape(row['does'])}</dd>"


def _sweep(sweep: dict[str, Any]) -> list[str]:
    rates = {
        name: [(f"{point['x']:,}", point["requests_per_second"]) for point in points]
        for name, points in sweep["series"].items()
    }
    tails = {name: [(f"{point['x']:,}", point["p99"]) for point in points] for name, points in sweep["series"].items()}
    costs = {
        name: [(f"{point['x']:,}", point["cpu_microseconds"]) for point in points]
        for name, points in sweep["series"].items()
        if points[0]["cpu_microseconds"] is not None
    }
    return [
        f"<h2>{escape(sweep['title'])}</h2>",
        lines(rates, f"Requests per second over {sweep['name']}", "requests/s"),
        lines(costs, f"Processor time over {sweep['name']}", "CPU µs a request"),
        lines(tails, f"99th percentile over {sweep['name']}", "p99 in ms"),
        f"<div class=wide>{_table(sweep_table(sweep))}</div>",
    ]


def _table(table: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table[0])
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table[1:])
    return f"<table><tr>{head}</tr>{rows}</table>"
