"""Every kind of failure, at the gateway and at the services' own ports, is a problem with its request's id."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.support.answers import check_answer, check_problem
from tests.support.gateway_api import People, ask_all, many_connections, request
from tests.support.whole_system import WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(120), pytest.mark.xdist_group("whole-system")]

NOBODY = str(uuid4())
JSON = "Content-Type: application/json"
MADE_UP = re.compile(r"[0-9a-f]{32}")
DEEP = b"[" * 5000 + b"]" * 5000

# status, method, path, lines ("TOKEN" stands for an administrator's), body
Row = tuple[int, str, str, tuple[str, ...], bytes]
AT_THE_GATEWAY: dict[str, Row] = {
    "a path that could be read in two ways": (400, "GET", "/students//x", (), b""),
    "an encoded slash": (400, "GET", "/students/a%2Fb", ("TOKEN",), b""),
    "no Host": (400, "GET", "no host", (), b""),
    "two Authorization headers": (400, "GET", "/students/", ("TOKEN", "TOKEN"), b""),
    "a body that is no JSON": (422, "POST", "/auth/login", (JSON,), b"{"),
    "no token": (401, "GET", "/students/", (), b""),
    "no token for what doesn't exist there": (401, "GET", "/students/a/b/c", (), b""),
    "another scheme": (401, "GET", "/students/", ("Authorization: Basic YWRtaW46YWRtaW4=",), b""),
    "a token that is none": (401, "GET", "/auth/me", ("Authorization: Bearer x.y.z",), b""),
    "no token for the gateway's own": (401, "GET", "/metrics", (), b""),
    "a wrong password": (401, "POST", "/auth/login", (JSON,), b'{"username": "admin", "password": "no"}'),
    "a made-up refresh token": (401, "POST", "/auth/refresh", (JSON,), b'{"refresh_token": "made-up"}'),
    "too small a role": (403, "POST", "/students/", ("VIEWER", JSON), b"{}"),
    "too small a role for users": (403, "GET", "/auth/users/", ("VIEWER",), b""),
    "no such page": (404, "GET", "/nowhere", (), b""),
    "no such student": (404, "GET", f"/students/{NOBODY}", ("TOKEN",), b""),
    "no such user": (404, "GET", f"/auth/users/{NOBODY}", ("TOKEN",), b""),
    "a method that the route doesn't take": (405, "GET", "/auth/login", (), b""),
    "a method that the service doesn't take": (405, "PUT", "/students/", ("TOKEN", JSON), b"{}"),
    "a method that the gateway's own page doesn't take": (405, "DELETE", "/healthz", (), b""),
    "a taken username": (
        409, "POST", "/auth/users/", ("TOKEN", JSON),
        b'{"username": "Admin", "password": "violet harbour 29 kites", "role": "viewer"}',
    ),
    "a body that is announced too large": (
        413, "POST", "/students/", ("TOKEN", JSON, "Content-Length: 10485761"), b"",
    ),
    "a target that is too long": (414, "GET", "/" + "x" * 20_000, (), b""),
    "a body of another kind": (415, "POST", "/students/", ("TOKEN", "Content-Type: text/csv"), b"a,b"),
    "an expectation that nobody meets": (417, "GET", "/students/", ("Expect: coffee",), b""),
    "fields that are missing": (422, "POST", "/students/", ("TOKEN", JSON), b"{}"),
    "a query that isn't right": (422, "GET", "/students/?limit=x", ("TOKEN",), b""),
    "a lone surrogate": (422, "POST", "/students/", ("TOKEN", JSON), b'{"first_name": "\\ud800"}'),
    "NaN": (422, "POST", "/students/", ("TOKEN", JSON), b'{"year": NaN}'),
    "an integer of 5,000 digits": (422, "POST", "/students/", ("TOKEN", JSON), b'{"year": %b}' % (b"9" * 5000)),
    "2^63": (422, "POST", "/students/", ("TOKEN", JSON), b'{"year": 9223372036854775808}'),
    "a deep nesting": (422, "POST", "/students/", ("TOKEN", JSON), DEEP),
    "a deep nesting at sign-in": (422, "POST", "/auth/login", (JSON,), DEEP),
    "a NUL": (422, "GET", "/students/?q=%00", ("TOKEN",), b""),
    "headers that are too large": (431, "GET", "/", tuple(f"X-{n}: {'x' * 4000}" for n in range(40)), b""),
    "a method that nobody knows": (501, "BREW", "/students/", (), b""),
    "TRACE": (501, "TRACE", "/", (), b""),
    "an upstream that is away": (502, "GET", "/admin/", (), b""),
}  # fmt: skip
AT_A_SERVICE: dict[str, Row] = {
    "not HTTP": (400, "GET", "no version", (), b""),
    "no token": (401, "GET", "/students/", (), b""),
    "too small a role": (403, "POST", "/students/", ("VIEWER", JSON), b"{}"),
    "no such page": (404, "GET", "/nowhere", (), b""),
    "no such student": (404, "GET", f"/students/{NOBODY}", ("TOKEN",), b""),
    "a method that isn't taken": (405, "PUT", "/students/", ("TOKEN", JSON), b"{}"),
    "an unknown method": (400, "BREW", "/students/", (), b""),
    "a body that is announced too large": (
        413, "POST", "/students/", ("TOKEN", JSON, "Content-Length: 10485761"), b"",
    ),
    "a body of another kind": (415, "POST", "/students/", ("TOKEN", "Content-Type: text/csv"), b"a,b"),
    "a deep nesting": (422, "POST", "/students/", ("TOKEN", JSON), DEEP),
    "a query that isn't UTF-8": (422, "GET", "/students/?q=%FF", ("TOKEN",), b""),
}  # fmt: skip


@pytest.fixture(scope="module")
def bearers(people: People) -> dict[str, str]:
    return {"TOKEN": people.admin.bearer, "VIEWER": people.new("viewer").bearer}


def asked(row: Row, bearers: dict[str, str]) -> bytes:
    _, method, path, lines, body = row
    if path == "no host":
        return b"GET / HTTP/1.1\r\n\r\n"
    if path == "no version":
        return b"GET / HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n"
    given = [bearers.get(line, line) for line in lines]
    if any(line.startswith("Content-Length") for line in lines):
        return request(path, *given, method="DELETE").replace(b"DELETE", method.encode(), 1)
    return request(path, *given, method=method, body=body)


def check_row(url: str, row: Row, bearers: dict[str, str]) -> None:
    with many_connections(url, 1) as connections:
        (answer,) = ask_all(connections, asked(row, bearers))
    assert answer.status == row[0], answer.body
    if answer.status == 405:
        assert answer.headers["allow"]
    if answer.status == 422:
        assert answer.json()["errors"]
        assert all(error["field"] and error["message"] for error in answer.json()["errors"])
    path = row[2].partition("?")[0]
    if path.startswith("/") and answer.status not in (400, 414, 431):
        assert answer.json()["instance"] == path
    # The body names the id; the header has it once.
    assert [value for name, value in answer.fields if name == "x-request-id"] == [answer.json()["request_id"]]


@pytest.mark.parametrize("case", AT_THE_GATEWAY)
def test_a_failure_at_the_gateway_is_a_problem(people: People, bearers: dict[str, str], case: str) -> None:
    check_row(people.url, AT_THE_GATEWAY[case], bearers)


@pytest.mark.parametrize("case", AT_A_SERVICE)
def test_a_failure_at_a_services_own_port_is_a_problem(
    whole_system: WholeSystem, bearers: dict[str, str], case: str
) -> None:
    check_row(whole_system.students.url, AT_A_SERVICE[case], bearers)


def test_a_body_that_grows_beyond_the_limit_is_a_413_although_nothing_announced_it(
    whole_system: WholeSystem, people: People
) -> None:
    chunk = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
    for program in (whole_system.gateway, whole_system.students):
        with many_connections(program.url, 1) as (connection,):
            lines = (people.admin.bearer, JSON, "Transfer-Encoding: chunked")
            connection.send(request("/students/", *lines, method="DELETE").replace(b"DELETE", b"POST", 1) + chunk * 11)
            answer = connection.response()
        assert answer.status == 413
        check_problem(answer.status, answer.headers, answer.body)


def test_a_precondition_that_fails_is_a_412_and_one_that_cannot_be_read_a_400(people: People) -> None:
    body = {"first_name": "Ada", "last_name": "Lovelace", "email": f"{uuid4()}@example.org"}
    path = people.admin("POST", "/students/", 201, json=body).headers["location"]
    people.admin("PATCH", path, 412, json={"year": 1}, headers={"If-Match": '"v77"'})
    people.admin("PATCH", path, 400, json={"year": 1}, headers={"If-Match": "v1"})


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("abc", True),
        ("A-b_c.9", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("a b", False),
        ("a,b", False),
        ("ä", False),
        ('"quoted"', False),
        ("", False),
    ],
)
def test_the_callers_request_id_is_kept_when_it_is_one(people: People, given: str, is_kept: bool) -> None:
    for path in ("/students/", "/healthz", "/students//"):  # a proxied answer, an own one, a refusal
        with many_connections(people.url, 1) as connections:
            asked_with = request(path, people.admin.bearer, f"X-Request-ID: {given}")
            (answer,) = ask_all(connections, asked_with)
        found = answer.headers["x-request-id"]
        assert (found == given) is is_kept
        if not is_kept:
            assert MADE_UP.fullmatch(found)


def test_every_401_says_how_to_authenticate(whole_system: WholeSystem) -> None:
    paths = ["/students/", "/students/stats", "/metrics", "/auth/me", "/auth/users/", "/auth/audit", "/auth/sessions"]
    with httpx2.Client(timeout=20, trust_env=False, event_hooks={"response": [check_answer], "request": []}) as client:
        for url in (whole_system.gateway.url, whole_system.auth.url, whole_system.students.url):
            for path in paths:
                _is_challenge(client.get(url + path))
                wrong = client.get(url + path, headers={"Authorization": "Bearer a.b.c"})
                if _is_challenge(wrong):
                    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


def _is_challenge(answer: Any) -> bool:
    assert answer.status_code in (401, 404), answer.text  # 404: that service doesn't have this path
    assert answer.status_code == 404 or answer.headers["www-authenticate"].startswith("Bearer")
    return bool(answer.status_code == 401)
