"""What lists of auth_service make of odd questions: 422 or an answer, never a 500."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.auth_world import PASSWORD, AuthWorld, build_world

BEYOND = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]  # no moments of the calendar in UTC


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def auth(request: pytest.FixtureRequest, make_client: Any, tmp_path: Path, redis_url: str) -> AuthWorld:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    return build_world(make_client, tmp_path, redis_url, auth_database_url=url)


def cursor(**position: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def fields_of(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json()["errors"]]


def test_a_moment_beyond_the_calendar_is_422(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    for moment in BEYOND:
        for name in ("since", "until"):
            answer = auth.call("GET", "/auth/audit", admin, params={name: moment})
            assert [name] == [field.partition(".")[0] for field in fields_of(answer)]
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert auth.call("GET", "/auth/audit", admin, params={"since": moment, "until": moment}).json()["items"] == []


@pytest.mark.parametrize(
    ("path", "sort"),
    [("/auth/audit", "-at"), ("/auth/users/", "created_at"), ("/auth/sessions/", "-last_seen_at")],
)
def test_a_cursor_beyond_the_calendar_is_422(auth: AuthWorld, path: str, sort: str) -> None:
    admin = auth.sign_in()
    for moment in BEYOND:
        answer = auth.call("GET", path, admin, params={"sort": sort, "cursor": cursor(s=sort, v=moment, i="x")})
        assert fields_of(answer) == ["cursor"]


def test_any_cursor_is_refused_or_harmless(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    values = st.one_of(st.none(), st.integers(), st.text(max_size=40), st.datetimes().map(str), st.lists(st.text()))

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(sort=st.sampled_from(["username", "-role", "created_at", "-updated_at"]), value=values, identifier=values)
    def check(sort: str, value: Any, identifier: Any) -> None:
        try:
            forged = cursor(s=sort, v=value, i=identifier)
        except (TypeError, orjson.JSONEncodeError):  # too large for JSON: nobody can send it
            return
        answer = auth.call("GET", "/auth/users/", admin, params={"sort": sort, "cursor": forged})
        assert answer.status_code in (200, 422), answer.text

    check()


def test_the_trail_of_somebody_is_found_whatever_the_case_of_the_name_or_id(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    mara = auth.make_user(admin, "Mara.K")
    auth.sign_in("mara.k", PASSWORD)
    for who in ("Mara.K", "mara.k", "MARA.K", mara["id"], mara["id"].upper()):
        found = auth.call("GET", "/auth/audit", admin, params={"subject": who}).json()
        assert [item["event"] for item in found["items"]] == ["sign_in", "user_created"]
        assert auth.call("GET", "/auth/audit", admin, params={"actor": who}).json()["total"] == 1


def test_an_id_is_read_whatever_its_case(auth: AuthWorld) -> None:
    """RFC 9562 §4."""
    admin = auth.sign_in()
    mara = auth.make_user(admin, "mara")
    path = f"/auth/users/{mara['id'].upper()}"
    assert auth.call("GET", path, admin).json() == mara
    pair = auth.sign_in("mara", PASSWORD)
    session = auth.session_of(pair)
    assert auth.call("DELETE", f"/auth/sessions/{session.upper()}", pair).status_code == 204
    assert auth.is_denied(session)
    me = auth.call("GET", "/auth/me", admin).json()["id"]
    assert "can't delete yourself" in auth.call("DELETE", f"/auth/users/{me.upper()}", admin).json()["detail"]


def test_the_trail_is_paged_without_gaps_while_it_grows(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    for _ in range(5):
        auth.sign_in()
    there = [item["id"] for item in auth.call("GET", "/auth/audit", admin, params={"limit": 200}).json()["items"]]
    seen, position = [], None
    while True:
        params = {"limit": 2} | ({"cursor": position} if position else {})
        page = auth.call("GET", "/auth/audit", admin, params=params).json()
        seen += [item["id"] for item in page["items"]]
        auth.client.post("/auth/login", json={"username": "admin", "password": "wrong"})  # one more entry
        position = page["next_cursor"]
        if position is None:
            break
    assert seen == there
