"""Students exported to files: the list's filters and order, no formulas, and nothing lost on the way back."""

from __future__ import annotations

import io
import tempfile
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from student_service import rules
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.student_files import ORGS, ROLES, USERS, csv_rows
from tests.support.students import a_student, student_app
from tests.support.wait import until

FORMATS = ("csv", "xlsx", "oneroster")


def export(client: TestClient, **asked: Any) -> bytes:
    answer = client.get("/students/export", params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert "private" in answer.headers["cache-control"]
    return answer.content


def imported(client: TestClient, content: bytes, **asked: Any) -> Any:
    answer = client.post(
        "/students/import", content=content, headers={"Content-Type": "application/octet-stream"}, params=asked
    )
    assert answer.status_code in (200, 201, 202), answer.text
    where = answer.headers["location"]
    until(lambda: not client.get(where).json()["state"].endswith("ing"), timeout=30)
    return client.get(where).json()


SPECIAL = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "'=x",
    "''+y",
    "'quoted'",
    "_x0041_",
    "1e5",
    "007",
    "TRUE",
    "a,b;c",
    'say "hi"',
    "<b>&amp;</b>",
    "#N/A",
    "Ａ＝１",
]
letters = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp", "Cf")), min_size=1, max_size=12
)
names = st.sampled_from([word for word in SPECIAL if any(c.isalnum() for c in word)]) | letters.filter(
    lambda s: any(c.isalnum() for c in s)
)
texts = st.none() | st.sampled_from([*SPECIAL, "two\nlines", "=a\n-b", "tab\there"]) | letters
days = st.none() | st.dates(date(1900, 1, 1), date(2026, 1, 1)).map(lambda day: day.isoformat())
guardians = st.fixed_dictionaries(
    {
        "name": names,
        "relation": st.none() | names,
        "phone": st.sampled_from([None, "+49 30 901820", "555-0100 x3", "(020) 7946"]),
    }
)
student_bodies = st.fixed_dictionaries(
    {
        "first_name": names, "last_name": names, "middle_name": st.none() | names, "preferred_name": st.none() | names,
        "phone": st.sampled_from([None, "+49 30 901820", "1-2", "0044 123"]), "program": st.none() | names,
        "year": st.none() | st.integers(1, 12), "status": st.sampled_from(rules.STATUSES), "date_of_birth": days,
        "notes": texts, "guardians": st.lists(guardians, max_size=3),
    }
)  # fmt: skip


@pytest.mark.timeout(180)
def test_an_export_that_is_imported_again_changes_nothing(client: TestClient) -> None:
    @settings(max_examples=8, deadline=None, derandomize=True)
    @given(st.lists(student_bodies, min_size=1, max_size=5))
    def holds(bodies: list[dict[str, Any]]) -> None:
        for body in bodies:
            answer = client.post("/students/", json=a_student(**body))
            assert answer.status_code in (201, 422), answer.text
        before = client.get("/students?limit=200").json()["items"]
        for format in FORMATS if before else ():
            batch = imported(client, export(client, format=format), mode="upsert")
            assert batch["counts"] == {"unchanged": len(before)}, format
        assert client.get("/students?limit=200").json()["items"] == before
        client.post("/students/bulk", json={"action": "delete", "filter": {}})

    holds()


def test_an_export_makes_the_same_students_in_an_empty_place(
    client: TestClient, make_client: MakeClient, signing: Signing, tmp_path: Path
) -> None:
    for number, word in enumerate(SPECIAL):
        body = a_student(
            first_name=f"A {word}", last_name=word if word != "@SUM(A1)" else "x", notes=word, year=number % 12 + 1,
            date_of_birth="1999-12-31", enrolled_on="2020-02-29", guardians=[{"name": f"{word} x", "phone": "+1 555"}],
        )  # fmt: skip
        assert client.post("/students/", json=body).status_code == 201
    wanted = client.get("/students?limit=200&sort=student_number").json()["items"]
    for format in ("csv", "xlsx"):
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            other = make_client(student_app(signing, Path(folder)))
            other.headers.update(signing.bearer())
            assert imported(other, export(client, format=format))["counts"] == {"created": len(wanted)}
            found = other.get("/students?limit=200&sort=student_number").json()["items"]
            assert [{n: s[n] for n in rules.FIELDS} for s in found] == [{n: s[n] for n in rules.FIELDS} for s in wanted]


def test_no_cell_of_a_csv_file_or_a_workbook_is_a_formula(client: TestClient) -> None:
    for word in ("=HYPERLINK(1)", "+1+cmd", "-1+1a", "@A1", "＝1"):
        client.post("/students/", json=a_student(last_name=f"{word} x", notes=word, phone="+49 30 1"))
    for row in csv_rows(export(client)):
        assert not [cell for cell in row.values() if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "＝")], row
    sheet = openpyxl.load_workbook(io.BytesIO(export(client, format="xlsx"))).active
    assert sheet is not None
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert not [cell.value for cell in cells if str(cell.value)[:1] in ("=", "-", "@", "＝")]
    assert any(cell.value == "+49 30 1" for cell in cells)  # a telephone number in a cell that says that it is text


def test_an_export_has_the_lists_filters_and_order(client: TestClient) -> None:
    for last, year in (("Cole", 1), ("Abel", 2), ("Bond", 1), ("Dean", 1)):
        client.post(
            "/students/", json=a_student(last_name=last, year=year, guardians=[{"name": "G"}] if year == 2 else [])
        )
    rows = csv_rows(export(client, year=1, sort="-last_name"))
    assert [row["last_name"] for row in rows] == ["Dean", "Cole", "Bond"]
    assert [row["last_name"] for row in csv_rows(export(client, q="abe"))] == ["Abel"]
    some = csv_rows(export(client, fields="last_name,year", sort="last_name"))
    assert some[0] == {"last_name": "Abel", "year": "2"}
    assert client.get("/students/export?fields=shoe_size").status_code == 422
    assert client.get("/students/export?format=pdf").status_code == 422
    assert client.get("/students/export?sort=x").status_code == 422
    assert client.post("/students/export").status_code == 405
    head = client.head("/students/export?format=xlsx")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].endswith("spreadsheetml.sheet")


def test_a_workbook_has_days_and_numbers_that_a_spreadsheet_knows(client: TestClient) -> None:
    client.post("/students/", json=a_student(year=3, date_of_birth="1900-02-28", enrolled_on="2026-09-01"))
    sheet = openpyxl.load_workbook(io.BytesIO(export(client, format="xlsx"))).active
    assert sheet is not None
    header, row = list(sheet.iter_rows(values_only=True))
    values = dict(zip(header, row, strict=True))
    assert values["year"] == 3
    assert values["enrolled_on"] == datetime(2026, 9, 1)  # noqa: DTZ001 - as a spreadsheet has it
    assert values["date_of_birth"] == datetime(1900, 2, 28)  # noqa: DTZ001 - as above
    assert values["guardian_1_name"] is None


def test_a_roster_has_the_headers_of_the_binding_and_files_that_fit_together(client: TestClient) -> None:
    client.post("/students/", json=a_student(year=9, status="enrolled", preferred_name="Addie"))
    client.post("/students/", json=a_student(year=None, status="graduated"))
    archive = zipfile.ZipFile(io.BytesIO(export(client, format="oneroster")))
    assert archive.testzip() is None
    files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert not [name for name, text in files.items() if text.startswith("\ufeff")]
    manifest = {row["propertyName"]: row["value"] for row in csv_rows(files["manifest.csv"].encode())}
    assert (manifest["manifest.version"], manifest["oneroster.version"]) == ("1.0", "1.2")
    given = {name.removeprefix("file."): value for name, value in manifest.items() if name.startswith("file.")}
    assert len(given) == 21
    assert {f"{name}.csv" for name, value in given.items() if value == "bulk"} | {"manifest.csv"} == set(files)
    header = files["users.csv"].splitlines()[0].split(",")
    assert header[: len(USERS)] == USERS
    assert all(name.startswith("metadata.") for name in header[len(USERS) :])
    assert files["roles.csv"].splitlines()[0].split(",") == ROLES
    assert files["orgs.csv"].splitlines()[0].split(",") == ORGS
    users, roles = csv_rows(files["users.csv"].encode()), csv_rows(files["roles.csv"].encode())
    [org] = csv_rows(files["orgs.csv"].encode())
    assert {role["userSourcedId"] for role in roles} == {user["sourcedId"] for user in users}
    assert {(r["role"], r["roleType"], r["orgSourcedId"], r["status"]) for r in roles} == {
        ("student", "primary", org["sourcedId"], "")
    }
    assert [(u["enabledUser"], u["grades"], u["preferredGivenName"], u["status"]) for u in users] == [
        ("true", "09", "Addie", ""), ("false", "", "", ""),
    ]  # fmt: skip


def test_a_viewer_may_export_and_nobody_without_a_token(client: TestClient, signing: Signing) -> None:
    assert client.get("/students/export", headers=signing.bearer(role="viewer")).status_code == 200
    assert client.get("/students/export", headers={"Authorization": ""}).status_code == 401


def test_an_empty_list_is_a_file_with_a_header(client: TestClient) -> None:
    assert csv_rows(export(client)) == []
    assert export(client).startswith("\ufeffstudent_number,first_name,".encode())
    sheet = openpyxl.load_workbook(io.BytesIO(export(client, format="xlsx"))).active
    assert sheet is not None
    assert sheet.max_row == 1
