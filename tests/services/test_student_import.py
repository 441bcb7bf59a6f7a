"""Students imported from a file: what it would do, all or nothing, taken back, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from student_service import batch_schemas
from student_service.models import batch_rows, batches
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.student_files import csv_rows, csv_text
from tests.support.students import a_student, student_app
from tests.support.wait import until

CSV = {"Content-Type": "text/csv"}
HEADER = ["student_number", "first_name", "last_name", "email", "year"]


def send(client: TestClient, *rows: Any, header: list[str] | None = None, status: int = 201, **asked: Any) -> Any:
    """Import rows; the answer's JSON."""
    content = csv_text([header or HEADER, *rows])
    answer = client.post("/students/import", content=content, headers=CSV, params=asked)
    assert answer.status_code == status, answer.text
    if status < 300:
        batch_schemas.BatchWithRows.model_validate_json(answer.content)
    return answer.json()


def everyone(client: TestClient) -> dict[str, Any]:
    items = client.get("/students?limit=200&sort=student_number").json()["items"]
    return {student["student_number"]: student for student in items}


def test_a_dry_run_says_what_would_become_of_each_row_and_changes_nothing(client: TestClient) -> None:
    send(client, ["A1", "Ann", "Ash", "ann@x.org", 3], ["A2", "Bea", "Birch", "bea@x.org", 4])
    before = everyone(client)
    preview = send(
        client,
        ["a1", "Ann", "Ashe", "ANN@x.org", ""],
        ["A2", "Bea", "Birch", "bea@x.org", 4],
        ["", "Bea", "Beech", "BEA@x.org", 5],
        ["A3", "Cy", "Cedar", "cy@x.org", 99],
        ["A4", "Di", "Date", "ann@x.org", 1],
        ["A5", "Ed", "Elm", "ed@x.org", 2],
        status=200,
        dry_run="true",
        mode="upsert",
    )
    rows = preview["rows"]["items"]
    assert [(row["line"], row["outcome"]) for row in rows] == [
        (2, "update"), (3, "unchanged"), (4, "error"), (5, "error"), (6, "error"), (7, "create"),
    ]  # fmt: skip
    assert {(change["field"], change["old"], change["new"]) for change in rows[0]["changes"]} == {
        ("student_number", "A1", "a1"), ("last_name", "Ash", "Ashe"), ("email", "ann@x.org", "ANN@x.org"),
        ("year", 3, None),
    }  # fmt: skip
    assert rows[2]["errors"] == [{"field": "email", "message": "is the same as on line 3"}]
    assert rows[3]["errors"] == [{"field": "year", "message": "must be between 1 and 12"}]
    assert rows[4]["errors"] == [{"field": "email", "message": "is the same as on line 2"}]
    assert rows[5]["values"]["first_name"] == "Ed"
    assert preview["counts"] == {"update": 1, "unchanged": 1, "error": 3, "create": 1}
    assert (preview["state"], preview["can_commit"], preview["can_commit_rest"]) == ("previewed", False, True)
    assert not preview["can_undo"]
    assert everyone(client) == before


def test_a_preview_is_imported_without_sending_the_file_again(client: TestClient) -> None:
    preview = send(client, ["A1", "Ann", "Ash", "ann@x.org", 3], status=200, dry_run="true")
    assert (preview["can_commit"], preview["can_commit_rest"]) == (True, True)
    committed = client.post(f"/students/imports/{preview['id']}/commit")
    assert (committed.status_code, committed.json()["counts"]) == (201, {"created": 1})
    assert everyone(client)["A1"]["last_name"] == "Ash"
    assert client.post(f"/students/imports/{preview['id']}/commit").status_code == 409
    faulty = send(client, ["B1", "", "Ash", "b@x.org", 3], ["B2", "B", "B", "b2@x.org", 3], status=200, dry_run="true")
    where = f"/students/imports/{faulty['id']}/commit"
    assert client.post(where).status_code == 409
    done = client.post(where, params={"all_or_nothing": "false"}).json()
    assert done["counts"] == {"error": 1, "created": 1}
    assert (done["can_commit"], done["can_commit_rest"]) == (False, False)


def test_one_error_keeps_everything_out_and_its_file_can_be_mended_and_sent_again(client: TestClient) -> None:
    content = 'first_name,last_name,email,notes\r\nAnn,Ash,ann@x.org,"two\nlines"\r\n\r\nBea,=1+1,bea@,x\r\n'
    answer = client.post("/students/import", content=content, headers=CSV)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["line 5: email"]
    assert answer.json()["batch"]["state"] == "rejected"
    assert client.get("/students").json()["total"] == 0
    where = answer.headers["location"]
    errors = client.get(f"{where}/errors.csv")
    assert errors.headers["content-type"].startswith("text/csv")
    [row] = csv_rows(errors.content)
    assert (row["line"], row["last_name"]) == ("5", "'=1+1")
    assert row["errors"].startswith("email: ")
    mended = errors.content.replace(b"bea@,", b"bea@x.org,")
    again = client.post("/students/import", content=mended, headers=CSV)
    assert again.status_code == 201, again.text
    assert client.get("/students").json()["items"][0]["last_name"] == "=1+1"


def test_rows_without_errors_are_imported_when_that_is_asked(client: TestClient) -> None:
    done = send(client, ["A1", "Ann", "Ash", "ann@", 3], ["A2", "B", "B", "b@x.org", 3], all_or_nothing="false")
    assert done["counts"] == {"error": 1, "created": 1}
    assert [row["outcome"] for row in done["rows"]["items"]] == ["error", "created"]
    found = client.get(f"/students/imports/{done['id']}/rows?outcome=error").json()
    assert [row["line"] for row in found["items"]] == [2]


def test_an_upsert_changes_who_is_there_and_leaves_alone_who_is_not_named(client: TestClient) -> None:
    guardians = [{"name": "Anna"}, {"name": "Otto", "phone": "555"}]
    kept = client.post("/students/", json=a_student(student_number="K1", guardians=guardians, notes="n", year=2)).json()
    other = client.post("/students/", json=a_student(student_number="K2")).json()
    done = send(
        client,
        ["k1", "Ada", "King", 3, "Anna", "a@x.org"],
        ["N1", "New", "One", "", "", ""],
        header=["student_number", "first_name", "last_name", "year", "guardian_1_name", "guardian_1_email"],
        mode="upsert",
        all_or_nothing="false",
    )
    assert done["counts"] == {"error": 1, "updated": 1}  # the new one has no e-mail address
    student = client.get(f"/students/{kept['id']}").json()
    assert (student["last_name"], student["year"], student["notes"], student["version"]) == ("King", 3, "n", 2)
    assert student["guardians"] == [
        {"name": "Anna", "relation": None, "email": "a@x.org", "phone": None},
        {"name": "Otto", "relation": None, "email": None, "phone": "555"},
    ]
    assert client.get(f"/students/{other['id']}").json() == other
    entry = client.get(f"/students/{kept['id']}/history").json()["items"][0]
    assert (entry["batch_id"], entry["by"]["username"]) == (done["id"], "rita")


def test_an_empty_cell_empties_the_field_unless_it_is_to_say_nothing(client: TestClient) -> None:
    send(client, ["A1", "Ann", "Ash", "ann@x.org", 3])
    row = ["A1", "Ann", "Ash", "ann@x.org", ""]
    assert send(client, row, mode="upsert", empty_cells="keep")["counts"] == {"unchanged": 1}
    assert send(client, row, mode="upsert")["counts"] == {"updated": 1}
    assert everyone(client)["A1"]["year"] is None


def test_the_mode_create_refuses_who_is_there(client: TestClient) -> None:
    send(client, ["A1", "Ann", "Ash", "ann@x.org", 3])
    told = send(client, ["A1", "Ann", "Ash", "ann2@x.org", 3], ["", "A", "A", "ANN@x.org", 3], status=422)
    assert [error["field"] for error in told["errors"]] == ["line 2: student_number", "line 3: email"]


def test_an_undo_takes_an_import_back_where_nobody_has_changed_it_since(client: TestClient) -> None:
    send(client, ["A1", "Ann", "Ash", "ann@x.org", 3])
    done = send(
        client,
        ["A1", "Ann", "Oak", "ann@x.org", 4],
        ["A2", "Bea", "Birch", "bea@x.org", 4],
        ["A3", "Cy", "Cedar", "cy@x.org", 4],
        mode="upsert",
    )
    assert done["counts"] == {"updated": 1, "created": 2}
    changed = everyone(client)["A3"]
    client.patch(f"/students/{changed['id']}", json={"notes": "mine"})
    undone = client.post(f"/students/imports/{done['id']}/undo")
    assert (undone.status_code, undone.json()["state"]) == (200, "undone")
    assert (undone.json()["rows_undone"], undone.json()["kept"]) == (2, [changed["id"]])
    left = everyone(client)
    assert (sorted(left), left["A1"]["last_name"], left["A1"]["year"]) == (["A1", "A3"], "Ash", 3)
    # The mended file can be sent again: who was taken back comes back.
    again = send(client, ["A2", "Bea", "Beech", "bea@x.org", 4])
    assert again["counts"] == {"restored": 1}
    assert everyone(client)["A2"]["last_name"] == "Beech"


def test_who_was_deleted_on_purpose_is_restored_by_an_upsert_only(client: TestClient) -> None:
    student = client.post("/students/", json=a_student(student_number="A1")).json()
    client.delete(f"/students/{student['id']}")
    row = ["A1", "Ada", "Back", student["email"], 3]
    told = send(client, row, status=422)
    assert "deleted student" in told["errors"][0]["message"]
    preview = send(client, row, status=200, dry_run="true", mode="upsert")
    assert preview["rows"]["items"][0]["outcome"] == "restore"
    assert send(client, row, mode="upsert")["counts"] == {"restored": 1}
    assert everyone(client)["A1"]["last_name"] == "Back"


def test_columns_go_where_the_mapping_says(client: TestClient) -> None:
    header = ["Vorname", "Nachname", "E-Mail", "Klasse", "Raum", "year"]
    mapping = {"vorname": "first_name", "Nachname": "last_name", "Klasse": "year", "Year": None}
    done = send(client, ["Zoë", "Ott", "z@x.org", 9, "R1", 2], header=header, mapping=orjson.dumps(mapping).decode())
    assert {column["column"]: column["field"] for column in done["columns"]} == {
        "Vorname": "first_name", "Nachname": "last_name", "E-Mail": "email", "Klasse": "year", "Raum": None,
        "year": None,
    }  # fmt: skip
    [student] = everyone(client).values()
    assert (student["first_name"], student["year"]) == ("Zoë", 9)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"mode": "replace"}, "mode"),
        ({"dry_run": "maybe"}, "dry_run"),
        ({"all_or_nothing": "some"}, "all_or_nothing"),
        ({"empty_cells": "x"}, "empty_cells"),
        ({"mapping": "[]"}, "mapping"),
        ({"mapping": '{"a": 1}'}, "mapping"),
        ({"mapping": '{"a": "shoe_size"}'}, "mapping"),
        ({"mapping": "{"}, "mapping"),
    ],
)
def test_what_is_asked_wrongly_is_422(client: TestClient, asked: dict[str, Any], field: str) -> None:
    told = send(client, ["A1", "Ann", "Ash", "ann@x.org", 3], status=422, **asked)
    assert [error["field"] for error in told["errors"]] == [field]
    assert client.get("/students/imports").json()["total"] == 0


def test_a_form_carries_the_file_and_what_is_asked(client: TestClient) -> None:
    content = csv_text([HEADER, ["A1", "Ann", "Ash", "ann@x.org", 3]])
    files = {"file": ("Secret Name.csv", content, "application/vnd.ms-excel")}
    answer = client.post("/students/import", files=files, data={"dry_run": "true", "mode": "upsert"})
    assert (answer.status_code, answer.json()["state"]) == (200, "previewed")
    assert "Secret" not in answer.text
    assert client.post("/students/import", files={"other": content}).status_code == 422
    assert client.post("/students/import", data={"file": "text"}).status_code == 415


def test_a_repeated_key_imports_nothing_twice(client: TestClient) -> None:
    content, key = csv_text([HEADER, ["A1", "Ann", "Ash", "ann@x.org", 3]]), {"Idempotency-Key": "k"}
    first = client.post("/students/import", content=content, headers=CSV | key)
    again = client.post("/students/import", content=content, headers=CSV | key)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = client.post("/students/import", content=content + "A2,B,B,b@x.org,1\r\n", headers=CSV | key)
    assert other.status_code == 422
    assert client.get("/students/imports").json()["total"] == 1


def test_imports_are_listed_newest_first_and_looked_at_by_whoever_may_read(
    client: TestClient, signing: Signing
) -> None:
    made = [send(client, [f"A{n}", "Ann", "Ash", f"a{n}@x.org", 3])["id"] for n in range(3)]
    viewer = signing.bearer(role="viewer")
    page = client.get("/students/imports?limit=2", headers=viewer).json()
    rest = client.get("/students/imports", params={"limit": 2, "cursor": page["next_cursor"]}, headers=viewer).json()
    assert [batch["id"] for batch in page["items"] + rest["items"]] == made[::-1]
    batch_schemas.BatchPage.model_validate(page)
    one = f"/students/imports/{made[0]}"
    for path in (one, f"{one}/rows", f"{one}/errors.csv"):
        assert client.get(path, headers=viewer).status_code == 200
    for path in ("/students/import", f"{one}/undo", f"{one}/commit"):
        assert client.post(path, content="x", headers=viewer | CSV).status_code == 403
    assert client.get("/students/imports?cursor=x").status_code == 422
    assert client.get("/students/import").status_code == 405
    assert client.get("/students/imports/nothing").status_code == 404


def test_an_import_whose_process_died_is_gone_on_with_or_clearly_failed(
    url: str, app: FastAPI, client: TestClient, make_client: MakeClient, signing: Signing, tmp_path: Path
) -> None:
    preview = send(client, *([f"A{n}", "Ann", "Ash", f"a{n}@x.org", 3] for n in range(5)), status=200, dry_run="true")
    reading = send(client, ["R1", "Rea", "Ding", "r@x.org", 3], status=200, dry_run="true")
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    with app.state.database.engine.begin() as conn:  # as it looks when the process was killed
        for batch, state in ((preview, "applying"), (reading, "reading")):
            died = sa.update(batches).where(batches.c.id == batch["id"])
            conn.execute(died.values(state=state, runner="dead", seen_at=long_ago, counts={}))
    other = make_client(student_app(signing, tmp_path, url))
    other.headers.update(client.headers)
    state_of: Callable[[Any], str] = lambda batch: other.get(f"/students/imports/{batch['id']}").json()["state"]  # noqa: E731 - two of them
    until(lambda: state_of(preview) == "done" and state_of(reading) == "failed", timeout=20)
    assert sorted(everyone(other)) == [f"A{n}" for n in range(5)]
    assert "Nothing was changed" in other.get(f"/students/imports/{reading['id']}").json()["message"]


def test_what_turns_out_to_clash_while_it_is_applied_takes_all_of_it_back(app: FastAPI, client: TestClient) -> None:
    rows = [[f"A{n}", "Ann", "Ash", f"a{n}@x.org", 3] for n in range(700)]
    preview = send(client, *rows, status=200, dry_run="true")
    client.post("/students/", json=a_student(email="a650@x.org"))  # in the second step
    answer = client.post(f"/students/imports/{preview['id']}/commit")
    assert answer.status_code in (202, 422)
    where = f"/students/imports/{preview['id']}"
    until(lambda: client.get(where).json()["state"] == "rejected", timeout=30)
    batch = client.get(where).json()
    assert (batch["counts"]["error"], batch["rows_undone"]) == (1, 500)
    assert client.get("/students").json()["total"] == 1
    assert [
        row["A"] for row in [{"A": r["student_number"]} for r in csv_rows(client.get(f"{where}/errors.csv").content)]
    ] == ["A650"]


def test_an_import_forgets_what_it_no_longer_needs(app: FastAPI, client: TestClient) -> None:
    done = send(client, ["A1", "Ann", "Ash", "ann@x.org", 3], ["A2", "B", "B", "b@", 3], all_or_nothing="false")
    rejected = send(client, ["A3", "Cy", "C", "c@x.org", 3], ["A4", "D", "D", "d@", 3], status=422)["batch"]

    def held(batch: Any) -> list[tuple[str, bool]]:
        with app.state.database.read() as conn:
            query = sa.select(batch_rows).where(batch_rows.c.batch_id == batch["id"]).order_by(batch_rows.c.position)
            return [(row.outcome, row.raw is not None or row.given is not None) for row in conn.execute(query)]

    assert held(done) == [("created", False), ("error", True)]
    until(lambda: held(rejected) == [("create", False), ("error", True)])


def test_nobody_in_a_file_is_in_the_logs(
    make_client: MakeClient, signing: Signing, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    client = make_client(student_app(signing, tmp_path, level="debug"))
    client.headers.update(signing.bearer())
    secret = ["Geheimnummer", "Qwertzia", "Yxcvbnmia", "geheimnis@example.org", "99"]
    files = {"file": ("Qwertzia.csv", csv_text([HEADER, secret]))}
    where = client.post("/students/import", files=files).headers["location"]
    client.post("/students/import", files=files, data={"all_or_nothing": "false"})
    client.get(f"{where}/errors.csv")
    logged = ""

    def is_all_logged() -> bool:
        nonlocal logged
        logged += capfd.readouterr().out
        return "errors.csv" in logged

    until(is_all_logged)
    assert "import_started" in logged
    assert not [word for word in (*secret[:4], "Qwertzia.csv") if word in logged]
