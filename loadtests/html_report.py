"""The report as one HTML page that needs nothing else: styles and plots are inside it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from loadtests.svg_plot import line_plot
from loadtests.text_report import milliseconds

STYLE = """
:root{color-scheme:light dark;--fg:#1a1f27;--bg:#fff;--soft:#5c6673;--line:#d9dee5;--bad:#b3261e;--good:#1b6e3c;
--box:#f5f7f9}
@media(prefers-color-scheme:dark){:root{--fg:#e6e9ee;--bg:#14171c;--soft:#9aa4b2;--line:#333a44;--bad:#ff8a80;
--good:#7fd6a0;--box:#1d2229}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:900px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .5rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child,td.text,th.text{text-align:left;white-space:normal}
th{color:var(--soft);font-weight:600}
tr.scenario td{font-weight:600}tr.route td:first-child{padding-left:1.5rem}
.verdict{font-size:1.1rem;padding:.6rem .9rem;border-radius:6px;background:var(--box);
border-left:5px solid var(--good);margin:1rem 0}
.verdict.bad{border-color:var(--bad)}.bad-text{color:var(--bad)}.good-text{color:var(--good)}
svg{width:100%;height:auto;background:var(--box);border-radius:6px}.grid{stroke:var(--line)}
.axis{fill:var(--soft);font-size:11px}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.legend{margin:.2rem 0 1rem;color:var(--soft)}
.key{margin-right:1.2rem}
.swatch{display:inline-block;width:1.1em;height:.28em;margin-right:.4em;vertical-align:middle}
.l0{stroke:#2563b8;background:#2563b8}.l1{stroke:#d97706;background:#d97706}.l2{stroke:#c0306a;background:#c0306a}
.l3{stroke:#15803d;background:#15803d}.l4{stroke:#7c3aed;background:#7c3aed}.l5{stroke:#0891b2;background:#0891b2}
.l6{stroke:#78716c;background:#78716c}.l7{stroke:#b45309;background:#b45309}
.scroll{overflow-x:auto}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0}
dt{color:var(--soft)}dd{margin:0}
"""

VERDICTS = {
    0: "Every SLO is met.",
    1: "An SLO is broken.",
    3: "The load generator was the limit: this says nothing about the system.",
    4: "Nothing could be measured.",
}


def render_html(report: Mapping[str, Any]) -> str:
    """The page for a report's document."""
    parts = [
        f"<h1>Load test: {escape(report['title'])}</h1>",
        f"<p>{escape(report['began'])}, {report['seconds']:,} seconds</p>",
        _verdict(report),
        *(f"<p>Note: {escape(remark)}.</p>" for remark in report["remarks"]),
        *_findings(report),
        "<h2>Requests</h2>",
        _requests(report["rows"]),
        "<h2>Over time</h2>",
        *_plots(report["timeline"]),
        "<h2>Objectives</h2>",
        _objectives(report["verdicts"]),
        *_failures(report),
        "<h2>Load generator</h2>",
        _generator(report["generator"]),
        *(f"<h2>{escape(name.capitalize())}</h2>{_facts(facts)}" for name, facts in report["about"].items() if facts),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Load test: {escape(report['title'])}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _verdict(report: Mapping[str, Any]) -> str:
    bad = " bad" if report["exit_code"] else ""
    return f'<div class="verdict{bad}">{VERDICTS.get(report["exit_code"], "")}{_list(report["broken"])}</div>'


def _findings(report: Mapping[str, Any]) -> list[str]:
    found = []
    if report["highest_rate"]:
        tried = [
            [f"{each['offered']:,}", f"{each['answered']:,.0f}", each["broken"] or "met"]
            for each in report["highest_rate"]["tried"]
        ]
        found += [
            f"<h2>Highest rate</h2><p>{escape(report['highest_rate']['answer'])}</p>",
            _table(["arrivals/s", "requests/s", "SLO"], tried),
        ]
    for scenario, added in report["added"].items():
        values = ", ".join(
            f"{name.removeprefix('added_').removesuffix('_ms')} {value:+.2f} ms" for name, value in added.items()
        )
        found.append(f"<p>{escape(scenario)}: the gateway adds {values}.</p>")
    if report["changes"]:
        found.append(f"<h2>Against the baseline</h2>{_list(change['text'] for change in report['changes'])}")
    return found


def _requests(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["", "requests", "/s", "failures", "p50 ms", "p95 ms", "p99 ms", "max ms"]
    body = []
    for row in rows:
        cells = [row["route"] or row["scenario"], f"{row['requests']:,}", f"{row['rate']:,.1f}", f"{row['failures']:,}"]
        cells += [milliseconds(row[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
        body.append(("route" if row["route"] else "scenario", cells))
    rendered = "".join(f'<tr class="{kind}">{_cells(cells)}</tr>' for kind, cells in body)
    return f'<div class="scroll"><table><tr>{_heads(head)}</tr>{rendered}</table></div>'


def _plots(timeline: Sequence[Mapping[str, Any]]) -> list[str]:
    scenarios = sorted({name for point in timeline for name in point["scenarios"]})

    def of(name: str, measure: str) -> list[tuple[float, float | None]]:
        return [
            (point["at"], (point["all"] if name == "all" else point["scenarios"].get(name, {})).get(measure))
            for point in timeline
        ]

    rates = {"all": of("all", "rate")}
    if len(scenarios) > 1:
        rates |= {name: of(name, "rate") for name in scenarios}
    percentiles = {name.removesuffix("_ms"): of("all", name) for name in ("p50_ms", "p95_ms", "p99_ms")}
    found = [
        line_plot(rates, unit="requests/s", title="Requests per second over time"),
        line_plot(percentiles, unit="ms", title="Latency percentiles over time", logarithmic=True),
    ]
    if len(scenarios) > 1:
        each = {name: of(name, "p95_ms") for name in scenarios}
        found.append(line_plot(each, unit="p95 ms", title="95th percentile by scenario", logarithmic=True))
    found += [
        line_plot({"failures": of("all", "failures")}, unit="failures/s", title="Failures per second over time"),
        line_plot(
            {"users": [(point["at"], point["users"]) for point in timeline]}, unit="users", title="Users over time"
        ),
    ]
    return found


def _objectives(verdicts: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for each in verdicts:
        seen = "not measured" if each["seen"] is None else f"{each['seen']:,.4g}"
        style, word = ("good-text", "met") if each["met"] else ("bad-text", "BROKEN")
        text = "".join(f"<td>{escape(cell)}</td>" for cell in (each["measure"], f"{each['limit']:,g}", seen))
        rows.append(f'<tr><td>{escape(each["subject"])}</td>{text}<td class="{style}">{word}</td></tr>')
    head = _heads(["subject", "measure", "objective", "seen", "verdict"])
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _failures(report: Mapping[str, Any]) -> list[str]:
    rows = [[each["scenario"], each["route"], each["failure"], f"{each['count']:,}"] for each in report["failures"]]
    rows += [
        [scenario, "arrivals", "could not be started in time", f"{count:,}"]
        for scenario, count in report["dropped"].items()
    ]
    return ["<h2>Failures</h2>", _table(["scenario", "route", "failure", "count"], rows)] if rows else []


def _generator(health: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            each["process"],
            f"{each['mean_cpu']:.0f}",
            f"{each['max_cpu']:.0f}",
            milliseconds(each["median_delay_ms"]),
            milliseconds(each["max_delay_ms"]),
            each["warning"] or "kept up",
        ]
        for each in health
    ]
    head = ["process", "mean CPU %", "max CPU %", "median delay ms", "max delay ms", ""]
    return _table(head, rows) if rows else "<p>No samples: the run was shorter than a second.</p>"


def _facts(facts: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts.items())}</dl>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{_heads(head)}</tr>{body}</table></div>'


def _heads(names: Iterable[str]) -> str:
    return "".join(f"<th>{escape(name)}</th>" for name in names)


def _cells(values: Iterable[str]) -> str:
    return "".join(f"<td>{escape(value)}</td>" for value in values)


def _list(items: Iterable[str]) -> str:
    rendered = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{rendered}</ul>" if rendered else ""
