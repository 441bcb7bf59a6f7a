"""The gateway with several workers, each a process of its own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.ports import free_port
from tests.support.started_stack import StartedStack
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def gateway(tmp_path: Path, port: int) -> Iterator[StartedStack]:
    environment = {"PORT": str(port), "WORKERS": "2", "REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    running = StartedStack([sys.executable, "-m", "gateway"], tmp_path / "var", environment)
    yield running
    running.close()


def test_two_workers_start_and_answer(gateway: StartedStack, port: int) -> None:
    def alive() -> bool:
        assert gateway.process.poll() is None, gateway.output
        assert "Traceback" not in gateway.output, gateway.output
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    until(alive, timeout=60)
    gateway.signal(signal.SIGTERM)
    gateway.exit_code()
    assert gateway.left_behind() == []
    assert "Traceback" not in gateway.output
