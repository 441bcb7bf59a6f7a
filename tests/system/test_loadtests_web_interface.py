"""`locust -f loadtests` without more: the web interface, with our scenarios, shapes and arguments in it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.locust_runs import LENIENT, REPOSITORY, answers, load_target
from tests.support.ports import free_port
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]


def test_scenarios_and_shapes_can_be_picked_and_the_run_is_judged(tmp_path: Path) -> None:
    port = free_port()
    with load_target() as url, (tmp_path / "said").open("wb") as said:
        command = [
            sys.executable, "-m", "locust", "-f", "loadtests", "--class-picker", "--web-host", "127.0.0.1",
            "--web-port", str(port), "--host", url, "--reports", str(tmp_path), "--report-name", "run",
        ]  # fmt: skip
        objectives = tmp_path / "objectives.toml"
        objectives.write_text(LENIENT)
        environment = {**os.environ, "LOCUST_ADMIN_PASSWORD": "admin", "LOCUST_SLO": str(objectives)}
        locust = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            web = f"http://127.0.0.1:{port}"
            until(lambda: answers(web), timeout=40)
            with urllib.request.urlopen(web, timeout=10) as page:
                text = page.read().decode()
            assert '"Ramp"' in text
            assert '"open_model"' in text
            assert "admin_password" not in text, "a secret is shown"
            form = {
                "user_count": 3,
                "spawn_rate": 3,
                "user_classes": "Browsing",
                "shape_class": "Ramp",
                "run_time": "3s",
            }
            with urllib.request.urlopen(f"{web}/swarm", urlencode(form).encode(), timeout=10) as answer:
                assert answer.status == 200
            until((tmp_path / "run.html").exists, timeout=40)
        finally:
            locust.terminate()
            code = locust.wait(20)
    assert code == 0, (tmp_path / "said").read_text()
    assert "Every SLO is met." in (tmp_path / "said").read_text()
