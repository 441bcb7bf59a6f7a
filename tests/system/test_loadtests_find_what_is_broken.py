"""Each scenario against a system that is wrong in one way: it must fail, and name what broke."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.locust_runs import LENIENT, counted, load_target, run_locust
from tests.support.ports import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

QUICK = "[default]\nfailure_ratio = 0\np50_ms = 300\n"


def test_a_right_system_meets_its_objectives_and_the_report_says_how(tmp_path: Path) -> None:
    with load_target() as url:
        run = run_locust(
            tmp_path, url, "Browsing", "SessionLife", "--users", "8", "--processes", "2", "--think", "0.2",
            "--note", "workers=1;limits=none",
        )  # fmt: skip
        asked = counted(url)
    assert run.code == 0, run.output
    assert "Every SLO is met." in run.output
    # What two processes measured adds up to what the system was asked: no request is lost or counted twice.
    # Only what was under way when the run ended is the system's alone.
    routes = [row for row in run.report["rows"] if "/students/" in row["route"]]
    assert 0 <= asked["GET /students/"] - sum(row["requests"] for row in routes) <= 8
    assert asked["GET /students/"] > 50
    assert run.report["seconds"] >= 3, "shorter than --run-time said"
    assert len(run.report["generator"]) == 2
    assert run.report["about"]["system"] == {"workers": "1", "limits": "none"}
    assert run.report["about"]["machine"]["cpu"]
    assert run.html.count("<svg") >= 4
    assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?(?:https?:)?//|<script|<link", run.html), "needs a network"


@pytest.mark.parametrize(
    ("fault", "scenario", "named"),
    [
        ("slow", "Browsing", r"BROKEN: browsing: p50_ms [\d,.]+ ms > 300.0 ms"),
        ("wrong-body", "Browsing", r"× browsing, GET /students/.*: wrong body"),
        ("errors", "Browsing", r"× browsing, GET /students/.*: 500 instead of 200"),
        ("revoked-works", "SessionLife", r"× session-life, revoke to reject: a revoked token still works"),
        ("limiter-loose", "RateLimits", r"× rate-limits, .*: the limiter lets 110 % of the quota through"),
        ("retry-after-lies", "RateLimits", r"× rate-limits, .*: Retry-After isn't true"),
    ],
)
def test_a_broken_system_fails_the_run_and_is_named(tmp_path: Path, fault: str, scenario: str, named: str) -> None:
    seconds = 5 if scenario == "RateLimits" else 3
    with load_target(fault) as url:
        run = run_locust(tmp_path, url, scenario, "--users", "2", "--think", "0.1", slo=QUICK, seconds=seconds)
    assert run.code == 1, run.output
    assert re.search(named, run.output), run.output
    assert run.report["exit_code"] == 1


def test_a_right_limiter_passes(tmp_path: Path) -> None:
    with load_target() as url:
        run = run_locust(tmp_path, url, "RateLimits", "--users", "2", seconds=5)
    assert run.code == 0, run.output
    assert run.row("rate-limits", "GET /students/ over the limit")["requests"] > 80


def test_the_open_model_feels_a_stall_and_reports_what_it_could_not_start(tmp_path: Path) -> None:
    slo = "[default]\np95_ms = 300\n"
    with load_target("stalls") as url:
        run = run_locust(
            tmp_path, url, "Browsing", "--open-model", "--users", "20", "--most-in-flight", "1", slo=slo, seconds=5
        )
    assert run.code == 1, run.output
    # The system stands still for 1 of 2.5 seconds. Whoever waits for answers before asking again would see it once
    # for each person; arrivals that go on see it in two of five requests.
    assert run.row("browsing")["p95_ms"] > 500
    assert re.search(r"Dropped: \d+ of [\d,]+ arrivals of browsing", run.output), run.output
    assert run.report["dropped"]["browsing"] + run.row("browsing")["requests"] > 50


def test_the_search_prints_the_highest_rate_that_meets_the_slo(tmp_path: Path) -> None:
    slo = "[default]\nfailure_ratio = 0\np50_ms = 5000\n"
    with load_target() as url:
        run = run_locust(
            tmp_path, url, "GatewayOverhead", "--direct-url", url, "--open-model", "--shape", "search", "--users", "15",
            "--step-seconds", "4", slo=slo, seconds=40,
        )  # fmt: skip
    assert "highest rate that meets the SLO: 15 arrivals/s" in run.output, run.output
    assert run.code == 0, run.output
    assert [tried["offered"] for tried in run.report["highest_rate"]["tried"]] == [10, 15]


def test_a_worse_run_than_the_baseline_says_so(tmp_path: Path) -> None:
    with load_target() as url:
        run_locust(tmp_path / "before", url, "Browsing", "--users", "4", "--think", "0.05", seconds=4)
    with load_target("slow") as url:
        now = run_locust(
            tmp_path, url, "Browsing", "--users", "8", "--think", "0.05",
            "--baseline", str(tmp_path / "before" / "run.json"), seconds=4,
        )  # fmt: skip
    assert re.search(r"Against the baseline: browsing .*p50_ms .*: worse", now.output), now.output


def test_a_system_that_is_not_there_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    run = run_locust(tmp_path, f"http://127.0.0.1:{free_port()}", "Browsing", seconds=5)
    assert run.code == 4, run.output
    assert "nothing answers at" in run.output


def test_objectives_that_cannot_be_read_stop_the_run_before_it_starts(tmp_path: Path) -> None:
    run = run_locust(tmp_path, "http://127.0.0.1:9", "Browsing", slo=LENIENT + "p77_ms = 1\n")
    assert run.code == 2, run.output
    assert "[scenarios.gateway-overhead] p77_ms is not one of" in run.output


def test_a_generator_that_cannot_keep_up_is_told_and_fails_the_run_when_asked(tmp_path: Path) -> None:
    locustfile = tmp_path / "busy_generator.py"
    locustfile.write_text(
        "import time\nfrom locust import task\nfrom loadtests.scenarios.browsing import Browsing as Base\n"
        "class Busy(Base):\n"
        "    @task(50)\n"
        "    def hog(self):\n"
        "        until = time.perf_counter() + 0.25\n"
        "        while time.perf_counter() < until:\n"
        "            pass\n"
        "del Base\n"
    )
    with load_target() as url:
        run = run_locust(
            tmp_path, url, "Busy", "--think", "0", "--users", "1", "--fail-on-generator-limit",
            locustfile=str(locustfile), seconds=4,
        )  # fmt: skip
    assert run.code == 3, run.output
    assert "WARNING: the load generator may be the limit" in run.output
