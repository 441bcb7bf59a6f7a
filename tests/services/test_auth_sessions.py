"""Refreshing, sessions and signing out, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select, update

from auth_service.models import audit_events, refresh_tokens, sessions, users
from tests.support.auth_world import OTHER_PASSWORD, PASSWORD, AuthWorld, build_world


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def auth(request: pytest.FixtureRequest, make_client: Any, tmp_path: Path, redis_url: str) -> AuthWorld:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    return build_world(make_client, tmp_path, redis_url, auth_database_url=url)


def count(auth: AuthWorld, table: Any, *conditions: Any) -> int:
    with auth.app.state.service.db.read() as conn:
        return int(conn.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())


def test_a_refresh_gives_a_new_pair_that_works_and_refreshes_again(auth: AuthWorld) -> None:
    first = auth.sign_in()
    second = auth.refresh(first).json()
    third = auth.refresh(second).json()
    assert len({pair["refresh_token"] for pair in (first, second, third)}) == 3
    assert auth.is_alive(third)
    assert auth.session_of(first) == auth.session_of(third)


@pytest.mark.parametrize("change", [{"disabled": True}, {"password_hash": "another"}], ids=str)
def test_who_is_changed_while_the_password_is_checked_does_not_get_in(auth: AuthWorld, change: dict[str, Any]) -> None:
    auth.make_user(auth.sign_in(), "mara")
    before = count(auth, sessions)

    def somebody_changes_them() -> None:
        with auth.app.state.service.db.write() as conn:
            conn.execute(update(users).where(users.c.username == "mara").values(**change))

    auth.clock.meanwhile = somebody_changes_them  # the clock is asked for between the check and the new session
    answer = auth.client.post("/auth/login", json={"username": "mara", "password": PASSWORD})
    assert answer.status_code == 401
    assert count(auth, sessions) == before
    with auth.app.state.service.db.read() as conn:
        assert conn.execute(select(users.c.last_sign_in_at).where(users.c.username == "mara")).scalar_one() is None
        reason = select(audit_events.c.details).where(audit_events.c.event == "sign_in_failed")
        assert conn.execute(reason).scalar_one() == {"reason": "changed_meanwhile"}


def test_a_repeat_within_the_grace_gives_the_same_successor(auth: AuthWorld) -> None:
    first = auth.sign_in()
    one, two = auth.refresh(first).json(), auth.refresh(first).json()
    assert one["refresh_token"] == two["refresh_token"]
    assert auth.refresh(two).status_code == 200


def test_a_late_tab_catches_up_with_one_that_refreshed_twice(auth: AuthWorld) -> None:
    first = auth.sign_in()
    newest = auth.refresh(auth.refresh(first).json()).json()
    assert auth.refresh(first).json()["refresh_token"] == newest["refresh_token"]


def test_reuse_after_the_grace_ends_the_session_for_everybody(auth: AuthWorld) -> None:
    admin, stolen = auth.sign_in(), auth.sign_in()
    session = auth.session_of(stolen)
    rightful = auth.refresh(stolen).json()
    auth.clock.turn(11)
    assert auth.refresh(stolen).status_code == 401
    assert auth.refresh(rightful).status_code == 401
    assert not auth.is_alive(rightful)
    assert auth.is_denied(session)
    events = auth.call("GET", "/auth/audit?event=refresh_reused", admin).json()
    assert [entry["session_id"] for entry in events["items"]] == [session]


def test_many_refreshes_at_once_all_succeed_and_leave_one_live_token(auth: AuthWorld) -> None:
    pair = auth.sign_in()
    barrier = Barrier(8)

    def race(_: int) -> Any:
        barrier.wait()
        return auth.refresh(pair)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(race, range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert count(auth, refresh_tokens, refresh_tokens.c.spent_at.is_(None)) == 1


def test_a_logout_that_races_with_refreshes_leaves_nothing_alive(auth: AuthWorld) -> None:
    for _ in range(5):
        pair = auth.sign_in()
        session = auth.session_of(pair)
        barrier = Barrier(5)

        def refresh(_: int, pair: Any = pair, barrier: Barrier = barrier) -> Any:
            barrier.wait()
            return auth.refresh(pair)

        def logout(pair: Any = pair, barrier: Barrier = barrier) -> Any:
            barrier.wait()
            return auth.call("POST", "/auth/logout", pair)

        with ThreadPoolExecutor(5) as pool:
            leaving = pool.submit(logout)
            answers = list(pool.map(refresh, range(4)))
        assert leaving.result().status_code == 204
        assert auth.is_denied(session)
        for answer in answers:
            assert answer.status_code in (200, 401)
            if answer.status_code == 200:
                assert not auth.is_alive(answer.json())
                assert auth.refresh(answer.json()).status_code == 401


def test_an_unused_refresh_token_expires_after_its_ttl(auth: AuthWorld) -> None:
    pair = auth.sign_in()
    auth.clock.turn(pair["refresh_expires_in"] + 1)
    assert auth.refresh(pair).status_code == 401


def test_no_refresh_goes_beyond_the_end_of_the_session(auth: AuthWorld) -> None:
    pair = auth.sign_in()
    for _ in range(6):
        auth.clock.turn(14 * 86_400 - 10)
        pair = auth.refresh(pair).json()
    assert pair["refresh_expires_in"] < 14 * 86_400
    auth.clock.turn(14 * 86_400 - 10)
    assert auth.refresh(pair).status_code == 401


def test_a_made_up_refresh_token_is_refused(auth: AuthWorld) -> None:
    assert auth.refresh({"refresh_token": "A" * 43}).status_code == 401


def test_after_logout_neither_token_works(auth: AuthWorld) -> None:
    pair, other = auth.sign_in(), auth.sign_in()
    session = auth.session_of(pair)
    assert auth.call("POST", "/auth/logout", pair).status_code == 204
    assert auth.is_denied(session)
    assert not auth.is_alive(pair)
    assert auth.refresh(pair).status_code == 401
    assert auth.call("POST", "/auth/logout", pair).status_code == 401
    assert auth.is_alive(other)


def test_logout_all_ends_every_session_of_the_caller_and_of_nobody_else(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    auth.make_user(admin, "mara")
    phone, laptop = auth.sign_in("mara", PASSWORD), auth.sign_in("mara", PASSWORD)
    assert auth.call("POST", "/auth/logout-all", phone).status_code == 204
    assert not auth.is_alive(phone)
    assert not auth.is_alive(laptop)
    assert auth.is_alive(admin)


def test_the_own_sessions_show_device_address_last_seen_and_which_is_current(auth: AuthWorld) -> None:
    auth.sign_in(**{"User-Agent": "curl/8.5.0"})
    pair = auth.sign_in(**{"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0"})
    body = auth.call("GET", "/auth/sessions", pair).json()
    assert body["total"] == 2
    assert {item["device"] for item in body["items"]} == {"curl", "Firefox on Windows"}
    (current,) = [item for item in body["items"] if item["current"]]
    assert current["device"] == "Firefox on Windows"
    assert current["address"]
    assert current["last_seen_at"] >= current["created_at"]


def test_using_a_session_moves_its_last_seen(auth: AuthWorld) -> None:
    pair = auth.sign_in()
    auth.clock.turn(300)
    auth.is_alive(pair)
    (item,) = auth.call("GET", "/auth/sessions", pair).json()["items"]
    assert item["last_seen_at"] > item["created_at"]


def test_one_of_the_own_sessions_can_be_ended_and_none_of_others(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    auth.make_user(admin, "mara")
    pair, lost = auth.sign_in("mara", PASSWORD), auth.sign_in("mara", PASSWORD)
    session = auth.session_of(lost)
    assert auth.call("DELETE", f"/auth/sessions/{session}", pair).status_code == 204
    assert auth.is_denied(session)
    assert not auth.is_alive(lost)
    assert auth.is_alive(pair)
    assert auth.call("DELETE", f"/auth/sessions/{session}", pair).status_code == 404
    assert auth.call("DELETE", f"/auth/sessions/{auth.session_of(admin)}", pair).status_code == 404
    assert auth.is_alive(admin)


def test_an_administrator_ends_one_session_of_a_user_and_the_trail_says_so(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    mara = auth.make_user(admin, "mara")
    kept, lost = auth.sign_in("mara", PASSWORD), auth.sign_in("mara", PASSWORD)
    session = auth.session_of(lost)
    path = f"/auth/users/{mara['id']}/sessions/{session}"
    assert auth.call("DELETE", path, admin).status_code == 204
    assert auth.is_denied(session)
    assert not auth.is_alive(lost)
    assert auth.refresh(lost).status_code == 401
    assert auth.is_alive(kept)
    (entry,) = auth.call("GET", "/auth/audit?event=session_revoked", admin).json()["items"]
    assert (entry["actor"], entry["subject"], entry["session_id"]) == ("admin", "mara", session)
    assert auth.call("DELETE", path, admin).status_code == 404


def test_a_session_is_ended_only_under_its_own_user(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    mara, nils = auth.make_user(admin, "mara"), auth.make_user(admin, "nils")
    pair = auth.sign_in("mara", PASSWORD)
    session = auth.session_of(pair)
    nobody = "0199aaaa-0000-7000-8000-000000000000"
    assert auth.call("DELETE", f"/auth/users/{nils['id']}/sessions/{session}", admin).status_code == 404
    assert auth.call("DELETE", f"/auth/users/{nobody}/sessions/{session}", admin).status_code == 404
    assert auth.call("DELETE", f"/auth/users/{mara['id']}/sessions/{nobody}", admin).status_code == 404
    assert auth.call("DELETE", f"/auth/users/{mara['id']}/sessions/no-id", admin).status_code == 422
    assert auth.is_alive(pair)


def test_nobody_without_the_scope_ends_somebody_elses_session(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    auth.make_user(admin, "mara", "registrar")
    admin_id = auth.call("GET", "/auth/me", admin).json()["id"]
    pair = auth.sign_in("mara", PASSWORD)
    answer = auth.call("DELETE", f"/auth/users/{admin_id}/sessions/{auth.session_of(admin)}", pair)
    assert answer.status_code == 403
    assert auth.is_alive(admin)


def test_a_password_change_ends_the_other_sessions_and_keeps_this_one(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    auth.make_user(admin, "mara")
    pair, other = auth.sign_in("mara", PASSWORD), auth.sign_in("mara", PASSWORD)
    change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert auth.call("PUT", "/auth/me/password", pair, json=change).status_code == 204
    assert auth.is_alive(pair)
    assert not auth.is_alive(other)
    assert auth.sign_in("mara", OTHER_PASSWORD)
    assert auth.client.post("/auth/login", json={"username": "mara", "password": PASSWORD}).status_code == 401


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"current_password": "wrong", "new_password": OTHER_PASSWORD}, "current_password"),
        ({"current_password": PASSWORD, "new_password": "short"}, "new_password"),
        ({"current_password": PASSWORD, "new_password": "password1234"}, "new_password"),
    ],
)
def test_a_bad_password_change_names_the_field_and_changes_nothing(
    auth: AuthWorld, change: dict[str, str], field: str
) -> None:
    auth.make_user(auth.sign_in(), "mara")
    pair, other = auth.sign_in("mara", PASSWORD), auth.sign_in("mara", PASSWORD)
    answer = auth.call("PUT", "/auth/me/password", pair, json=change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert auth.is_alive(other)


def test_what_is_over_is_purged_and_what_lives_is_not(auth: AuthWorld) -> None:
    from datetime import timedelta

    from auth_service.housekeeping import purge

    old = auth.sign_in()
    auth.clock.turn(16 * 86_400)
    auth.sign_in()
    removed = purge(auth.app.state.service.db, auth.clock(), timedelta(days=400))
    assert removed["sessions"] == 1
    assert count(auth, sessions) == 1
    assert count(auth, refresh_tokens) == 1
    assert auth.refresh(old).status_code == 401
