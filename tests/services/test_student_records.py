"""Creating, reading, changing, deleting and restoring students, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from student_service import schemas
from tests.support.signing import Signing
from tests.support.students import a_student

UNKNOWN = "01a20bf1-572f-7000-bbfa-114481a5df36"


def created(client: TestClient, **fields: object) -> str:
    """The path of a new student."""
    answer = client.post("/students/", json=a_student(**fields))
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def test_a_new_student_is_answered_whole_and_found_at_its_location(client: TestClient) -> None:
    answer = client.post("/students/", json=a_student(first_name=" Zoë ", year=3, guardians=[{"name": "Ann"}]))
    assert answer.status_code == 201
    student = answer.json()
    schemas.Student.model_validate_json(answer.content)
    assert (student["first_name"], student["version"], student["created_by"]) == ("Zoë", 1, "rita")
    assert answer.headers["etag"] == '"v1"'
    again = client.get(answer.headers["location"])
    assert (again.status_code, again.content, again.headers["etag"]) == (200, answer.content, '"v1"')


def test_numbers_are_made_and_step_around_those_given_by_hand(client: TestClient) -> None:
    first = client.post("/students", json=a_student()).json()["student_number"]
    year, _, count = first.partition("-")
    taken = f"{year}-{int(count) + 1:06d}"
    assert client.post("/students", json=a_student(student_number=taken)).json()["student_number"] == taken
    third = client.post("/students", json=a_student(student_number=None)).json()["student_number"]
    assert third == f"{year}-{int(count) + 2:06d}"


@pytest.mark.parametrize(
    ("field", "first", "second"),
    [("email", "Zoë@Example.org", "zoË@eXample.org"), ("student_number", "AB-1", "ab-1")],
)
def test_a_duplicate_is_a_conflict_that_names_the_field(
    client: TestClient, field: str, first: str, second: str
) -> None:
    path = created(client, **{field: first})
    other = created(client)
    bodies = [client.post("/students/", json=a_student(**{field: second})), client.patch(other, json={field: second})]
    bodies.append(client.put(other, json=a_student(**{field: second})))
    for answer in bodies:
        assert answer.status_code == 409
        assert answer.json()["field"] == field
        assert answer.json()["student_id"] == path.rpartition("/")[2]
    assert client.patch(path, json={field: second}).status_code == 200, (
        "one's own value in another case is no duplicate"
    )


def test_a_deleted_student_keeps_its_address_so_that_it_can_come_back(client: TestClient) -> None:
    path = created(client, email="gone@example.org")
    assert client.delete(path).status_code == 204
    answer = client.post("/students", json=a_student(email="GONE@example.org"))
    assert (answer.status_code, answer.json()["is_deleted"]) == (409, True)
    assert "deleted" in answer.json()["detail"]


def test_a_patch_changes_what_it_names_and_makes_a_version_only_then(client: TestClient) -> None:
    path = created(client, program="Arts", year=3)
    answer = client.patch(
        path, json={"year": None, "notes": "x"}, headers={"Content-Type": "application/merge-patch+json"}
    )
    assert (answer.json()["year"], answer.json()["notes"], answer.json()["program"]) == (None, "x", "Arts")
    assert (answer.json()["version"], answer.headers["etag"]) == (2, '"v2"')
    schemas.Student.model_validate_json(answer.content)
    for nothing in ({}, {"notes": " x "}, {"year": None}):
        answer = client.patch(path, json=nothing)
        assert (answer.status_code, answer.headers["etag"]) == (200, '"v2"')
    assert client.get(path).content == answer.content
    assert client.get(f"{path}/history").json()["total"] == 2


def test_a_put_replaces_everything_but_the_number(client: TestClient) -> None:
    path = created(client, program="Arts", status="graduated", student_number="N-1", guardians=[{"name": "A"}])
    body = a_student()
    student = client.put(path, json=body).json()
    assert (student["program"], student["status"], student["guardians"]) == (None, "enrolled", [])
    assert (student["student_number"], student["version"]) == ("N-1", 2)
    assert client.put(path, json=body).json()["version"] == 2


def test_system_and_unknown_fields_are_refused_by_name(client: TestClient) -> None:
    path = created(client)
    for answer in (
        client.post("/students", json=a_student(id=UNKNOWN, colour="red")),
        client.put(path, json=a_student(id=UNKNOWN, colour="red")),
        client.patch(path, json={"id": UNKNOWN, "colour": "red"}),
    ):
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["id", "colour"]


def test_a_deleted_student_is_gone_until_it_is_restored(client: TestClient) -> None:
    path = created(client, email="back@example.org")
    assert client.delete(path).headers["etag"] == '"v2"'
    for answer in (
        client.get(path),
        client.delete(path),
        client.patch(path, json={}),
        client.put(path, json=a_student()),
    ):
        assert answer.status_code == 404
    assert client.get("/students").json()["total"] == 0
    assert client.get("/students?deleted=true").json()["total"] == 1
    shown = client.get(f"{path}?deleted=true")
    assert (shown.status_code, shown.headers["etag"]) == (200, '"v2"')
    assert shown.json()["deleted_at"] == shown.json()["updated_at"]
    restored = client.post(f"{path}/restore")
    assert (restored.status_code, restored.headers["etag"], restored.json()["deleted_at"]) == (200, '"v3"', None)
    assert client.post(f"{path}/restore").headers["etag"] == '"v3"', "restoring twice is restoring once"
    assert client.get(path).content == restored.content


def test_history_tells_every_change_field_by_field_the_newest_first(client: TestClient, signing: Signing) -> None:
    path = created(client, year=3)
    other = signing.bearer(username="otto", sub="user-2")
    client.patch(path, json={"year": 4, "date_of_birth": "2011-02-03"}, headers={**other, "X-Request-ID": "req-7"})
    client.delete(path)
    client.post(f"{path}/restore")
    answer = client.get(f"{path}/history/")
    schemas.HistoryPage.model_validate_json(answer.content)
    entries = answer.json()["items"]
    assert [entry["action"] for entry in entries] == ["restored", "deleted", "updated", "created"]
    assert [entry["version"] for entry in entries] == [4, 3, 2, 1]
    updated = entries[2]
    assert (updated["by"], updated["request_id"]) == ({"id": "user-2", "username": "otto"}, "req-7")
    assert updated["changes"] == [
        {"field": "date_of_birth", "old": None, "new": "2011-02-03"},
        {"field": "year", "old": 3, "new": 4},
    ]
    assert {"field": "first_name", "old": None, "new": "Ada"} in entries[3]["changes"]
    assert [change["field"] for change in entries[1]["changes"]] == ["deleted_at"]


def test_history_comes_in_pages_and_of_deleted_students_too(client: TestClient) -> None:
    path = created(client)
    for year in (1, 2, 3, 4):
        client.patch(path, json={"year": year})
    client.delete(path)
    versions, cursor = [], None
    while True:
        page = client.get(f"{path}/history", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert page["total"] == 6
        versions += [entry["version"] for entry in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert versions == [6, 5, 4, 3, 2, 1]
    first = client.get(f"{path}/history?limit=1").json()["next_cursor"]
    assert client.get(f"{created(client)}/history", params={"cursor": first}).status_code == 422


def test_stats_count_students_that_are_not_deleted(client: TestClient) -> None:
    created(client, program="Arts", year=3)
    created(client, program="Arts", status="applicant")
    created(client)
    client.delete(created(client, program="Law"))
    answer = client.get("/students/stats")
    schemas.Stats.model_validate_json(answer.content)
    stats = answer.json()
    assert (stats["total"], stats["deleted"]) == (3, 1)
    assert stats["by_status"] == {"applicant": 1, "enrolled": 2, "on_leave": 0, "graduated": 0, "withdrawn": 0}
    assert stats["by_program"] == [{"program": "Arts", "count": 2}, {"program": None, "count": 1}]
    assert stats["by_year"] == [{"year": None, "count": 2}, {"year": 3, "count": 1}]


def test_what_is_no_students_id_is_not_found(client: TestClient) -> None:
    for bad in ("nonsense", "123", UNKNOWN, UNKNOWN.upper(), "%20", "é", UNKNOWN + "x", "9" * 5000):
        assert client.get(f"/students/{bad}").status_code == 404
        assert client.get(f"/students/{bad}/history").status_code == 404
        assert client.patch(f"/students/{bad}", json={}).status_code == 404
        assert client.post(f"/students/{bad}/restore").status_code == 404


def test_who_may_read_may_not_write(client: TestClient, signing: Signing) -> None:
    path = created(client)
    viewer = signing.bearer(role="viewer")
    assert client.get(path, headers=viewer).status_code == 200
    for method, where in (
        ("POST", "/students/"),
        ("PUT", path),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/restore"),
    ):
        assert client.request(method, where, headers=viewer, content=b"not json").status_code == 403
        client.headers.pop("authorization", None)
        assert client.request(method, where, content=b"not json").status_code == 401
        client.headers.update(signing.bearer())
    assert client.get(path, headers=signing.bearer(scopes=[])).status_code == 403


def test_head_is_get_without_the_body(client: TestClient) -> None:
    answer = client.head(created(client))
    assert (answer.status_code, answer.headers["etag"]) == (200, '"v1"')
    assert client.head("/students").status_code == 200


def test_a_body_that_is_not_json_is_415(client: TestClient) -> None:
    path = created(client)
    for method, where in (("POST", "/students"), ("PUT", path), ("PATCH", path)):
        assert client.request(method, where, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    merge_patch = {"Content-Type": "application/merge-patch+json"}
    assert client.put(path, content=b"{}", headers=merge_patch).status_code == 415


def test_guards_against_stale_changes_are_honoured(client: TestClient) -> None:
    path = created(client)
    client.patch(path, json={"year": 1})
    stale, current = {"If-Match": '"v1"'}, {"If-Match": '"v1", "v2"'}
    for method, where in (("PUT", path), ("PATCH", path), ("DELETE", path), ("POST", f"{path}/restore"), ("GET", path)):
        body = a_student() if method in ("PUT", "PATCH") else None
        answer = client.request(method, where, headers=stale, json=body)
        assert (answer.status_code, answer.headers["etag"]) == (412, '"v2"')
        assert client.request(method, where, headers={"If-Match": "v2"}, json=body).status_code == 400
        assert client.request(method, where, headers={"If-Match": 'W/"v2"'}, json=body).status_code == 412
    assert client.patch(path, json={"year": 2}, headers=current).headers["etag"] == '"v3"'
    assert client.delete(path, headers={"If-Match": "*"}).status_code == 204
    assert client.post(f"{path}/restore", headers={"If-Match": '"v4"'}).headers["etag"] == '"v5"'
    assert client.patch(f"/students/{UNKNOWN}", json={}, headers={"If-Match": "*"}).status_code == 404


def test_a_client_that_has_the_version_gets_304(client: TestClient) -> None:
    path = created(client)
    answer = client.get(path, headers={"If-None-Match": '"v0", W/"v1"'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"v1"')
    assert client.get(path, headers={"If-None-Match": '"v2"'}).status_code == 200
    assert client.get(path, headers={"If-None-Match": "garbage"}).status_code == 200


def test_stats_are_only_read(client: TestClient) -> None:
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        answer = client.request(method, "/students/stats", json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
