"""LOG_LEVEL and LOG_FORMAT of a service: which request lines it writes, and in which form."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.ports import free_port
from tests.support.started_stack import StartedStack
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]


def output_of(folder: Path, level: str, form: str) -> str:
    """All that a service wrote which answered a health check and a path that it doesn't have."""
    port = free_port()
    environment = {"PORT": str(port), "LOG_LEVEL": level, "LOG_FORMAT": form}
    running = StartedStack([sys.executable, "-m", "student_service"], folder / "var", environment)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            until(lambda: is_up(client), timeout=30)
            assert client.get("/nowhere").status_code == 404
    finally:
        running.close()
    return running.output


def is_up(client: httpx2.Client) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return client.get("/healthz").status_code == 200
    return False


@pytest.mark.parametrize(
    ("level", "levels_of_requests"),
    [("debug", {"/healthz": "debug", "/nowhere": "info"}), ("info", {"/nowhere": "info"}), ("warning", {})],
)
def test_a_level_leaves_out_the_lines_below_it(tmp_path: Path, level: str, levels_of_requests: dict[str, str]) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in output_of(tmp_path, level, "json").splitlines()]
    requests = {line["path"]: line["level"] for line in lines if line["event"] == "request"}
    assert requests == levels_of_requests


def test_the_form_for_people_is_no_json_and_says_the_same(tmp_path: Path) -> None:
    (line,) = [line for line in output_of(tmp_path, "info", "console").splitlines() if "/nowhere" in line]
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)
    for word in ("request", "404", "GET", "/nowhere", "127.0.0.1"):
        assert word in line
