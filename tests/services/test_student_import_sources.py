"""OneRoster files of a system with ids of its own: those are remembered, and a delta needs no more than them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from student_service.models import student_sources
from tests.support.student_files import ROSTER_USER as USER
from tests.support.student_files import csv_rows, csv_text, roster, zipped
from tests.support.students import a_student

OTHER = USER | {"sourcedId": "u2", "givenName": "Bea", "identifier": "S2", "email": "b@x.org"}
DELTA = [("propertyName", "value"), ("oneroster.version", "1.2"), ("file.users", "delta"), ("file.roles", "absent")]


def send(client: TestClient, content: bytes, status: int = 201, **asked: Any) -> Any:
    """Import a file; the answer's JSON."""
    answer = client.post(
        "/students/import",
        content=content,
        headers={"Content-Type": "application/zip"},
        params={"mode": "upsert", **asked},
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def delta(*users: dict[str, str], student: str = "") -> bytes:
    """Only the columns that are needed to say what changed; with a role for ``student``."""
    header = list(dict.fromkeys(name for user in users for name in user))
    rows = [[user.get(name, "") for name in header] for user in users]
    parts = {"manifest.csv": csv_text(DELTA), "users.csv": csv_text([header, *rows])}
    if student:
        parts["roles.csv"] = csv_text([["userSourcedId", "role", "status"], [student, "student", "active"]])
    return zipped({**parts})


def everyone(client: TestClient, **asked: str) -> dict[str, Any]:
    return {one["student_number"]: one for one in client.get("/students", params=asked).json()["items"]}


def undo(client: TestClient, batch: Any) -> Any:
    answer = client.post(f"/students/imports/{batch['id']}/undo")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_delta_of_ids_alone_deletes_and_changes_whom_another_system_brought(client: TestClient) -> None:
    send(client, roster([USER, OTHER]))
    changed = send(client, delta({"sourcedId": "u1", "givenName": "Zoe"}))
    assert changed["counts"] == {"updated": 1}
    student = everyone(client)["S1"]
    assert (student["first_name"], student["last_name"], student["email"], student["year"]) == (
        "Zoe", "Ott", "z@x.org", 9,
    )  # fmt: skip
    gone = delta({"sourcedId": "u2", "status": "tobedeleted", "dateLastModified": "2026-11-24T00:00:00Z"})
    preview = send(client, gone, dry_run="true", status=200)
    assert (preview["counts"], preview["rows"]["items"][0]["student"]["student_number"]) == ({"delete": 1}, "S2")
    deleted = client.post(f"/students/imports/{preview['id']}/commit").json()
    assert deleted["counts"] == {"deleted": 1}
    assert list(everyone(client)) == ["S1"]
    assert list(everyone(client, deleted="true")) == ["S2"]
    undo(client, deleted)
    undo(client, changed)
    assert {number: one["first_name"] for number, one in everyone(client).items()} == {"S1": "Zoë", "S2": "Bea"}


def test_the_id_counts_before_number_and_address_which_it_may_change(client: TestClient) -> None:
    send(client, roster([USER, OTHER]))
    first = everyone(client)
    swapped = [USER | {"identifier": "S2", "email": "new@x.org"}, OTHER | {"identifier": "S1", "email": "z@x.org"}]
    done = send(client, roster(swapped, mode="delta"))
    assert done["counts"] == {"updated": 2}
    after = everyone(client)
    assert {number: (one["id"], one["email"]) for number, one in after.items()} == {
        "S2": (first["S1"]["id"], "new@x.org"),
        "S1": (first["S2"]["id"], "z@x.org"),
    }
    undo(client, done)
    assert {number: one["id"] for number, one in everyone(client).items()} == {
        number: one["id"] for number, one in first.items()
    }


def test_who_was_here_before_gets_the_id_by_number_or_address(client: TestClient) -> None:
    for fields in ({"student_number": "S1"}, {"email": "b@x.org", "student_number": "ours"}):
        client.post("/students/", json=a_student(**fields))
    done = send(client, roster([USER, OTHER | {"identifier": ""}]))
    assert done["counts"] == {"updated": 2}
    assert send(client, delta({"sourcedId": "u2", "familyName": "Beech"}))["counts"] == {"updated": 1}
    assert everyone(client)["ours"]["last_name"] == "Beech"


def test_our_own_export_is_known_by_our_own_ids(client: TestClient) -> None:
    client.post("/students/", json=a_student(student_number="S1"))
    with zipfile.ZipFile(io.BytesIO(client.get("/students/export?format=oneroster").content)) as archive:
        [exported] = csv_rows(archive.read("users.csv"))
    renamed = send(client, delta({"sourcedId": exported["sourcedId"], "identifier": "T1"}))
    assert renamed["counts"] == {"updated": 1}
    assert list(everyone(client)) == ["T1"]
    gone = send(client, delta({"sourcedId": exported["sourcedId"].upper(), "status": "tobedeleted"}))
    assert gone["counts"] == {"deleted": 1}


def test_an_undo_forgets_the_ids_that_its_import_told(app: FastAPI, client: TestClient) -> None:
    there = client.post("/students/", json=a_student(student_number="S2", email="b@x.org")).json()
    same = {"first_name": "Bea", "last_name": "Ott", "year": 9}
    client.patch(f"/students/{there['id']}", json=same)
    wrong = send(client, roster([USER, OTHER | {"sourcedId": "u9"}]))
    assert wrong["counts"] == {"created": 1, "unchanged": 1}
    undo(client, wrong)
    with app.state.database.read() as conn:
        assert conn.execute(sa.select(student_sources)).all() == []
    # Whoever isn't known may be a teacher, unless the file says that it is a student.
    assert send(client, delta({"sourcedId": "u9", "givenName": "Nobody"}))["counts"] == {"skipped": 1}
    told = send(client, delta({"sourcedId": "u9", "givenName": "Nobody"}, student="u9"), status=422)
    assert [error["field"] for error in told["errors"]] == ["line 2: sourcedId"]
    right = send(client, roster([OTHER | {"sourcedId": "u1"}, USER | {"sourcedId": "u2"}]))
    assert right["counts"] == {"unchanged": 1, "restored": 1}
    send(client, delta({"sourcedId": "u1", "givenName": "Beatrix"}))
    assert everyone(client)["S2"]["first_name"] == "Beatrix"


def test_an_undo_brings_back_which_student_an_id_was_of(client: TestClient) -> None:
    first = send(client, roster([USER]))
    undo(client, first)
    second = send(client, roster([USER | {"identifier": "S5", "email": "five@x.org"}]))
    assert second["counts"] == {"created": 1}
    send(client, delta({"sourcedId": "u1", "givenName": "Five"}))
    assert everyone(client)["S5"]["first_name"] == "Five"


def test_ids_that_are_unknown_or_there_twice_are_told_on_their_lines(client: TestClient) -> None:
    send(client, roster([USER]))
    unknown = delta({"sourcedId": "u8", "status": "tobedeleted"}, {"sourcedId": "u1", "status": "active"})
    assert send(client, unknown)["counts"] == {"unchanged": 2}
    twice = send(client, roster([OTHER, OTHER | {"identifier": "S3", "email": "c@x.org"}]), status=422)
    assert [(error["field"], error["message"]) for error in twice["errors"]] == [
        ("line 3: sourcedId", "is the same as on line 2")
    ]
    created = send(client, roster([USER]), mode="create", status=422)
    assert [error["field"] for error in created["errors"]] == ["line 2: sourcedId"]
    assert "already has this sourcedId" in created["errors"][0]["message"]
    taken = send(client, roster([USER, OTHER | {"email": "z@x.org"}]), status=422)
    assert [error["field"] for error in taken["errors"]] == ["line 3: email"]
    long = send(client, roster([OTHER | {"sourcedId": "x" * 300}]), status=422)
    assert [error["field"] for error in long["errors"]] == ["line 2: sourcedId"]


def test_any_file_may_have_a_column_with_the_ids(client: TestClient) -> None:
    send(client, roster([USER]))
    content = csv_text([["SIS", "First name"], ["u1", "Zoe"]])
    answer = client.post(
        "/students/import",
        content=content,
        headers={"Content-Type": "text/csv"},
        params={"mode": "upsert", "mapping": '{"SIS": "sourced_id"}'},
    )
    assert (answer.status_code, answer.json()["counts"]) == (201, {"updated": 1})
    assert everyone(client)["S1"]["first_name"] == "Zoe"
