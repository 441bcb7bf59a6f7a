"""Whoever has thousands of sessions is signed out of every one of them before the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from auth_service.models import sessions
from servicekit.ids import uuid7
from tests.support.auth_world import PASSWORD, AuthWorld, build_world

MANY = 15_000  # three rounds of the outbox


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def auth(request: pytest.FixtureRequest, make_client: Any, tmp_path: Path, redis_url: str) -> AuthWorld:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    return build_world(make_client, tmp_path, redis_url, auth_database_url=url)


def with_as_many_more(auth: AuthWorld, session_id: str, how_many: int) -> set[str]:
    """Sessions like this one: signing in so often would take an hour."""
    db = auth.app.state.service.db
    with db.write() as conn:
        known = conn.execute(select(sessions).where(sessions.c.id == session_id)).one()._asdict()
        rows = [known | {"id": uuid7()} for _ in range(how_many)]
        for start in range(0, how_many, 5_000):
            conn.execute(insert(sessions), rows[start : start + 5_000])
    return {row["id"] for row in rows}


def denied(auth: AuthWorld) -> set[str]:
    keys = auth.redis.scan_iter("denylist:sid:*", count=10_000)
    return {key.decode().removeprefix("denylist:sid:") for key in keys}


def test_all_of_very_many_sessions_are_refused_when_the_answer_comes(auth: AuthWorld) -> None:
    auth.make_user(auth.sign_in(), "mara")
    pair = auth.sign_in("mara", PASSWORD)
    more = with_as_many_more(auth, auth.session_of(pair), MANY)
    assert auth.call("POST", "/auth/logout-all", pair).status_code == 204
    assert more <= denied(auth)
