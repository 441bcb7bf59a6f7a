"""The whole system as a newcomer starts it: by one command, or each service by hand from its own folder."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.started_stack import REPOSITORY, StartedStack, free_port_offset
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

ADMIN = {"username": "admin", "password": "admin"}
ADA = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org"}
DEFAULT_PORTS = {"gateway": 8000, "student_service": 8001, "auth_service": 8002, "admin_ui": 8003}
LOG_FIELDS = {"timestamp", "level", "event", "service"}

Start = Callable[..., StartedStack]


@pytest.fixture
def offset() -> int:
    return free_port_offset()


@pytest.fixture
def gateway(offset: int) -> str:
    return f"http://127.0.0.1:{DEFAULT_PORTS['gateway'] + offset}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[StartedStack] = []

    def begin(*command: str, directory: Path = REPOSITORY, **environment: str) -> StartedStack:
        started.append(StartedStack(list(command), tmp_path / "var", environment, directory=directory))
        return started[-1]

    yield begin
    for stack in reversed(started):
        stack.close()


def stack_command(offset: int) -> tuple[str, ...]:
    return (sys.executable, "-m", "stack", "--port-offset", str(offset))


def signed_in(gateway: str) -> httpx2.Client:
    answer = httpx2.post(f"{gateway}/auth/login", json=ADMIN, timeout=20)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["token_type"] == "bearer"
    return httpx2.Client(base_url=gateway, headers={"Authorization": f"Bearer {body['access_token']}"}, timeout=20)


def test_it_starts_serves_stops_and_the_second_start_keeps_the_data(start: Start, offset: int, gateway: str) -> None:
    first = start(*stack_command(offset))
    first.until_running(timeout=120)
    assert f"{gateway}/admin/" in first.output
    with signed_in(gateway) as client:
        assert client.get("/students/").json()["items"] == []
        created = client.post("/students/", json=ADA)
        assert created.status_code == 201, created.text
    first.signal(signal.SIGINT)
    assert first.exit_code() == 0, first.output
    assert first.left_behind() == []
    assert "killed" not in first.output

    second = start(*stack_command(offset))
    second.until_running(timeout=120)
    with signed_in(gateway) as client:
        assert [student["email"] for student in client.get("/students/").json()["items"]] == [ADA["email"]]
    second.signal(signal.SIGTERM)
    assert second.exit_code() == 0, second.output
    assert second.left_behind() == []

    for name in DEFAULT_PORTS:
        lines = (second.state_dir / "log" / f"{name}.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert records
        assert not [record for record in records if not record.keys() >= LOG_FIELDS]
        assert {record["service"] for record in records} == {name}
        assert "stderr" not in {record["event"] for record in records}, records


def test_make_run_passes_ctrl_c_on_and_leaves_nothing(start: Start, offset: int, gateway: str) -> None:
    make = shutil.which("make")
    if make is None or " " in sys.prefix:
        pytest.skip("needs make, and a virtual environment whose path has no space")
    # The environment that runs this test is the one to use as it is: `-o` keeps make from installing anything.
    variables = (f"VENV={sys.prefix}", f"ARGS=--port-offset {offset}")
    running = start(make, "-o", f"{sys.prefix}/installed-run", "run", *variables)
    running.until_running(timeout=120)
    assert httpx2.get(f"{gateway}/healthz", timeout=20).status_code == 200
    running.interrupt_all()
    running.exit_code()
    assert "Stopped." in running.output
    assert running.left_behind() == []


def test_a_killed_make_leaves_nothing_behind(start: Start, offset: int) -> None:
    make = shutil.which("make")
    if make is None or " " in sys.prefix:
        pytest.skip("needs make, and a virtual environment whose path has no space")
    running = start(
        make, "-o", f"{sys.prefix}/installed-run", "run", f"VENV={sys.prefix}", f"ARGS=--port-offset {offset}"
    )
    until(lambda: "valkey" in running.output, timeout=30)
    running.family()
    running.signal(signal.SIGKILL)
    until(lambda: running.family() == [], timeout=40)


def test_a_killed_stack_leaves_no_service_behind(start: Start, offset: int) -> None:
    stack = start(*stack_command(offset), WORKERS="2")
    stack.until_running(timeout=120)
    stack.signal(signal.SIGKILL)
    stack.exit_code()
    until(lambda: stack.family() == [], timeout=20)


def test_a_bad_setting_is_named_and_stops_the_start(start: Start, offset: int) -> None:
    stack = start(*stack_command(offset), RATE_LIMIT_LOGIN="many")
    assert stack.exit_code(timeout=120) == 1
    assert "RATE_LIMIT_LOGIN" in stack.output
    assert "stopped with exit code 2" in stack.output
    assert stack.left_behind() == []


def test_the_plain_way_works_with_each_service_started_by_hand(start: Start, offset: int, gateway: str) -> None:
    ports = {name: port + offset for name, port in DEFAULT_PORTS.items()}
    urls = {f"{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()}
    for name, port in ports.items():
        command = (sys.executable, "-m", "uvicorn", "main:app", "--reload", "--port", str(port))
        start(*command, directory=REPOSITORY / name, **urls)

    def ready() -> bool:
        try:
            return httpx2.get(f"{gateway}/readyz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    until(ready, timeout=120)
    with signed_in(gateway) as client:
        # Ready means that student_service is alive: it may still be waiting for the keys that auth_service publishes.
        until(lambda: client.get("/students/").status_code == 200, timeout=30)
