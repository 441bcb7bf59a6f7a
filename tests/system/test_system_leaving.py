"""A client that leaves in mid-upload is nobody's mistake: status 499 at level info in every service, and no error."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.support.gateway_api import People, many_connections
from tests.support.gateway_process import head
from tests.support.ports import free_port
from tests.support.wait import until
from tests.support.whole_system import METRICS_TOKEN, Program, WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(120), pytest.mark.xdist_group("whole-system")]

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
PARTS = "Content-Type: multipart/form-data; boundary=cut"
# Service, method, path, content type, the beginning of a body, whether its sender is signed in.
LEFT = {
    "a student": ("student_service", "POST", "/students/", JSON, b"{", True),
    "a file": ("student_service", "POST", "/students/import", "Content-Type: text/csv", b"first_name,", True),
    "a form with a file": ("student_service", "POST", "/students/import", PARTS, b"--cut\r\n", True),
    "a sign-in": ("auth_service", "POST", "/auth/login", JSON, b"{", False),
    "a password": ("auth_service", "PUT", "/auth/me/password", JSON, b"{", True),
    "a sign-in form": ("admin_ui", "POST", "/admin/login", FORM, b"username=", False),
    "a form kept for the sign-in": ("admin_ui", "POST", "/admin/students/new", FORM, b"first_name=", False),
}


@pytest.fixture(scope="module")
def services(whole_system: WholeSystem) -> Iterator[dict[str, Program]]:
    pages = whole_system.start("admin_ui", free_port(), GATEWAY_URL=whole_system.gateway.url)
    yield {program.name: program for program in (whole_system.auth, whole_system.students, pages)}
    whole_system.stop(pages)


def answers_of(program: Program, status: str) -> float:
    """How many requests ended with a status that begins so."""
    headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    text = httpx2.get(f"{program.url}/metrics", headers=headers, trust_env=False).text
    counted = [line for line in text.splitlines() if line.startswith("http_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in counted if f'status="{status}' in line)


def lines_of(program: Program, request_id: str) -> list[dict[str, Any]]:
    return [line for line in program.records() if line.get("request_id") == request_id]


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("case", LEFT)
def test_a_client_that_leaves_in_mid_upload_is_no_error(
    services: dict[str, Program], people: People, case: str, framing: str
) -> None:
    name, method, path, media_type, begun, is_signed_in = LEFT[case]
    program, request_id = services[name], f"left-{secrets.token_hex(8)}"
    before = answers_of(program, "499"), answers_of(program, "5"), len(program.lines())
    lines = [f"X-Request-ID: {request_id}", media_type, framing, "Expect: 100-continue", "Origin: http://gateway.test"]
    lines += [people.admin.bearer] if is_signed_in else []
    with many_connections(program.url, 1) as (connection,):
        connection.send(head(path, *lines, method=method))
        assert connection.response().status == 100  # it reads the body
        connection.send(begun if "Length" in framing else b"%x\r\n%b\r\n" % (len(begun), begun))
    until(lambda: lines_of(program, request_id), timeout=20)
    # What the server might have to say of the one comes before the line of the next.
    httpx2.get(f"{program.url}/nothing", headers={"X-Request-ID": f"after-{request_id}"}, trust_env=False)
    until(lambda: lines_of(program, f"after-{request_id}"), timeout=20)

    (told,) = lines_of(program, request_id)
    assert (told["event"], told["status"], told["level"]) == ("request", 499, "info")
    assert not [line for line in program.records()[before[2] :] if line["level"] == "error"]
    assert b"Traceback" not in program.errors.read_bytes()
    assert (answers_of(program, "499"), answers_of(program, "5")) == (before[0] + 1, before[1])
