"""Running Locust as a person does, and reading what it says and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.wait import until

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LENIENT = "[default]\nfailure_ratio = 0\ndropped_ratio = 0\np99_ms = 20000\n[scenarios.gateway-overhead]\n"
"""Objectives that a right system meets however busy the machine is."""

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("LOCUST", "COV", "PYTEST"))}
"""What our processes get. A copy: some are started by threads, while pytest writes each test's name into the real one,
and a process that is started at that moment fails with "Bad address"."""

COUNTING = 1
"""Lists that a run asks for by itself: how many students are there?"""

THE_FOLDER, ONE_FILE = "loadtests", "loadtests/locustfile.py"
"""The same scenarios; the folder, as people give it, loads the comparison's modules too, which takes longer."""


@dataclass(frozen=True)
class LocustRun:
    code: int
    output: str
    report: dict[str, Any]
    html: str

    def row(self, scenario: str, route: str = "") -> dict[str, Any]:
        found = [row for row in self.report["rows"] if (row["scenario"], row["route"]) == (scenario, route)]
        assert found, f"no {scenario} {route} in {[(row['scenario'], row['route']) for row in self.report['rows']]}"
        return dict(found[0])


def run_locust(
    folder: Path, host: str, *arguments: str, slo: str = LENIENT, locustfile: str = ONE_FILE, seconds: int = 3
) -> LocustRun:
    """One headless run to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    objectives = folder / "objectives.toml"
    objectives.write_text(slo)
    command = [
        sys.executable, "-m", "locust", "-f", locustfile, "--headless", "--host", host,
        "--run-time", f"{seconds}s", "--spawn-rate", "50", "--slo", str(objectives), "--reports", str(folder),
        "--report-name", "run", *arguments,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=REPOSITORY, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=90, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    written = (folder / "run.json").exists()
    report = json.loads((folder / "run.json").read_text()) if written else {}
    return LocustRun(done.returncode, done.stdout, report, (folder / "run.html").read_text() if written else "")


@contextmanager
def separate_workers(port: int, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Workers for a master at this port, started each by its own command, as on other machines."""
    command = [sys.executable, "-m", "locust", "-f", ONE_FILE, "--worker", "--master-port", str(port)]
    command += ["--loglevel", "ERROR"]
    started = [subprocess.Popen(command, cwd=REPOSITORY, env=ENVIRONMENT) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
            process.wait(20)


@contextmanager
def load_target(fault: str = "") -> Iterator[str]:
    """The URL of a system with this fault."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.load_target", str(port), fault]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=ENVIRONMENT)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{url}/counted"), timeout=30)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def counted(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/counted", timeout=5) as answer:
        return dict(json.load(answer))
