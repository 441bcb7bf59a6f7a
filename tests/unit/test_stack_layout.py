"""What the stack decides before it starts anything, and what it shows of the logs."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from stack.console import banner, readable
from stack.layout import REPOSITORY, highest_port_offset, plan
from stack.log_files import KEPT_LINES, ROTATE_AT_BYTES, SHOWN_PER_LOOK, LogFile
from stack.ports import complaint_about_taken_ports


def test_auth_starts_first_and_the_gateway_last() -> None:
    names = [[service.name for service in row] for row in plan({}, 0).rows]
    assert names == [["auth_service"], ["student_service", "admin_ui"], ["gateway"]]


def test_ports_are_those_of_the_contract_plus_the_offset() -> None:
    ports = {service.name: service.port for service in plan({}, 100).services}
    assert ports == {"gateway": 8100, "student_service": 8101, "auth_service": 8102, "admin_ui": 8103}


def test_every_process_is_told_where_the_others_are() -> None:
    for service in plan({"AUTH_SERVICE_URL": "http://elsewhere", "PORT": "1"}, 10).services:
        environment = service.environment
        assert environment["PORT"] == str(service.port)
        assert environment["AUTH_SERVICE_URL"] == "http://127.0.0.1:8012"
        assert environment["STUDENT_SERVICE_URL"] == "http://127.0.0.1:8011"
        assert environment["ADMIN_UI_URL"] == "http://127.0.0.1:8013"
        assert environment["GATEWAY_URL"] == "http://127.0.0.1:8010"
        assert environment["VAR_DIR"] == str(REPOSITORY / "var")


def test_workers_are_the_gateways() -> None:
    workers = {service.name: service.environment["WORKERS"] for service in plan({"WORKERS": "4"}, 0).services}
    assert workers == {"gateway": "4", "auth_service": "1", "student_service": "1", "admin_ui": "1"}


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000"), ("192.0.2.7", "http://192.0.2.7:8000")],
)
def test_a_bound_host_becomes_an_address_that_can_be_called(host: str, url: str) -> None:
    layout = plan({"HOST": host}, 0)
    assert layout.url("gateway") == url
    assert layout.rows[0][0].environment["HOST"] == host


def test_the_banner_says_where_and_how_to_sign_in(tmp_path: Path) -> None:
    text = banner(plan({"VAR_DIR": str(tmp_path)}, 0))
    for part in (
        "http://127.0.0.1:8000/admin/",
        "http://127.0.0.1:8000/docs",
        "admin / admin",
        str(tmp_path),
        "Ctrl-C",
    ):
        assert part in text


def test_the_banner_never_shows_a_given_password() -> None:
    text = banner(plan({"BOOTSTRAP_ADMIN_USERNAME": "head", "BOOTSTRAP_ADMIN_PASSWORD": "correct horse"}, 0))
    assert "head" in text
    assert "correct horse" not in text


def test_a_taken_port_is_named_with_who_needs_it_and_what_to_do() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        complaint = complaint_about_taken_ports(plan({}, port - 8000))
    assert complaint is not None
    assert f"{port} (gateway)" in complaint
    assert "--port-offset" in complaint
    assert "\n" not in complaint


def test_a_host_that_is_not_ours_is_a_complaint_that_names_the_variable() -> None:
    complaint = complaint_about_taken_ports(plan({"HOST": "192.0.2.7"}, 0))
    assert complaint is not None
    assert "HOST=192.0.2.7" in complaint


def test_the_highest_offset_leaves_valid_ports() -> None:
    assert max(service.port for service in plan({}, highest_port_offset()).services) == 65535


def test_a_log_line_is_shown_on_one_harmless_line() -> None:
    record = {
        "timestamp": "2026-11-24T12:34:56.789Z",
        "level": "error",
        "event": "request_failed",
        "service": "gateway",
        "status": 502,
        "path": "/a\x1b[2J\nb",
        "exception": "Traceback ...\nValueError: bad",
    }
    line = readable("gateway", json.dumps(record).encode())
    assert line.startswith("gateway         12:34:56 error    request_failed status=502 path=/a [2J b")
    assert line.endswith("ValueError: bad")
    assert line.isprintable()


def test_a_line_that_is_no_json_is_shown_as_it_is() -> None:
    assert readable("gateway", b"Fatal: \xff").endswith("Fatal: �")


class Shown:
    def __init__(self, path: Path, *, show_all: bool = False) -> None:
        self.lines: list[bytes] = []
        self.log = LogFile(path, "gateway", self.lines.append, show_all=show_all)

    def write(self, text: bytes) -> None:
        self.log.file.write(text)
        self.log.file.flush()
        self.log.look()


def test_only_warnings_and_errors_are_shown(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "gateway.jsonl")
    shown.write(b'{"level":"info","event":"a"}\n{"level": "warning","event":"b"}\n{"level":"error","event":"c"}\n')
    assert [json.loads(line)["event"] for line in shown.lines] == ["b", "c"]
    shown.log.close()


def test_everything_is_shown_when_asked_for(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "gateway.jsonl", show_all=True)
    shown.write(b'{"level":"info","event":"a"}\n')
    assert len(shown.lines) == 1
    shown.log.close()


def test_a_line_written_in_two_pieces_is_shown_once_and_whole(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "gateway.jsonl")
    shown.write(b'{"level":"err')
    assert shown.lines == []
    shown.write(b'or","event":"c"}\n')
    assert shown.lines == [b'{"level":"error","event":"c"}']
    shown.log.close()


def test_a_flood_of_warnings_is_counted_not_shown(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "gateway.jsonl")
    shown.write(b'{"level":"warning","event":"b"}\n' * 1000)
    assert len(shown.lines) == SHOWN_PER_LOOK + 1
    assert b"990 more" in shown.lines[-1]
    assert len(shown.log.last_lines) == KEPT_LINES
    shown.log.close()


def test_lines_of_an_earlier_run_stay_in_the_file_but_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "gateway.jsonl"
    path.write_bytes(b'{"level":"error","event":"old"}\n')
    shown = Shown(path)
    shown.write(b'{"level":"error","event":"new"}\n')
    assert shown.lines == [b'{"level":"error","event":"new"}']
    assert b"old" in path.read_bytes()
    shown.log.close()


def test_a_large_file_is_put_aside_at_start(tmp_path: Path) -> None:
    path = tmp_path / "gateway.jsonl"
    with path.open("wb") as file:
        file.truncate(ROTATE_AT_BYTES + 1)
    LogFile(path, "gateway", print).close()
    assert path.stat().st_size == 0
    assert (tmp_path / "gateway.jsonl.1").stat().st_size == ROTATE_AT_BYTES + 1


def test_processes_stop_without_waiting_for_a_balancer_unless_told_to() -> None:
    assert {service.environment["DRAIN_SECONDS"] for service in plan({}, 0).services} == {"0"}
    assert {service.environment["DRAIN_SECONDS"] for service in plan({"DRAIN_SECONDS": "3"}, 0).services} == {"3"}
