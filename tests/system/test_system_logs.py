"""What the processes write: one JSON object a line, traceable from the gateway to the service, and nobody's secrets."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.support.gateway_api import People, json_request, many_connections, request
from tests.support.wait import until
from tests.support.whole_system import Program, WholeSystem, every_line

pytestmark = [pytest.mark.system, pytest.mark.timeout(120), pytest.mark.xdist_group("logs")]

ALWAYS = {"timestamp", "level", "event", "service"}
IN_A_REQUEST = {"request_id", "trace_id"}
REQUEST = ALWAYS | IN_A_REQUEST | {"method", "path", "route", "status", "duration_ms", "client_ip"}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
TRACE = "0af7651916cd43dd8448eb211c80319c"

SECRETS = {
    "password": f"pass phrase {secrets.token_hex(8)}",
    "new password": f"next phrase {secrets.token_hex(8)}",
    "wrong password": f"wrong phrase {secrets.token_hex(8)}",
    "cookie": f"cookie{secrets.token_hex(8)}",
    "query": f"query{secrets.token_hex(8)}",
    "first name": f"Zebulon{secrets.token_hex(3)}",
    "last name": f"Quixotish{secrets.token_hex(3)}",
    "e-mail": f"q{secrets.token_hex(6)}@private.example",
    "phone": "+49 30 7654321",
    "guardian": f"Guardia{secrets.token_hex(3)}",
    "notes": f"allergic to {secrets.token_hex(6)}",
    "birthday": "2008-02-29",
    "made-up token": f"eyJ{secrets.token_hex(20)}",
}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    """One of its own, at the most talkative level, whose whole output is looked at after it has ended."""
    started = WholeSystem(tmp_path_factory.mktemp("logs"), environment={"LOG_LEVEL": "debug"})
    yield started
    started.close()


@pytest.fixture(scope="module")
def people(system: WholeSystem) -> Iterator[People]:
    known = People(system.gateway.url)
    yield known
    known.close()


def lines_of(program: Program, request_id: str, event: str = "request") -> list[dict[str, Any]]:
    return [line for line in program.records() if line.get("request_id") == request_id and line["event"] == event]


def line_of(program: Program, request_id: str) -> dict[str, Any]:
    until(lambda: lines_of(program, request_id), timeout=10)
    (line,) = lines_of(program, request_id)
    return line


def test_one_request_is_one_line_at_the_gateway_and_one_at_the_service(system: WholeSystem, people: People) -> None:
    person = people.new("registrar")
    headers = {"X-Request-ID": "walk-1", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    person("GET", f"/students/?q={SECRETS['query']}", 200, headers=headers)
    outside, inside = line_of(system.gateway, "walk-1"), line_of(system.students, "walk-1")
    for line in (outside, inside):
        assert line.keys() >= REQUEST
        assert (line["method"], line["path"], line["status"], line["level"]) == ("GET", "/students/", 200, "info")
        assert (line["trace_id"], line["user"], line["client_ip"]) == (TRACE, person.username, "127.0.0.1")
        assert line["duration_ms"] >= 0
    assert (outside["service"], outside["upstream"], outside["route"]) == ("gateway", "student_service", "/students")
    assert 0 < outside["upstream_ms"] <= outside["duration_ms"]
    assert (inside["service"], inside["route"]) == ("student_service", "/students/")


def test_the_route_is_the_template_and_the_path_is_as_it_was(system: WholeSystem, people: People) -> None:
    nobody = "/students/01890a5d-ac96-774b-bcce-b302099a8057"
    request_id = people.admin("GET", nobody, 404).headers["x-request-id"]
    line = line_of(system.students, request_id)
    assert (line["path"], line["route"], line["status"]) == (nobody, "/students/{student_id}", 404)


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/nowhere", 404, "unmatched"),
        ("GET", "/students/", 401, "/students"),
        ("GET", "/", 200, "/"),
        ("GET", "/admin/", 502, "/admin"),
        ("GET", "/students//x", 400, "unmatched"),
        ("PUT", "/auth/login", 405, "/auth/login"),
    ],
)
def test_what_the_gateway_answers_itself_has_its_line_too(
    system: WholeSystem, method: str, path: str, status: int, route: str
) -> None:
    request_id = secrets.token_hex(8)
    with many_connections(system.gateway.url, 1) as (connection,):
        connection.send(request(path, f"X-Request-ID: {request_id}", method=method))
        assert connection.response().status == status
    line = line_of(system.gateway, request_id)
    assert line.keys() >= REQUEST
    assert (line["method"], line["path"], line["status"], line["route"]) == (method, path, status, route)
    assert line["level"] == ("error" if status >= 500 else "info")


def test_what_the_edge_refuses_has_its_line_too(system: WholeSystem) -> None:
    with many_connections(system.gateway.url, 1) as (connection,):
        connection.send(b"GET / HTTP/1.1\r\n\r\n")
        answer = connection.response()
    line = line_of(system.gateway, answer.headers["x-request-id"])
    assert line.keys() >= REQUEST
    assert line["status"] == answer.status == 400


def test_whoever_is_behind_the_gateway_sees_the_clients_address(system: WholeSystem, people: People) -> None:
    gateway = system.start_gateway(TRUSTED_PROXIES="127.0.0.0/8")
    with many_connections(gateway.url, 1) as (connection,):
        lines = (people.admin.bearer, "X-Forwarded-For: 203.0.113.9", "X-Request-ID: from-afar")
        connection.send(request("/students/", *lines))
        assert connection.response().status == 200
    assert {line_of(program, "from-afar")["client_ip"] for program in (gateway, system.students)} == {"203.0.113.9"}


def test_a_line_break_in_what_clients_send_makes_no_second_line(system: WholeSystem) -> None:
    with many_connections(system.gateway.url, 1) as (connection,):
        forged = '/x%0A{"event":"forged","level":"info"}'
        connection.send(request(forged.replace('"', "%22").replace("{", "%7B").replace("}", "%7D")))
        assert connection.response().status in (400, 404)
    assert not [line for _, line in every_line([system.gateway]) if json.loads(line)["event"] == "forged"]


def live_a_day(people: People) -> list[str]:
    """Everything that carries a secret, done once, well and badly; gives the tokens that were handed out."""
    username = people.make("registrar", prefix="private")
    people.admin("PATCH", user_path(people, username), 200, json={"password": SECRETS["password"]})
    person = people.sign_in(username, SECRETS["password"])
    person.http.headers["Cookie"] = f"session={SECRETS['cookie']}"
    people.admin("POST", "/auth/login", 401, json={"username": username, "password": SECRETS["wrong password"]})
    people.admin("POST", "/auth/login", 401, json={"username": SECRETS["wrong password"], "password": "x"})
    people.admin("POST", "/auth/token", 401, data={"username": username, "password": SECRETS["wrong password"]})
    pair = person.refresh().json()
    tokens = [person.access_token, person.refresh_token, pair["access_token"], pair["refresh_token"]]
    person.take(pair)
    person("POST", "/auth/refresh", 401, json={"refresh_token": SECRETS["made-up token"]})
    person("GET", "/auth/me", 401, headers={"Authorization": f"Bearer {SECRETS['made-up token']}"})
    student = {
        "first_name": SECRETS["first name"],
        "last_name": SECRETS["last name"],
        "email": SECRETS["e-mail"],
        "phone": SECRETS["phone"],
        "date_of_birth": SECRETS["birthday"],
        "notes": SECRETS["notes"],
        "guardians": [{"name": SECRETS["guardian"], "phone": SECRETS["phone"]}],
    }
    path = person("POST", "/students/", 201, json=student).headers["location"]
    person("POST", "/students/", 409, json=student)
    person("POST", "/students/", 422, json=student | {"email": SECRETS["e-mail"] + " " + SECRETS["notes"]})
    as_json, as_text = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
    person("POST", "/students/", 422, content=json.dumps(student).encode() + b"}", headers=as_json)
    person("POST", "/students/", 415, content=json.dumps(student).encode(), headers=as_text)
    person("PATCH", path, 200, json={"last_name": SECRETS["last name"] + "-X"})
    for query in (SECRETS["last name"], SECRETS["e-mail"]):
        person("GET", "/students/", 200, params={"q": query, "access_token": SECRETS["made-up token"]})
    person("GET", "/students/", 422, params={"sort": SECRETS["last name"]})
    person("GET", f"{path}/history", 200)
    person("DELETE", path, 204)
    person("GET", f"/{SECRETS['query']}?token={SECRETS['made-up token']}", 404)
    change = {"current_password": SECRETS["password"], "new_password": SECRETS["new password"]}
    person("PUT", "/auth/me/password", 204, json=change)
    person("POST", "/auth/logout", 204)
    return tokens


def user_path(people: People, username: str) -> str:
    (user,) = people.admin("GET", f"/auth/users/?q={username}", 200).json()["items"]
    return f"/auth/users/{user['id']}"


def test_a_day_of_real_calls_leaves_no_secret_and_only_whole_lines(system: WholeSystem, people: People) -> None:
    tokens = live_a_day(people)
    with many_connections(system.students.url, 1) as (connection,):  # uvicorn's own complaint
        connection.send(b"GET / HTTP/1.1\r\nnonsense " + SECRETS["cookie"].encode() + b"\r\n\r\n")
        connection.response()
    with many_connections(system.auth.url, 1) as (connection,):
        connection.send(json_request("POST", "/auth/login", {"username": "admin"}))
        assert connection.response().status == 422
    programs = list(system.programs)
    for program in programs:  # to their last words
        system.stop(program)

    written = every_line(programs)
    events: set[tuple[str, str]] = set()
    for name, line in written:
        record = json.loads(line)
        assert record.keys() >= ALWAYS, line
        assert record["service"] == name
        assert TIMESTAMP.fullmatch(record["timestamp"])
        assert datetime.fromisoformat(record["timestamp"]).utcoffset() is not None
        assert record["level"] in {"debug", "info", "warning", "error", "critical"}
        if record["event"] == "request":
            assert record.keys() >= REQUEST, line
            assert "?" not in record["path"]
        events.add((name, record["event"]))
    assert {program.errors.read_text() for program in programs} == {""}, "nothing goes to stderr"
    assert {name for name, _ in events} == {"gateway", "auth_service", "student_service"}
    uvicorn = [json.loads(line) for _, line in written if b'"logger":"uvicorn' in line]
    assert {record["service"] for record in uvicorn} == {"gateway", "auth_service", "student_service"}

    everything = b"\n".join(line for _, line in written)
    private = {**SECRETS, **{f"token {number}": token for number, token in enumerate(tokens)}}
    del private["query"]  # it was also a path, and paths are logged
    assert [what for what, value in private.items() if value.encode() in everything] == []
    signatures = [token.rpartition(".")[2] for token in tokens]
    assert [value for value in signatures if value.encode() in everything] == []
    assert SECRETS["query"].encode() in everything, "the control: what may be logged is found"
