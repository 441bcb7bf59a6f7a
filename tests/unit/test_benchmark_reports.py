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


def test_a_profile_gives_each_part_and_function_its_share_of_a_request() -> None:
    def so(module: str) -> str:
        return f"(/x/{module}.cpython-311-x86_64-linux-gnu.so)"

    python, uvloop = "(/usr/bin/python3.11)", "(/x/site-packages/uvloop/loop.cpython-311-x86_64-linux-gnu.so)"
    pipeline = f"__pyx_gb_7gateway_10middleware_7Gateway_7generator1 {so('gateway.middleware')}"
    plain = f"__pyx_f_7gateway_8upstream_6answer_6Answer__read_plain {so('gateway.upstream.answer')}"
    fields = f"__pyx_pf_7gateway_6fields_2read_field (inlined) {so('gateway.fields')}"
    # The innermost frame first, as `perf script` has it.
    looks = {
        ("tcp_sendmsg ([kernel.kallsyms])", "__send (/x/libc.so.6)", f"uv_try_write {uvloop}", pipeline): 4,
        ("_PyObject_Malloc " + python, "__Pyx_PyObject_Call " + so("gateway.upstream.answer"), plain, pipeline): 3,
        ("sre_match " + python, fields, plain, pipeline): 1,
        ("PyDict_SetItem " + python, pipeline, f"Handle__run {uvloop}"): 1,
        (f"UVStream_write {uvloop}", pipeline): 1,
    }
    blocks = {"".join(f"\t    7f00 {frame}\n" for frame in frames) + "\n": count for frames, count in looks.items()}
    told = "".join(block * count for block, count in blocks.items())
    profile = summarise(told, 40.0)
    assert profile["samples"] == 10
    assert dict(profile["parts"]) == {
        "the kernel: sockets, waiting": 16.0,
        "upstream: choose, send, read the answer": 12.0,
        "edge: read requests, write responses": 4.0,
        "pipeline: order, errors, the record": 4.0,
        "the event loop: uvloop, asyncio": 4.0,
    }
    assert profile_table(profile, "functions")[2] == ["Answer._read_plain (gateway/upstream/answer.py)", "12.0", "30%"]
    names = {name for name, _ in profile["functions"]}
    assert names >= {"read_field (gateway/fields.py)", "a coroutine of Gateway (gateway/middleware.py)"}
