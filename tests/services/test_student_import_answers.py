"""What an import says of itself: what a preview's commit would answer, which columns were known, whom an undo left."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from student_service import batch_schemas
from tests.support.student_files import csv_text
from tests.support.students import a_student
from tests.support.wait import until

CSV = {"Content-Type": "text/csv"}
HEADER = ["student_number", "first_name", "last_name", "email", "year"]
WRONG, RIGHT = ["B1", "", "Ash", "b@x.org", 3], ["B2", "B", "B", "b2@x.org", 3]


@pytest.fixture
def url(sqlite_url: str) -> str:
    return sqlite_url


def send(client: TestClient, table: list[Any], **asked: str) -> Any:
    """Import a table with its header; the answer."""
    return client.post("/students/import", content=csv_text(table), headers=CSV, params=asked)


@pytest.mark.parametrize(
    ("rows", "asked", "whole", "rest"),
    [
        ([RIGHT], "true", True, True),
        ([WRONG, RIGHT], "true", False, True),
        ([WRONG, RIGHT], "false", True, True),
        ([WRONG], "false", False, False),
    ],
)
def test_a_preview_says_what_its_commit_would_answer(
    client: TestClient, rows: list[Any], asked: str, whole: bool, rest: bool
) -> None:
    preview = send(client, [HEADER, *rows], dry_run="true", all_or_nothing=asked).json()
    assert (preview["can_commit"], preview["can_commit_rest"]) == (whole, rest)
    where = f"/students/imports/{preview['id']}/commit"
    if not whole:
        assert client.post(where).status_code == 409
    assert client.post(where, params={"all_or_nothing": "false"}).status_code == (201 if rest else 409)


def test_a_refused_file_says_which_of_its_columns_were_known(client: TestClient) -> None:
    answer = send(client, [["Surname", "Given name", "Klasse", "Address"], ["Ash", "Ann", "3", "ann@x.org"]])
    assert answer.status_code == 422
    batch = answer.json()["batch"]
    guessed = {"Surname": "last_name", "Given name": "first_name", "Klasse": None, "Address": None}
    assert {use["column"]: use["field"] for use in batch["columns"]} == guessed
    assert client.get(f"/students/imports/{batch['id']}").json()["columns"] == batch["columns"]
    mapped = send(
        client,
        [["Surname", "Given name", "Klasse", "Address"], ["Ash", "Ann", "3", "ann@x.org"]],
        mapping='{"Klasse": "year", "Address": "email"}',
    )
    assert mapped.status_code == 201, mapped.text


def test_a_mapping_counts_for_what_a_refused_file_says(client: TestClient) -> None:
    table = [["Surname", "Mail 1", "Mail 2"], ["Ash", "a@x.org", "b@x.org"]]
    answer = send(client, table, mapping='{"Mail 1": "email", "Mail 2": "email"}')
    assert answer.status_code == 422
    fields = {use["column"]: use["field"] for use in answer.json()["batch"]["columns"]}
    assert fields == {"Surname": "last_name", "Mail 1": "email", "Mail 2": "email"}


@pytest.mark.parametrize("second", ["email", "E-Mail"])
def test_of_columns_that_are_called_alike_the_mapping_says_which_one_counts(client: TestClient, second: str) -> None:
    table = [["first_name", "last_name", "email", second], ["Zoë", "Ott", "z@x.org", "parents@x.org"]]
    refused = send(client, table)
    assert (refused.status_code, "Two columns go to email" in refused.text) == (422, True)
    names = [use["column"] for use in refused.json()["batch"]["columns"]]
    assert len(set(names)) == 4
    mapped = send(client, table, mapping=orjson.dumps({names[2]: None, names[3]: "email"}).decode())
    assert mapped.status_code == 201, mapped.text
    assert client.get("/students").json()["items"][0]["email"] == "parents@x.org"


def test_whom_an_undo_left_can_be_read_page_by_page(client: TestClient) -> None:
    count = 230
    table = [HEADER, *([f"K{n}", "Ann", "Ash", f"k{n}@x.org", 3] for n in range(count))]
    batch = until_done(client, send(client, table).headers["location"])
    where = f"/students/imports/{batch['id']}"
    assert client.get(f"{where}/kept").json() == {"items": [], "next_cursor": None, "total": 0}
    client.post("/students/bulk", json={"action": "update", "set": {"year": 4}, "filter": {}})
    spared = client.post("/students/", json=a_student(student_number="L1")).headers["location"]
    changed = {student["id"] for student in everyone(client) if student["year"] == 4}
    client.post(f"{where}/undo")
    undone = until_done(client, where)
    assert (undone["state"], undone["rows_kept"], len(undone["kept"])) == ("undone", count, 200)
    found: list[str] = []
    cursor: str | None = None
    while True:
        shown = client.get(f"{where}/kept", params={"limit": 100} | ({"cursor": cursor} if cursor else {})).json()
        batch_schemas.KeptPage.model_validate(shown)
        assert shown["total"] == count
        found += [one["student_id"] for one in shown["items"]]
        cursor = shown["next_cursor"]
        if cursor is None:
            break
    assert len(found) == count
    assert set(found) == changed
    assert spared.rpartition("/")[2] not in found
    assert client.get(f"{where}/kept?cursor=eyJhIjoxfQ").status_code == 422
    assert client.get(f"/students/bulk/{batch['id']}/kept").status_code == 404


def until_done(client: TestClient, where: str) -> dict[str, Any]:
    """The batch when nobody works on it any more."""
    until(lambda: not client.get(where).json()["state"].endswith("ing"), 30)
    batch: dict[str, Any] = client.get(where).json()
    return batch


def everyone(client: TestClient) -> list[dict[str, Any]]:
    found = [client.get("/students?limit=200").json()]
    while found[-1]["next_cursor"]:
        found.append(client.get("/students", params={"limit": 200, "cursor": found[-1]["next_cursor"]}).json())
    return [student for page in found for student in page["items"]]
