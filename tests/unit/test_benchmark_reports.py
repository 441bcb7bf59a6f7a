"""The benchmark's tables, page and document, from figures that were made up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from loadtests.compare.document import write_document
from loadtests.compare.gateway_profile import profile_table, summarise
from loadtests.compare.installing import Missing
from loadtests.compare.interpreter import choose_interpreter
from loadtests.compare.page import render_page
from loadtests.compare.summary import comparison_table, cpu_spread, targets_table

MARKERS = ("contenders", "result", "targets", "sweeps", "memory", "profile")


def contender(name: str, rate: float, ours_for_one: float | None) -> dict[str, Any]:
    return {
        "name": name, "title": f"<{name}>", "does": "the job", "version": "1.0", "requests_per_second": rate,
        "ours_for_one": ours_for_one, "p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.5, "p99_to_p50": 3.5,
        "cpu_microseconds": None if name == "direct" else 80.0, "added_awake_ms": 0.2, "added_asleep_ms": 0.4,
    }  # fmt: skip


def point(x: int, cpu: float) -> dict[str, Any]:
    return {
        "x": x,
        "requests_per_second": 1000.0,
        "p50": 1.0,
        "p99": 2.0,
        "cpu_microseconds": cpu,
        "cpu_of_first": cpu / 80,
    }


def a_run() -> dict[str, Any]:
    return {
        "finished": "2026-11-24 12:00 UTC",
        "machine": {"processor": "P", "cores": "2", "system": "Linux", "Python": "3.11", "wrk": "4"},
        "rounds": 5,
        "seconds": 5.0,
        "contenders": [
            contender("ours", 9000, 1.0),
            contender("polling", 9100, 1.0),
            contender("direct", 40000, 0.2),
            contender("envoy", 10000, 0.91),
        ],
        "skipped": [{"name": "haproxy", "title": "HAProxy", "reason": "not installed"}],
        "sweeps": [{"name": "routes", "title": "Routes", "series": {"ours": [point(3, 80.0), point(1000, 84.0)]}}],
        "profile": {"microseconds": 80.0, "samples": 9, "parts": [["metrics", 8.0]], "functions": [["f (g.py)", 8.0]]},
        "memory": [{"seconds": 60.0 * minute, "megabytes": 90.0, "requests_per_second": 9e3} for minute in range(4)],
    }


def test_a_target_is_met_or_missed_by_its_figure() -> None:
    verdicts = {row[0]: row[3] for row in targets_table(a_run())[1:]}
    assert verdicts == {
        "requests/s of <envoy>": "met",
        "p99 at 64 connections": "missed",
        "added to a direct call's median": "met",
        "added to a direct call's median, cores asleep": "missed",
        "added to a direct call's median, cores asleep, busy polling": "missed",
        "CPU a request over routes": "met",
        "memory over 3 minutes": "met",
    }


@pytest.mark.parametrize(("costs", "difference"), [((80.0, 72.0, 100.0), 0.25), ((80.0, 56.0, 84.0), -0.3)])
def test_growth_is_told_against_the_first_step(costs: tuple[float, ...], difference: float) -> None:
    sweep = {"series": {"ours": [point(10**place, cost) for place, cost in enumerate(costs)]}}
    assert cpu_spread(sweep) == pytest.approx(difference)


def test_the_table_leaves_blank_what_has_no_meaning() -> None:
    rows = {row[0]: row for row in comparison_table(a_run())}
    assert rows["<ours>"][2] == ""
    assert rows["<direct>"][3] == ""
    assert rows["<envoy>"][2] == "0.91"


def test_the_page_needs_nothing_from_elsewhere_and_escapes_names() -> None:
    page = render_page(a_run())
    assert "<svg" in page
    assert "&lt;envoy&gt;" in page
    assert "<envoy>" not in page
    assert not re.search(r"<script|src=|href=|url\(", page)


def test_the_document_changes_only_between_its_markers(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    blocks = "\n".join(f"before {name}\n<!-- bench:{name} -->\nold\n<!-- /bench:{name} -->" for name in MARKERS)
    path.write_text(blocks + "\nthe end\n")
    write_document(path, a_run())
    once = path.read_text()
    write_document(path, a_run())
    assert path.read_text() == once
    assert "old" not in once
    assert once.endswith("the end\n")
    assert "| <envoy> |" in once
    assert "not installed" in once


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text("nothing here\n")
    with pytest.raises(ValueError, match="bench:contenders"):
        write_document(path, a_run())
    assert path.read_text() == "nothing here\n"


def test_the_projects_document_has_all_the_markers() -> None:
    text = (Path(__file__).resolve().parent.parent.parent / "docs" / "performance.md").read_text()
    assert all(f"<!-- bench:{name} -->" in text and f"<!-- /bench:{name} -->" in text for name in MARKERS)


def test_a_python_that_cannot_run_the_gateway_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="nothing-here is no Python that runs"):
        choose_interpreter(tmp_path, str(tmp_path / "nothing-here"))
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\necho 3.9.2\n")
    old.chmod(0o755)
    with pytest.raises(Missing, match=r"old-python is Python 3\.9\.2; it takes 3\.11 or newer"):
        choose_interpreter(tmp_path, str(old))


def test_a_profile_gives_each_part_its_share_of_a_request() -> None:
    lines = (
        "run (asyncio/runners.py:118);serve (gateway/middleware.py:1);begin (gateway/upstream/connection.py:9) 60",
        "run (asyncio/runners.py:118) 30",
        "run (asyncio/runners.py:118);observe (/x/site-packages/prometheus_client/metrics.py:3) 10",
        "_bootstrap (threading.py:1);wait (threading.py:320) 500",
        "run (asyncio/runners.py:118);\ufffd\ufffd 20",
    )
    profile = summarise("\n".join(lines), 80.0)
    assert profile["samples"] == 120
    parts = {
        "upstream: choose, send, read the answer": 40.0,
        "event loop, sockets, the kernel": 33.333,
        "metrics": 6.667,
    }
    assert dict(profile["parts"]) == pytest.approx(parts, abs=0.001)
    assert profile_table(profile, "functions")[1] == ["begin (gateway/upstream/connection.py)", "40.0", "50%"]


def test_a_profile_knows_compiled_functions_by_their_symbols() -> None:
    loop = "run (asyncio/runners.py:118)"
    exchange, middleware, balancer, log_sink = (
        f"({module}.cpython-311-x86_64-linux-gnu.so)"
        for module in (
            "gateway.edge.exchange",
            "gateway.middleware",
            "gateway.upstream.balancer",
            "servicekit.log_sink",
        )
    )
    lines = (
        f"{loop};__pyx_gb_7gateway_10middleware_7Gateway_7generator1 {middleware} 50",
        f"{loop};respond {exchange};uv_try_write (stream.c:7);0x7f (libc.so.6) 30",
        f"{loop};_tick {balancer};__Pyx_Call.part.0 {balancer} 20",
        f"_bootstrap (threading.py:1);_run {log_sink};0x7f (libc.so.6) 500",
    )
    functions = dict(summarise("\n".join(lines), 100.0)["functions"])
    assert functions == {
        "a coroutine of Gateway (gateway/middleware.py)": 50.0,
        "respond (gateway/edge/exchange.py)": 30.0,
        "_tick (gateway/upstream/balancer.py)": 20.0,
    }
