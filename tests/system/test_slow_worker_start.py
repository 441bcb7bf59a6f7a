"""Workers that take long to start, as on a machine that starts many processes at once."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import httpx2
import pytest

from tests.support.ports import free_port
from tests.support.started_stack import REPOSITORY, StartedStack
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

# The worker imports the protocol's module before it can answer the supervisor's pings; so this import is the slow one.
SLOW_MODULE = """
import multiprocessing, time
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
if multiprocessing.current_process().name != "MainProcess":
    time.sleep(2.5)
class SlowProtocol(HttpToolsProtocol):
    pass
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
"""
SERVER = """
import sys
from servicekit.server import run
from servicekit.settings import ServiceSettings
from slow_module import SlowProtocol
if __name__ == "__main__":
    run("slow_module:app", ServiceSettings(), service="slow", http=SlowProtocol, timeout_worker_healthcheck=1)
"""


def test_a_worker_that_is_slower_than_a_ping_still_comes_up(tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    (tmp_path / "server.py").write_text(SERVER)
    port = free_port()
    environment = {"PORT": str(port), "WORKERS": "2", "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    server = StartedStack([sys.executable, "server.py"], tmp_path / "var", environment, directory=tmp_path)
    try:

        def answers() -> bool:
            assert server.process.poll() is None, server.output
            try:
                return httpx2.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 204
            except httpx2.TransportError:
                return False

        until(answers, timeout=60)
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0, server.output
        assert "worker_died" not in server.output
        assert server.left_behind() == []
    finally:
        server.close()
