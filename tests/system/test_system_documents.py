"""The one document of the whole system: complete, usable as it stands, and true of what the system really answers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from tests.support.gateway_api import ADMIN, People, Person
from tests.support.whole_system import WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(240), pytest.mark.xdist_group("documents")]

CONTRACT = """
GET /
GET /healthz
GET /readyz
GET /metrics
GET /.well-known/jwks.json
POST /auth/login
POST /auth/token
POST /auth/refresh
POST /auth/logout
POST /auth/logout-all
GET /auth/me
PUT /auth/me/password
GET /auth/sessions/
DELETE /auth/sessions/{}
GET /auth/users/
POST /auth/users/
GET /auth/users/{}
PATCH /auth/users/{}
DELETE /auth/users/{}
GET /auth/users/{}/sessions
POST /auth/users/{}/revoke-sessions
GET /auth/audit
GET /students/
POST /students/
GET /students/{}
PUT /students/{}
PATCH /students/{}
DELETE /students/{}
POST /students/{}/restore
GET /students/{}/history
GET /students/stats
"""
PUBLIC = {"/", "/healthz", "/readyz", "/.well-known/jwks.json", "/auth/login", "/auth/token", "/auth/refresh"}
# With an id that was learned they may end the session, or the account, that the run is made with.
ENDS_SESSIONS = [
    "/auth/me/password", "/auth/sessions/{id}", "/auth/users/{id}", "/auth/users/{id}/revoke-sessions",
    "/auth/users/{id}/sessions/{session_id}",
]  # fmt: skip
TAKES_NOTHING = ["/auth/logout", "/auth/logout-all"]  # nothing to vary, and they do end it
CHECKS = [
    "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method",
]  # fmt: skip


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Any:
    started = WholeSystem(tmp_path_factory.mktemp("documents"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def people(system: WholeSystem) -> Any:
    known = People(system.gateway.url)
    yield known
    known.close()


@pytest.fixture(scope="module")
def document(people: People) -> dict[str, Any]:
    found: dict[str, Any] = people.admin("GET", "/openapi.json", 200).json()
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_it_has_every_route_of_the_contract_and_says_who_may(document: dict[str, Any]) -> None:
    described = operations(document)
    assert set(CONTRACT.split("\n")) - {""} <= described.keys()
    for name, operation in described.items():
        is_public = name.partition(" ")[2] in PUBLIC
        assert bool(operation.get("security")) is not is_public, name
        assert operation["summary"]
        assert "default" not in operation["responses"]
        assert any(status.startswith(("2", "3")) for status in operation["responses"]), name


def test_it_is_openapi_3_1_in_itself(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": "/"}]
    assert {"title", "version"} <= document["info"].keys()
    identifiers = [operation["operationId"] for operation in operations(document).values()]
    assert len(identifiers) == len(set(identifiers))
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        assert found
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for path, item in document["paths"].items():
        names = set(re.findall(r"{([^}]*)}", path))
        for operation in item.values():
            declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert declared == names, path


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_authorize_and_try_it_out_work_through_the_gateway(system: WholeSystem, document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    flow = schemes["password"]["flows"]["password"]
    assert schemes["bearer"]["scheme"] == "bearer"
    base = httpx2.URL(f"{system.gateway.url}/docs")  # the page whose address the document's are relative to
    form = {"grant_type": "password", "scope": "", **ADMIN}
    answer = httpx2.post(base.join(flow["tokenUrl"]), data=form, timeout=20, trust_env=False)
    assert answer.status_code == 200
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    tried = 0
    for path, item in document["paths"].items():
        if "get" in item and "{" not in path and path != "/readyz":
            url = base.join(document["servers"][0]["url"]).join(path)
            assert httpx2.get(url, headers=bearer, timeout=20, trust_env=False).status_code == 200, path
            tried += 1
    assert tried >= 9


def test_the_page_needs_nothing_from_elsewhere(people: People) -> None:
    page = people.admin("GET", "/docs", 200)
    assert "/openapi.json" in page.text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    for source in sources:
        if not source.startswith("data:"):
            assert source.startswith("/"), source
            people.admin("GET", source, 200)


CONFIGURATION = """
[phases.coverage]
# A method that nobody knows (TRACE, QUERY) is 501, as RFC 9110 §15.6.2 says; schemathesis takes that for a failure.
unexpected-methods = ["get", "put", "post", "delete", "options", "patch"]
extra-data-sources.responses = {learns}
[phases.examples]
extra-data-sources.responses = {learns}
[phases.fuzzing]
extra-data-sources.responses = {learns}
"""


def run_schemathesis(system: WholeSystem, person: Person, folder: Path, *arguments: str, learns: bool) -> None:
    """Run the command; fails with its output when a check failed.

    With ``learns`` it asks for ids that answers had in them, the caller's own user and session among them.
    """
    (folder / "schemathesis.toml").write_text(CONFIGURATION.replace("{learns}", str(learns).lower()))
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{system.gateway.url}/openapi.json"]
    command += ["-H", f"Authorization: Bearer {person.access_token}", "--generation-database", "none", "--no-color"]
    command += ["--request-timeout", "20", "--no-shrink", "--continue-on-failure", "--warnings", "off"]
    command += ["--checks", ",".join(CHECKS), "--seed", "20261124", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert person("GET", "/auth/me").status_code == 200, "the session lived to the end, so it wasn't all 401"


def filtered(option: str, paths: list[str]) -> list[str]:
    return [word for path in paths for word in (option, path)]


def failures_of(system: WholeSystem) -> list[dict[str, Any]]:
    """Answers of the 5xx kind; a Redis that a crowded machine kept waiting for too long excuses the 503s."""
    records = [record for program in system.programs for record in program.records()]
    excused = {501, 503} if any(record["event"] == "redis_lost" for record in records) else {501}
    failing = set(range(500, 600)) - excused
    answered = [record for record in records if record.get("path") != "/readyz"]  # asked until all had started
    return [r for r in answered if r["event"] == "unhandled_error" or r.get("status") in failing]


def test_what_the_system_answers_is_what_the_document_says(system: WholeSystem, people: People, tmp_path: Path) -> None:
    left_out = filtered("--exclude-path", [*ENDS_SESSIONS, *TAKES_NOTHING, "/readyz"])
    person = people.new("admin")
    run_schemathesis(
        system, person, tmp_path, "--phases", "examples,coverage,fuzzing", "-n", "3", *left_out, learns=True
    )
    assert failures_of(system) == []


def test_what_ends_sessions_answers_as_the_document_says(system: WholeSystem, people: People, tmp_path: Path) -> None:
    chosen = filtered("--include-path", ENDS_SESSIONS)
    run_schemathesis(
        system, people.new("admin"), tmp_path, "--phases", "coverage,fuzzing", "-n", "4", *chosen, learns=False
    )
    assert failures_of(system) == []
