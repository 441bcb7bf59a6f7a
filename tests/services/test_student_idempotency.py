"""Idempotency-Key: the same request twice has one effect and one answer, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from servicekit.database import Database
from student_service.idempotency import Answer, KeyedRequest, fingerprint_of, run_once
from student_service.models import idempotency_keys
from tests.support.signing import Signing
from tests.support.students import a_student


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_answer_comes_again(client: TestClient) -> None:
    body, key = a_student(), {"Idempotency-Key": "one"}
    first = client.post("/students/", json=body, headers=key)
    reordered = dict(reversed(body.items()))
    for again in (
        client.post("/students/", json=body, headers=key),
        client.post("/students", json=reordered, headers=key),
    ):
        assert (again.status_code, again.content) == (201, first.content)
        for name in ("location", "etag", "content-type"):
            assert again.headers[name] == first.headers[name]
        assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert client.get("/students").json()["total"] == 1


def test_the_first_answer_comes_again_though_the_student_has_changed_since(client: TestClient) -> None:
    body, key = a_student(), {"Idempotency-Key": "one"}
    first = client.post("/students/", json=body, headers=key)
    client.patch(first.headers["location"], json={"year": 3})
    assert client.post("/students/", json=body, headers=key).content == first.content


def test_two_keys_are_refused(client: TestClient) -> None:
    refused = client.post(
        "/students/", json=a_student(), headers=[("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    )
    assert refused.status_code == 400
    assert "more than one Idempotency-Key" in refused.json()["detail"]
    assert client.get("/students").json()["total"] == 0


def test_another_body_under_the_same_key_is_refused(client: TestClient) -> None:
    key = {"Idempotency-Key": "one"}
    client.post("/students/", json=a_student(), headers=key)
    answer = client.post("/students/", json=a_student(), headers=key)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert client.get("/students").json()["total"] == 1


def test_a_key_is_its_callers_and_its_routes_own(client: TestClient, signing: Signing) -> None:
    key = {"Idempotency-Key": "one"}
    first = client.post("/students/", json=a_student(), headers=key)
    other = client.post("/students/", json=a_student(), headers=key | signing.bearer(sub="user-2"))
    assert other.status_code == 201
    client.delete(first.headers["location"])
    assert client.post(f"{first.headers['location']}/restore", headers=key).status_code == 200
    assert client.post(f"{other.headers['location']}/restore", headers=key).status_code == 422


def test_restoring_again_under_a_key_does_not_undo_a_later_deletion(client: TestClient) -> None:
    path = client.post("/students/", json=a_student()).headers["location"]
    client.delete(path)
    first = client.post(f"{path}/restore", headers={"Idempotency-Key": "r"})
    client.delete(path)
    again = client.post(f"{path}/restore", headers={"Idempotency-Key": "r"})
    assert (again.status_code, again.content) == (200, first.content)
    assert client.get(path).status_code == 404


def test_a_refused_request_leaves_its_key_free(client: TestClient) -> None:
    key = {"Idempotency-Key": "one"}
    taken = a_student()
    path = client.post("/students/", json=taken).headers["location"]
    body = a_student(email=taken["email"])
    assert client.post("/students/", json=body, headers=key).status_code == 409
    client.patch(path, json={"email": "moved@example.org"})
    assert client.post("/students/", json=body, headers=key).status_code == 201


@pytest.mark.parametrize("key", ["", "é", "a\tb", "x" * 256])
def test_a_key_is_1_to_255_printable_ascii_characters(client: TestClient, key: str) -> None:
    answer = client.post("/students/", json=a_student(), headers={b"Idempotency-Key": key.encode()})
    assert answer.status_code == 422
    assert client.post("/students/", json=a_student(), headers={"Idempotency-Key": "x ~" * 85}).status_code == 201


def test_a_key_is_forgotten_after_a_day(app: FastAPI, client: TestClient, clock: Clock) -> None:
    key = {"Idempotency-Key": "one"}
    client.post("/students/", json=a_student(), headers=key)
    clock.now += timedelta(hours=24)
    assert client.post("/students/", json=a_student(), headers=key).status_code == 201
    with app.state.database.read() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(idempotency_keys)).scalar_one() == 1


def test_a_key_whose_request_is_still_running_is_409_and_a_crashed_one_is_taken_over(
    app: FastAPI, client: TestClient, clock: Clock
) -> None:
    db: Database = app.state.database
    request = KeyedRequest("user-1", "POST /students", "one", fingerprint_of(body := a_student()))

    def slow(_: Any) -> Answer:
        # As another process would be: the key is claimed, the effect has not happened yet.
        with db.engine.connect() as other:
            assert other.execute(sa.select(idempotency_keys.c.status)).scalar_one() is None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_once(db, request, slow, clock.now)
    # A crash leaves the claim: put it back as it was.
    with db.write() as conn:
        claim = {"caller": "user-1", "route": "POST /students", "key": "one", "claim": "crashed"}
        claim |= {"fingerprint": request.fingerprint}
        times = {"claimed_until": clock.now + timedelta(seconds=30), "expires_at": clock.now + timedelta(hours=24)}
        conn.execute(sa.insert(idempotency_keys), claim | times)
    running = client.post("/students/", json=body, headers={"Idempotency-Key": "one"})
    assert (running.status_code, running.headers["retry-after"]) == (409, "1")
    clock.now += timedelta(seconds=30)
    assert client.post("/students/", json=body, headers={"Idempotency-Key": "one"}).status_code == 201


def test_a_holder_that_was_overtaken_cannot_commit_any_more(app: FastAPI, client: TestClient, clock: Clock) -> None:
    db: Database = app.state.database
    request = KeyedRequest("user-1", "POST /students", "one", "f")

    def overtaken(conn: sa.Connection) -> Answer:
        conn.execute(sa.update(idempotency_keys).values(claim="somebody else"))
        return Answer(201, b"{}", {})

    with pytest.raises(Exception, match="still running"):
        run_once(db, request, overtaken, clock.now)
    assert client.get("/students").json()["total"] == 0
