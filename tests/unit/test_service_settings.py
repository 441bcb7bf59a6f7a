"""A setting that can't be used ends every process at its start: one line on stderr that names it, exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ports import free_port

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SERVICES = ["gateway", "auth_service", "student_service", "admin_ui"]


def start(service: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", service],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "COMPILED": "off", "PORT": str(free_port()), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refuses(done: subprocess.CompletedProcess[str], variable: str) -> bool:
    [line] = done.stderr.splitlines()
    return (done.returncode, done.stdout) == (2, "") and line.startswith(f"configuration error: {variable}: ")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("below", ["", "and/below"])
def test_a_file_is_no_state_folder(service: str, below: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = start(service, VAR_DIR=str(tmp_path / "file" / below))
    assert refuses(done, "VAR_DIR")
    assert str(tmp_path / "file") in done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_state_folder_that_cannot_be_made_is_refused(service: str) -> None:
    assert refuses(start(service, VAR_DIR="/proc/nowhere/var"), "VAR_DIR")  # not by root either


def test_a_state_folder_that_cannot_be_made_is_no_matter_where_none_is_needed() -> None:
    done = start("student_service", VAR_DIR="/proc/nowhere/var", PROXY_TOKEN="p" * 32, TIME_ZONE="Nowhere")
    assert refuses(done, "TIME_ZONE")


@pytest.mark.parametrize("name", ["missing.toml", "."])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_route_table_that_cannot_be_read_is_refused(name: str, workers: str, tmp_path: Path) -> None:
    done = start("gateway", VAR_DIR=str(tmp_path), ROUTES_FILE=str(tmp_path / name), WORKERS=workers)
    assert refuses(done, "ROUTES_FILE")
    assert str(tmp_path / name) in done.stderr
