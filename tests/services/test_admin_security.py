"""What attackers try at the admin UI: forged forms, fixed and copied cookies, scripts in fields, ways out by next=."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from admin_ui.browser import safe_target
from tests.support.scripted_gateway import (
    OWN_ID,
    SCOPES,
    TOKENS,
    Person,
    ScriptedGateway,
    a_user,
    admin_ui_client,
    token_in,
)
from tests.support.scripted_student import API, RECORD, STUDENT, answers_about

SCRIPT = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}${7*7}"
COOKIE = "matricula"


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    found = ScriptedGateway()
    answers_about(found, "Ada")
    yield found
    found.close()


@pytest.fixture
def person(gateway: ScriptedGateway, tmp_path: Path, redis_url: str) -> Iterator[Person]:
    with admin_ui_client(gateway, tmp_path, redis_url) as client:
        yield Person(client, gateway)


@pytest.fixture
def registrar(person: Person) -> Person:
    person.sign_in("registrar")
    return person


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
    ids=["cross-site", "sibling", "no-site", "other-origin", "null-origin"],
)
def test_a_form_that_another_site_sends_is_refused(registrar: Person, headers: dict[str, str]) -> None:
    form = {"csrf": registrar.csrf}
    answer = registrar.client.post(f"{RECORD}/delete", data=form, headers=headers)
    assert answer.status_code == 403
    assert not registrar.gateway.calls(f"DELETE {API}")


@pytest.mark.parametrize("token", [None, "", "x" * 32, "é"], ids=["missing", "empty", "guessed", "not-ascii"])
def test_a_form_without_the_sessions_token_is_refused(registrar: Person, token: str | None) -> None:
    form = {} if token is None else {"csrf": token}
    answer = registrar.client.post(f"{RECORD}/delete", data=form, headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 403
    assert not registrar.gateway.calls(f"DELETE {API}")


def test_a_token_of_another_session_is_refused(registrar: Person) -> None:
    old = registrar.csrf
    registrar.client.post("/admin/logout", data={"csrf": old})
    registrar.sign_in("registrar")
    assert registrar.client.post(f"{RECORD}/delete", data={"csrf": old}).status_code == 403


def test_every_route_that_writes_asks_for_the_token(registrar: Person) -> None:
    writes = {
        (method, path)
        for path, methods in paths_of(registrar.client.app)
        for method in methods - {"GET", "HEAD", "OPTIONS"}
        if path.startswith("/admin")
    }
    assert len(writes) > 10
    for method, path in writes:
        filled = re.sub(r"\{kind\}", "bulk", re.sub(r"\{\w+(:uuid)?\}", STUDENT, path))
        answer = registrar.client.request(method, filled, data={"username": "a", "password": "b"})
        assert answer.status_code == 403, (method, filled)


def paths_of(app: Any) -> list[tuple[str, set[str]]]:
    found: list[tuple[str, set[str]]] = []

    def walk(routes: Any) -> None:
        for route in routes:
            original = getattr(route, "original_router", None)
            if original is not None:
                walk(original.routes)
            elif getattr(route, "methods", None):
                found.append((route.path, set(route.methods)))

    walk(app.routes)
    return found


def test_nobody_is_signed_in_by_a_form_of_another_browser(person: Person) -> None:
    form = person.client.get("/admin/login").text
    person.client.cookies.clear()
    sent = {"username": "ada", "password": "secret", "csrf": token_in(form)}
    assert person.client.post("/admin/login", data=sent).status_code == 403
    assert not person.gateway.calls("POST /auth/login")


def test_signing_in_gives_a_new_session_whatever_cookie_was_planted(person: Person) -> None:
    planted = "A" * 43
    person.client.cookies.set(COOKIE, planted, path="/")
    person.sign_in("registrar")
    held = {cookie.value for cookie in person.client.cookies.jar if cookie.name == COOKIE}
    person.client.cookies.clear()
    person.client.cookies.set(COOKIE, planted, path="/")
    assert held - {planted}
    assert person.client.get(RECORD, follow_redirects=False).status_code == 303


def test_a_copied_cookie_is_worthless_after_signing_out(registrar: Person) -> None:
    copied = registrar.client.cookies[COOKIE]
    assert registrar.client.get(RECORD, follow_redirects=False).status_code == 200
    registrar.post("/admin/logout")
    registrar.client.cookies.set(COOKIE, copied, path="/")
    answer = registrar.client.get(RECORD, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/admin/login")
    assert registrar.gateway.calls("POST /auth/logout"), "the tokens are refused elsewhere too"


def test_signing_out_holds_when_the_gateway_cannot_be_told(registrar: Person) -> None:
    copied = registrar.client.cookies[COOKIE]
    registrar.gateway.refuses("POST /auth/logout", 503)
    assert registrar.post("/admin/logout").headers["location"] == "/admin/login?signed=here"
    registrar.client.cookies.set(COOKIE, copied, path="/")
    assert registrar.client.get(RECORD, follow_redirects=False).status_code == 303


def test_redis_holds_neither_the_cookie_nor_a_token(registrar: Person, redis_url: str) -> None:
    cookie = registrar.client.cookies[COOKIE]
    with redis.Redis.from_url(redis_url) as client:
        kept = {key: client.get(key) or b"" for key in client.scan_iter("ui:*")}
    assert kept
    for key, value in kept.items():
        for secret in (cookie, "access", "refresh", registrar.csrf, "ada"):
            assert secret.encode() not in value
        assert cookie.encode() not in key


def test_a_session_moved_to_another_place_opens_nothing(registrar: Person, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        place = next(client.scan_iter("ui:session:*"))
        client.set(place, b"\x00" * 12 + client.get(place)[12:])
    assert registrar.client.get(RECORD, follow_redirects=False).status_code == 303


def test_the_cookie_is_for_this_site_only_and_out_of_scripts_reach(person: Person) -> None:
    form = person.client.get("/admin/login")
    person.gateway.says("POST /auth/login", body=TOKENS)
    person.gateway.says("GET /auth/me", body={**a_user(OWN_ID, "ada"), "scopes": SCOPES["viewer"]})
    sent = {"username": "ada", "password": "secret", "csrf": token_in(form.text)}
    told = person.client.post("/admin/login", data=sent, follow_redirects=False).headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=lax" in told
    assert "domain=" not in told


def test_scripts_in_any_field_stay_text(person: Person) -> None:
    answers_about(person.gateway, SCRIPT)
    person.sign_in("registrar")
    for path in ("/admin/students", RECORD, f"{RECORD}/edit", f"{RECORD}/status", "/admin/", "/admin/palette?q=ada"):
        page = person.get(path, **({"hx-request": "true", "hx-request-type": "partial"} if "palette" in path else {}))
        assert page.status_code == 200, path
        assert "alert(1)" in page.text, path
        assert "<script>alert" not in page.text, path
        assert not re.search(r"<img[^>]* onerror", page.text), path
        assert "49" not in re.sub(r"[0-9a-f-]{12,}|\d{4}-\d\d-\d\d\S*", "", page.text), path
    for query in ("q", "program", "sort", "cursor", "status"):
        assert "<script>alert" not in person.client.get("/admin/students", params={query: SCRIPT}).text
    login = person.client.get("/admin/login", params={"next": SCRIPT, "signed": SCRIPT}, follow_redirects=False)
    assert "<script>alert" not in login.text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/admin/..//evil.example",
        "/admin/%2e%2e/../x",
        "/admin//evil.example/../../",
        "\t//evil.example",
        "/admin/\n//evil.example",
        "javascript:alert(1)",
        "/admin/\\..\\..",
        "/adminx/",
        "/admin/login?next=/admin/login",
        "/admin/logout",
        "",
        "/admin/" + "x" * 3_000,
    ],
)
def test_next_leads_nowhere_else(target: str) -> None:
    assert safe_target(target) == "/admin/"


def test_next_leads_back_to_a_page_with_its_filters() -> None:
    assert safe_target("/admin/students?q=ada&sort=-year") == "/admin/students?q=ada&sort=-year"


def test_pages_are_kept_by_no_cache_and_run_no_foreign_script(registrar: Person) -> None:
    for path in (RECORD, "/admin/students", "/admin/login?next=/admin/", "/admin/no/such/page"):
        headers = registrar.client.get(path, follow_redirects=False).headers
        assert headers["cache-control"] == "no-store", path
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_have_no_inline_script_style_or_handler(registrar: Person) -> None:
    for path in (RECORD, "/admin/students", f"{RECORD}/edit", "/admin/imports/new"):
        page = registrar.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", page), path


def test_tokens_are_renewed_once_however_many_requests_ask_at_once(person: Person) -> None:
    person.gateway.says("POST /auth/refresh", body={**TOKENS, "access_token": "newer", "refresh_token": "newer"})
    sooner = {**TOKENS, "expires_in": 1}
    person.gateway.says("GET /auth/me", body={**a_user(OWN_ID, "ada"), "scopes": SCOPES["viewer"]})
    person.gateway.says("POST /auth/login", body=sooner)
    form = person.client.get("/admin/login").text
    sent = {"username": "ada", "password": "secret", "csrf": token_in(form), "next": "/admin/students"}
    person.client.post("/admin/login", data=sent, follow_redirects=False)
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return int(person.client.get(RECORD).status_code)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {200}
    assert len(person.gateway.calls("POST /auth/refresh")) == 1


def test_a_refused_refresh_ends_the_session_and_leads_to_sign_in(registrar: Person) -> None:
    registrar.gateway.refuses(f"GET {API}", 401)
    registrar.gateway.refuses("POST /auth/refresh", 401)
    answer = registrar.client.get(RECORD, follow_redirects=False)
    assert answer.status_code == 303
    assert "next=/admin/students/" in answer.headers["location"]
    part = registrar.client.get(RECORD, headers={"hx-request": "true"}, follow_redirects=False)
    assert part.status_code == 200
    assert part.headers["hx-redirect"].startswith("/admin/login"), "fetch would put the sign-in page into a fragment"


@pytest.mark.parametrize("status", [403, 404, 409, 413, 422, 429, 500, 503, 504])
def test_every_refusal_of_the_gateway_is_a_page_with_the_request_to_quote(registrar: Person, status: int) -> None:
    registrar.gateway.refuses(f"GET {API}", status, "Said by the gateway.", retry_after=7 if status == 429 else None)
    answer = registrar.get(RECORD)
    assert answer.status_code == status
    assert "of-the-gateway" in answer.text
    assert "<h1>" in answer.text
    if status == 429:
        assert 'data-countdown="7"' in answer.text
    assert (f'href="{RECORD}"' in answer.text) == (status in {429, 500, 503, 504}), "what passes is worth another try"
    part = registrar.get(RECORD, **{"hx-request": "true"})
    assert part.text.lstrip().startswith('<div class="fault-message"')
