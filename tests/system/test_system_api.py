"""The outside contract, route by route, at the gateway of the running system."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from typing import Any

import httpx2
import pytest

from tests.support.gateway_api import ADMIN, OTHER_PASSWORD, PASSWORD, People, Person
from tests.support.whole_system import METRICS_TOKEN, WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(120), pytest.mark.xdist_group("whole-system")]

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TOKENS = {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
SESSION = {"id", "device", "address", "last_seen_at", "current"}
PAGE = {"items", "next_cursor", "total"}
STUDENT = {
    "id", "student_number", "first_name", "last_name", "email", "middle_name", "preferred_name", "date_of_birth",
    "phone", "program", "year", "status", "enrolled_on", "guardians", "notes", "version", "created_at", "created_by",
    "updated_at", "updated_by", "deleted_at",
}  # fmt: skip
WHOLE = {
    "first_name": "Zoë", "last_name": "Müller-Đặng", "middle_name": "Ana", "preferred_name": "Zo",
    "date_of_birth": "2008-02-29", "phone": "+49 151 1234567", "program": "Biology", "year": 3, "status": "on_leave",
    "enrolled_on": "2024-09-01", "notes": "Two\nlines",
    "guardians": [{"name": "Jo Müller", "relation": "father", "email": "jo@example.org", "phone": "+49 30 123456"}],
}  # fmt: skip

_count = itertools.count(1)


def email() -> str:
    return f"api{next(_count)}@example.org"


def basic(**fields: Any) -> dict[str, Any]:
    return {"first_name": "Ada", "last_name": "Lovelace", "email": email()} | fields


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return found


@pytest.fixture
def registrar(people: People) -> Person:
    return people.new("registrar")


# The gateway's own


def test_the_index_is_json_for_programs_and_the_admin_ui_for_browsers(people: People) -> None:
    index = people.admin("GET", "/", 200).json()
    assert index["links"]["students"] == "/students/"
    for link in ("/docs", "/openapi.json", "/healthz"):
        assert link in index["links"].values()
    browser = people.admin("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["location"]) == (303, "/admin/")


def test_health_and_readiness(whole_system: WholeSystem, people: People) -> None:
    assert people.admin("GET", "/healthz", 200).json() == {"status": "ok"}
    ready = people.admin("GET", "/readyz?core=true", 200).json()
    assert {state["status"] for state in ready["dependencies"].values()} == {"up"}
    assert {"redis", "denylist", "signing_keys"} <= ready["dependencies"].keys()
    whole = people.admin("GET", "/readyz", 503).json()
    assert {name for name, state in whole["dependencies"].items() if state["status"] != "up"} == {"admin_ui"}


def test_every_process_has_its_own_operations_pages(whole_system: WholeSystem) -> None:
    for program in (whole_system.gateway, whole_system.auth, whole_system.students):
        with httpx2.Client(base_url=program.url, timeout=20, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
            assert client.get("/docs").headers["content-type"].startswith("text/html")
            assert client.get("/openapi.json").json()["openapi"].startswith("3.1")
            assert client.get("/metrics").status_code == 401
            scraped = client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
            assert "http_requests_total" in scraped.text


def test_metrics_are_for_operators_and_scrapers(people: People) -> None:
    text = people.admin("GET", "/metrics", 200)
    assert text.headers["content-type"].startswith("text/plain")
    assert "# TYPE http_requests_total counter" in text.text
    people.new("registrar")("GET", "/metrics", 403)
    scraper = httpx2.get(
        f"{people.url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}, timeout=20, trust_env=False
    )
    assert scraper.status_code == 200


def test_the_public_keys_are_public_and_hold_no_private_part(people: People) -> None:
    keys = httpx2.get(f"{people.url}/.well-known/jwks.json", timeout=20, trust_env=False).json()["keys"]
    assert keys
    for key in keys:
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
        assert "d" not in key
    header = json.loads(base64.urlsafe_b64decode(people.admin.access_token.split(".")[0] + "=="))
    assert header["typ"] == "at+jwt"
    assert header["kid"] in {key["kid"] for key in keys}


# Signing in


def test_both_ways_to_sign_in_give_the_same_kind_of_pair(people: People) -> None:
    with httpx2.Client(base_url=people.url, timeout=20, trust_env=False) as client:
        as_json = client.post("/auth/login", json=ADMIN)
        as_form = client.post("/auth/token", data={"grant_type": "password", **ADMIN})
    for answer in (as_json, as_form):
        assert answer.status_code == 200
        assert answer.json().keys() == TOKENS
        assert answer.json()["token_type"] == "bearer"
        assert answer.json()["expires_in"] == 900
        assert answer.json()["refresh_expires_in"] == 1_209_600
        assert answer.headers["cache-control"] == "no-store"
    token = claims(as_json.json()["access_token"])
    assert {"iss", "aud", "sub", "exp", "iat", "jti", "sid", "scope", "role"} <= token.keys()
    assert token["exp"] - token["iat"] == 900
    assert token["scope"].split() == ["students:read", "students:write", "users:manage", "ops:read"]


def test_a_wrong_password_is_a_401_that_says_how_to_sign_in(people: People) -> None:
    answer = people.admin("POST", "/auth/login", 401, json={"username": "admin", "password": "wrong"})
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_refresh_gives_a_new_pair_and_spends_the_old_one(people: People) -> None:
    person = people.new()
    first = person.refresh()
    assert first.status_code == 200
    assert first.json().keys() == TOKENS
    assert first.json()["refresh_token"] != person.refresh_token
    person.take(first.json())
    assert person("GET", "/students/").status_code == 200


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        ("viewer", ["students:read"]),
        ("registrar", ["students:read", "students:write"]),
        ("admin", ["students:read", "students:write", "users:manage", "ops:read"]),
    ],
)
def test_a_role_has_its_scopes_and_no_others(people: People, role: str, scopes: list[str]) -> None:
    person = people.new(role)
    profile = person.profile()
    assert (profile["username"], profile["role"], profile["scopes"]) == (person.username, role, scopes)
    assert person("GET", "/students/").status_code == 200
    written = person("POST", "/students/", json=basic())
    assert written.status_code == (201 if "students:write" in scopes else 403)
    managed = person("GET", "/auth/users/")
    assert managed.status_code == (200 if "users:manage" in scopes else 403)
    operated = person("GET", "/metrics")
    assert operated.status_code == (200 if "ops:read" in scopes else 403)


def test_the_own_password_is_changed_with_the_current_one(people: People) -> None:
    person = people.new()
    change = {"current_password": "not this one at all", "new_password": OTHER_PASSWORD}
    refused = person("PUT", "/auth/me/password", 422, json=change).json()
    assert [error["field"] for error in refused["errors"]] == ["current_password"]
    person("PUT", "/auth/me/password", 204, json=change | {"current_password": PASSWORD})
    people.sign_in(person.username, OTHER_PASSWORD)
    person("POST", "/auth/login", 401, json={"username": person.username, "password": PASSWORD})


def test_sessions_show_where_one_is_signed_in(people: People) -> None:
    person = people.new()
    other = people.sign_in(person.username)
    for path in ("/auth/sessions", "/auth/sessions/"):
        page = person("GET", path, 200).json()
        assert page.keys() == PAGE
        assert page["total"] == 2
        assert all(session.keys() >= SESSION for session in page["items"])
        assert {session["address"] for session in page["items"]} == {"127.0.0.1"}
    (current,) = [session["id"] for session in page["items"] if session["current"]]
    (theirs,) = [session["id"] for session in page["items"] if not session["current"]]
    assert current == person.profile()["session_id"]
    person("DELETE", f"/auth/sessions/{theirs}", 204)
    assert other("GET", "/auth/me").status_code == 401
    person("DELETE", f"/auth/sessions/{theirs}", 404)


# Managing users


def test_users_are_made_listed_changed_and_deleted(people: People) -> None:
    name = f"somebody{next(_count)}"
    body = {"username": name, "password": PASSWORD, "role": "viewer"}
    made = people.admin("POST", "/auth/users/", 201, json=body)
    user = made.json()
    path = made.headers["location"]
    assert path == f"/auth/users/{user['id']}"
    assert (user["username"], user["role"], user["disabled"]) == (name, "viewer", False)
    assert not any("password" in key and "changed" not in key for key in user)
    people.admin("POST", "/auth/users/", 409, json=body | {"username": name.upper()})
    assert people.admin("GET", path, 200).json() == user
    for listing in ("/auth/users", "/auth/users/"):
        page = people.admin("GET", f"{listing}?q={name}", 200).json()
        assert page.keys() == PAGE
        assert [each["id"] for each in page["items"]] == [user["id"]]
    person = people.sign_in(name)
    changed = people.admin("PATCH", path, 200, json={"role": "registrar"}).json()
    assert changed["role"] == "registrar"
    assert person("GET", "/auth/me").status_code == 401
    person = people.sign_in(name)
    assert people.admin("GET", f"{path}/sessions", 200).json()["total"] == 1
    people.admin("POST", f"{path}/revoke-sessions", 204)
    assert people.admin("GET", f"{path}/sessions", 200).json()["total"] == 0
    people.admin("PATCH", path, 200, json={"disabled": True})
    people.admin("POST", "/auth/login", 401, json={"username": name, "password": PASSWORD})
    people.admin("DELETE", path, 204)
    people.admin("GET", path, 404)


def test_the_audit_trail_tells_newest_first_who_did_what(people: People) -> None:
    person = people.new()
    user_id = person.profile()["id"]
    person("POST", "/auth/login", 401, json={"username": person.username, "password": "wrong"})
    person("POST", "/auth/logout", 204)
    for path in ("/auth/audit", "/auth/audit/"):
        page = people.admin("GET", f"{path}?subject={user_id}", 200).json()
        assert page.keys() == PAGE
        assert [entry["event"] for entry in page["items"]] == ["sign_out", "sign_in_failed", "sign_in", "user_created"]
    first = people.admin("GET", f"/auth/audit?subject={user_id}&limit=3", 200).json()
    rest = people.admin("GET", f"/auth/audit?subject={user_id}&limit=3&cursor={first['next_cursor']}", 200).json()
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [3, 1, None]
    assert rest["items"][0]["actor"] == "admin"


# Student records


def test_a_student_is_created_read_changed_deleted_and_restored(people: People, registrar: Person) -> None:
    made = registrar("POST", "/students/", 201, json=WHOLE | {"email": email()})
    student = made.json()
    path = made.headers["location"]
    assert student.keys() >= STUDENT
    assert {name: student[name] for name in WHOLE} == WHOLE
    assert UUID7.fullmatch(student["id"])
    assert path == f"/students/{student['id']}"
    assert (student["version"], student["deleted_at"]) == (1, None)
    assert student["created_by"] == student["updated_by"]
    read = registrar("GET", path, 200)
    assert read.json() == student
    assert read.headers["etag"] == made.headers["etag"]
    assert registrar("GET", path, headers={"If-None-Match": read.headers["etag"]}).status_code == 304

    patched = registrar("PATCH", path, 200, json={"year": 4}, headers={"If-Match": read.headers["etag"]})
    assert (patched.json()["year"], patched.json()["version"]) == (4, 2)
    assert patched.headers["etag"] != read.headers["etag"]
    registrar("PATCH", path, 412, json={"year": 5}, headers={"If-Match": read.headers["etag"]})
    registrar("DELETE", path, 412, headers={"If-Match": read.headers["etag"]})
    replacement = basic(email=student["email"])
    replaced = registrar("PUT", path, 200, json=replacement, headers={"If-Match": patched.headers["etag"]}).json()
    assert (replaced["first_name"], replaced["notes"], replaced["student_number"]) == (
        "Ada", None, student["student_number"],
    )  # fmt: skip

    assert registrar("DELETE", path, 204).headers["etag"]
    registrar("GET", path, 404)
    assert registrar("GET", f"{path}?deleted=true", 200).json()["deleted_at"]
    restored = registrar("POST", f"{path}/restore", 200)
    assert (restored.json()["deleted_at"], restored.json()["version"]) == (None, 5)
    history = registrar("GET", f"{path}/history", 200).json()
    assert history.keys() == PAGE
    assert [entry["action"] for entry in history["items"]] == ["restored", "deleted", "updated", "updated", "created"]
    assert {entry["by"]["username"] for entry in history["items"]} == {registrar.username}
    assert history["items"][3]["changes"] == [{"field": "year", "old": 3, "new": 4}]
    assert history["items"][3]["request_id"] == patched.headers["x-request-id"]


def test_a_student_needs_a_name_and_an_address_of_their_own(registrar: Person) -> None:
    missing = registrar("POST", "/students/", 422, json={}).json()
    assert {error["field"] for error in missing["errors"]} == {"first_name", "last_name", "email"}
    student = registrar("POST", "/students/", 201, json=basic()).json()
    same_mail = registrar("POST", "/students/", 409, json=basic(email=student["email"].upper())).json()
    same_number = registrar("POST", "/students/", 409, json=basic(student_number=student["student_number"])).json()
    assert [error["field"] for error in same_mail["errors"]] == ["email"]
    assert [error["field"] for error in same_number["errors"]] == ["student_number"]


def test_lists_are_filtered_sorted_and_paged(registrar: Person) -> None:
    program = f"Program {next(_count)} {time.time_ns()}"
    for number in range(5):
        registrar("POST", "/students/", 201, json=basic(last_name=f"N{number}", program=program, year=number + 1))
    query = {"program": program, "sort": "-year", "limit": "2"}
    seen, cursor = [], None
    while True:
        page = registrar("GET", "/students/", 200, params=query | ({"cursor": cursor} if cursor else {})).json()
        assert (page.keys(), page["total"]) == (PAGE, 5)
        seen += [student["year"] for student in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]
    one = registrar("GET", "/students", 200, params={"program": program, "year": "3"}).json()
    assert [student["last_name"] for student in one["items"]] == ["N2"]
    assert registrar("GET", "/students/", 200, params={"q": "n3", "program": program}).json()["total"] == 1
    assert registrar("GET", "/students/", 200, params={"program": program, "status": "graduated"}).json()["total"] == 0
    assert registrar("GET", "/students/", 200, params={"program": program, "deleted": "true"}).json()["total"] == 0
    for bad in ({"limit": "0"}, {"limit": "201"}, {"sort": "shoe_size"}, {"cursor": "nonsense"}, {"year": "13"}):
        registrar("GET", "/students/", 422, params=bad)
    stats = registrar("GET", "/students/stats", 200).json()
    assert {"total", "by_status", "by_program", "by_year"} <= stats.keys()
    assert {"program": program, "count": 5} in stats["by_program"]


def test_an_idempotency_key_makes_a_repeated_post_safe(registrar: Person) -> None:
    key = {"Idempotency-Key": f"key-{time.time_ns()}"}
    body = basic()
    first = registrar("POST", "/students/", 201, json=body, headers=key)
    again = registrar("POST", "/students/", 201, json=body, headers=key)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert again.headers["location"] == first.headers["location"]
    registrar("POST", "/students/", 422, json=body | {"first_name": "Grace"}, headers=key)


@pytest.mark.parametrize("path", ["/students", "/auth/users", "/auth/sessions", "/auth/audit"])
def test_a_list_answers_with_and_without_its_slash_and_never_redirects(people: People, path: str) -> None:
    without, with_slash = people.admin("GET", f"{path}?limit=1", 200), people.admin("GET", f"{path}/?limit=1", 200)
    assert without.json()["total"] == with_slash.json()["total"]


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/healthz", "/docs", "/openapi.json", "/metrics", "/.well-known/jwks.json", "/auth/me", "/auth/audit"),
        *("/auth/users/", "/auth/sessions", "/students/", "/students/stats", "/students/nobody"),
    ],
)
def test_a_head_is_a_get_without_its_body(people: People, path: str) -> None:
    head, get = people.admin("HEAD", path), people.admin("GET", path)
    assert (head.status_code, head.headers["content-type"]) == (get.status_code, get.headers["content-type"])
    assert head.content == b""
