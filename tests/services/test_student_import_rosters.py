"""OneRoster files: whose rows become students, what a delta says, and errors that can be sent again."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.student_files import ROSTER_USER as USER
from tests.support.student_files import csv_rows, roster


@pytest.fixture
def url(sqlite_url: str) -> str:
    return sqlite_url


def send(client: TestClient, content: bytes, **asked: Any) -> Any:
    """Import a file; the answer."""
    headers = {"Content-Type": "application/octet-stream"}
    return client.post("/students/import", content=content, headers=headers, params=asked)


def only_student(client: TestClient) -> dict[str, Any]:
    [student] = client.get("/students").json()["items"]
    return dict(student)


def test_a_roster_brings_its_students_only(client: TestClient) -> None:
    teacher = USER | {"sourcedId": "t1", "identifier": "T1", "email": "t@x.org"}
    answer = send(client, roster([USER, teacher], roles={"t1": "teacher"}), mode="upsert")
    assert (answer.status_code, answer.json()["counts"]) == (201, {"created": 1, "skipped": 1})
    student = only_student(client)
    assert (student["student_number"], student["first_name"], student["year"]) == ("S1", "Zoë", 9)
    again = send(client, roster([USER | {"grades": "KG,10"}]), mode="upsert")
    assert again.json()["counts"] == {"updated": 1}
    assert only_student(client)["year"] == 10


def test_a_user_to_be_deleted_is_deleted_in_a_delta_only(client: TestClient) -> None:
    send(client, roster([USER, USER | {"sourcedId": "u2", "identifier": "S2", "email": "b@x.org"}]), mode="upsert")
    gone = USER | {"status": "tobedeleted", "dateLastModified": "2026-11-24T00:00:00Z"}
    bulk = send(client, roster([gone]), mode="upsert")
    assert bulk.status_code == 422
    assert "delta" in bulk.json()["errors"][0]["message"]
    assert client.get("/students").json()["total"] == 2
    delta = send(client, roster([gone], mode="delta"), mode="upsert")
    assert (delta.status_code, delta.json()["counts"]) == (201, {"deleted": 1})
    assert only_student(client)["student_number"] == "S2"
    assert client.get("/students?deleted=true").json()["total"] == 1
    assert send(client, roster([gone], mode="delta"), mode="upsert").json()["counts"] == {"unchanged": 1}


def test_a_delta_names_roles_only_where_they_changed(client: TestClient) -> None:
    send(client, roster([USER]), mode="upsert")
    moved = USER | {"familyName": "Ott-Weber", "dateLastModified": "2026-11-24T00:00:00Z"}
    stranger = moved | {"sourcedId": "u9", "identifier": "S9", "email": "s9@x.org"}
    delta = send(client, roster([moved, stranger], mode="delta", roles={"u1": "", "u9": ""}), mode="upsert")
    assert (delta.status_code, delta.json()["counts"]) == (201, {"updated": 1, "skipped": 1})
    assert only_student(client)["last_name"] == "Ott-Weber"
    gone = roster([USER | {"status": "tobedeleted"}], mode="delta", roles={"u1": ""}, has_roles=False)
    assert send(client, gone, mode="upsert").json()["counts"] == {"deleted": 1}
    refused = send(client, roster([USER], has_roles=False))
    assert (refused.status_code, refused.json()["detail"]) == (422, "The zip archive has no roles.csv.")


def test_a_user_to_be_deleted_who_is_no_student_is_left_out(client: TestClient) -> None:
    send(client, roster([USER]), mode="upsert")
    teacher = {"sourcedId": "t1", "givenName": "T", "familyName": "T", "status": "tobedeleted"}
    both = [teacher, teacher | {"sourcedId": "t2", "identifier": "S1"}]
    delta = send(client, roster(both, mode="delta", roles={"t1": "teacher", "t2": "teacher"}), mode="upsert")
    assert (delta.status_code, delta.json()["counts"]) == (201, {"skipped": 2})
    assert only_student(client)["student_number"] == "S1"


def test_errors_of_a_roster_are_its_own_rows_and_can_be_mended_and_sent_again(client: TestClient) -> None:
    answer = send(client, roster([USER | {"email": "z@", "grades": "09,10"}]), mode="upsert")
    errors = client.get(f"{answer.headers['location']}/errors.csv").content
    [row] = csv_rows(errors)
    assert (row["grades"], row["email"], row["sourcedId"]) == ("09,10", "z@", "u1")
    again = send(client, errors.replace(b",z@,", b",z@x.org,"))
    assert again.status_code == 201, again.text
    student = only_student(client)
    assert (student["student_number"], student["first_name"], student["year"]) == ("S1", "Zoë", 9)
