"""Shapes, and workers that are processes of their own: what they measure adds up, and the report tells how it was."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.locust_runs import COUNTING, LocustRun, counted, load_target, run_locust, separate_workers
from tests.support.ports import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

PEAK = 10


def users_over_time(run: LocustRun) -> list[int]:
    """From the second in which everybody had come; the last one may have been cut off."""
    return [point["users"] for point in run.report["timeline"]][1:-1]


def test_a_master_and_two_workers_measure_a_spike_between_them(tmp_path: Path) -> None:
    port = free_port()
    with load_target() as url:
        with separate_workers(port, 2) as workers:
            run = run_locust(
                tmp_path, url, "Browsing", "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port",
                str(port), "--expect-workers", "2", "--shape", "spike", "--users", str(PEAK), "--think", "0.1",
                seconds=8,
            )  # fmt: skip
            assert [worker.wait(20) for worker in workers] == [0, 0], "the master has the verdict"
        asked = counted(url)
    assert run.code == 0, run.output
    # Whoever leaves at the end of the spike, or of the run, leaves a request behind that only the system has seen.
    measured = run.row("browsing")["requests"]
    assert measured > 100
    assert 0 <= asked["GET /students/"] - COUNTING - measured <= PEAK
    assert sum(row["requests"] for row in run.report["rows"] if row["route"]) == measured
    users = users_over_time(run)
    assert set(users) == {PEAK // 5, PEAK}
    assert users.count(PEAK) <= 3, "a fifth of the run"
    assert users[-1] == PEAK // 5
    rates = [point["all"]["rate"] for point in run.report["timeline"]][1:-1]
    assert max(rates) > 1.5 * statistics.median(rates), "five times as many people for a moment"
    assert len(run.report["generator"]) == 2
    assert run.report["about"]["run"] | {"shape": "Spike", "generator processes": "2"} == run.report["about"]["run"]


def test_a_soak_holds_its_peak_and_steps_climb_to_theirs(tmp_path: Path) -> None:
    def shaped(name: str) -> LocustRun:
        with load_target() as url:
            return run_locust(
                tmp_path / name, url, "Browsing", "--shape", name, "--users", "8", "--open-model", seconds=8
            )

    with ThreadPoolExecutor(2) as pool:
        soak, steps = pool.map(shaped, ("soak", "steps"))
    assert soak.code == steps.code == 0, soak.output + steps.output
    assert set(users_over_time(soak)) == {8}
    assert soak.report["seconds"] >= 7
    climbing = users_over_time(steps)
    assert climbing == sorted(climbing)
    assert len(set(climbing)) >= 5
    assert soak.report["about"]["run"]["model"] == "open (users are arrivals/s)"
    assert steps.report["about"]["run"]["shape"] == "Steps"
