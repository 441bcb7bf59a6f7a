"""The stack's own promises, with fake services: fast to start, and able to misbehave."""

from __future__ import annotations

import json
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.started_stack import StartedStack, free_port_offset
from tests.support.wait import until

pytestmark = pytest.mark.system

Start = Callable[..., StartedStack]


@pytest.fixture
def offset() -> int:
    return free_port_offset()


@pytest.fixture
def start(tmp_path: Path, offset: int) -> Iterator[Start]:
    started: list[StartedStack] = []

    def begin(*behaviours: str, **environment: str) -> StartedStack:
        command = [sys.executable, "-m", "tests.support.fake_stack", str(offset), *behaviours]
        started.append(StartedStack(command, tmp_path / "var", environment))
        return started[-1]

    yield begin
    for stack in started:
        stack.close()


def environment_of(port: int) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        environment: dict[str, str] = json.load(answer)["environment"]
    return environment


def log_of(stack: StartedStack, name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (stack.state_dir / "log" / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_is_no_failure(start: Start, number: signal.Signals) -> None:
    stack = start()
    stack.until_running()
    assert len(stack.family()) >= 6  # four services, Valkey and its supervisor
    stack.signal(number)
    assert stack.exit_code() == 0, stack.output
    assert stack.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_every_process_of_the_stacks_own_is_a_gentle_stop(start: Start, number: signal.Signals) -> None:
    stack = start()
    stack.until_running()
    guardian = next(each for each in stack.family() if "stack.guardian" in each.cmdline())
    guardian.send_signal(number)
    stack.signal(number)
    assert stack.exit_code() == 0, stack.output
    assert "Traceback" not in stack.output
    assert stack.left_behind() == []


def test_services_stop_gently_the_gateway_first(start: Start) -> None:
    stack = start()
    stack.until_running()
    stack.signal(signal.SIGTERM)
    assert stack.exit_code() == 0
    assert "killed" not in stack.output
    for name in ("gateway", "student_service", "admin_ui", "auth_service"):
        assert log_of(stack, name)[-1]["event"] == "terminated"


def test_progress_is_told_in_order(start: Start) -> None:
    stack = start()
    stack.until_running()
    order = [stack.output.index(f"{name} ") for name in ("valkey", "auth_service", "gateway")]
    assert order == sorted(order)
    assert stack.output.count(" ready after ") == 5


def test_the_embedded_valkey_and_its_url_reach_every_service(start: Start, offset: int) -> None:
    stack = start()
    stack.until_running()
    urls = {environment_of(8000 + offset + number)["REDIS_URL"] for number in range(4)}
    assert len(urls) == 1
    assert urls.pop().startswith(f"unix://{stack.state_dir}")


def test_a_given_redis_is_used_and_none_started(start: Start, offset: int) -> None:
    stack = start(REDIS_URL="redis://127.0.0.1:1/0")
    stack.until_running()
    assert environment_of(8000 + offset)["REDIS_URL"] == "redis://127.0.0.1:1/0"
    assert not (stack.state_dir / "valkey").exists()


def test_lines_go_to_files_and_only_warnings_to_the_terminal(start: Start) -> None:
    stack = start()
    stack.until_running()
    until(lambda: stack.output.count("warned") == 4)
    assert "started" not in stack.output
    assert "\x1b" not in stack.output
    assert [record["event"] for record in log_of(stack, "gateway")][:2] == ["started", "warned"]


def test_a_taken_port_is_one_clear_line_and_nothing_is_started(start: Start, offset: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 8001 + offset))
        listener.listen()
        stack = start()
        assert stack.exit_code() == 1
    assert f"Port {8001 + offset} (student_service) is in use" in stack.output
    assert stack.left_behind() == []
    assert not (stack.state_dir / "log").exists()


def test_a_service_that_dies_at_start_is_named_with_its_exit_code_and_last_words(start: Start) -> None:
    stack = start("student_service=dies-at-start")
    assert stack.exit_code() == 1
    assert "student_service stopped with exit code 2" in stack.output
    assert "configuration error: RATE_LIMIT_LOGIN: not a limit" in stack.output
    assert stack.left_behind() == []
    assert log_of(stack, "student_service")[-1]["line"].startswith("configuration error")


def test_a_service_that_dies_later_stops_the_system(start: Start, offset: int) -> None:
    stack = start()
    stack.until_running()
    with pytest.raises(OSError, match=r"closed|reset"):
        urllib.request.urlopen(f"http://127.0.0.1:{8002 + offset}/crash", timeout=5)
    assert stack.exit_code() == 1
    assert "auth_service stopped with exit code 3" in stack.output
    assert stack.left_behind() == []


def test_a_service_that_never_gets_ready_is_named_with_its_answer(start: Start) -> None:
    stack = start("gateway=never-ready")
    assert stack.exit_code() == 1
    assert "gateway was not ready after 3 seconds" in stack.output
    assert "it answers 503" in stack.output
    assert stack.left_behind() == []


def test_a_second_ctrl_c_kills_what_will_not_stop(start: Start) -> None:
    stack = start("gateway=stubborn")
    stack.until_running()
    stack.signal(signal.SIGINT)
    until(lambda: "stopping" in stack.output)

    def gone_after_another() -> bool:
        stack.signal(signal.SIGINT)
        return stack.process.poll() is not None

    until(gone_after_another, timeout=8)  # it would wait ten seconds by itself
    assert stack.exit_code() == 0
    assert stack.left_behind() == []


def test_a_signal_that_comes_twice_at_once_is_still_a_gentle_stop(start: Start) -> None:
    stack = start()
    stack.until_running()
    stack.signal(signal.SIGTERM)
    stack.signal(signal.SIGTERM)
    assert stack.exit_code() == 0
    assert all(log_of(stack, name)[-1]["event"] == "terminated" for name in ("gateway", "auth_service"))


def test_a_services_own_workers_go_with_it(start: Start) -> None:
    stack = start("gateway=has-worker")
    stack.until_running()
    workers = [process for process in stack.family() if any("worker-of-" in word for word in process.cmdline())]
    assert len(workers) == 1
    stack.signal(signal.SIGTERM)
    assert stack.exit_code() == 0
    assert stack.left_behind() == []


def test_a_killed_stack_leaves_no_process_behind(start: Start) -> None:
    stack = start("gateway=stubborn", "auth_service=has-worker")
    stack.until_running()
    stack.signal(signal.SIGKILL)
    stack.exit_code()
    until(lambda: stack.family() == [], timeout=15)


def test_a_stack_stopped_while_starting_leaves_no_process_behind(start: Start) -> None:
    stack = start("gateway=never-ready")
    until(lambda: "admin_ui" in stack.output, timeout=20)
    stack.signal(signal.SIGTERM)
    assert stack.exit_code() == 0
    assert stack.left_behind() == []


def test_a_valkey_that_is_killed_is_started_anew(start: Start) -> None:
    stack = start()
    stack.until_running()
    server = next(process for process in stack.family() if process.name() == "valkey-server")
    server.kill()

    def another() -> bool:
        return any(process.name() == "valkey-server" and process.pid != server.pid for process in stack.family())

    until(another)
    assert stack.process.poll() is None
