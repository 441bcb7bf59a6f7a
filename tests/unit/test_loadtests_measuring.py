"""What the load tests compute: percentiles, verdicts, comparison, search, generator health."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.baseline import compare
from loadtests.generator_health import health_of
from loadtests.histogram import Histogram, bucket_of, merged, value_of
from loadtests.html_report import render_html
from loadtests.rate_search import RateSearch, Tried
from loadtests.recorder import Key, Process, Recorder, Series
from loadtests.report_data import Outcome, document
from loadtests.slo import judge, read_objectives
from loadtests.svg_plot import line_plot

SLO_FILE = Path(__file__).resolve().parents[2] / "loadtests" / "slo.toml"


@given(st.integers(min_value=0, max_value=2**40))
def test_a_bucket_is_right_to_a_thousandth(value: int) -> None:
    assert abs(value_of(bucket_of(value)) - value) <= value / 1000


@given(st.integers(min_value=0, max_value=2**40))
def test_buckets_ascend_with_the_values(value: int) -> None:
    assert bucket_of(value) <= bucket_of(value + 1)


@given(
    st.lists(st.integers(min_value=0, max_value=10_000_000), min_size=1, max_size=300),
    st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]),
)
def test_percentiles_are_those_of_the_sorted_values(values: list[int], fraction: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    rank = max(1, -(-int(fraction * 100) * len(values) // 100))
    expected = sorted(values)[rank - 1] / 1000
    found = histogram.percentile_ms(fraction)
    assert found is not None
    assert abs(found - expected) <= expected / 1000


def test_parts_of_several_processes_add_up_without_loss() -> None:
    values = [random.randint(1, 5_000_000) for _ in range(2000)]
    whole, parts = Histogram(), [Histogram() for _ in range(3)]
    for number, value in enumerate(values):
        whole.add(value)
        parts[number % 3].add(value)
    assert merged(parts) == whole


def test_what_a_worker_drains_is_what_the_master_has() -> None:
    worker, other, master = Recorder(), Recorder(), Recorder()
    for recorder in (worker, other):
        recorder.request("browsing", "GET /x", 12.5, None)
        recorder.request("browsing", "GET /x", 7000.0, "500 instead of 200")
        recorder.request("browsing", "a finding", None, "too many")
        recorder.dropped["browsing"] += 1
    for recorder in (worker, other):
        master.absorb(recorder.drain())
        assert recorder.keys() == []
    series = master.series()[Key("browsing", "GET /x")]
    assert (series.requests, series.failures, series.latencies.max_ms) == (4, 2, 7000.0)
    assert master.series()[Key("browsing", "a finding")].requests == 0
    assert master.failures["browsing", "a finding", "too many"] == 2
    assert master.dropped["browsing"] == 2


def measured(milliseconds: float, requests: int = 100, failures: int = 0) -> Series:
    series = Series(failures=failures)
    for _ in range(requests):
        series.latencies.add(round(milliseconds * 1000))
    return series


def test_each_objective_has_a_verdict_that_says_what_was_seen() -> None:
    objectives = read_objectives(
        "[default]\nfailure_ratio = 0\n[scenarios.browsing]\np99_ms = 50\nmin_rate = 20\n"
        '[routes."GET /x"]\np50_ms = 10\n[routes."GET /never asked"]\np50_ms = 10'
    )
    verdicts = judge(objectives, {Key("browsing", "GET /x"): measured(30, failures=1)}, seconds=10)
    assert [str(verdict) for verdict in verdicts if not verdict.met] == [
        "browsing: failure_ratio 1 % > 0 %",
        "browsing: min_rate 10.0 /s < 20.0 /s",
        "GET /x: p50_ms 30.0 ms > 10.0 ms",
    ]
    assert [verdict.measure for verdict in verdicts if verdict.met] == ["p99_ms"]


def test_an_objective_that_was_not_measured_is_not_met() -> None:
    objectives = read_objectives("[scenarios.gateway-overhead]\nadded_p50_ms = 3")
    (verdict,) = judge(objectives, {Key("gateway-overhead", "GET /x"): measured(1)}, seconds=1)
    assert not verdict.met
    assert "not measured" in str(verdict)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[scenario.x]\np50_ms = 1", "[scenario] is not a table of this file"),
        ("[default]\np51_ms = 1", "[default] p51_ms is not one of"),
        ("[default]\np50_ms = '1'", "[default] p50_ms = '1' is not a number"),
        ("[default]\np50_ms = true", "[default] p50_ms = True is not a number"),
        ("default = 3", "[default] is not a table"),
        ("[default", "not TOML"),
        ("[alerts]\np50_ms = 1", "[alerts] p50_ms is not one of window_minutes, hold_minutes"),
        ("[alerts]\nhold_minutes = 1.5", "[alerts] hold_minutes = 1.5 is not a whole number"),
    ],
)
def test_a_mistake_in_the_objectives_is_named(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        read_objectives(text)


def test_the_objectives_of_the_project_can_be_read() -> None:
    assert read_objectives(SLO_FILE.read_text()).scenarios["browsing"]["p99_ms"] > 0


def a_report(p50: float, scatter: float) -> dict[str, object]:
    blocks = [p50 + scatter * (1 if number % 2 else -1) for number in range(10)]
    row = {"scenario": "s", "route": "", "p50_ms": p50, "p95_ms": None, "p99_ms": None, "rate": 100.0}
    return {"rows": [{**row, "blocks": {"p50_ms": blocks, "rate": [100.0] * 10}}]}


def test_a_change_counts_beyond_noise_only() -> None:
    assert compare(a_report(10, 3), a_report(12, 3)) == []
    (worse,) = compare(a_report(10, 0.3), a_report(12, 0.3))
    assert "s (all): p50_ms 10.0 → 12.0 (+20%, noise ±0.4): worse" in str(worse)
    (better,) = compare(a_report(12, 0.3), a_report(10, 0.3))
    assert better.verdict == "better"


def test_the_search_closes_in_on_the_highest_rate() -> None:
    search = RateSearch(highest=1000)
    while (rate := search.next_rate()) is not None:
        search.tried.append(Tried(rate, rate, None if rate <= 137 else "too slow"))
    assert search.met is not None
    assert 130 <= search.met.offered <= 137
    assert len(search.tried) < 12
    assert "137 broke it" not in search.answer()
    assert search.answer().startswith(f"highest rate that meets the SLO: {search.met.offered} arrivals/s")


def test_a_search_without_any_good_rate_says_so() -> None:
    search = RateSearch(highest=1000)
    while (rate := search.next_rate()) is not None:
        search.tried.append(Tried(rate, rate, "too slow"))
    assert search.answer() == "no rate met the SLO: even 1 arrivals/s broke it (too slow)"


def test_a_generator_at_its_limit_is_told_from_one_that_is_not() -> None:
    calm = Process([(second, 60.0, 2.0) for second in range(10)])
    busy = Process([(second, 98.0 if second < 4 else 60.0, 2.0) for second in range(10)])
    late = Process([(second, 40.0, 300.0 if second < 3 else 2.0) for second in range(10)])
    told = {health.process: health.warning for health in health_of({"calm": calm, "busy": busy, "late": late})}
    assert told["calm"] is None
    assert told["busy"] is not None
    assert "more than 90 % of its core" in told["busy"]
    assert told["late"] is not None
    assert "woke up more than 100 ms late" in told["late"]


def test_a_report_without_any_request_is_still_a_page() -> None:
    outcome = Outcome(exit_code=4, broken=["<nobody>"], verdicts=[], health=[], added={}, highest_rate=None)
    page = render_html(document(Recorder(), title="nothing", began="2026", about={}, outcome=outcome))
    assert "&lt;nobody&gt;" in page
    assert page.endswith("</html>\n")


@given(
    st.lists(
        st.tuples(st.integers(0, 9999), st.one_of(st.none(), st.floats(0, 1e6))), min_size=1, max_size=20, unique=True
    ),
    st.booleans(),
)
def test_any_values_make_a_plot(points: list[tuple[float, float | None]], logarithmic: bool) -> None:
    plot = line_plot({"a<b": sorted(points, key=lambda point: point[0])}, unit="ms", title="t", logarithmic=logarithmic)
    assert "nan" not in plot
    assert "inf" not in plot
    assert "a<b" not in plot
