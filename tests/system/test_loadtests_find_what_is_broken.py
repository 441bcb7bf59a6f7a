"""Each scenario against a system that is wrong in one way: it must fail, and name what broke."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.locust_runs import COUNTING, LENIENT, THE_FOLDER, LocustRun, counted, load_target, run_locust
from tests.support.ports import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
SHARE_RUNS = pytest.mark.xdist_group("loadtests-broken")
SHARE_ONE_RUN = pytest.mark.xdist_group("loadtests-right")

QUICK = "[default]\nfailure_ratio = 0\np50_ms = 300\n"
SIDE_BY_SIDE = 4
EDIT, CREATE, CONFLICT, DELETE, IMPORT = (("--tags", tag) for tag in ("edit", "create", "conflict", "delete", "import"))
Run = Future[LocustRun]


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocustRun, dict[str, int], Path]:
    """A run on a system without a fault, what that was asked, and the run's folder."""
    folder = tmp_path_factory.mktemp("right")
    with load_target() as url:
        run = run_locust(
            folder, url, "Browsing", "SessionLife", "--users", "8", "--processes", "2", "--think", "0.2",
            "--note", "cache=warm;weather=fine", locustfile=THE_FOLDER, seconds=4,
        )  # fmt: skip
        return run, counted(url), folder


@SHARE_ONE_RUN
def test_a_right_system_meets_its_objectives_and_the_report_says_how(
    right: tuple[LocustRun, dict[str, int], Path],
) -> None:
    run, asked, _ = right
    assert run.code == 0, run.output
    assert "Every SLO is met." in run.output
    assert "# reqs" not in run.output, "Locust's own tables are there too, with rounded percentiles"
    # What two processes measured adds up to what the system was asked: no request is lost or counted twice.
    # Only what was under way when the run ended is the system's alone.
    routes = [row for row in run.report["rows"] if "/students/" in row["route"]]
    assert 0 <= asked["GET /students/"] - COUNTING - sum(row["requests"] for row in routes) <= 8
    assert asked["GET /students/"] > 50
    assert run.report["seconds"] >= 4, "shorter than --run-time said"
    assert len(run.report["generator"]) == 2
    assert run.report["about"]["system"] | {"cache": "warm", "weather": "fine"} == run.report["about"]["system"]
    assert run.report["about"]["machine"]["cpu"]
    assert run.html.count("<svg") >= 4
    assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?(?:https?:)?//|<script|<link", run.html), "needs a network"


@dataclass(frozen=True)
class Broken:
    """A fault, the scenario that meets it, and the line that must name it."""

    fault: str
    scenario: str
    named: str
    arguments: tuple[str, ...] = ()
    seconds: int = 2
    slo: str = QUICK

    def __str__(self) -> str:
        return f"{self.scenario}-{self.fault}"


BROKEN = [
    Broken("slow", "Browsing", r"BROKEN: browsing: p50_ms [\d,.]+ ms > 300.0 ms", seconds=3),
    Broken("wrong-body", "Browsing", r"× browsing, GET /students/.*: wrong body"),
    Broken("errors", "Browsing", r"× browsing, GET /students/.*: 500 instead of 200"),
    Broken("revoked-works", "SessionLife", r"× session-life, revoke to reject: a revoked token still works"),
    Broken("limiter-loose", "RateLimits", r"× rate-limits, .*: the limiter lets 110 % of the quota through", seconds=5),
    Broken("retry-after-lies", "RateLimits", r"× rate-limits, .*: Retry-After isn't true", seconds=5),
    Broken("others-harmed", "RateLimits", r"× rate-limits, GET .* somebody else: 503 instead of 200", seconds=5),
    Broken("errors", "Registrar", r"× registrar, POST /students/: 500 instead of 201"),
    Broken("slow", "Registrar", r"BROKEN: registrar: p50_ms [\d,.]+ ms > 300.0 ms", seconds=3),
    Broken("lost-update", "Registrar", r"× registrar, PATCH /students/\{id\} stale: 200 instead of 412", EDIT),
    Broken("made-twice", "Registrar", r"× registrar, POST /students/ same key: wrong body: another id", CREATE),
    Broken("duplicates", "Registrar", r"× registrar, POST /students/ duplicate: 201 instead of 409", CONFLICT),
    Broken("undead", "Registrar", r"× registrar, GET /students/\{id\} deleted: 200 instead of 404", DELETE),
    Broken("history-short", "Registrar", r"× registrar, GET .*/history: wrong body: a history that isn't", DELETE),
    Broken("import-loses", "Registrar", r"× registrar, POST /students/import: wrong body: an import that", IMPORT),
    Broken("page-wrong", "AdminPages", r"× admin-pages, GET /admin/students: wrong page: without 'Students'"),
    Broken("page-errors", "AdminPages", r"× admin-pages, GET /admin/students: 500 instead of 200"),
    Broken("page-whole", "AdminPages", r"× admin-pages, GET /admin/students\?q=: wrong part", ("--tags", "search")),
    Broken("page-slow", "AdminPages", r"BROKEN: admin-pages: p50_ms [\d,.]+ ms > 300.0 ms", seconds=3),
    Broken("any-password", "SignInStorm", r"× sign-in, POST /auth/login wrong password: 200 instead of 401"),
    Broken("no-refresh-token", "SignInStorm", r"× sign-in, POST /auth/login: wrong body: no pair of tokens"),
    Broken("another-profile", "SignInStorm", r"× sign-in, GET /auth/me: wrong body: somebody else's profile"),
    Broken("sign-in-slow", "SignInStorm", r"BROKEN: sign-in: p95_ms [\d,.]+ ms > 300.0 ms", ("--accounts", "1"), 4,
           "[default]\np95_ms = 300\n"),
    Broken("gateway-adds-200-ms", "GatewayOverhead", r"BROKEN: gateway-overhead: added_p50_ms 2\d\d\.\d ms > 100.0 ms",
           ("--direct-url", "HOST/direct"), 3, "[scenarios.gateway-overhead]\nadded_p50_ms = 100\n"),
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Broken, Run]]:
    """The runs that tests of this module ask for: they mostly wait, so a few of them go side by side."""
    chosen = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    wanted: list[Any] = [item.callspec.params["broken"] for item in chosen if "broken" in item.fixturenames]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {each: pool.submit(met, each, tmp_path_factory.mktemp("run")) for each in wanted}


def met(broken: Broken, folder: Path) -> LocustRun:
    with load_target(broken.fault) as url:
        arguments = [each.replace("HOST", url) for each in broken.arguments]
        return run_locust(
            folder, url, broken.scenario, *arguments, "--users", "4", "--think", "0.1", slo=broken.slo,
            seconds=broken.seconds,
        )  # fmt: skip


@SHARE_RUNS
@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_broken_system_fails_the_run_and_is_named(broken: Broken, runs: dict[Broken, Run]) -> None:
    run = runs[broken].result(60)
    assert run.code == 1, run.output
    assert re.search(broken.named, run.output), run.output
    assert run.report["exit_code"] == 1


@SHARE_RUNS
@pytest.mark.parametrize(
    "broken",
    [
        Broken("", scenario, "", ("--direct-url", "HOST/direct"), 5 if scenario == "RateLimits" else 2, LENIENT)
        for scenario in ("Registrar", "AdminPages", "SignInStorm", "GatewayOverhead", "RateLimits")
    ],
    ids=str,
)
def test_the_same_system_without_the_fault_passes(broken: Broken, runs: dict[Broken, Run]) -> None:
    """What fails above fails for its fault."""
    run = runs[broken].result(60)
    assert run.code == 0, run.output
    assert sum(row["requests"] for row in run.report["rows"] if not row["route"]) > 10


def test_whoever_stays_within_their_limit_does_so_however_many_send_too_much(tmp_path: Path) -> None:
    with load_target("slow") as url:
        run = run_locust(tmp_path, url, "RateLimits", "--users", "25", "--accounts", "1", seconds=5)
    others = run.row("rate-limits", "GET /students/ somebody else")
    assert others["requests"] >= 10, run.output
    assert others["failures"] == 0, run.output


def test_the_open_model_feels_a_stall_and_reports_what_it_could_not_start(tmp_path: Path) -> None:
    slo = "[default]\np95_ms = 300\n"
    with load_target("stalls") as url:
        run = run_locust(
            tmp_path, url, "Browsing", "--open-model", "--users", "20", "--most-in-flight", "1", slo=slo, seconds=5
        )
    assert run.code == 1, run.output
    # The system stands still for 1 of 2.5 seconds. Whoever waits for answers before asking again would see it once
    # for each person; arrivals that go on see it in two of five requests, as far as they are let in.
    assert run.row("browsing")["p95_ms"] > 300  # twenty times what it is otherwise
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


@SHARE_ONE_RUN
def test_a_worse_run_than_the_baseline_says_so(tmp_path: Path, right: tuple[LocustRun, dict[str, int], Path]) -> None:
    with load_target("slow") as url:
        now = run_locust(
            tmp_path, url, "Browsing", "--users", "8", "--think", "0.05", "--baseline", str(right[2] / "run.json"),
            seconds=4,
        )  # fmt: skip
    assert re.search(r"Against the baseline: browsing .*p50_ms .*: worse", now.output), now.output


def test_a_system_that_is_not_there_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    run = run_locust(tmp_path, f"http://127.0.0.1:{free_port()}", "Browsing", seconds=5)
    assert run.code == 4, run.output
    assert "nothing answers at" in run.output


@pytest.mark.parametrize(
    ("arguments", "code", "advice"),
    [
        (("--admin-password", "wrong"), 4, r"admin can't sign in at .*: 401 .* the password in LOCUST_ADMIN_PASSWORD"),
        (("--tags", "nonesuch"), 4, r"BROKEN: Browsing does nothing with these --tags"),
        (("--host", "127.0.0.1:8000"), 2, r"--host 127.0.0.1:8000: a whole URL is needed"),
    ],
)
def test_a_run_that_cannot_begin_says_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...], code: int, advice: str
) -> None:
    with load_target() as url:
        run = run_locust(tmp_path, url, "Browsing", *arguments, seconds=2)
    assert run.code == code, run.output
    assert re.search(advice, run.output), run.output


def test_objectives_that_cannot_be_read_stop_the_run_before_it_starts(tmp_path: Path) -> None:
    run = run_locust(tmp_path, "http://127.0.0.1:9", "Browsing", slo=LENIENT + "p77_ms = 1\n")
    assert run.code == 2, run.output
    assert "[scenarios.gateway-overhead] p77_ms is not one of" in run.output


def test_a_generator_that_cannot_keep_up_is_told_and_fails_the_run_when_asked(tmp_path: Path) -> None:
    locustfile = tmp_path / "busy_generator.py"
    locustfile.write_text(
        "import time\nfrom locust import task\nfrom loadtests.scenarios.browsing import Browsing as Base\n"
        "class Busy(Base):\n"
        "    @task(10)\n"
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
