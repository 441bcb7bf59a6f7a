"""Each scenario for a few seconds on the real system: every answer is as the scenarios expect it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtests.alert_rules import RULES_FILE
from loadtests.compare.processes import is_listening
from loadtests.fill import sign_in
from loadtests.plain_client import ask
from tests.support.locust_runs import REPOSITORY, THE_FOLDER, answers, run_locust
from tests.support.ports import free_port
from tests.support.started_stack import StartedStack, free_port_offset
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("loadtests-real")]

OUT_OF_REACH = "10000000/minute"
SELECTOR = re.compile(r"(\w+)\{(\w+[=!][^}]*(?:\{[^}]*\}[^}]*)?)\}\[")
MATCHER = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class System:
    gateway: str
    direct: str
    limited_gateway: str
    """A second gateway on the same services, with two workers, which allows little."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    state, offset = tmp_path_factory.mktemp("system"), free_port_offset()
    limits = dict.fromkeys(("RATE_LIMIT_USER", "RATE_LIMIT_ANONYMOUS", "RATE_LIMIT_LOGIN"), OUT_OF_REACH)
    stack = StartedStack([sys.executable, "-m", "stack", "--port-offset", str(offset)], state, limits)
    limited: subprocess.Popen[bytes] | None = None
    try:
        stack.until_running(timeout=120)
        port = free_port()
        urls = {
            "AUTH_SERVICE_URL": f"http://127.0.0.1:{8002 + offset}",
            "STUDENT_SERVICE_URL": f"http://127.0.0.1:{8001 + offset}",
            "ADMIN_UI_URL": f"http://127.0.0.1:{8003 + offset}",
        }
        limited = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            cwd=REPOSITORY,
            env={
                **os.environ,
                **urls,
                **limits,
                "RATE_LIMIT_USER": "60/4 second",
                "WORKERS": "2",
                "VAR_DIR": str(state),
                "PORT": str(port),
            },
            stdout=subprocess.DEVNULL,
        )
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), timeout=60)
        gateway, direct = f"http://127.0.0.1:{8000 + offset}", f"http://127.0.0.1:{8001 + offset}"
        filled = subprocess.run(
            [sys.executable, "-m", "loadtests.fill", "500", "--host", gateway], cwd=REPOSITORY, check=False, timeout=60
        )
        assert filled.returncode == 0
        yield System(gateway, direct, f"http://127.0.0.1:{port}")
    finally:
        if limited is not None:
            limited.terminate()
            limited.wait(20)
        stack.close()


def test_the_alerts_on_objectives_ask_for_what_the_running_services_count(system: System) -> None:
    """Every selector of the rules, with the names and values of its labels, finds a series in some `/metrics`."""
    token = sign_in(system.gateway, "admin", "admin")
    student = ask("GET", f"{system.gateway}/students/?limit=1", token=token).json()["items"][0]["id"]
    for method, path in (("GET", f"/students/{student}"), ("DELETE", "/students/x"), ("GET", "/admin/login")):
        ask(method, system.gateway + path, token=token)
    series = [
        (line.partition("{")[0], dict(LABEL.findall(line)))
        for url in (system.gateway, system.direct)
        for line in ask("GET", f"{url}/metrics", token=token).content.decode().splitlines()
    ]
    selectors = set(SELECTOR.findall(RULES_FILE.read_text()))
    assert len(selectors) > 20
    for name, text in selectors:
        wanted = MATCHER.findall(text)
        found = any(seen == name and all(holds(labels, *each) for each in wanted) for seen, labels in series)
        assert found or 'status=~"5' in text, f"{name}{{{text}}} finds nothing"


def holds(labels: dict[str, str], name: str, sign: str, value: str) -> bool:
    is_like = re.fullmatch(value if "~" in sign else re.escape(value), labels.get(name, "")) is not None
    return is_like != sign.startswith("!")


def test_everybody_at_once_is_answered_rightly(tmp_path: Path, system: System) -> None:
    """The mix, which runs when no scenario is named."""
    run = run_locust(tmp_path, system.gateway, "--users", "25", "--think", "0.2", seconds=7, locustfile=THE_FOLDER)
    assert run.code == 0, run.output
    scenarios = {row["scenario"]: row["failures"] for row in run.report["rows"] if not row["route"]}
    assert scenarios == dict.fromkeys(("admin-pages", "browsing", "registrar", "session-life", "sign-in"), 0)
    assert run.row("session-life", "revoke to reject")["requests"] >= 1
    assert run.row("admin-pages", "GET /admin/students")["requests"] >= 1


def test_a_report_says_of_the_system_what_can_be_known_and_what_it_is_told(tmp_path: Path, system: System) -> None:
    run = run_locust(
        tmp_path, system.limited_gateway, "SignInStorm", "--users", "1", "--direct-url", system.direct,
        "--note", "cache=cold;depends on=good luck", seconds=2,
    )  # fmt: skip
    said = run.report["about"]["system"]
    assert said.pop("version").startswith("Matricula ")
    assert int(said.pop("students").replace(",", "")) >= 500
    assert said == {
        "gateway workers": "2",
        "student_service workers": "1",
        "rate limit user": "60 in 4 s",
        "rate limit anonymous": "10,000,000 in 60 s",
        "rate limit login": "10,000,000 in 60 s",
        "cache": "cold",
        "depends on": "good luck",
    }
    assert "60 in 4 s" in run.html


def test_tags_choose_what_a_scenario_does(tmp_path: Path, system: System) -> None:
    run = run_locust(
        tmp_path, system.gateway, "Registrar", "--tags", "delete", "import", "--users", "2", "--think", "0.1"
    )
    assert run.code == 0, run.output
    routes = {row["route"] for row in run.report["rows"] if row["route"]}
    assert "POST /students/{id}/restore" in routes
    assert "POST /students/import" in routes
    assert "PATCH /students/{id}" not in routes


def test_the_gateways_cost_is_reported(tmp_path: Path, system: System) -> None:
    run = run_locust(
        tmp_path, system.gateway, "GatewayOverhead", "--direct-url", system.direct, "--users", "2", "--think", "0.02"
    )
    assert run.code == 0, run.output
    assert "gateway-overhead: the gateway adds p50 " in run.output
    assert set(run.report["added"]["gateway-overhead"]) == {"added_p50_ms", "added_p95_ms", "added_p99_ms"}


def test_the_limiter_is_exact_and_true_and_harms_nobody_else(tmp_path: Path, system: System) -> None:
    run = run_locust(tmp_path, system.limited_gateway, "RateLimits", "--users", "1", seconds=7)
    assert run.code == 0, run.output
    assert run.row("rate-limits", "GET /students/ over the limit")["requests"] >= 79
    assert run.row("rate-limits", "GET /students/ somebody else")["requests"] >= 1


def test_a_limit_out_of_reach_is_said_instead_of_passed(tmp_path: Path, system: System) -> None:
    run = run_locust(tmp_path, system.gateway, "RateLimits", "--users", "1")
    assert run.code == 4, run.output
    assert "start the system with a lower RATE_LIMIT_USER" in run.output


def test_students_that_are_there_already_are_filled_in_once(system: System) -> None:
    for _ in range(2):
        filled = subprocess.run(
            [sys.executable, "-m", "loadtests.fill", "500", "--host", system.gateway],
            cwd=REPOSITORY, check=False, timeout=60, capture_output=True, text=True,
        )  # fmt: skip
        assert filled.returncode == 0, filled.stderr
        assert "500 students are there" in filled.stdout


def test_a_run_and_a_fill_leave_the_administrator_no_session(tmp_path: Path, system: System) -> None:
    token = sign_in(system.gateway, "admin", "admin")

    def sessions() -> list[str]:
        return [
            each["device"]
            for each in ask("GET", f"{system.gateway}/auth/sessions/?limit=100", token=token).json()["items"]
        ]

    before = sessions()
    assert set(before) == {"matricula-load-test"}
    run = run_locust(tmp_path, system.gateway, "SignInStorm", "--users", "2", seconds=2)
    assert run.code == 0, run.output
    command = [sys.executable, "-m", "loadtests.fill", "10", "--host", system.gateway]
    assert subprocess.run(command, cwd=REPOSITORY, check=False, timeout=60).returncode == 0
    assert len(sessions()) == len(before)


HOLD_A_SYSTEM = """
import sys, time
from pathlib import Path
from loadtests.on_this_machine import running_system
with running_system(Path(sys.argv[1]), {}) as offset:
    print(offset, flush=True)
    time.sleep(600)
"""


def test_a_killed_run_leaves_no_system_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD_A_SYSTEM, str(tmp_path / "state")]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        offset = int(run.stdout.readline())
        ports = [number + offset for number in range(8000, 8004)]
        assert all(map(is_listening, ports))
        run.kill()
    until(lambda: not any(map(is_listening, ports)), timeout=60)
