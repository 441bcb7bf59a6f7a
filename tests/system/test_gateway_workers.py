"""The gateway with several workers, each a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from gateway.compiled import extension_files, folder
from tests.support.ports import free_port
from tests.support.started_stack import StartedStack
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

METRICS_TOKEN = "scraper"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def gateway(tmp_path: Path, port: int) -> Iterator[StartedStack]:
    nowhere = f"redis://127.0.0.1:{free_port()}"
    environment = {"PORT": str(port), "WORKERS": "2", "REDIS_URL": nowhere, "METRICS_TOKEN": METRICS_TOKEN}
    running = StartedStack([sys.executable, "-m", "gateway"], tmp_path / "var", environment)
    yield running
    running.close()


def until_alive(gateway: StartedStack, port: int) -> None:
    def alive() -> bool:
        assert gateway.process.poll() is None, gateway.output
        assert "Traceback" not in gateway.output, gateway.output
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    until(alive, timeout=60)


def test_two_workers_start_answer_and_stop(gateway: StartedStack, port: int) -> None:
    until_alive(gateway, port)
    gateway.signal(signal.SIGTERM)
    gateway.exit_code()
    assert gateway.left_behind() == []
    assert "Traceback" not in gateway.output


def test_a_scrape_shows_which_dependencies_are_down_though_nobody_asked_for_readiness(
    gateway: StartedStack, port: int
) -> None:
    until_alive(gateway, port)
    scraper = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    metrics = httpx2.get(f"http://127.0.0.1:{port}/metrics", headers=scraper, timeout=20)
    assert metrics.status_code == 200
    shown = dict(line.rsplit(" ", 1) for line in metrics.text.splitlines() if line.startswith("dependency_up{"))
    states = {series.partition('dependency="')[2].partition('"')[0]: float(value) for series, value in shown.items()}
    assert states == dict.fromkeys(
        ("redis", "denylist", "auth_service", "student_service", "admin_ui", "signing_keys"), 0
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mode", ["off", "required"])
def test_every_worker_runs_compiled_or_none(tmp_path: Path, workers: int, mode: str) -> None:
    if mode == "required" and not extension_files(folder()):
        assert os.environ.get("MATRICULA_REQUIRE_COMPILED") != "1", "The compiled gateway is required here"
        pytest.skip("the gateway isn't compiled: make compile")
    port = free_port()
    environment = {"PORT": str(port), "WORKERS": str(workers), "COMPILED": mode, "LOG_FORMAT": "json"}
    environment["REDIS_URL"] = f"redis://127.0.0.1:{free_port()}"
    running = StartedStack([sys.executable, "-m", "gateway"], tmp_path / "var", environment)
    try:
        until_alive(running, port)
        said = '"event":"data_path","service":"gateway","compiled":'
        until(lambda: running.output.count(said) == workers, timeout=20)
        assert running.output.count(said + ("true" if mode == "required" else "false")) == workers
    finally:
        running.close()


def test_a_gateway_that_must_be_compiled_says_what_is_wrong(tmp_path: Path) -> None:
    running = StartedStack([sys.executable, "-m", "gateway"], tmp_path / "var", {"COMPILED": "yes"})
    assert running.exit_code() == 2
    assert running.output == "configuration error: COMPILED: it is one of auto, off, required\n"
    running.close()
