"""Many students changed at once: by ids or a filter, a row's own answer, and taken back, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from student_service import batch_schemas
from student_service.models import batch_rows, batches
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.students import a_student, student_app
from tests.support.wait import until

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOBODY = "01a20bf1-572f-7000-bbfa-114481a5df36"


@pytest.fixture
def clock() -> Callable[[], datetime]:
    return lambda: NOW


def created(client: TestClient, count: int, **fields: Any) -> list[str]:
    return [client.post("/students/", json=a_student(**fields)).json()["id"] for _ in range(count)]


def bulk(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/students/bulk", json=body)
    assert answer.status_code == 200, answer.text
    batch_schemas.BatchWithRows.model_validate_json(answer.content)
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/students/bulk/{found['id']}"
    return found


def test_a_bulk_change_answers_for_each_row(client: TestClient) -> None:
    ids = created(client, 3, year=3, program="Arts")
    client.patch(f"/students/{ids[1]}", json={"year": 4})
    client.delete(f"/students/{ids[2]}")
    batch = bulk(client, action="update", set={"year": 4}, ids=[ids[0], ids[1], ids[2], NOBODY])
    rows = [(row["student_id"], row["outcome"]) for row in batch["rows"]["items"]]
    assert rows == [(ids[0], "updated"), (ids[1], "unchanged"), (ids[2], "error"), (NOBODY, "error")]
    assert batch["counts"] == {"updated": 1, "unchanged": 1, "error": 2}
    assert (batch["state"], batch["rows_applied"], batch["by"]["username"]) == ("done", 4, "rita")
    student = client.get(f"/students/{ids[0]}").json()
    assert (student["year"], student["program"], student["version"], student["updated_by"]) == (4, "Arts", 2, "rita")
    entry = client.get(f"/students/{ids[0]}/history").json()["items"][0]
    assert (entry["batch_id"], entry["changes"]) == (batch["id"], [{"field": "year", "old": 3, "new": 4}])


def test_a_status_set_for_many_is_an_event_of_each(client: TestClient) -> None:
    ids = created(client, 2, date_of_birth="2010-05-05")
    late = created(client, 1, date_of_birth="2014-01-01")
    batch = bulk(
        client, action="update", set={"status": "graduated"}, on="2012-07-01", reason="Done", filter={}, expected=3
    )
    assert batch["counts"] == {"updated": 2, "error": 1}
    assert [row["student_id"] for row in batch["rows"]["items"] if row["outcome"] == "error"] == late
    newest = client.get(f"/students/{ids[0]}/timeline").json()["items"][0]
    assert (newest["status"], newest["on"], newest["reason"]) == ("graduated", "2012-07-01", "Done")


def test_all_that_match_a_filter_are_deleted_and_restored_and_the_undo_takes_it_back(client: TestClient) -> None:
    created(client, 5, program="Arts")
    others = created(client, 2, program="Law")
    gone = bulk(client, action="delete", filter={"program": "ARTS", "q": "ada"}, expected=5)
    assert gone["counts"] == {"deleted": 5}
    assert {s["id"] for s in client.get("/students").json()["items"]} == set(others)
    undone = client.post(f"/students/bulk/{gone['id']}/undo")
    assert undone.status_code == 200
    assert (undone.json()["state"], undone.json()["rows_undone"], undone.json()["rows_kept"]) == ("undone", 5, 0)
    assert client.get("/students").json()["total"] == 7
    again = client.post(f"/students/bulk/{gone['id']}/undo")
    assert again.status_code == 409
    bulk(client, action="delete", filter={"program": "Arts"})
    assert bulk(client, action="restore", filter={"deleted": True})["counts"] == {"restored": 5}
    assert client.get("/students").json()["total"] == 7


def test_an_undo_leaves_alone_what_was_changed_since(client: TestClient) -> None:
    ids = created(client, 3, status="applicant", program="Arts")
    batch = bulk(client, action="update", set={"status": "enrolled", "program": None}, reason="Admitted", ids=ids)
    client.patch(f"/students/{ids[1]}", json={"notes": "since then"})
    undone = client.post(f"/students/bulk/{batch['id']}/undo").json()
    assert (undone["rows_undone"], undone["rows_kept"], undone["kept"]) == (2, 1, [ids[1]])
    assert undone["undone_by"] == {"id": "user-1", "username": "rita"}
    found = [client.get(f"/students/{one}").json() for one in ids]
    assert [(s["status"], s["program"]) for s in found] == [
        ("applicant", "Arts"),
        ("enrolled", None),
        ("applicant", "Arts"),
    ]
    entry = client.get(f"/students/{ids[0]}/history").json()["items"][0]
    assert (entry["action"], entry["batch_id"]) == ("undone", batch["id"])
    assert client.get(f"/students/{ids[0]}/timeline").json()["items"][0]["action"] == "undone"


def test_more_than_one_step_is_applied_and_undone_whole(client: TestClient) -> None:
    seed = [{**a_student(), "year": 2} for _ in range(1200)]
    csv = "first_name,last_name,email,year\n" + "".join(f"A,B,{s['email']},2\n" for s in seed)
    answer = client.post("/students/import", content=csv, headers={"Content-Type": "text/csv"})
    until(lambda: client.get(answer.headers["location"]).json()["state"] == "done", timeout=30)
    started = client.post("/students/bulk", json={"action": "update", "set": {"year": 3}, "filter": {"year": 2}})
    where = started.headers["location"]
    until(lambda: client.get(where).json()["state"] == "done", timeout=30)
    assert client.get("/students?year=3").json()["total"] == 1200
    walked, cursor = 0, None
    while True:
        page = client.get(f"{where}/rows", params={"limit": 200, "cursor": cursor} if cursor else {"limit": 200}).json()
        walked += sum(row["outcome"] == "updated" for row in page["items"])
        if (cursor := page["next_cursor"]) is None:
            break
    assert walked == page["total"] == 1200
    assert client.post(f"{where}/undo").status_code in (200, 202)
    until(lambda: client.get(where).json()["state"] == "undone", timeout=30)
    assert client.get("/students?year=2").json()["total"] == 1200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "explode", "ids": [NOBODY]}, "action"),
        ({"action": "delete"}, "ids"),
        ({"action": "delete", "ids": [NOBODY], "filter": {}}, "ids"),
        ({"action": "delete", "ids": []}, "ids"),
        ({"action": "delete", "ids": [3]}, "ids.0"),
        ({"action": "delete", "ids": "all"}, "ids"),
        ({"action": "delete", "ids": [NOBODY], "set": {"year": 1}}, "set"),
        ({"action": "update", "ids": [NOBODY]}, "set"),
        ({"action": "update", "ids": [NOBODY], "set": {"year": 13}}, "year"),
        ({"action": "update", "ids": [NOBODY], "set": {"email": "x@y.org"}}, "set.email"),
        ({"action": "update", "ids": [NOBODY], "set": {"status": "enrolled"}}, "reason"),
        ({"action": "update", "ids": [NOBODY], "set": {"year": 1}, "reason": "x"}, "reason"),
        ({"action": "delete", "filter": {"colour": "red"}}, "filter.colour"),
        ({"action": "delete", "filter": {"year": "3"}}, "filter.year"),
        ({"action": "delete", "filter": {"status": "x"}}, "filter.status"),
        ({"action": "delete", "filter": []}, "filter"),
        ({"action": "delete", "filter": {}, "expected": "all"}, "expected"),
        ({"action": "delete", "filter": {}, "now": True}, "now"),
    ],
)
def test_what_cannot_be_meant_is_422_and_changes_nothing(client: TestClient, body: dict[str, Any], field: str) -> None:
    created(client, 1)
    answer = client.post("/students/bulk", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert client.get("/students").json()["total"] == 1
    assert client.get("/students/bulk").json()["total"] == 0


def test_another_number_than_expected_is_409_and_changes_nothing(client: TestClient) -> None:
    created(client, 2)
    answer = client.post("/students/bulk", json={"action": "delete", "filter": {}, "expected": 3})
    assert (answer.status_code, answer.json()["matching"]) == (409, 2)
    assert client.get("/students/bulk").json()["total"] == 0


def test_a_repeated_key_changes_nothing_twice(client: TestClient) -> None:
    ids = created(client, 2)
    body, key = {"action": "delete", "ids": ids}, {"Idempotency-Key": "k"}
    first = client.post("/students/bulk", json=body, headers=key)
    again = client.post("/students/bulk", json=body, headers=key)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert client.get("/students/bulk").json()["total"] == 1


def test_a_viewer_may_look_and_not_change(client: TestClient, signing: Signing) -> None:
    batch = bulk(client, action="delete", ids=created(client, 1))
    viewer = signing.bearer(role="viewer")
    for path in ("/students/bulk", f"/students/bulk/{batch['id']}", f"/students/bulk/{batch['id']}/rows"):
        assert client.get(path, headers=viewer).status_code == 200
    assert client.post("/students/bulk", json={"action": "delete", "filter": {}}, headers=viewer).status_code == 403
    assert client.post(f"/students/bulk/{batch['id']}/undo", headers=viewer).status_code == 403
    assert client.get(f"/students/imports/{batch['id']}").status_code == 404
    assert client.get("/students/bulk/nothing").status_code == 404
    assert client.delete("/students/bulk").status_code == 405


def test_a_batch_of_a_process_that_died_is_gone_on_with(
    url: str, app: FastAPI, client: TestClient, make_client: MakeClient, signing: Signing, tmp_path: Path
) -> None:
    ids = created(client, 3)
    batch = bulk(client, action="delete", ids=ids[:1])
    engine = app.state.database.engine
    with engine.begin() as conn:  # as it looks when the process was killed after the first row's commit
        rows = [
            {"batch_id": batch["id"], "position": n, "student_id": ids[n - 1], "outcome": "waiting"} for n in (2, 3)
        ]
        conn.execute(sa.insert(batch_rows), rows)
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        died = sa.update(batches).values(state="applying", runner="dead", seen_at=long_ago, finished_at=None)
        conn.execute(died)
    other = make_client(student_app(signing, tmp_path, url))
    other.headers.update(client.headers)
    until(lambda: other.get(f"/students/bulk/{batch['id']}").json()["state"] == "done", timeout=20)
    assert other.get("/students").json()["total"] == 0
    assert other.get(f"/students/bulk/{batch['id']}").json()["counts"] == {"deleted": 3}
