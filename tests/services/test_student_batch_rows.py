"""The rows of a batch and whom an undo left: they tell which student they are about, as that one is now."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from student_service import batch_schemas
from student_service.models import history, students
from tests.support.signing import Signing
from tests.support.student_files import csv_text
from tests.support.students import a_student

HEADER = ["student_number", "first_name", "last_name", "preferred_name", "email"]
NOBODY = "01a20bf1-572f-7000-bbfa-114481a5df36"


def send(client: TestClient, *rows: Any, **asked: Any) -> Any:
    """Import rows; the batch's JSON."""
    answer = client.post(
        "/students/import", content=csv_text([HEADER, *rows]), headers={"Content-Type": "text/csv"}, params=asked
    )
    assert answer.status_code < 300, answer.text
    return answer.json()


def rows_of(client: TestClient, batch: Any, **asked: Any) -> list[dict[str, Any]]:
    """A batch's rows."""
    path = f"/students/{'bulk' if batch['kind'] == 'bulk' else 'imports'}/{batch['id']}/rows"
    answer = client.get(path, params=asked)
    page = batch_schemas.BatchRowPage.model_validate_json(answer.content)
    assert [row.position for row in page.items] == sorted(row.position for row in page.items)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def named(number: str, first: str, last: str, preferred: str | None = None, deleted: str | None = None) -> Any:
    return {
        "student_number": number, "first_name": first, "last_name": last, "preferred_name": preferred,
        "deleted_at": deleted,
    }  # fmt: skip


def test_a_row_that_was_imported_tells_whom_it_made_or_changed_though_its_values_are_forgotten(
    client: TestClient,
) -> None:
    there = client.post("/students/", json=a_student(student_number="A1", email="ann@x.org")).json()
    rows = (
        ["A1", "Ann", "Ash", "Annie", "ann@x.org"],
        ["A2", "Bea", "Birch", "", "bea@x.org"],
        ["A3", "Cy", "Cedar", "", "no address"],
    )
    preview = send(client, *rows, dry_run="true", mode="upsert")
    about = [(row["outcome"], row["student"] and row["student"]["first_name"]) for row in rows_of(client, preview)]
    assert about == [("update", "Ada"), ("create", None), ("error", None)]
    done = client.post(f"/students/imports/{preview['id']}/commit?all_or_nothing=false").json()
    found = rows_of(client, done)
    assert found == done["rows"]["items"]
    assert [row["student"] for row in found] == [named("A1", "Ann", "Ash", "Annie"), named("A2", "Bea", "Birch"), None]
    assert [row["values"] for row in found[:2]] == [None, None]
    assert found[0]["student_id"] == there["id"]
    assert [row["student"] for row in rows_of(client, done, outcome="created")] == [named("A2", "Bea", "Birch")]


def test_a_row_tells_of_the_student_as_it_is_now(client: TestClient) -> None:
    done = send(client, ["A1", "Ann", "Ash", "", "ann@x.org"])
    [row] = rows_of(client, done)
    client.patch(f"/students/{row['student_id']}", json={"last_name": "Oak"})
    assert rows_of(client, done)[0]["student"] == named("A1", "Ann", "Oak")


def test_rows_tell_of_deleted_students_and_of_none_that_is_not_there(app: FastAPI, client: TestClient) -> None:
    made = [client.post("/students/", json=a_student(student_number=f"D{n}")).json()["id"] for n in range(3)]
    batch = client.post("/students/bulk", json={"action": "delete", "ids": [*made, NOBODY]}).json()
    with app.state.database.write() as conn:
        conn.execute(sa.delete(history).where(history.c.student_id == made[1]))
        conn.execute(sa.delete(students).where(students.c.id == made[1]))
    gone = client.get(f"/students/{made[0]}?deleted=true").json()["deleted_at"]
    rows = rows_of(client, batch)
    assert gone is not None
    assert rows[0]["student"] == named("D0", "Ada", "Lovelace", None, gone)
    assert [row["student_id"] for row in rows] == [*made, NOBODY]
    assert [row["student"] is None for row in rows] == [False, True, False, True]


def test_whom_an_undo_left_is_told_by_name(client: TestClient) -> None:
    done = send(client, ["A1", "Ann", "Ash", "", "ann@x.org"], ["A2", "Bea", "Birch", "", "bea@x.org"])
    left = rows_of(client, done)[1]["student_id"]
    client.patch(f"/students/{left}", json={"notes": "mine"})
    client.post(f"/students/imports/{done['id']}/undo")
    answer = client.get(f"/students/imports/{done['id']}/kept")
    batch_schemas.KeptPage.model_validate_json(answer.content)
    assert answer.json()["items"] == [{"student_id": left, "student": named("A2", "Bea", "Birch")}]
    [taken_back, _] = rows_of(client, done)
    assert taken_back["student"]["deleted_at"] is not None


def test_whom_a_row_is_about_is_told_to_whoever_may_read_and_to_nobody_else(
    client: TestClient, signing: Signing
) -> None:
    done = send(client, ["A1", "Ann", "Ash", "", "ann@x.org"])
    path = f"/students/imports/{done['id']}/rows"
    for role in ("viewer", "registrar", "admin"):
        answer = client.get(path, headers=signing.bearer(role=role))
        assert answer.json()["items"][0]["student"] == named("A1", "Ann", "Ash"), role
    assert client.get(path, headers=signing.bearer(scope="")).status_code == 403
    assert client.get(path, headers={"Authorization": ""}).status_code == 401
